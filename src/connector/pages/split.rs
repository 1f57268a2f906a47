//! Splits an answer into its records, as slices of the body, and an envelope of what pages need.
//! Pure and on the hot path: no record is parsed here, unless a filter wants to see it. Used by `reader`.

use std::fmt;

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::shape::{columns, keyed};
use crate::expression::Step;
use crate::expression::raw::NameSeed;
use crate::plan::connection::{ListPlan, RecordsPath, RecordsStep, ShapePlan};

/// Field names that an error shows.
const SHOWN: usize = 12;

/// What an answer holds.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// The JSON text of each record, before any filter.
    pub records: Vec<Bytes>,
    /// The fields outside the records that pages and cursors read; the whole body where an expression
    /// judges it; null when the body is the list itself.
    pub envelope: Value,
}

/// Why an answer cannot be split.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SplitError {
    /// It ends in the middle.
    Truncated,
    /// It is no JSON; where that shows.
    NotJson(String),
    /// It is JSON of another shape: what is there instead.
    Shape(String),
}

/// Splits `body` as the list says.
pub(super) fn split(body: &Bytes, list: &ListPlan) -> Result<Split, SplitError> {
    let bytes = body
        .strip_prefix(b"\xEF\xBB\xBF".as_slice())
        .unwrap_or(body);
    let text = std::str::from_utf8(bytes).map_err(|error| match error.error_len() {
        None => SplitError::Truncated,
        Some(_) => SplitError::NotJson(format!("byte {} is no UTF-8", error.valid_up_to())),
    })?;
    let plan = &list.records;
    let wanted = list.envelope_paths();
    let whole = list.judges_body() || wanted.iter().any(|path| plan.path.holds(path));
    let wanted: Vec<&[Step]> = if whole {
        Vec::new()
    } else {
        wanted.iter().map(|p| p.steps()).collect()
    };
    let mut out = Out::default();
    let walk = Walk {
        steps: plan.path.steps(),
        shape: &plan.shape,
        many: plan.path.steps().contains(&RecordsStep::Each),
        strict: true,
        wanted,
        out: &mut out,
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let envelope = walk.deserialize(&mut reader).map_err(syntax)?;
    reader.end().map_err(syntax)?;
    match out.trouble {
        Some(Trouble::Missing(_)) if plan.may_miss => out.raw.clear(),
        Some(Trouble::Missing(what) | Trouble::Other(what)) => {
            return Err(SplitError::Shape(misplaced(&plan.path, &plan.shape, &what)));
        }
        None => {}
    }
    let envelope = if whole {
        serde_json::from_str(text).map_err(syntax)?
    } else {
        envelope.unwrap_or_default()
    };
    let records = match &plan.shape {
        ShapePlan::List | ShapePlan::Single => out
            .raw
            .iter()
            .map(|raw| body.slice_ref(raw.get().as_bytes()))
            .collect(),
        ShapePlan::Map { key } => keyed(body, &out.keys, &out.raw, key),
        ShapePlan::Columns { from, name } => {
            columns(body, &out.raw, from.as_ref(), name.as_ref(), &envelope)?
        }
    };
    Ok(Split { records, envelope })
}

fn syntax(error: serde_json::Error) -> SplitError {
    if error.is_eof() {
        return SplitError::Truncated;
    }
    // Only the position: the error's own words may hold a part of the body.
    SplitError::NotJson(format!("line {}, column {}", error.line(), error.column()))
}

fn misplaced(path: &RecordsPath, shape: &ShapePlan, found: &str) -> String {
    let wanted = match shape {
        ShapePlan::List => "list of records",
        ShapePlan::Map { .. } => "object of records",
        ShapePlan::Single => "record",
        ShapePlan::Columns { .. } => "list of rows",
    };
    format!(
        "there is no {wanted} at {}: found {found}; correct list.records or list.shape",
        path.describe()
    )
}

/// What the walk finds.
#[derive(Default)]
struct Out<'de> {
    raw: Vec<&'de RawValue>,
    /// Shape Map: the key of each record.
    keys: Vec<String>,
    trouble: Option<Trouble>,
}

enum Trouble {
    /// There is nothing at the path.
    Missing(String),
    /// There is something else.
    Other(String),
}

impl Out<'_> {
    /// A field that comes twice: the last one counts, as everywhere in JSON.
    fn back_to(&mut self, count: usize) {
        self.raw.truncate(count);
        self.keys.truncate(count);
        self.trouble = None;
    }
}

/// Walks along the path; the value is the envelope.
struct Walk<'p, 'o, 'de> {
    steps: &'p [RecordsStep],
    shape: &'p ShapePlan,
    /// The path holds `[*]`: a single record is as good as a list.
    many: bool,
    /// Before the first `[*]`: what is missing is an error.
    strict: bool,
    /// The rest of the paths that the envelope needs, as seen from here.
    wanted: Vec<&'p [Step]>,
    out: &'o mut Out<'de>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        let alone = matches!(self.shape, ShapePlan::Single);
        if !self.steps.is_empty() || (!alone && !self.many) {
            return d.deserialize_any(self);
        }
        let raw: &'de RawValue = serde::Deserialize::deserialize(d)?;
        match raw.get().as_bytes().first() {
            Some(b'n') => {}
            Some(b'[' | b'{') if !alone => {
                let list = matches!(self.shape, ShapePlan::List) && raw.get().starts_with('{');
                if list {
                    self.out.raw.push(raw);
                } else {
                    let mut reader = serde_json::Deserializer::from_str(raw.get());
                    return reader
                        .deserialize_any(self)
                        .map_err(serde::de::Error::custom);
                }
            }
            _ => self.out.raw.push(raw),
        }
        Ok(None)
    }
}

