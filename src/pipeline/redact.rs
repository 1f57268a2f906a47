//! Values that nobody is to see, taken out of what is kept or shown of a record that went wrong: at the places
//! that the manifest names, and wherever else they are repeated. Pure; used by `worker` and previews.

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::expression::Path;
use crate::plan::Plan;
use crate::record::scalar_text;

use super::diff::FieldChange;

/// Stands in the place of a value.
pub const REDACTED: &str = "[redacted]";

/// So many characters at the beginning tell a value where a message has cut it.
const ENOUGH: usize = 16;

/// A text of so many bytes may have been cut.
const CUT: usize = 500;

/// A value of fewer characters is hidden only as a whole word: it would tear others apart.
const LONG: usize = 4;

/// What stands for itself in a URL (RFC 3986 section 2.3) is not encoded there.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What is to be hidden of one record.
pub struct Hidden<'a> {
    source: &'a [Path],
    target: &'a [Path],
    /// The values, and how they look in JSON and in a URL; the longest first.
    texts: Vec<String>,
}

/// What is to be hidden of a record with this source and this mapped form; `None`: the manifest names nothing.
pub fn hidden<'a>(plan: &'a Plan, source: &[u8], mapped: &[u8]) -> Option<Hidden<'a>> {
    let (from, to) = (&plan.source.object.redact, &plan.target.object.redact);
    if from.is_empty() && to.is_empty() {
        return None;
    }
    let mut texts = Vec::new();
    for (paths, bytes) in [(from, source), (to, mapped)] {
        if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
            paths
                .iter()
                .filter_map(|path| path.get(&value))
                .for_each(|value| collect(value, &mut texts));
        }
    }
    texts.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    texts.dedup();
    Some(Hidden {
        source: from,
        target: to,
        texts,
    })
}

/// All texts and numbers within a value, as they may be repeated elsewhere.
fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(map) => map.values().for_each(|value| collect(value, texts)),
        Value::Null | Value::Bool(_) => {}
        Value::String(_) | Value::Number(_) => {
            let Some(text) = scalar_text(value).filter(|text| !text.trim().is_empty()) else {
                return;
            };
            // Also as part of a text that is part of JSON itself, as errors often are.
            let once = escaped(&text);
            texts.extend([escaped(&once), once]);
            texts.push(utf8_percent_encode(&text, RESERVED).to_string());
            texts.push(url::form_urlencoded::byte_serialize(text.as_bytes()).collect());
            texts.push(text);
        }
    }
}

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
    let json = Value::from(text).to_string();
    json[1..json.len() - 1].to_owned()
}

impl Hidden<'_> {
    /// A text without the values.
    pub fn text(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in &self.texts {
            hide(&mut shown, secret);
        }
        if text.len() >= CUT {
            self.end(&mut shown);
        }
        shown
    }

    /// The beginning of a value at the very end, where a long text was cut.
    fn end(&self, shown: &mut String) {
        for secret in &self.texts {
            let heads = secret.char_indices().map(|(at, _)| at);
            for head in heads.skip(LONG).take(ENOUGH) {
                if shown.ends_with(&secret[..head]) {
                    shown.truncate(shown.len() - head);
                    shown.push_str(REDACTED);
                    return;
                }
            }
        }
    }

    /// A source record, JSON text, without the values; `None`: there are none in it.
    pub fn source_record(&self, bytes: &[u8]) -> Option<Bytes> {
        self.record(self.source, bytes)
    }

    /// The same of a mapped record.
    pub fn mapped_record(&self, bytes: &[u8]) -> Option<Bytes> {
        self.record(self.target, bytes)
    }

    fn record(&self, paths: &[Path], bytes: &[u8]) -> Option<Bytes> {
        if bytes.is_empty() {
            return None;
        }
        let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else {
            return Some(Bytes::from(Value::from(REDACTED).to_string()));
        };
        let before = value.clone();
        clear(paths, &mut value);
        self.value(&mut value);
        (value != before).then(|| Bytes::from(value.to_string()))
    }

    /// A change of a target field without the values.
    pub fn change(&self, change: &mut FieldChange) {
        let path = Path::parse(&change.field).ok();
        for side in [Some(&mut change.to), change.from.as_mut()]
            .into_iter()
            .flatten()
        {
            self.value(side);
            let mut root = Value::Null;
            let placed = path
                .as_ref()
                .filter(|path| path.set(&mut root, side.take()).is_ok());
            *side = match placed {
                Some(path) => {
                    clear(self.target, &mut root);
                    path.get(&root).cloned().unwrap_or(REDACTED.into())
                }
                // Whose place cannot be told may be one of those.
                None => REDACTED.into(),
            };
        }
    }

    /// Hides the values wherever they stand in this one.
    fn value(&self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(map) => map.values_mut().for_each(|value| self.value(value)),
            Value::Null | Value::Bool(_) => {}
            Value::String(text) => *text = self.text(text),
            Value::Number(number) => {
                let text = number.to_string();
                if self.texts.contains(&text) {
                    *value = REDACTED.into();
                }
            }
        }
    }
}

