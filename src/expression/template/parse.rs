//! Reads the text of a template into its segments.
//! Pure; used by `Template::parse` alone.

use super::{FILTERS, MAX_PLACEHOLDERS, MAX_TEMPLATE_BYTES, NAMESPACES, Placeholder, Segment};
use crate::expression::path::{Path, quoted_end};

pub fn parse_segments(text: &str, namespaces: &[&str]) -> Result<Vec<Segment>, String> {
    if text.len() > MAX_TEMPLATE_BYTES {
        return Err(format!("is longer than {MAX_TEMPLATE_BYTES} bytes"));
    }
    let mut segments = Vec::new();
    let mut literal = String::new();
    let mut placeholders = 0;
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            literal.push_str(before);
            literal.push_str("${");
            rest = &from[2..];
            continue;
        }
        literal.push_str(before);
        if !literal.is_empty() {
            segments.push(Segment::Literal(std::mem::take(&mut literal).into()));
        }
        let end = placeholder_end(from).ok_or("has ${ without }; write $${ for the characters")?;
        segments.push(Segment::Placeholder(placeholder(
            &from[2..end],
            namespaces,
        )?));
        placeholders += 1;
        if placeholders > MAX_PLACEHOLDERS {
            return Err(format!("has more than {MAX_PLACEHOLDERS} placeholders"));
        }
        rest = &from[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        segments.push(Segment::Literal(literal.into()));
    }
    Ok(segments)
}

/// Where the `}` of the placeholder stands that `text` begins with; one inside quotes is no end.
fn placeholder_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 2;
    while at < bytes.len() {
        match bytes[at] {
            b'}' => return Some(at),
            b'"' => at += quoted_end(&text[at..])?,
            _ => at += 1,
        }
    }
    None
}

/// Reads `namespace.path | filter`.
fn placeholder(text: &str, namespaces: &[&str]) -> Result<Placeholder, String> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let trimmed = text.trim_start();
    let (name, rest) = if trimmed.len() == text.len() {
        text.split_at(end)
    } else {
        return placeholder(trimmed, namespaces);
    };
    let known = || namespaces.join(", ");
    let namespace = NAMESPACES
        .into_iter()
        .find(|n| *n == name && namespaces.contains(n))
        .ok_or_else(|| {
            format!(
                "${{{text}}} names {name:?}, which is not known here; known are: {}",
                known()
            )
        })?;
    let (path, filter) = split_filter(rest);
    let path = path.trim_end();
    let path = match path.strip_prefix('.') {
        Some("") => return Err(format!("${{{text}}} ends with a dot")),
        Some(path) => path,
        None => path,
    };
    let path = Path::parse(path).map_err(|error| error.to_string())?;
    let filter = filter
        .map(|name| {
            let name = name.trim();
            FILTERS
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, filter)| *filter)
                .ok_or_else(|| {
                    let known: Vec<_> = FILTERS.iter().map(|(name, _)| *name).collect();
                    format!(
                        "has the unknown filter {name:?}; known are: {}",
                        known.join(", ")
                    )
                })
        })
        .transpose()?;
    Ok(Placeholder {
        namespace,
        path,
        filter,
    })
}

/// Splits at the first `|` outside quotes.
fn split_filter(text: &str) -> (&str, Option<&str>) {
    let mut at = 0;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'|' => return (&text[..at], Some(&text[at + 1..])),
            b'"' => at += quoted_end(&text[at..]).unwrap_or(text.len() - at),
            _ => at += 1,
        }
    }
    (text, None)
}
