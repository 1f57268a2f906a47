//! One text becomes several fields: names, mostly, in any script.

use serde_json::Value;

use crate::api::mapping::{OnShort, Rest};
use crate::expression::Path;

use super::direct::Outcome;
use super::field::{Field, Stop, shown};

#[derive(Debug)]
pub struct Split {
    pub separator: String,
    pub into: Vec<Path>,
    pub rest: Rest,
    pub on_short: OnShort,
}

impl Split {
    /// The part for each target field; `None` where it is left out.
    pub fn apply(&self, field: &Field, value: &Value) -> Result<Vec<Option<String>>, Stop> {
        let Value::String(text) = value else {
            return Err(field.reject("BadText", format!("{} is not a text", shown(value))));
        };
        let part = |index| {
            let mut parts = self.part(text, index).peekable();
            if parts.peek().is_some() {
                return Ok(Some(parts.collect::<Vec<_>>().join(&self.separator)));
            }
            match self.on_short {
                OnShort::Empty => Ok(Some(String::new())),
                OnShort::Omit => Ok(None),
                OnShort::Reject => {
                    let message =
                        format!("{} has fewer than {} parts", shown(value), self.into.len());
                    Err(field.reject("TooShort", message))
                }
            }
        };
        (0..self.into.len()).map(part).collect()
    }

    /// Writes the part for one target field as JSON. `text` is one that JSON writes without escapes, and so is each
    /// of its parts.
    pub fn write(&self, text: &str, index: usize, json: &mut Vec<u8>) -> Outcome {
        let mut parts = self.part(text, index);
        let first = match (parts.next(), self.on_short) {
            (Some(first), _) => first,
            (None, OnShort::Empty) => "",
            (None, OnShort::Omit) => return Outcome::Nothing,
            (None, OnShort::Reject) => return Outcome::Unsure,
        };
        json.push(b'"');
        json.extend_from_slice(first.as_bytes());
        for part in parts {
            json.extend_from_slice(self.separator.as_bytes());
            json.extend_from_slice(part.as_bytes());
        }
        json.push(b'"');
        Outcome::Written
    }

    /// What one target field gets of a text: several parts for the first or the last field where there are too many,
    /// none where there are too few.
    fn part<'t>(&'t self, text: &'t str, index: usize) -> impl Iterator<Item = &'t str> {
        let fields = self.into.len();
        let (first, count) = match self.rest {
            Rest::Last if index + 1 == fields => (index, usize::MAX),
            Rest::Last => (index, 1),
            Rest::First => match self.parts(text).count().saturating_sub(fields) {
                more if index == 0 => (0, 1 + more),
                more => (index + more, 1),
            },
        };
        self.parts(text).skip(first).take(count)
    }

    /// The parts of a text. A single space separates at any run of Unicode white space, so that a
    /// no-break or an ideographic space does not become part of a name.
    fn parts<'t>(&'t self, text: &'t str) -> Parts<'t> {
        match self.separator.as_str() {
            " " => Parts::Words(text.split_whitespace()),
            separator => Parts::Between(text.split(separator)),
        }
    }
}

enum Parts<'t> {
    Words(std::str::SplitWhitespace<'t>),
    Between(std::str::Split<'t, &'t str>),
}

impl<'t> Iterator for Parts<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        match self {
            Self::Words(words) => words.next(),
            Self::Between(parts) => parts.next(),
        }
    }
}
