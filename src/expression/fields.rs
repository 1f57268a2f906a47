//! Where the fields of a JSON object stand in its text: found in one walk, so that whoever wants some of them
//! later need not walk again. Pure. Used by `worker` for records and by `mapping`.

use std::fmt;

use bytes::Bytes;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Value};

use super::path::{Path, Step};
use super::raw::{self, NameSeed};

/// The text of an object, and where its fields stand in it.
#[derive(Clone, Debug)]
pub struct Fields {
    /// All of it is UTF-8.
    text: Bytes,
    fields: Box<[Field]>,
    /// Names that are written with escapes.
    escaped: Vec<Box<str>>,
}

/// From and to, in bytes.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
}

/// In place of the end of a name: the beginning is its place in `escaped`.
const ESCAPED: u32 = u32::MAX;

impl Fields {
    /// `None`: the text is no JSON object, not all of it is UTF-8, or it is 4 GiB long.
    pub fn of(json: &Bytes) -> Option<Self> {
        let text = std::str::from_utf8(json).ok()?;
        u32::try_from(text.len()).ok().filter(|l| *l < ESCAPED)?;
        let mut escaped = Vec::new();
        let mut reader = Deserializer::from_str(text);
        let walk = Walk {
            start: text.as_ptr().addr(),
            escaped: &mut escaped,
        };
        let fields = serde::Deserializer::deserialize_map(&mut reader, walk).ok()?;
        reader.end().ok()?;
        Some(Self {
            text: json.clone(),
            fields: fields.into(),
            escaped,
        })
    }

    /// Names and the texts of their values, in the order in which they stand; a name may come twice, and the
    /// last one counts then.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        // It was text when it was walked over; to look at all of it once is quicker than at each part.
        let text = std::str::from_utf8(&self.text).unwrap_or_default();
        let part =
            move |(from, to): (u32, u32)| text.get(from as usize..to as usize).unwrap_or_default();
        self.fields.iter().map(move |field| {
            let name = match field.name {
                (at, ESCAPED) => &*self.escaped[at as usize],
                name => part(name),
            };
            (name, part(field.value))
        })
    }

    /// Of the whole text, in bytes.
    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// The values at these paths.
    pub fn values(&self, paths: &[&Path]) -> Vec<Option<Value>> {
        let mut found: Vec<Option<&str>> = vec![None; paths.len()];
        let first = |path: &&Path| match path.steps() {
            [Step::Field(first), ..] => Some(first.clone()),
            _ => None,
        };
        let first: Vec<_> = paths.iter().map(first).collect();
        for (name, value) in self.iter() {
            for (found, first) in found.iter_mut().zip(&first) {
                if first.as_deref() == Some(name) {
                    *found = Some(value);
                }
            }
        }
        let below =
            |(text, path): (&Option<&str>, &&Path)| raw::below((*text)?, &path.steps()[1..]);
        found.iter().zip(paths).map(below).collect()
    }
}

/// Notes where fields stand.
struct Walk<'e> {
    /// Address of the text's first byte.
    start: usize,
    escaped: &'e mut Vec<Box<str>>,
}

impl Walk<'_> {
    /// Where a part of the text stands.
    fn place(&self, part: &str) -> (u32, u32) {
        let from = part.as_ptr().addr() - self.start;
        // The whole text is shorter than 4 GiB.
        (from as u32, (from + part.len()) as u32)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Vec<Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(24);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            let name = match name {
                std::borrow::Cow::Borrowed(name) => self.place(name),
                std::borrow::Cow::Owned(name) => {
                    self.escaped.push(name.into());
                    (self.escaped.len() as u32 - 1, ESCAPED)
                }
            };
            let value: &RawValue = map.next_value()?;
            let value = self.place(value.get());
            fields.push(Field { name, value });
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_where_they_stand() {
        let json = Bytes::from_static(
            r#" {"a": {"b": [1, {"c": "x"}]}, "ü": "ö\n", "id": 7, "a\u0062": true , "id": 8}"#
                .as_bytes(),
        );
        let whole: Value = serde_json::from_slice(&json).unwrap();
        let fields = Fields::of(&json).unwrap();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "ü", "id", "ab", "id"]);
        assert_eq!(fields.iter().nth(1).unwrap().1, r#""ö\n""#);
        let paths = [
            "id", "a.b[1].c", "a.b", "a.c", "none", "ab", "ü", "id.x", "ü.x", "a[0]", "[0]",
        ];
        let paths = paths.map(|path| Path::parse(path).unwrap());
        let found = fields.values(&paths.iter().collect::<Vec<_>>());
        for (path, found) in paths.iter().zip(found) {
            assert_eq!(found.as_ref(), path.get(&whole), "{path}");
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
