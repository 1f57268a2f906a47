//! The quick way to map a record: from the texts of its values straight to the text of the target record. What a
//! text doesn't show is parsed; what this way cannot do, and every trouble, goes the usual way, whose bytes it must
//! give. Pure. Used by [`super::Mapping::apply_text`].

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::field::{Context, Field, Shape, Source};
use super::numeral::cut_integer;
use super::pick::Picks;
use super::place::Places;
use crate::api::mapping::{OnMissing, OnUnmapped};
use crate::expression::{Fields, Path, Step, raw};

/// A Mapping's fields, prepared for this way.
#[derive(Debug)]
pub struct Direct {
    picks: Picks,
    places: Places<Make>,
}

/// What the value of a place is made from.
#[derive(Debug)]
enum Make {
    /// The same for every record.
    Fixed(Vec<u8>),
    /// One field, or one target of a field that has several, from one value of the record.
    One(One),
    /// These fields, as usual, over a record that has only these slots; the place is at this path.
    Usual {
        fields: Vec<usize>,
        slots: Vec<usize>,
        path: Path,
    },
}

#[derive(Debug)]
struct One {
    field: usize,
    /// Of several targets.
    part: usize,
    slot: usize,
    /// What the field looks at beside.
    beside: Option<usize>,
    /// That is the text of a currency, if it is a text.
    currency: bool,
    /// What stands in the target when the source has no value; `None`: the record is rejected.
    missing: Option<Answer>,
    /// For translations: both sides of each pair, and the answer to all else where it looks at nothing.
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    unmapped: Option<Answer>,
}

/// A JSON text, or nothing at all.
type Answer = Option<Vec<u8>>;

/// What became of a text.
pub enum Outcome {
    Written,
    /// Nothing stands in the target.
    Nothing,
    /// The text doesn't show it.
    Unsure,
}

impl Direct {
    /// `None`: some field wants to see the whole record.
    pub fn compile(fields: &[Field]) -> Option<Self> {
        let mut direct = Self {
            picks: Picks::default(),
            places: Places::default(),
        };
        for (index, field) in fields.iter().enumerate() {
            let mut slots = Vec::new();
            for path in sources(field)? {
                slots.push(direct.picks.add(names(path))?);
            }
            for (part, to) in targets(field).iter().enumerate() {
                direct.place(index, field, part, to, &slots)?;
            }
        }
        Some(direct)
    }

    fn place(
        &mut self,
        index: usize,
        field: &Field,
        part: usize,
        to: &Path,
        slots: &[usize],
    ) -> Option<()> {
        let names = names(to);
        let alone = names.len() == to.steps().len();
        match (&field.source, slots) {
            (Source::Value(value), []) if alone && is_fixed(field, value) => {
                self.places.at(&names, || Make::Fixed(written(value)))?;
            }
            (Source::From(from), [slot, beside @ ..]) if alone && is_plain(from) => {
                let one = One::new(index, field, part, *slot, beside.first().copied());
                self.places.at(&names, || Make::One(one))?;
            }
            _ => {
                let new = || Make::Usual {
                    fields: Vec::new(),
                    slots: Vec::new(),
                    path: Path::from_steps(to.steps()[..names.len()].to_vec()),
                };
                let Make::Usual {
                    fields, slots: all, ..
                } = self.places.at(&names, new)?
                else {
                    return None;
                };
                fields.push(index);
                all.extend_from_slice(slots);
            }
        }
        Some(())
    }

    /// The mapped record as JSON text; `None`: go the usual way.
    pub fn apply(&self, fields: &[Field], json: &Fields, context: &Context<'_>) -> Option<Vec<u8>> {
        let run = Run {
            fields,
            picks: &self.picks,
            found: &self.picks.read(json)?,
            context,
        };
        let mut mapped = Vec::with_capacity(json.length() + 256);
        self.places
            .write(&mut mapped, &mut |make, json| match make {
                Make::Fixed(text) => {
                    json.extend_from_slice(text);
                    Some(true)
                }
                Make::One(one) => run.one(one, json),
                Make::Usual {
                    fields,
                    slots,
                    path,
                } => run.usual(fields, slots, path, json),
            })?;
        Some(mapped)
    }
}

impl One {
    fn new(index: usize, field: &Field, part: usize, slot: usize, beside: Option<usize>) -> Self {
        let default = || Some(written(&field.default));
        let (pairs, unmapped) = match &field.shape {
            Shape::Translate { pairs, otherwise } => (
                pairs
                    .iter()
                    .map(|(from, to)| (written(from), written(to)))
                    .collect(),
                match otherwise {
                    OnUnmapped::Omit => Some(None),
                    OnUnmapped::Default => Some(default()),
                    OnUnmapped::Keep | OnUnmapped::Reject => None,
                },
            ),
            _ => (Vec::new(), None),
        };
        Self {
            field: index,
            part,
            slot,
            beside,
            currency: match &field.shape {
                Shape::Number(number) => number.currency_path().is_some_and(is_plain),
                _ => false,
            },
            missing: match field.on_missing {
                OnMissing::Omit => Some(None),
                OnMissing::Reject => None,
                OnMissing::Null => Some(Some(b"null".to_vec())),
                OnMissing::Default => Some(default()),
            },
            pairs,
            unmapped,
        }
    }
}

/// One record on this way. Its functions write the value of a place; `false`: nothing stands there.
struct Run<'a> {
    fields: &'a [Field],
    picks: &'a Picks,
    found: &'a [Option<&'a [u8]>],
    context: &'a Context<'a>,
}

