//! Routes, compiled: which record an event of a webhook or an entry of a feed speaks of, and whether it holds it.
//! Pure. Made by `webhook` and `changes`, run by `intake` (webhooks) and `worker` (feeds).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::Checker;
use crate::api::connection::Parameters;
use crate::expression::{Expression, Path, Step, Variable};
use crate::record::Key;

/// Which records an event speaks of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoutePlan {
    /// `None`: every event.
    pub when: Option<Expression>,
    pub object: String,
    /// Names of the object's key fields, and where each stands in the event.
    pub key: Vec<(String, EventPath)>,
    /// Where the record stands; `None`: it is fetched.
    pub record: Option<EventPath>,
}

/// A record that an event speaks of; `record`: as the event holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub key: Key,
    pub record: Option<Bytes>,
}

impl RoutePlan {
    /// Whether the route is about this event; an error of the expression is a no.
    pub fn matches(&self, event: &[Variable<'_>]) -> bool {
        let when = self.when.as_ref();
        when.is_none_or(|when| when.test(event).unwrap_or(false))
    }

    /// Which record the event speaks of.
    ///
    /// # Errors
    /// Why that cannot be told; `whose` says to a person which route this is.
    pub fn read(&self, event: &[Variable<'_>], whose: &str) -> Result<Named, String> {
        let values = self
            .key
            .iter()
            .map(|(name, path)| (name.as_str(), path.get(event)));
        let key = Key::from_values(values)
            .map_err(|e| format!("the event names no record: {e}; check key of {whose}"))?;
        let record = match &self.record {
            None => None,
            Some(path) => match path.get(event) {
                Some(record @ Value::Object(_)) => Some(Bytes::from(record.to_string())),
                _ => {
                    return Err(format!(
                        "the event holds no record at {}.{}; check record of {whose}",
                        path.variable, path.path
                    ));
                }
            },
        };
        Ok(Named { key, record })
    }
}

/// A place in an event: a path that begins with one of its variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPath {
    pub variable: String,
    pub path: Path,
}

impl EventPath {
    /// The value there.
    pub fn get<'v>(&self, event: &[Variable<'v>]) -> Option<&'v Value> {
        let (_, value) = event.iter().find(|(name, _)| *name == self.variable)?;
        self.path.get(value)
    }
}

/// What routes are about, in the words of their manifest.
pub(super) struct Words {
    /// `event`, `entry`.
    pub what: &'static str,
    /// What expressions and paths may look at; the example of a path begins with the first.
    pub variables: &'static [&'static str],
    /// The same for a sentence: `body, item or headers`.
    pub listed: &'static str,
    pub example: &'static str,
}

/// One path for each field of the object's key, in its order.
pub(super) fn compile_key(
    spec: &Parameters,
    object: &str,
    key_names: &[String],
    words: &Words,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<Vec<(String, EventPath)>> {
    for name in spec.keys().filter(|name| !key_names.contains(name)) {
        let problem = format!(
            "{name:?} is not one of the key fields of object {object}: {}",
            key_names.join(", ")
        );
        checker.problem(&format!("{field}.key"), problem);
    }
    let paths = key_names.iter().map(|name| {
        let Some(text) = spec.get(name) else {
            let Words { what, example, .. } = words;
            let problem =
                format!("say where {name} stands in the {what}, such as {name}: {example}.{name}");
            checker.problem(&format!("{field}.key"), problem);
            return None;
        };
        let path = event_path(text, words, &format!("{field}.key.{name}"), checker)?;
        Some((name.clone(), path))
    });
    paths.collect::<Vec<_>>().into_iter().collect()
}

/// A path into an event.
pub(super) fn event_path(
    text: &str,
    words: &Words,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<EventPath> {
    let path = checker.path(field, text)?;
    match path.steps() {
        [Step::Field(variable), rest @ ..] if words.variables.contains(&&**variable) => {
            Some(EventPath {
                variable: variable.to_string(),
                path: Path::from_steps(rest.to_vec()),
            })
        }
        _ => {
            let Words {
                listed, example, ..
            } = words;
            checker.problem(field, format!("begin with {listed}, such as {example}.id"));
            None
        }
    }
}
