//! When a system wants the next request: Retry-After and the rate limit headers of an answer.
//! Pure; the wall clock is passed in. Used by `classify`.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

/// The longest wait that an answer can ask for.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The wait that the headers ask for: Retry-After first, then RateLimit (draft-ietf-httpapi-ratelimit-headers)
/// and the X-RateLimit headers that many systems have.
pub(super) fn wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    text("retry-after")
        .and_then(|value| retry_after(value, now))
        .or_else(|| text("ratelimit").and_then(parameter_t))
        .or_else(|| {
            ["ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset"]
                .into_iter()
                .find_map(|name| text(name).and_then(|value| reset(value, now)))
        })
        .map(|wait| wait.min(LONGEST))
}

/// Whether the headers say that a quota is used up.
pub(super) fn quota_used_up(headers: &HeaderMap) -> bool {
    headers.contains_key("retry-after")
        || [
            "x-ratelimit-remaining",
            "x-rate-limit-remaining",
            "ratelimit-remaining",
        ]
        .into_iter()
        .any(|name| {
            headers
                .get(name)
                .is_some_and(|v| v.as_bytes().trim_ascii() == b"0")
        })
}

/// RFC 9110 section 10.2.3: seconds or an HTTP date.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Some(wait) = seconds(value) {
        return Some(wait);
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// The `t` parameter of `RateLimit: "default";r=0;t=30`: seconds until the quota is restored.
fn parameter_t(value: &str) -> Option<Duration> {
    let first = value.split(',').next()?;
    first
        .split(';')
        .find_map(|part| seconds(part.trim().strip_prefix("t=")?))
}

/// Seconds to wait, or the moment as Unix seconds or milliseconds, whichever the size of the number says.
fn reset(value: &str, now: Timestamp) -> Option<Duration> {
    let number: f64 = value
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let now = now.as_millisecond() as f64 / 1000.0;
    let wait = match number {
        n if n > 1e12 => n / 1000.0 - now,
        n if n > 1e9 => n - now,
        n => n,
    };
    Duration::try_from_secs_f64(wait.max(0.0)).ok()
}

/// Seconds, whole or with a fraction (which some systems send).
fn seconds(value: &str) -> Option<Duration> {
    let number: f64 = value
        .parse()
        .ok()
        .filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    Some(Duration::try_from_secs_f64(number).unwrap_or(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_wait_is_read_from_the_headers_that_systems_send() {
        let now: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let epoch = now.as_second();
        for (name, value, expected) in [
            ("retry-after", "120".to_owned(), Some(120.0)),
            ("retry-after", "0.5".to_owned(), Some(0.5)),
            (
                "retry-after",
                "Tue, 24 Nov 2026 09:00:30 GMT".to_owned(),
                Some(30.0),
            ),
            (
                "retry-after",
                "Tue, 24 Nov 2026 08:00:00 GMT".to_owned(),
                Some(0.0),
            ),
            ("retry-after", "999999999".to_owned(), Some(86400.0)),
            ("retry-after", "soon".to_owned(), None),
            ("retry-after", "-5".to_owned(), None),
            ("ratelimit", "\"default\";r=0;t=30".to_owned(), Some(30.0)),
            ("ratelimit-reset", "17".to_owned(), Some(17.0)),
            ("x-ratelimit-reset", "17".to_owned(), Some(17.0)),
            ("x-ratelimit-reset", (epoch + 40).to_string(), Some(40.0)),
            (
                "x-ratelimit-reset",
                ((epoch + 40) * 1000).to_string(),
                Some(40.0),
            ),
            ("x-ratelimit-reset", (epoch - 40).to_string(), Some(0.0)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(&value).unwrap());
            assert_eq!(
                wait(&headers, now).map(|d| d.as_secs_f64()),
                expected,
                "{name}: {value}"
            );
        }
    }

    #[test]
    fn retry_after_wins_over_the_rate_limit_headers() {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-reset", HeaderValue::from_static("50"));
        headers.insert("retry-after", HeaderValue::from_static("2"));
        assert_eq!(
            wait(&headers, Timestamp::UNIX_EPOCH),
            Some(Duration::from_secs(2))
        );
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_it_panic_or_wait_for_longer_than_a_day(
            name in proptest::sample::select(vec!["retry-after", "ratelimit", "ratelimit-reset", "x-ratelimit-reset"]),
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "0", "1", "9999999999999", "-", ".", "e", "400", "inf", "NaN", "t=", "r=", ";", ",", "\"default\"", " ", "Tue, 24 Nov",
                " 2026 09:00:30 GMT", "9999", "Dec", "31",
            ]), 0..8),
            any in proptest::collection::vec(0x20_u8..=0xff, 0..20),
            now in -377_705_000_000_i64..253_402_000_000,
        ) {
            let now = Timestamp::from_second(now).unwrap_or(Timestamp::UNIX_EPOCH);
            for value in [parts.concat().into_bytes(), any] {
                let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
                let mut headers = HeaderMap::new();
                headers.insert(name, value);
                proptest::prop_assert!(wait(&headers, now).is_none_or(|wait| wait <= LONGEST));
                let _ = quota_used_up(&headers);
            }
        }
    }
}