impl Walk<'_, '_, '_> {
    /// Something without fields or items stands here.
    fn scalar(self, what: &str) -> Option<Value> {
        if self.strict {
            self.out.trouble = Some(Trouble::Other(what.to_owned()));
        }
        None
    }
}

macro_rules! scalars {
    ($($name:ident($kind:ty) $what:literal),*) => {
        $(fn $name<E>(self, _: $kind) -> Result<Self::Value, E> { Ok(self.scalar($what)) })*
    };
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    scalars!(
        visit_bool(bool) "a boolean", visit_i64(i64) "a number", visit_u64(u64) "a number",
        visit_f64(f64) "a number", visit_str(&str) "text"
    );

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        // Null where the list should be is how many systems write an empty one; null before is not.
        Ok(if self.steps.is_empty() {
            None
        } else {
            self.scalar("null")
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        match (self.steps, self.shape) {
            ([RecordsStep::Field(_), ..], _) => self.fields(map),
            ([], ShapePlan::Map { .. }) => self.entries(map),
            _ => self.other_object(map),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        match (self.steps, self.shape) {
            ([], ShapePlan::List | ShapePlan::Columns { .. }) => {
                while let Some(raw) = seq.next_element()? {
                    self.out.raw.push(raw);
                }
            }
            ([RecordsStep::Each, rest @ ..], shape) => loop {
                let many = self.many;
                let walk = Walk {
                    steps: rest,
                    shape,
                    many,
                    strict: false,
                    wanted: Vec::new(),
                    out: &mut *self.out,
                };
                if seq.next_element_seed(walk)?.is_none() {
                    break;
                }
            },
            ([RecordsStep::Index(index), rest @ ..], shape) => {
                let mut at = 0;
                loop {
                    let more = if at == *index {
                        let (many, strict) = (self.many, self.strict);
                        let walk = Walk {
                            steps: rest,
                            shape,
                            many,
                            strict,
                            wanted: Vec::new(),
                            out: &mut *self.out,
                        };
                        seq.next_element_seed(walk)?.is_some()
                    } else {
                        seq.next_element::<IgnoredAny>()?.is_some()
                    };
                    if !more {
                        break;
                    }
                    at += 1;
                }
                if at <= *index && self.strict {
                    self.out.trouble = Some(Trouble::Missing(format!("a list of {at} items")));
                }
            }
            _ => {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(self.scalar("a list"));
            }
        }
        Ok(None)
    }
}

impl<'p, 'de> Walk<'p, '_, 'de> {
    /// An object on the way to the records.
    fn fields<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let [RecordsStep::Field(field), rest @ ..] = self.steps else {
            return Ok(None);
        };
        let before = self.out.raw.len();
        let mut envelope = Map::new();
        let mut names = Vec::new();
        let mut found = false;
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let wanted: Vec<&'p [Step]> = self
                .wanted
                .iter()
                .filter_map(|path| match path {
                    [Step::Field(first), rest @ ..] if **first == *name => Some(rest),
                    _ => None,
                })
                .collect();
            if *name == **field {
                self.out.back_to(before);
                found = true;
                let (shape, many, strict) = (self.shape, self.many, self.strict);
                let walk = Walk {
                    steps: rest,
                    shape,
                    many,
                    strict,
                    wanted,
                    out: &mut *self.out,
                };
                if let Some(inner) = map.next_value_seed(walk)? {
                    envelope.insert(name.into_owned(), inner);
                }
                continue;
            }
            if names.len() < SHOWN {
                names.push(shortened(&name));
            }
            if wanted.is_empty() {
                map.next_value::<IgnoredAny>()?;
            } else {
                envelope.insert(name.into_owned(), map.next_value()?);
            }
        }
        if !found && self.strict {
            self.out.trouble = Some(Trouble::Missing(with_names(&names)));
        }
        Ok(Some(Value::Object(envelope)))
    }

    /// An object that holds each record under its key.
    fn entries<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        while let Some(name) = map.next_key_seed(NameSeed)? {
            self.out.raw.push(map.next_value()?);
            self.out.keys.push(name.into_owned());
        }
        Ok(None)
    }

    /// An object where a list should be.
    fn other_object<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Value>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = map.next_key_seed(NameSeed)? {
            if names.len() < SHOWN {
                names.push(shortened(&name));
            }
            map.next_value::<IgnoredAny>()?;
        }
        if self.strict {
            self.out.trouble = Some(Trouble::Other(with_names(&names)));
        }
        Ok(None)
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

fn with_names(names: &[String]) -> String {
    match names {
        [] => "an empty object".to_owned(),
        names if names.len() == SHOWN => {
            format!("an object with the fields {}, …", names.join(", "))
        }
        names => format!("an object with the fields {}", names.join(", ")),
    }
}
