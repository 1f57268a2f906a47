//! A Mapping's own tests: a record, and what must become of it. Pure; run by `Mapping::run_tests`.

use serde_json::{Map, Value};

use crate::api::mapping::MappingTest;
use crate::record::{Key, LookupKey, TargetId};

use super::{Links, Mapped, Mapping};

/// Most differences that one failing test names.
const MAX_DIFFERENCES: usize = 20;

/// What came out instead; `None` when the test passes.
pub fn run(mapping: &Mapping, test: &MappingTest) -> Option<String> {
    let given = Value::Object(test.given.clone());
    match (
        mapping.apply(&given, &links(test)),
        &test.expect,
        &test.rejects,
    ) {
        (Mapped::Record(got), Some(expect), None) => difference(expect, &got),
        (Mapped::Rejected(r), None, Some(field)) if r.field == *field => None,
        (Mapped::Record(_), _, Some(field)) => Some(format!(
            "expected field {field} to reject it, and it was mapped"
        )),
        (Mapped::Rejected(r), _, Some(field)) => Some(format!(
            "expected field {field} to reject it, and field {} does ({}): {}",
            r.field, r.reason, r.message
        )),
        (Mapped::Rejected(r), _, None) => Some(format!(
            "field {} rejects it ({}): {}",
            r.field, r.reason, r.message
        )),
        (Mapped::Waiting(lookup), _, _) => Some(format!(
            "it waits for {} {}; give it in `links`",
            lookup.lookup, lookup.key
        )),
        (Mapped::Record(_), None, None) => Some("a test needs either `expect` or `rejects`".into()),
    }
}

fn links(test: &MappingTest) -> Links {
    let link = |link: &crate::api::mapping::TestLink| {
        let lookup = LookupKey {
            lookup: link.lookup.clone(),
            key: Key::from_text(link.key.as_str()),
        };
        Some((lookup, TargetId::from_value(&link.id)?))
    };
    test.links.iter().filter_map(link).collect()
}

/// What differs between two records, field by field; `None` when nothing does.
fn difference(expect: &Map<String, Value>, got: &Map<String, Value>) -> Option<String> {
    let mut lines = Vec::new();
    objects(expect, got, "", &mut lines);
    let more = lines.len().saturating_sub(MAX_DIFFERENCES);
    lines.truncate(MAX_DIFFERENCES);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    (!lines.is_empty()).then(|| lines.join("; "))
}

fn objects(
    expect: &Map<String, Value>,
    got: &Map<String, Value>,
    at: &str,
    lines: &mut Vec<String>,
) {
    let dot = if at.is_empty() { "" } else { "." };
    for (name, expected) in expect {
        let place = format!("{at}{dot}{name}");
        match got.get(name) {
            None => lines.push(format!("{place}: expected {expected}, got nothing")),
            Some(got) => values(expected, got, &place, lines),
        }
    }
    for (name, value) in got.iter().filter(|(name, _)| !expect.contains_key(*name)) {
        lines.push(format!("{at}{dot}{name}: expected nothing, got {value}"));
    }
}

fn values(expected: &Value, got: &Value, place: &str, lines: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => objects(expected, got, place, lines),
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                values(expected, got, &format!("{place}[{index}]"), lines);
            }
        }
        _ if expected == got => {}
        _ => lines.push(format!("{place}: expected {expected}, got {got}")),
    }
}
