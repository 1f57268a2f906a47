//! The match value of a record: by what an unlinked source record is recognized in the target.

use serde_json::{Map, Value};

use crate::plan::MatchPlan;
use crate::record::{Fingerprint, scalar_text};

/// The value that `${match.TARGET}` stands for in `find`, as an object by target path, with its hash.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchValue {
    pub values: Value,
    /// Equal for values that count as equal.
    pub hash: i64,
}

/// The match value of a source record and what it was mapped to, which is only looked at where
/// [`MatchPlan::looks_at_mapped`]; `None` when a field is missing, null or empty: such a record has nothing to
/// be recognized by.
pub fn match_value(plan: &MatchPlan, source: &Value, mapped: &Value) -> Option<MatchValue> {
    let mut values = Value::Object(Map::new());
    let mut canonical = String::new();
    for field in &plan.fields {
        let value = match &field.source {
            Some(path) => path.get(source)?,
            None => field.target.get(mapped)?,
        };
        let text = scalar_text(value).filter(|t| !t.trim().is_empty())?;
        canonical.push_str(&comparable(&text, field.ignore_case));
        canonical.push('\u{1f}');
        field.target.set(&mut values, value.clone()).ok()?;
    }
    let hash = Fingerprint::of(canonical.as_bytes()).0 as i64;
    Some(MatchValue { values, hash })
}

/// Whether a record that `find` returned really has these values. Search endpoints are often fuzzy; a
/// field that the answer doesn't show counts as equal.
pub fn confirms(plan: &MatchPlan, wanted: &MatchValue, found: &Value) -> bool {
    plan.fields.iter().all(|field| {
        let wanted = field.target.get(&wanted.values).and_then(scalar_text);
        let has = field.target.get(found).and_then(scalar_text);
        match (wanted, has) {
            (Some(wanted), Some(has)) => {
                comparable(&wanted, field.ignore_case) == comparable(&has, field.ignore_case)
            }
            (_, None) => true,
            (None, Some(_)) => false,
        }
    })
}

fn comparable(text: &str, ignore_case: bool) -> String {
    let text = text.trim();
    if ignore_case {
        text.to_lowercase()
    } else {
        text.to_owned()
    }
}
