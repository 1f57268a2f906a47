//! One compiled field: where its value comes from, what it becomes, where it goes.

use serde_json::{Map, Value};

use crate::api::mapping::{Case, OnMissing, OnUnlinked, OnUnmapped};
use crate::expression::{Expression, Path};
use crate::record::{LookupKey, scalar_text};

use super::date::DateMap;
use super::number::NumberMap;
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
    Join { from: Vec<Path>, separator: String },
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

/// Maps a record by all fields in order.
pub fn apply_all(
    fields: &[Field],
    record: &Value,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Stop> {
    let mut out = Value::Object(Map::new());
    for field in fields {
        field.apply(record, &mut out, context)?;
    }
    match out {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
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
        let mapped = match &self.shape {
            Shape::Plain => Some(value.into_owned()),
            Shape::Split(split) => return split.apply(self, &value, out),
            Shape::Translate { pairs, otherwise } => self.translate(pairs, *otherwise, &value)?,
            Shape::Date(date) => Some(date.apply(&value).map_err(|m| self.reject("BadDate", m))?),
            Shape::Number(number) => Some(
                number
                    .apply(&value, record)
                    .map_err(|m| self.reject("BadNumber", m))?,
            ),
            Shape::Lookup { name, otherwise } => self.look_up(name, *otherwise, &value, context)?,
            Shape::Each(fields) => Some(self.each(fields, &value, context)?),
        };
        match mapped {
            Some(mapped) => self.put(&self.to, out, mapped),
            None => Ok(()),
        }
    }

    /// Sets a target path; a path through a value that another field set is the Mapping's mistake.
    pub fn put(&self, to: &Path, out: &mut Value, value: Value) -> Result<(), Stop> {
        to.set(out, value)
            .map_err(|e| self.reject("BadPath", e.to_string()))
    }

    /// The source value with its text options applied; `None` when it is missing.
    fn read<'v>(&'v self, record: &'v Value) -> Result<Option<std::borrow::Cow<'v, Value>>, Stop> {
        use std::borrow::Cow;
        let value = match &self.source {
            Source::From(path) => path.get(record).map(Cow::Borrowed),
            Source::Value(value) => Some(Cow::Borrowed(value)),
            Source::Expr(expression) => {
                let value = expression
                    .evaluate(&[("record", record)])
                    .map_err(|e| self.reject("Expression", e.problem))?;
                Some(Cow::Owned(value))
            }
            Source::Join { from, separator } => {
                let parts: Vec<String> = from
                    .iter()
                    .filter_map(|p| p.get(record))
                    .filter_map(scalar_text)
                    .collect();
                (!parts.is_empty()).then(|| Cow::Owned(Value::String(parts.join(separator))))
            }
        };
        let fixed_null = matches!(self.source, Source::Value(_));
        let Some(value) = value.filter(|v| fixed_null || !v.is_null()) else {
            return Ok(None);
        };
        match value.as_ref() {
            Value::String(text) if self.trim || self.case.is_some() => {
                let text = if self.trim {
                    text.trim()
                } else {
                    text.as_str()
                };
                if self.trim && text.is_empty() {
                    return Ok(None);
                }
                let text = match self.case {
                    Some(Case::Lower) => text.to_lowercase(),
                    Some(Case::Upper) => text.to_uppercase(),
                    None => text.to_owned(),
                };
                Ok(Some(Cow::Owned(Value::String(text))))
            }
            _ => Ok(Some(value)),
        }
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
            OnUnmapped::Keep => Ok(Some(value.clone())),
            OnUnmapped::Reject => Err(self.reject(
                "Unmapped",
                format!(
                    "{} has no translation; add it, or set onUnmapped",
                    shown(value)
                ),
            )),
        }
    }

    fn look_up(
        &self,
        name: &str,
        otherwise: OnUnlinked,
        value: &Value,
        context: &Context<'_>,
    ) -> Result<Option<Value>, Stop> {
        if let Value::Array(items) = value {
            let mut ids = Vec::with_capacity(items.len());
            for item in items {
                ids.extend(self.look_up_one(name, otherwise, item, context)?);
            }
            return Ok(Some(Value::Array(ids)));
        }
        self.look_up_one(name, otherwise, value, context)
    }

    fn look_up_one(
        &self,
        name: &str,
        otherwise: OnUnlinked,
        value: &Value,
        context: &Context<'_>,
    ) -> Result<Option<Value>, Stop> {
        let Some(wanted) = lookup_key(name, value) else {
            return Err(self.reject("BadKey", format!("{} cannot be a key", shown(value))));
        };
        if let Some(target) = context.links.get(&wanted) {
            return Ok(Some(target.to_value()));
        }
        match otherwise {
            OnUnlinked::Wait => Err(Stop::Waiting(Box::new(wanted))),
            OnUnlinked::Omit => Ok(None),
            OnUnlinked::Reject => Err(self.reject(
                "Unlinked",
                format!("record {} is not linked by lookup {name}", wanted.key),
            )),
        }
    }

    fn each(&self, fields: &[Field], value: &Value, context: &Context<'_>) -> Result<Value, Stop> {
        let Value::Array(items) = value else {
            return Err(self.reject("NotAList", format!("{} is not a list", shown(value))));
        };
        let mut out = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let mapped = apply_all(fields, item, context).map_err(|stop| match stop {
                Stop::Rejected(mut rejection) => {
                    rejection.field = format!("{}[{index}].{}", self.name, rejection.field);
                    Stop::Rejected(rejection)
                }
                waiting @ Stop::Waiting(_) => waiting,
            })?;
            out.push(Value::Object(mapped));
        }
        Ok(Value::Array(out))
    }

    pub fn has_lookup(&self) -> bool {
        match &self.shape {
            Shape::Lookup { .. } => true,
            Shape::Each(fields) => fields.iter().any(Self::has_lookup),
            _ => false,
        }
    }

    /// The lookups that this field uses.
    pub fn lookup_names<'f>(&'f self, names: &mut Vec<&'f str>) {
        match &self.shape {
            Shape::Lookup { name, .. } => names.push(name),
            Shape::Each(fields) => fields.iter().for_each(|field| field.lookup_names(names)),
            _ => {}
        }
    }

    /// The links that a record needs for this field.
    pub fn lookups(&self, record: &Value, wanted: &mut Vec<LookupKey>) {
        if !self.has_lookup() {
            return;
        }
        let Ok(Some(value)) = self.read(record) else {
            return;
        };
        match (&self.shape, value.as_ref()) {
            (Shape::Lookup { name, .. }, Value::Array(items)) => {
                wanted.extend(items.iter().filter_map(|item| lookup_key(name, item)));
            }
            (Shape::Lookup { name, .. }, value) => wanted.extend(lookup_key(name, value)),
            (Shape::Each(fields), Value::Array(items)) => {
                for item in items {
                    fields.iter().for_each(|field| field.lookups(item, wanted));
                }
            }
            _ => {}
        }
    }

    /// Whether the source value can be told from the target value.
    pub fn invertible(&self) -> Result<(), &'static str> {
        if !matches!(self.source, Source::From(_)) {
            return Err("its value does not come from one source field");
        }
        if self.case.is_some() {
            return Err("the case of letters is lost");
        }
        match &self.shape {
            Shape::Plain | Shape::Lookup { .. } => Ok(()),
            Shape::Split(split) => split.invertible(),
            Shape::Translate { pairs, otherwise } => {
                let unique = pairs
                    .iter()
                    .enumerate()
                    .all(|(i, (_, to))| pairs[..i].iter().all(|(_, other)| other != to));
                match (unique, otherwise) {
                    (false, _) => Err("two source values become the same target value"),
                    (true, OnUnmapped::Omit | OnUnmapped::Default) => {
                        Err("unknown values are lost")
                    }
                    (true, _) => Ok(()),
                }
            }
            Shape::Date(date) => date.invertible(),
            Shape::Number(_) => Ok(()),
            Shape::Each(fields) => fields.iter().try_for_each(Self::invertible),
        }
    }
}

fn lookup_key(name: &str, value: &Value) -> Option<LookupKey> {
    let key = crate::record::Key::from_values([("key", Some(value))].into_iter()).ok()?;
    Some(LookupKey {
        lookup: name.to_owned(),
        key,
    })
}
