//! The quick way to map a record: values that go through unchanged stay text, and only the others are
//! parsed. What this way cannot do, and every trouble, goes the usual way, whose bytes it must give.
//! Pure. Used by [`super::Mapping::apply_text`].

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::field::{Context, Field, Shape, Source};
use super::numeral::cut_integer;
use super::pick::Picks;
use super::place::Places;
use crate::expression::{Fields, Path, Step, raw};

/// A Mapping's fields, prepared for this way.
#[derive(Debug)]
pub struct Direct {
    picks: Picks,
    places: Places,
    /// One for each field, in order.
    ways: Vec<Way>,
}

#[derive(Debug)]
enum Way {
    /// The text of this slot, as it is, in this place.
    Text { slot: usize, place: usize },
    /// The value of this slot by itself, into the field's own places from this one on. Slots that it looks
    /// at beside: a currency.
    Value {
        slot: usize,
        beside: Vec<usize>,
        place: usize,
    },
    /// The same for every record.
    Fixed { text: String, place: usize },
    /// As usual, over a record that has only these slots.
    Parsed(Vec<usize>),
}

impl Direct {
    /// `None`: some field wants to see the whole record.
    pub fn compile(fields: &[Field]) -> Option<Self> {
        let mut picks = Picks::default();
        let mut places = Places::default();
        let mut ways = Vec::with_capacity(fields.len());
        for (index, field) in fields.iter().enumerate() {
            let mut slots = Vec::new();
            for path in sources(field)? {
                slots.push(picks.add(names(path))?);
            }
            let own = is_alone(fields, index) && (is_fixed(field) || has_one_source(field));
            if !own {
                ways.push(Way::Parsed(slots));
                continue;
            }
            let targets = targets(field).iter().map(|to| names(to));
            let place = places.add(targets);
            ways.push(match (&field.source, slots.as_slice()) {
                (Source::Value(value), _) => Way::Fixed {
                    text: value.to_string(),
                    place,
                },
                (_, [slot]) if is_text(field) => Way::Text { slot: *slot, place },
                (_, [slot, beside @ ..]) => Way::Value {
                    slot: *slot,
                    beside: beside.to_vec(),
                    place,
                },
                (_, []) => return None,
            });
        }
        Some(Self {
            picks,
            places,
            ways,
        })
    }

    /// The mapped record as JSON text; `None`: go the usual way.
    pub fn apply(&self, fields: &[Field], json: &Fields, context: &Context<'_>) -> Option<Vec<u8>> {
        let found = self.picks.read(json)?;
        let mut record = Partial {
            record: Value::Object(Map::new()),
            has: vec![false; found.len()],
            direct: self,
            found: &found,
        };
        let mut out = Value::Object(Map::new());
        let mut pieces = self.places.pieces();
        for (field, way) in fields.iter().zip(&self.ways) {
            let (slot, beside, place) = match way {
                Way::Fixed { text, place } => {
                    pieces.text(*place, text.as_bytes());
                    continue;
                }
                Way::Parsed(slots) => {
                    field.apply(record.with(slots)?, &mut out, context).ok()?;
                    continue;
                }
                Way::Text { slot, place } => (*slot, &[][..], *place),
                Way::Value {
                    slot,
                    beside,
                    place,
                } => (*slot, beside.as_slice(), *place),
            };
            let value = match found[slot] {
                None | Some(b"null") => None,
                Some(text) if matches!(way, Way::Text { .. }) && is_canonical(text) => {
                    pieces.text(place, text);
                    continue;
                }
                Some(text) => field.trimmed(Cow::Owned(raw::value(text)?)),
            };
            match (value, &field.shape) {
                (None, _) => field.missing(&mut out).ok()?,
                (Some(value), Shape::Split(split)) => {
                    for (at, part) in split.apply(field, &value).ok()?.into_iter().enumerate() {
                        if let Some(part) = part {
                            pieces.value(place + at, &part)?;
                        }
                    }
                }
                (Some(value), _) => {
                    if let Some(mapped) = field.mapped(value, record.with(beside)?, context).ok()? {
                        pieces.value(place, &mapped)?;
                    }
                }
            }
        }
        let mut mapped = Vec::with_capacity(json.length() + 256);
        self.places.write(&mut mapped, out.as_object()?, &pieces)?;
        Some(mapped)
    }
}

/// The record as far as it was parsed.
struct Partial<'a> {
    record: Value,
    has: Vec<bool>,
    direct: &'a Direct,
    found: &'a [Option<&'a [u8]>],
}

impl Partial<'_> {
    fn with(&mut self, slots: &[usize]) -> Option<&Value> {
        for slot in slots {
            if let (false, Some(text)) = (self.has[*slot], self.found[*slot]) {
                let value = raw::value(text)?;
                self.direct
                    .picks
                    .path(*slot)
                    .set(&mut self.record, value)
                    .ok()?;
                self.has[*slot] = true;
            }
        }
        Some(&self.record)
    }
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
fn is_fixed(field: &Field) -> bool {
    let whole = |value| cut_integer(value).is_none();
    is_copy(field) && matches!(&field.source, Source::Value(value) if whole(value))
}

/// Whether a field looks at one value of the record, and perhaps at its currency.
fn has_one_source(field: &Field) -> bool {
    matches!(&field.source, Source::From(from) if is_plain(from))
}

fn is_copy(field: &Field) -> bool {
    matches!(field.shape, Shape::Plain) && !field.trim && field.case.is_none()
}

/// Whether a field copies one value of the record.
fn is_text(field: &Field) -> bool {
    is_copy(field) && has_one_source(field)
}

/// Whether a field has places of its own: no other target is there, above or below.
fn is_alone(fields: &[Field], index: usize) -> bool {
    let own = targets(&fields[index]);
    let meet = |a: &Path, b: &Path| {
        let (a, b) = (a.steps(), b.steps());
        a.starts_with(b) || b.starts_with(a)
    };
    let others = fields.iter().enumerate().filter(|(at, _)| *at != index);
    let others = || others.clone().flat_map(|(_, field)| targets(field));
    own.iter().enumerate().all(|(at, to)| {
        let apart = own[..at]
            .iter()
            .chain(others())
            .all(|other| !meet(to, other));
        is_plain(to) && apart
    })
}

/// Whether a JSON text is written as this program writes it: text without escapes, whole numbers that
/// no reader rounds, true and false.
fn is_canonical(text: &[u8]) -> bool {
    match text {
        [b'"', ..] => memchr::memchr(b'\\', text).is_none(),
        [b'-' | b'0'..=b'9', ..] => {
            let broken = |byte: &u8| matches!(byte, b'.' | b'e' | b'E');
            text.len() <= 16 && text != b"-0" && !text.iter().any(broken)
        }
        _ => matches!(text, b"true" | b"false"),
    }
}
