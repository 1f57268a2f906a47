//! One compiled field: where its value comes from, what it becomes, where it goes.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::api::mapping::{Case, OnMissing, OnUnlinked, OnUnmapped};
use crate::expression::{Expression, Path};
use crate::record::{LookupKey, scalar_text};

use super::date::DateMap;
use super::number::NumberMap;
use super::numeral::cut_integer;
use super::split::Split;
use super::{Links, Rejection};

/// Why a record's mapping ended early.
pub enum Stop {
    Rejected(Box<Rejection>),
    Waiting(Box<LookupKey>),
}

/// What a field may look at beside its record.
pub struct Context<'a> {
    pub links: &'a Links,
}

#[derive(Debug)]
pub enum Source {
    From(Path),
    Value(Value),
    Expr(Expression),
    Join {
        from: Vec<Path>,
        separator: String,
        /// Empty texts at the end are left out: what `split` filled up.
        without_end: bool,
    },
}

/// What becomes of the value.
#[derive(Debug)]
pub enum Shape {
    Plain,
    Split(Split),
    Translate {
        pairs: Vec<(Value, Value)>,
        otherwise: OnUnmapped,
    },
    Date(Box<DateMap>),
    Number(NumberMap),
    Lookup {
        name: String,
        otherwise: OnUnlinked,
    },
    Each(Vec<Field>),
}

#[derive(Debug)]
pub struct Field {
    /// The target path as written, for messages.
    pub name: String,
    pub to: Path,
    pub source: Source,
    pub trim: bool,
    pub case: Option<Case>,
    pub shape: Shape,
    pub on_missing: OnMissing,
    pub default: Value,
}

/// Longest piece of a value that stands in a message.
const SHOWN: usize = 64;

/// A value shortened for a message.
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The first link that isn't there. What comes after it is mapped all the same: a record that will be
/// rejected need not wait first.
#[derive(Default)]
pub struct Waiting(pub Option<Stop>);

impl Waiting {
    pub fn unless_rejected<T>(&mut self, result: Result<T, Stop>) -> Result<Option<T>, Stop> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(stop @ Stop::Waiting(_)) => {
                self.0.get_or_insert(stop);
                Ok(None)
            }
            Err(rejected) => Err(rejected),
        }
    }
}

