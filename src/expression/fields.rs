//! Where the fields of a JSON object stand in its text: found in one walk, so that whoever wants some of them
//! later need not walk again. Pure. Used by `worker` for records and by `mapping`.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use super::path::{Path, Step};
use super::raw;
use super::scanner::{Malformed, Scanner};

/// The text of an object, and where its fields stand in it.
#[derive(Clone, Debug)]
pub struct Fields {
    /// All of it is UTF-8.
    text: Bytes,
    fields: Vec<Field>,
    /// Names that are written with escapes.
    escaped: Vec<Vec<u8>>,
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
        std::str::from_utf8(json).ok()?;
        u32::try_from(json.len()).ok().filter(|l| *l < ESCAPED)?;
        let mut escaped = Vec::new();
        let fields = walk(json, &mut escaped).ok()?;
        Some(Self {
            text: json.clone(),
            fields,
            escaped,
        })
    }

    /// Names and the texts of their values, UTF-8 both, in the order in which they stand; a name may come twice,
    /// and the last one counts then.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let part = |(from, to): (u32, u32)| &self.text[from as usize..to as usize];
        self.fields.iter().map(move |field| {
            let name = match field.name {
                (at, ESCAPED) => &self.escaped[at as usize],
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
        let mut found: Vec<Option<&[u8]>> = vec![None; paths.len()];
        for (name, value) in self.iter() {
            for (found, path) in found.iter_mut().zip(paths) {
                if matches!(path.steps(), [Step::Field(first), ..] if first.as_bytes() == name) {
                    *found = Some(value);
                }
            }
        }
        let below =
            |(text, path): (&Option<&[u8]>, &&Path)| raw::below((*text)?, &path.steps()[1..]);
        found.iter().zip(paths).map(below).collect()
    }
}

/// Notes where the fields of an object stand.
fn walk(json: &[u8], escaped: &mut Vec<Vec<u8>>) -> Result<Vec<Field>, Malformed> {
    let start = json.as_ptr().addr();
    // The whole text is shorter than 4 GiB.
    let place = |part: &[u8]| {
        let from = part.as_ptr().addr() - start;
        (from as u32, (from + part.len()) as u32)
    };
    let mut scanner = Scanner::new(json);
    if scanner.peek() != Some(b'{') {
        return Err(Malformed);
    }
    scanner.enter()?;
    let mut fields = Vec::with_capacity(24);
    while let Some(name) = scanner.name()? {
        let name = match name {
            Cow::Borrowed(name) => place(name),
            Cow::Owned(name) => {
                escaped.push(name);
                (escaped.len() as u32 - 1, ESCAPED)
            }
        };
        let value = place(scanner.value()?);
        fields.push(Field { name, value });
    }
    scanner.end()?;
    Ok(fields)
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
        let names: Vec<&[u8]> = fields.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "ü", "id", "ab", "id"].map(str::as_bytes));
        assert_eq!(fields.iter().nth(1).unwrap().1, r#""ö\n""#.as_bytes());
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
