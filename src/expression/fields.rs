//! Where the fields of a JSON object stand in its text: found in one walk, by whoever walks over the text first, so
//! that nobody who wants some of them later need walk again. Pure. Used by `connector` for pages, and by `worker` and
//! `mapping` for records.

use std::borrow::Cow;
use std::ops::Deref;

use bytes::Bytes;
use serde_json::Value;

use super::path::{Path, Step};
use super::raw;
use super::scanner::{Malformed, Scanner};

/// Objects within objects whose fields are noted.
const NOTED: usize = 4;

/// Where the fields of an object stand, and those of the objects in it.
#[derive(Clone, Debug)]
struct Notes {
    fields: Vec<Field>,
    /// Names that are written with escapes.
    escaped: Vec<Vec<u8>>,
}

/// From and to, in bytes.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
    /// How many of the fields that follow stand inside of the value.
    inside: u32,
}

/// In place of the end of a name: the beginning is its place in `escaped`.
const ESCAPED: u32 = u32::MAX;

/// The JSON text of a record, and where its fields stand if that was seen on the way.
#[derive(Clone, Debug)]
pub struct RecordText {
    text: Bytes,
    notes: Option<Notes>,
}

impl From<Bytes> for RecordText {
    fn from(text: Bytes) -> Self {
        Self { text, notes: None }
    }
}

impl Deref for RecordText {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.text
    }
}

impl AsRef<[u8]> for RecordText {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl RecordText {
    /// The value that stands here in a text; all of that is `whole`, and UTF-8.
    pub fn read(scanner: &mut Scanner<'_>, whole: &Bytes) -> Result<Self, Malformed> {
        if scanner.peek() != Some(b'{') {
            let text = scanner.value()?;
            return Ok(whole.slice_ref(text).into());
        }
        let (text, notes) = Notes::read(scanner)?;
        let text = whole.slice_ref(text);
        Ok(Self { text, notes })
    }

    /// The text, and the fields of the object that it is: see [`Fields::of`].
    pub fn open(self) -> (Bytes, Option<Fields>) {
        let fields = match self.notes {
            Some(notes) => Some(Fields {
                text: self.text.clone(),
                notes,
            }),
            None => Fields::of(&self.text),
        };
        (self.text, fields)
    }
}

/// The text of an object, and where its fields stand in it.
#[derive(Clone, Debug)]
pub struct Fields {
    /// All of it is UTF-8.
    text: Bytes,
    notes: Notes,
}

/// A field in the text of its object: name and value, UTF-8 both.
#[derive(Clone, Copy, Debug)]
pub struct Found<'f> {
    pub name: &'f [u8],
    pub value: &'f [u8],
    all: &'f Fields,
    inside: &'f [Field],
}

impl<'f> Found<'f> {
    /// The fields of the object that the value is, where they are noted.
    pub fn inside(&self) -> Option<impl Iterator<Item = Found<'f>>> {
        let noted = !self.inside.is_empty();
        noted.then(|| self.all.level(self.inside))
    }
}

impl Fields {
    /// `None`: the text is no JSON object, not all of it is UTF-8, or it is 4 GiB long.
    pub fn of(json: &Bytes) -> Option<Self> {
        std::str::from_utf8(json).ok()?;
        let mut scanner = Scanner::new(json);
        if scanner.peek() != Some(b'{') {
            return None;
        }
        let (text, notes) = Notes::read(&mut scanner).ok()?;
        scanner.end().ok()?;
        Some(Self {
            text: json.slice_ref(text),
            notes: notes?,
        })
    }

    /// The fields in the order in which they stand; a name may come twice, and the last one counts then.
    pub fn iter(&self) -> impl Iterator<Item = Found<'_>> {
        self.level(&self.notes.fields)
    }

    fn level<'f>(&'f self, fields: &'f [Field]) -> impl Iterator<Item = Found<'f>> {
        let mut rest = fields;
        std::iter::from_fn(move || {
            let (field, after) = rest.split_first()?;
            let (inside, after) = after.split_at(field.inside as usize);
            rest = after;
            let part = |(from, to): (u32, u32)| &self.text[from as usize..to as usize];
            Some(Found {
                name: match field.name {
                    (at, ESCAPED) => &self.notes.escaped[at as usize],
                    name => part(name),
                },
                value: part(field.value),
                all: self,
                inside,
            })
        })
    }

    /// Of the whole text, in bytes.
    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// The values at these paths.
    pub fn values(&self, paths: &[&Path]) -> Vec<Option<Value>> {
        let value = |path: &&Path| match path.steps() {
            [Step::Field(first), below @ ..] => {
                let named = self.iter().filter(|found| found.name == first.as_bytes());
                raw::below(named.last()?.value, below)
            }
            _ => None,
        };
        paths.iter().map(value).collect()
    }
}

