//! What a write would change in a target record, field by field.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::record::Fingerprint;

/// One field that a write would change; paths are dotted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    pub field: String,
    /// What the target has; absent when it has nothing there, or what it has is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    pub to: Value,
}

/// The fields of `mapped` that `current` doesn't have with the same value. Objects are compared field
/// by field, lists as a whole. Fields that only `current` has are the target's own business.
pub fn changes(current: Option<&Value>, mapped: &Map<String, Value>) -> Vec<FieldChange> {
    let mut found = Vec::new();
    let current = current.and_then(Value::as_object);
    collect("", current, mapped, &mut found);
    found
}

fn collect(
    prefix: &str,
    current: Option<&Map<String, Value>>,
    mapped: &Map<String, Value>,
    found: &mut Vec<FieldChange>,
) {
    for (name, to) in mapped {
        let field = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let from = current.and_then(|c| c.get(name));
        match (from, to) {
            (Some(from), to) if same(from, to) => {}
            (None, Value::Null) if current.is_some() => {}
            (from, Value::Object(inner)) => {
                collect(&field, from.and_then(Value::as_object), inner, found)
            }
            (from, to) => found.push(FieldChange {
                field,
                from: from.cloned(),
                to: to.clone(),
            }),
        }
    }
}

/// Equality as a target means it: `12` and `12.0` are the same number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            a == b || (a.as_f64().is_some() && a.as_f64() == b.as_f64() && a.is_f64() != b.is_f64())
        }
        (a, b) => a == b,
    }
}

/// One 64-bit hash for each top-level field of a mapped record, so that the next version can be sent
/// as its changed fields only.
pub fn field_hashes(mapped: &Map<String, Value>) -> Vec<u8> {
    mapped
        .iter()
        .flat_map(|(name, value)| field_hash(name, value))
        .collect()
}

/// The fields of `mapped` whose hash is not among `sent`.
pub fn changed_fields(mapped: &Map<String, Value>, sent: &[u8]) -> Map<String, Value> {
    mapped
        .iter()
        .filter(|(name, value)| {
            !sent
                .chunks_exact(8)
                .any(|hash| hash == field_hash(name, value))
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn field_hash(name: &str, value: &Value) -> [u8; 8] {
    let text = format!("{name}\u{1f}{value}");
    (Fingerprint::of(text.as_bytes()).0 as u64).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn only_fields_that_differ_are_changes() {
        let current = json!({"name": "Ada", "age": 3.0, "address": {"city": "Paris", "zip": "1"}, "own": true});
        let mapped = map(
            json!({"name": "Ada", "age": 3, "address": {"city": "Lyon", "zip": "1"}, "gone": null}),
        );
        let found = changes(Some(&current), &mapped);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].field, "address.city");
        assert_eq!(found[0].from, Some(json!("Paris")));
    }

    #[test]
    fn a_new_record_shows_all_its_fields() {
        let found = changes(None, &map(json!({"a": 1, "b": {"c": 2}})));
        assert_eq!(
            found.iter().map(|c| c.field.as_str()).collect::<Vec<_>>(),
            ["a", "b.c"]
        );
    }

    #[test]
    fn changed_fields_are_found_by_their_hashes() {
        let sent = field_hashes(&map(json!({"a": 1, "b": "x"})));
        assert_eq!(
            changed_fields(&map(json!({"a": 1, "b": "y", "c": 0})), &sent),
            map(json!({"b": "y", "c": 0}))
        );
    }
}
