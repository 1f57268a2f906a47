//! Checks a text against its schema and says what it should look like. Pure.
//! Called by `schema`.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use regex::Regex;
use serde_json::Value;

use crate::api::reference::DurationText;
use crate::plan::suggest::hint;

/// What is wrong with a text; `None` when nothing is.
pub fn check_text(text: &str, schema: &Value) -> Option<String> {
    if let Some(choices) = schema["enum"].as_array() {
        let names = choices.iter().filter_map(Value::as_str);
        if !names.clone().any(|n| n == text) {
            let advice = hint(text, names.clone());
            let all = names.collect::<Vec<_>>().join(", ");
            return Some(match advice.starts_with("; did") {
                true => format!("{text:?} is not one of {all}{advice}"),
                false => format!("{text:?} is not one of {all}"),
            });
        }
    }
    let length = text.chars().count() as u64;
    if let Some(most) = schema["maxLength"].as_u64().filter(|m| length > *m) {
        return Some(format!(
            "is {length} characters long; at most {most} are allowed"
        ));
    }
    if let Some(least) = schema["minLength"].as_u64().filter(|m| length < *m) {
        return Some(match length {
            0 => "is empty".to_owned(),
            _ => format!("{text:?} is too short; at least {least} characters are needed"),
        });
    }
    let pattern = schema["pattern"].as_str()?;
    if pattern.contains("(ms|s|m|h)") {
        return DurationText::parse(text).err();
    }
    if matches(pattern, text) {
        return None;
    }
    Some(if pattern.contains("Ki|Mi|Gi") {
        format!("{text:?} is not a number of bytes; write it as 512Ki, 64Mi or 1Gi")
    } else if pattern.starts_with("^[a-z0-9]([-a-z0-9]*[a-z0-9])?") {
        format!("{text:?} is not a name; use lower-case letters, digits and -")
    } else {
        format!("{text:?} does not match {pattern}")
    })
}

/// Whether the pattern matches. The patterns are those of our own schemas, each compiled once.
fn matches(pattern: &str, text: &str) -> bool {
    static COMPILED: LazyLock<Mutex<HashMap<String, Option<Regex>>>> =
        LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    compiled
        .entry(pattern.to_owned())
        .or_insert_with(|| Regex::new(pattern).ok())
        .as_ref()
        .is_some_and(|regex| regex.is_match(text))
}