/// Sets what stands at these paths.
fn clear(paths: &[Path], value: &mut Value) {
    for path in paths {
        if path.get(value).is_some_and(|found| !found.is_null()) {
            // What is there can be set.
            let _ = path.set(value, REDACTED.into());
        }
    }
}

/// Replaces what is, or begins like, `secret`.
fn hide(text: &mut String, secret: &str) {
    let head = match secret.char_indices().nth(ENOUGH) {
        Some((end, _)) => &secret[..end],
        None => secret,
    };
    let short = secret.chars().count() < LONG;
    let mut from = 0;
    while let Some(found) = text[from..].find(head) {
        let start = from + found;
        let same = text[start..].chars().zip(secret.chars());
        let end = start
            + same
                .take_while(|(a, b)| a == b)
                .map(|(a, _)| a.len_utf8())
                .sum::<usize>();
        let part_of_word = text[..start]
            .chars()
            .next_back()
            .is_some_and(char::is_alphanumeric)
            || text[end..]
                .chars()
                .next()
                .is_some_and(char::is_alphanumeric);
        if short && part_of_word {
            from = end;
            continue;
        }
        text.replace_range(start..end, REDACTED);
        from = start + REDACTED.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(all: &[&str]) -> Vec<Path> {
        all.iter().map(|text| Path::parse(text).unwrap()).collect()
    }

    fn of<'a>(source: &'a [Path], target: &'a [Path], record: &Value) -> Hidden<'a> {
        let mut texts = Vec::new();
        for path in source {
            collect(path.get(record).unwrap_or(&Value::Null), &mut texts);
        }
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Hidden {
            source,
            target,
            texts,
        }
    }

    #[test]
    fn a_value_is_hidden_at_its_place_and_wherever_it_is_repeated() {
        let (source, target) = (paths(&["ssn", "bank"]), paths(&["national_id"]));
        let record = json!({"ssn": "123-45-6789", "bank": {"iban": "DE0212", "pin": 7}, "note": "ssn 123-45-6789", "n": 7});
        let hidden = of(&source, &target, &record);
        let shown: Value =
            serde_json::from_slice(&hidden.source_record(record.to_string().as_bytes()).unwrap())
                .unwrap();
        assert_eq!(
            shown,
            json!({"ssn": REDACTED, "bank": REDACTED, "note": format!("ssn {REDACTED}"), "n": REDACTED})
        );
        let mapped = json!({"national_id": "x", "line": ["DE0212"], "seven": "17 7"});
        let shown: Value =
            serde_json::from_slice(&hidden.mapped_record(mapped.to_string().as_bytes()).unwrap())
                .unwrap();
        assert_eq!(
            shown,
            json!({"national_id": REDACTED, "line": [REDACTED], "seven": format!("17 {REDACTED}")})
        );
        let clean = json!({"name": "Ada"}).to_string();
        assert_eq!(hidden.mapped_record(clean.as_bytes()), None);
    }

    #[test]
    fn a_value_is_found_where_a_message_cut_or_escaped_it() {
        let short = paths(&["secret"]);
        let hidden = of(&short, &[], &json!({"secret": "078-05-1120"}));
        let cut = format!("{}078-05-1", "x".repeat(600));
        assert!(hidden.text(&cut).ends_with("x[redacted]"));
        let source = paths(&["secret"]);
        let long = format!("a \"quoted\" value {}", "y".repeat(100));
        let hidden = of(&source, &[], &json!({"secret": long}));
        let json = Value::from(long.as_str()).to_string();
        let cut = format!("{} has no translation", &json[..64]);
        assert_eq!(
            hidden.text(&cut),
            format!("\"{REDACTED} has no translation")
        );
        let encoded = utf8_percent_encode(&long, RESERVED).to_string();
        assert_eq!(
            hidden.text(&format!("https://x/?q={encoded}&n=1")),
            format!("https://x/?q={REDACTED}&n=1")
        );
    }

    #[test]
    fn a_change_shows_no_hidden_field_on_either_side() {
        let target = paths(&["address.street", "tax"]);
        let hidden = of(&[], &target, &Value::Null);
        let change = |field: &str, from, to| {
            let mut change = FieldChange {
                field: field.into(),
                from,
                to,
            };
            hidden.change(&mut change);
            (change.from, change.to)
        };
        let gone = || Value::from(REDACTED);
        assert_eq!(
            change("address.street", Some(json!("a")), json!("b")),
            (Some(gone()), gone())
        );
        assert_eq!(change("tax.id", None, json!(7)), (None, gone()));
        assert_eq!(
            change("address", None, json!({"street": "a", "city": "b"})),
            (None, json!({"street": REDACTED, "city": "b"}))
        );
        assert_eq!(change("name", None, json!("Ada")), (None, json!("Ada")));
    }
}