/// Maps a record by all fields in order. A rejection counts before a link that isn't there.
pub fn apply_all(
    fields: &[Field],
    record: &Value,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Stop> {
    let mut out = Value::Object(Map::new());
    let mut waiting = Waiting::default();
    for field in fields {
        waiting.unless_rejected(field.apply(record, &mut out, context))?;
    }
    match (waiting.0, out) {
        (Some(stop), _) => Err(stop),
        (None, Value::Object(map)) => Ok(map),
        (None, _) => Ok(Map::new()),
    }
}

impl Field {
    pub fn reject(&self, reason: &'static str, message: String) -> Stop {
        Stop::Rejected(Box::new(Rejection {
            field: self.name.clone(),
            reason,
            message,
        }))
    }

    pub fn apply(
        &self,
        record: &Value,
        out: &mut Value,
        context: &Context<'_>,
    ) -> Result<(), Stop> {
        let Some(value) = self.read(record)? else {
            return self.missing(out);
        };
        if let Shape::Split(split) = &self.shape {
            let parts = split.into.iter().zip(split.apply(self, &value)?);
            return parts
                .filter_map(|(to, part)| Some((to, part?)))
                .try_for_each(|(to, part)| self.put(to, out, Value::String(part)));
        }
        match self.mapped(value, record, context)? {
            Some(mapped) => self.put(&self.to, out, mapped),
            None => Ok(()),
        }
    }

    /// What becomes of the source value, for all shapes with one target; `None`: nothing.
    pub fn mapped(
        &self,
        value: Cow<'_, Value>,
        record: &Value,
        context: &Context<'_>,
    ) -> Result<Option<Value>, Stop> {
        Ok(match &self.shape {
            Shape::Plain | Shape::Split(_) => Some(self.whole(value.into_owned())?),
            Shape::Translate { pairs, otherwise } => self.translate(pairs, *otherwise, &value)?,
            Shape::Date(date) => Some(date.apply(&value).map_err(|m| self.reject("BadDate", m))?),
            Shape::Number(number) => Some(
                number
                    .apply(&value, record)
                    .map_err(|m| self.reject("BadNumber", m))?,
            ),
            Shape::Lookup { name, otherwise } => self.look_up(name, *otherwise, &value, context)?,
            Shape::Each(fields) => Some(self.each(fields, &value, context)?),
        })
    }

    /// Sets a target path; a path through a value that another field set is the Mapping's mistake.
    pub fn put(&self, to: &Path, out: &mut Value, value: Value) -> Result<(), Stop> {
        to.set(out, value)
            .map_err(|e| self.reject("BadPath", e.to_string()))
    }

    /// The value, if no whole number in it lost digits when it was read.
    fn whole(&self, value: Value) -> Result<Value, Stop> {
        match cut_integer(&value) {
            None => Ok(value),
            Some(number) => Err(self.cut(number)),
        }
    }

    fn cut(&self, number: &serde_json::Number) -> Stop {
        self.reject(
            "BadNumber",
            format!("{number} has more digits than a JSON number keeps; have the source send it as a text"),
        )
    }

    /// The source value with its text options applied; `None` when it is missing.
    pub fn read<'v>(&'v self, record: &'v Value) -> Result<Option<Cow<'v, Value>>, Stop> {
        let value = match &self.source {
            Source::From(path) => path.get(record).map(Cow::Borrowed),
            Source::Value(value) => Some(Cow::Borrowed(value)),
            Source::Expr(expression) => {
                let value = expression
                    .evaluate(&[("record", record)])
                    .map_err(|e| self.reject("Expression", e.problem))?;
                Some(Cow::Owned(value))
            }
            Source::Join {
                from,
                separator,
                without_end,
            } => self
                .joined(from, separator, *without_end, record)?
                .map(|text| Cow::Owned(Value::String(text))),
        };
        Ok(value.and_then(|value| self.trimmed(value)))
    }

    /// The source value with its text options applied; `None` when that makes it a missing one.
    pub fn trimmed<'v>(&self, value: Cow<'v, Value>) -> Option<Cow<'v, Value>> {
        let fixed_null = matches!(self.source, Source::Value(_));
        if value.is_null() && !fixed_null {
            return None;
        }
        match value.as_ref() {
            Value::String(text) if self.trim || self.case.is_some() => {
                let text = if self.trim {
                    text.trim()
                } else {
                    text.as_str()
                };
                if self.trim && text.is_empty() {
                    return None;
                }
                let text = match self.case {
                    Some(Case::Lower) => text.to_lowercase(),
                    Some(Case::Upper) => text.to_uppercase(),
                    None => text.to_owned(),
                };
                Some(Cow::Owned(Value::String(text)))
            }
            _ => Some(value),
        }
    }

    /// The joined text; missing values and nulls are left out, and `None` when all are.
    fn joined(
        &self,
        from: &[Path],
        separator: &str,
        without_end: bool,
        record: &Value,
    ) -> Result<Option<String>, Stop> {
        let mut parts = Vec::with_capacity(from.len());
        for path in from {
            let Some(value) = path.get(record).filter(|value| !value.is_null()) else {
                continue;
            };
            if let Some(number) = cut_integer(value) {
                return Err(self.cut(number));
            }
            parts.push(scalar_text(value).ok_or_else(|| {
                let message = format!("{} at {path} is not a text", shown(value));
                self.reject("BadText", message)
            })?);
        }
        if parts.is_empty() {
            return Ok(None);
        }
        while without_end && parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        Ok(Some(parts.join(separator)))
    }

    /// What stands in the target when the source has no value.
    pub fn missing(&self, out: &mut Value) -> Result<(), Stop> {
        let targets: Vec<&Path> = match &self.shape {
            Shape::Split(split) => split.into.iter().collect(),
            _ => vec![&self.to],
        };
        let value = match self.on_missing {
            OnMissing::Omit => return Ok(()),
            OnMissing::Reject => {
                let message = match &self.source {
                    Source::From(path) => format!("the source has no value at {path}"),
                    _ => "the source has no value".to_owned(),
                };
                return Err(self.reject("Missing", message));
            }
            OnMissing::Null => &Value::Null,
            OnMissing::Default => &self.default,
        };
        targets
            .into_iter()
            .try_for_each(|to| self.put(to, out, value.clone()))
    }

    fn translate(
        &self,
        pairs: &[(Value, Value)],
        otherwise: OnUnmapped,
        value: &Value,
    ) -> Result<Option<Value>, Stop> {
        if let Some((_, to)) = pairs.iter().find(|(from, _)| from == value) {
            return Ok(Some(to.clone()));
        }
        match otherwise {
            OnUnmapped::Omit => Ok(None),
            OnUnmapped::Default => Ok(Some(self.default.clone())),
            OnUnmapped::Keep => Ok(Some(self.whole(value.clone())?)),
            OnUnmapped::Reject => Err(self.reject(
                "Unmapped",
                format!(
                    "{} has no translation; add it, or set onUnmapped",
                    shown(value)
                ),
            )),
        }
    }

    fn each(&self, fields: &[Field], value: &Value, context: &Context<'_>) -> Result<Value, Stop> {
        let Value::Array(items) = value else {
            return Err(self.reject("NotAList", format!("{} is not a list", shown(value))));
        };
        let mut out = Vec::with_capacity(items.len());
        let mut waiting = Waiting::default();
        for (index, item) in items.iter().enumerate() {
            let mapped = apply_all(fields, item, context).map_err(|stop| match stop {
                Stop::Rejected(mut rejection) => {
                    rejection.field = format!("{}[{index}].{}", self.name, rejection.field);
                    Stop::Rejected(rejection)
                }
                waiting @ Stop::Waiting(_) => waiting,
            });
            out.extend(waiting.unless_rejected(mapped)?.map(Value::Object));
        }
        waiting.0.map_or(Ok(Value::Array(out)), Err)
    }
}
