//! The `Link` header (RFC 8288): the URL of the next page.
//! Pure. Used by `pager`.

use http::HeaderMap;
use http::header::LINK;

/// The target of the first link with the relation `next`.
pub(in crate::connector) fn next(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(next_in)
}

fn next_in(header: &str) -> Option<String> {
    let mut rest = header;
    loop {
        // `<URL>` may hold commas and semicolons, so the angle brackets are looked for first.
        let start = rest.find('<')? + 1;
        let end = start + rest[start..].find('>')?;
        let url = &rest[start..end];
        let (parameters, after) = split_parameters(&rest[end + 1..]);
        if is_next(parameters) {
            return Some(url.trim().to_owned());
        }
        rest = after;
    }
}

/// The parameters of one link and what stands after its comma.
fn split_parameters(text: &str) -> (&str, &str) {
    split_unquoted(text, ',').unwrap_or((text, ""))
}

/// The text before and after the first `separator` that stands in no quoted string (RFC 9110 section 5.6.4).
fn split_unquoted(text: &str, separator: char) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (i, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => return Some((&text[..i], &text[i + c.len_utf8()..])),
            _ => {}
        }
    }
    None
}

/// Whether one of the relation types is `next` (compared without case, RFC 8288 section 2.1.1).
fn is_next(parameters: &str) -> bool {
    let mut rest = parameters;
    while !rest.is_empty() {
        let (parameter, after) = split_unquoted(rest, ';').unwrap_or((rest, ""));
        rest = after;
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("rel") {
            let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
            return relations.any(|relation| relation.eq_ignore_ascii_case("next"));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found_as_rfc_8288_writes_it() {
        for (header, url) in [
            (
                r#"<https://a.example/x?page=2>; rel="next""#,
                Some("https://a.example/x?page=2"),
            ),
            (
                r#"</x?p=1>; rel="prev", </x?p=3>; rel="next""#,
                Some("/x?p=3"),
            ),
            (r#"</x?ids=1,2;3>; rel=next"#, Some("/x?ids=1,2;3")),
            (
                r#"</x>; title="a, <b>; rel=next"; rel="last", </y>; REL="prev Next""#,
                Some("/y"),
            ),
            (r#"</x>; rel="nextpage""#, None),
            ("</x", None),
            ("", None),
        ] {
            assert_eq!(next_in(header).as_deref(), url, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_link_header_makes_it_panic_or_invent_a_url(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "<", ">", ";", ",", "rel", "=", "next", "\"", "\\", " ", "/x?p=2", "é", "<a>", "rel=next", "rel=\"next\"", "title=\"a, b\"",
            ]), 0..16),
            any in ".{0,40}",
        ) {
            for header in [parts.concat(), any] {
                if let Some(url) = next_in(&header) {
                    proptest::prop_assert!(header.contains(&url));
                    proptest::prop_assert!(!url.contains('>'));
                }
            }
        }
    }
}