impl Notes {
    /// The text of the object that stands here, and its notes; none of a text of 4 GiB.
    fn read<'t>(scanner: &mut Scanner<'t>) -> Result<(&'t [u8], Option<Self>), Malformed> {
        scanner.peek();
        let from = scanner.at();
        let mut notes = Self {
            fields: Vec::with_capacity(24),
            escaped: Vec::new(),
        };
        let start = scanner.since(from).as_ptr().addr();
        notes.object(scanner, start, NOTED)?;
        let text = scanner.since(from);
        let fits = u32::try_from(text.len()).is_ok_and(|length| length < ESCAPED);
        Ok((text, fits.then_some(notes)))
    }

    /// Notes the fields of the object that stands here, in the text that begins at the address `start`.
    fn object(
        &mut self,
        scanner: &mut Scanner<'_>,
        start: usize,
        depth: usize,
    ) -> Result<(), Malformed> {
        let place = |part: &[u8]| {
            let from = part.as_ptr().addr() - start;
            // The notes of a text in which this does not fit are thrown away.
            (from as u32, (from + part.len()) as u32)
        };
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            let name = match name {
                Cow::Borrowed(name) => place(name),
                Cow::Owned(name) => {
                    self.escaped.push(name);
                    (self.escaped.len() as u32 - 1, ESCAPED)
                }
            };
            let at = self.fields.len();
            self.fields.push(Field {
                name,
                value: (0, 0),
                inside: 0,
            });
            let value = if depth > 0 && scanner.peek() == Some(b'{') {
                let from = scanner.at();
                self.object(scanner, start, depth - 1)?;
                scanner.since(from)
            } else {
                scanner.value()?
            };
            let inside = self.fields.len() - at - 1;
            self.fields[at].value = place(value);
            self.fields[at].inside = inside as u32;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_found_where_they_stand() {
        let json = Bytes::from_static(
            r#" {"a": {"b": [1, {"c": "x"}]}, "ü": "ö\n", "id": 7, "a\u0062": true , "id": 8}"#
                .as_bytes(),
        );
        let whole: Value = serde_json::from_slice(&json).unwrap();
        let fields = Fields::of(&json).unwrap();
        let names: Vec<&[u8]> = fields.iter().map(|found| found.name).collect();
        assert_eq!(names, ["a", "ü", "id", "ab", "id"].map(str::as_bytes));
        assert_eq!(fields.iter().nth(1).unwrap().value, r#""ö\n""#.as_bytes());
        let paths = [
            "id", "a.b[1].c", "a.b", "a.c", "none", "ab", "ü", "id.x", "ü.x", "a[0]", "[0]",
        ];
        let paths = paths.map(|path| Path::parse(path).unwrap());
        let found = fields.values(&paths.iter().collect::<Vec<_>>());
        for (path, found) in paths.iter().zip(found) {
            assert_eq!(found.as_ref(), path.get(&whole), "{path}");
        }
    }

    /// The same object again, from what is noted of it and, where nothing is noted, from its text.
    fn noted<'f>(fields: impl Iterator<Item = Found<'f>>, depth: usize) -> Value {
        let value = |found: Found<'f>| match found.inside() {
            Some(inside) => noted(inside, depth + 1),
            None => serde_json::from_slice(found.value).unwrap(),
        };
        assert!(depth <= NOTED);
        let name = |found: &Found<'_>| String::from_utf8(found.name.to_vec()).unwrap();
        Value::Object(fields.map(|found| (name(&found), value(found))).collect())
    }

    fn nested() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(Value::from),
            ".{0,9}".prop_map(Value::from)
        ];
        leaf.prop_recursive(8, 60, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,5}", inner, 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_noted_is_the_object(
            fields in prop::collection::btree_map(".{0,5}", nested(), 0..6), pretty: bool
        ) {
            let whole = Value::Object(fields.into_iter().collect());
            let text = if pretty { format!("\n{whole:#} ") } else { whole.to_string() };
            let fields = Fields::of(&text.into()).unwrap();
            prop_assert_eq!(noted(fields.iter(), 0), whole);
        }

        #[test]
        fn a_record_within_a_text_opens_as_the_same_fields(record in nested(), before in ".{0,9}") {
            let whole = Bytes::from(json!([before, record, 1]).to_string());
            let mut scanner = Scanner::new(&whole);
            scanner.enter().unwrap();
            assert!(scanner.item().is_ok_and(|is| is) && scanner.value().is_ok());
            prop_assert_eq!(scanner.item(), Ok(true));
            let (text, fields) = RecordText::read(&mut scanner, &whole).unwrap().open();
            prop_assert_eq!(scanner.item(), Ok(true));
            prop_assert_eq!(text, Bytes::from(record.to_string()));
            let fields = fields.map(|fields| noted(fields.iter(), 0));
            prop_assert_eq!(fields, Some(record).filter(Value::is_object));
        }
    }

    #[test]
    fn what_is_no_object_of_text_has_no_fields() {
        for text in [
            &b"[1]"[..],
            b"7",
            b"null",
            b"{\"a\": 1",
            b"{\"a\": 1} x",
            b"",
            b"{\"a\": \"\xff\"}",
        ] {
            assert!(
                Fields::of(&Bytes::copy_from_slice(text)).is_none(),
                "{text:?}"
            );
        }
    }
}