impl Run<'_> {
    fn one(&self, one: &One, json: &mut Vec<u8>) -> Option<bool> {
        let field = &self.fields[one.field];
        let text = match self.found[one.slot] {
            None | Some(b"null") => return answer(&one.missing, json),
            Some(text) => text,
        };
        match self.quick(one, field, text, json) {
            Outcome::Written => return Some(true),
            Outcome::Nothing => return Some(false),
            Outcome::Unsure => {}
        }
        let Some(value) = field.trimmed(Cow::Owned(raw::value(text)?)) else {
            return answer(&one.missing, json);
        };
        let mapped = match &field.shape {
            Shape::Split(split) => {
                let part = split.apply(field, &value).ok()?.swap_remove(one.part);
                part.map(Value::String)
            }
            _ => {
                let record = self.record(one.beside.as_slice())?;
                field.mapped(value, &record, self.context).ok()?
            }
        };
        mapped.map_or(Some(false), |value| put(&value, json))
    }

    /// Without parsing.
    fn quick(&self, one: &One, field: &Field, text: &[u8], json: &mut Vec<u8>) -> Outcome {
        if !raw::is_canonical(text) || !stays(field, text) {
            return Outcome::Unsure;
        }
        let copied = |json: &mut Vec<u8>, text: &[u8]| {
            json.extend_from_slice(text);
            Outcome::Written
        };
        match &field.shape {
            Shape::Plain => copied(json, text),
            Shape::Translate { .. } => {
                let pair = one.pairs.iter().find(|(from, _)| from == text);
                match (pair, &one.unmapped) {
                    (Some((_, to)), _) | (None, Some(Some(to))) => copied(json, to),
                    (None, Some(None)) => Outcome::Nothing,
                    (None, None) => Outcome::Unsure,
                }
            }
            Shape::Split(split) => match inside(text) {
                Some(text) => split.write(text, one.part, json),
                None => Outcome::Unsure,
            },
            Shape::Date(date) => match inside(text).and_then(|text| date.day(text)) {
                // Digits and what stands between them.
                Some(day) => {
                    json.push(b'"');
                    json.extend_from_slice(day.as_bytes());
                    copied(json, b"\"")
                }
                None => Outcome::Unsure,
            },
            Shape::Number(number) => {
                let beside = one.beside.filter(|_| one.currency);
                let beside = beside.and_then(|slot| self.found[slot]);
                let currency = beside
                    .filter(|text| raw::is_canonical(text))
                    .and_then(inside);
                let units = inside(text).and_then(|text| number.minor_units(text, currency));
                match units.and_then(|units| put(&units, json)) {
                    Some(_) => Outcome::Written,
                    None => Outcome::Unsure,
                }
            }
            Shape::Lookup { .. } | Shape::Each(_) => Outcome::Unsure,
        }
    }

    fn usual(
        &self,
        fields: &[usize],
        slots: &[usize],
        path: &Path,
        json: &mut Vec<u8>,
    ) -> Option<bool> {
        let record = self.record(slots)?;
        let mut out = Value::Object(Map::new());
        for field in fields {
            let field = &self.fields[*field];
            field.apply(&record, &mut out, self.context).ok()?;
        }
        path.get(&out).map_or(Some(false), |value| put(value, json))
    }

    /// A record that has only these slots.
    fn record(&self, slots: &[usize]) -> Option<Value> {
        let mut record = Value::Object(Map::new());
        for slot in slots {
            if let Some(text) = self.found[*slot] {
                let value = raw::value(text)?;
                self.picks.path(*slot).set(&mut record, value).ok()?;
            }
        }
        Some(record)
    }
}

fn answer(answer: &Option<Answer>, json: &mut Vec<u8>) -> Option<bool> {
    let answer = answer.as_ref()?;
    json.extend_from_slice(answer.as_deref().unwrap_or_default());
    Some(answer.is_some())
}

fn put(value: &impl serde::Serialize, json: &mut Vec<u8>) -> Option<bool> {
    serde_json::to_writer(json, value).ok()?;
    Some(true)
}

fn written(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// The places in the record that a field looks at.
fn sources(field: &Field) -> Option<Vec<&Path>> {
    let mut paths: Vec<&Path> = match &field.source {
        Source::From(path) => vec![path],
        Source::Join { from, .. } => from.iter().collect(),
        Source::Value(_) => Vec::new(),
        Source::Expr(_) => return None,
    };
    if let Shape::Number(number) = &field.shape {
        paths.extend(number.currency_path());
    }
    Some(paths)
}

/// The names that a path begins with, up to the first list.
fn names(path: &Path) -> Vec<&str> {
    let fields = path.steps().iter().map_while(|step| match step {
        Step::Field(name) => Some(&**name),
        Step::Index(_) => None,
    });
    fields.collect()
}

/// Where a field's values go.
fn targets(field: &Field) -> &[Path] {
    match &field.shape {
        Shape::Split(split) => &split.into,
        _ => std::slice::from_ref(&field.to),
    }
}

/// Whether a path leads to a field, through objects only.
fn is_plain(path: &Path) -> bool {
    !path.is_root() && names(path).len() == path.steps().len()
}

/// Whether a field's value is the same for every record.
fn is_fixed(field: &Field, value: &Value) -> bool {
    let copy = matches!(field.shape, Shape::Plain) && !field.trim && field.case.is_none();
    copy && cut_integer(value).is_none()
}

/// Whether a field's text options leave a text as it is.
fn stays(field: &Field, text: &[u8]) -> bool {
    if field.case.is_some() {
        return false;
    }
    !field.trim
        || inside(text).is_none_or(|text| !text.is_empty() && text.trim().len() == text.len())
}

/// What stands between the quotes of a text without escapes.
fn inside(text: &[u8]) -> Option<&str> {
    let text = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(text).ok()
}
