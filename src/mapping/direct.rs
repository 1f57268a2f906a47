//! The quick way to map a record: values that go through unchanged stay text, and only the others are
//! parsed. What this way cannot do, and every trouble, goes the usual way, whose bytes it must give.
//! Pure. Used by [`super::Mapping::apply_text`].

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::field::{Context, Field, Shape, Source};
use super::pick::Picks;
use super::place::Places;
use crate::expression::{Path, Step};

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
    /// The text of this slot, as it is.
    Text(usize),
    /// The Mapping as usual, over a record that has only these slots.
    Parsed(Vec<usize>),
}

impl Direct {
    /// `None`: some field wants to see the whole record.
    pub fn compile(fields: &[Field]) -> Option<Self> {
        let mut picks = Picks::default();
        let mut ways = Vec::with_capacity(fields.len());
        let mut texts = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            let mut slots = Vec::new();
            for path in sources(field)? {
                slots.push(picks.add(names(path))?);
            }
            ways.push(match slots.as_slice() {
                [slot] if is_text(field) && is_alone(fields, index) => {
                    texts.push((index, names(&field.to)));
                    Way::Text(*slot)
                }
                _ => Way::Parsed(slots),
            });
        }
        Some(Self {
            picks,
            places: Places::new(&texts),
            ways,
        })
    }

    /// The mapped record as JSON text; `None`: go the usual way.
    pub fn apply(&self, fields: &[Field], json: &[u8], context: &Context<'_>) -> Option<Vec<u8>> {
        let found = self.picks.read(json)?;
        let mut record = Partial {
            record: Value::Object(Map::new()),
            has: vec![false; found.len()],
            direct: self,
            found: &found,
        };
        let mut out = Value::Object(Map::new());
        let mut texts = vec![None; fields.len()];
        for ((index, field), way) in fields.iter().enumerate().zip(&self.ways) {
            match way {
                Way::Text(slot) => match found[*slot].map(RawValue::get) {
                    None | Some("null") => field.missing(&mut out).ok()?,
                    Some(text) if is_canonical(text) => texts[index] = Some(text),
                    Some(_) => field
                        .apply(record.with(&[*slot])?, &mut out, context)
                        .ok()?,
                },
                Way::Parsed(slots) => field.apply(record.with(slots)?, &mut out, context).ok()?,
            }
        }
        let mut mapped = Vec::with_capacity(json.len() + 256);
        self.places.write(&mut mapped, out.as_object()?, &texts)?;
        Some(mapped)
    }
}

/// The record as far as it was parsed.
struct Partial<'a> {
    record: Value,
    has: Vec<bool>,
    direct: &'a Direct,
    found: &'a [Option<&'a RawValue>],
}

impl Partial<'_> {
    fn with(&mut self, slots: &[usize]) -> Option<&Value> {
        for slot in slots {
            if let (false, Some(raw)) = (self.has[*slot], self.found[*slot]) {
                let value = serde_json::from_str(raw.get()).ok()?;
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

/// Whether a field copies one value of an object into an object.
fn is_text(field: &Field) -> bool {
    let plain = matches!(field.shape, Shape::Plain) && !field.trim && field.case.is_none();
    let whole = |path: &Path| !path.is_root() && names(path).len() == path.steps().len();
    plain && matches!(&field.source, Source::From(from) if whole(from)) && whole(&field.to)
}

/// Whether no other field writes to this one's place, above it or below it.
fn is_alone(fields: &[Field], index: usize) -> bool {
    let own = fields[index].to.steps();
    let meets = |other: &Path| {
        let other = other.steps();
        other.starts_with(own) || own.starts_with(other)
    };
    let others = fields
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index);
    !others
        .map(|(_, field)| field)
        .any(|field| match &field.shape {
            Shape::Split(split) => split.into.iter().any(meets),
            _ => meets(&field.to),
        })
}

/// Whether a JSON text is written as this program writes it: text without escapes, whole numbers that
/// no reader rounds, true and false.
fn is_canonical(text: &str) -> bool {
    match text.as_bytes() {
        [b'"', ..] => memchr::memchr(b'\\', text.as_bytes()).is_none(),
        [b'-' | b'0'..=b'9', ..] => {
            text.len() <= 16 && text != "-0" && !text.contains(['.', 'e', 'E'])
        }
        _ => matches!(text, "true" | "false"),
    }
}
