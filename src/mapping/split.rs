//! One text becomes several fields: names, mostly, in any script.

use serde_json::Value;

use crate::api::mapping::{OnShort, Rest};
use crate::expression::Path;

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
        let parts = self.parts(text);
        let mut dealt = self.dealt(&parts);
        for part in dealt.iter_mut().filter(|part| part.is_none()) {
            match self.on_short {
                OnShort::Empty => *part = Some(String::new()),
                OnShort::Omit => {}
                OnShort::Reject => {
                    let message =
                        format!("{} has fewer than {} parts", shown(value), self.into.len());
                    return Err(field.reject("TooShort", message));
                }
            }
        }
        Ok(dealt)
    }

    /// The parts of a text. A single space separates at any run of Unicode white space, so that a
    /// no-break or an ideographic space does not become part of a name.
    fn parts<'t>(&self, text: &'t str) -> Vec<&'t str> {
        if self.separator == " " {
            text.split_whitespace().collect()
        } else {
            text.split(self.separator.as_str()).collect()
        }
    }

    /// The parts for each target field; those that are too many go to the first or the last.
    fn dealt(&self, parts: &[&str]) -> Vec<Option<String>> {
        let wanted = self.into.len();
        let extra = parts.len().saturating_sub(wanted);
        let mut rest = parts.iter().copied();
        (0..wanted)
            .map(|index| {
                let takes_rest = match self.rest {
                    Rest::First => index == 0,
                    Rest::Last => index + 1 == wanted,
                };
                let count = if takes_rest { 1 + extra } else { 1 };
                let taken: Vec<&str> = rest.by_ref().take(count).collect();
                (!taken.is_empty()).then(|| taken.join(&self.separator))
            })
            .collect()
    }
}
