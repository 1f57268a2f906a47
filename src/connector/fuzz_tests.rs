//! Headers of answers, damaged and random: `Link`, `Retry-After` and those about rate limits.

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::pages::link::next as next_link;
use super::retry_after::{LONGEST, quota_used_up, wait};
use crate::fuzz::{Random, damaged, run};

const LINKS: [&[u8]; 6] = [
    br#"<https://a.example/x?page=2>; rel="next""#,
    br#"</x?p=1>; rel="prev", </x?p=3>; rel="next""#,
    br#"</x>; title="a, <b>; rel=next"; rel="last", </y>; REL="prev Next""#,
    b"</x?ids=1,2;3>; rel=next; title*=UTF-8''%e2%82%ac",
    br#"<https://a.example/>; rel="next \"; x", </y>; rel=next"#,
    b"<>; rel=next",
];
const PIECES: [&str; 16] = [
    "<",
    ">",
    ";",
    ",",
    "\"",
    "\\",
    "rel=",
    "next",
    "rel=\"next\"",
    " ",
    "<a>",
    "=",
    "\t",
    "</x?p=2>",
    "é",
    "prev ",
];

const NAMES: [&str; 6] = [
    "retry-after",
    "ratelimit",
    "ratelimit-reset",
    "x-ratelimit-reset",
    "x-rate-limit-reset",
    "x-ratelimit-remaining",
];
const WAITS: [&[u8]; 10] = [
    b"120",
    b"1.5",
    b"Fri, 31 Dec 1999 23:59:59 GMT",
    b"Wed, 01 Jan 3000 00:00:00 GMT",
    br#""default";r=0;t=30, "other";r=1;t=3600"#,
    b"1893456000",
    b"1893456000000",
    b"-5",
    b"0",
    b"1e308",
];
const MOMENTS: [&str; 12] = [
    "0", "9", "e", ".", "-", "+", "t=", ";", ",", "NaN", "infinity", " GMT",
];

fn header(headers: &mut HeaderMap, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.append(HeaderName::from_static(name), value);
    }
}

#[test]
fn a_next_link_stands_in_the_header_and_is_found_again() {
    run("links", 20_000, 1, |random| {
        let mut headers = HeaderMap::new();
        for _ in 0..1 + random.below(3) {
            header(&mut headers, "link", &damaged(random, &LINKS, &PIECES));
        }
        let Some(url) = next_link(&headers) else {
            return;
        };
        let stands = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(&url));
        assert!(headers.get_all("link").iter().any(stands), "{url:?}");
        assert!(!url.contains('>') && url == url.trim(), "{url:?}");
        let mut again = HeaderMap::new();
        let padding = ["", "</a,b>; rel=\"last\", ", "</c>; title=\"x, \\\" <\", "];
        let written = format!("{}<{url}>; rel=\"x Next\"", random.pick(&padding));
        header(&mut again, "link", written.as_bytes());
        assert_eq!(next_link(&again).as_ref(), Some(&url));
    });
}

#[test]
fn a_wait_is_bounded_and_whole_seconds_are_what_they_say() {
    let now = Timestamp::from_second(1_800_000_000).unwrap_or_default();
    run("waits", 20_000, 1, |random| {
        let mut headers = HeaderMap::new();
        for _ in 0..1 + random.below(3) {
            let (name, value) = (*random.pick(&NAMES), damaged(random, &WAITS, &MOMENTS));
            header(&mut headers, name, &value);
        }
        assert!(
            wait(&headers, now).is_none_or(|wait| wait <= LONGEST),
            "{headers:?}"
        );
        let _ = quota_used_up(&headers);
        let seconds = seconds(random);
        for name in ["retry-after", "ratelimit-reset"] {
            let mut plain = HeaderMap::new();
            header(&mut plain, name, seconds.to_string().as_bytes());
            let read = wait(&plain, now).map(|wait| wait.as_secs());
            assert_eq!(
                read,
                Some(seconds.min(LONGEST.as_secs())),
                "{name}: {seconds}"
            );
        }
    });
}

/// Few enough to be no moment.
fn seconds(random: &mut Random) -> u64 {
    random.next() % 1_000_000_000
}
