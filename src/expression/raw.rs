//! Values inside a JSON text, without parsing the rest of it.
//! Pure. Used by `connector` for pages and batches, and by `worker` for keys and versions.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::path::{Path, Step, get};

/// The value at a path of a JSON text; `None` when a step is missing or the text is no JSON.
pub fn field(json: &[u8], path: &Path) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    FieldSeed(path.steps()).deserialize(&mut reader).ok()?
}

/// The value at these steps of a JSON text.
pub(super) fn below(json: &[u8], steps: &[Step]) -> Option<Value> {
    match steps {
        // Most are a key or a moment.
        [] => value(json),
        _ => {
            let mut reader = serde_json::Deserializer::from_slice(json);
            FieldSeed(steps).deserialize(&mut reader).ok()?
        }
    }
}

/// A JSON text that was walked over before, as a value. `None` where that cannot be: it nests too deep.
pub fn value(json: &[u8]) -> Option<Value> {
    match json {
        // What most values are, without looking at each byte once more for what may be there.
        [b'"', text @ .., b'"'] if memchr::memchr(b'\\', text).is_none() => {
            Some(Value::String(std::str::from_utf8(text).ok()?.to_owned()))
        }
        _ => serde_json::from_slice(json).ok(),
    }
}

/// Whether a JSON text is written as this program writes it: text without escapes, whole numbers that
/// no reader rounds, true and false.
pub fn is_canonical(json: &[u8]) -> bool {
    match json {
        [b'"', ..] => memchr::memchr(b'\\', json).is_none(),
        [b'-' | b'0'..=b'9', ..] => {
            let broken = |byte: &u8| matches!(byte, b'.' | b'e' | b'E');
            json.len() <= 16 && json != b"-0" && !json.iter().any(broken)
        }
        _ => matches!(json, b"true" | b"false"),
    }
}

/// The values at several paths, found in one walk; `None` when the text is no JSON object.
pub fn fields(json: &[u8], paths: &[&Path]) -> Option<Vec<Option<Value>>> {
    let mut found = vec![None; paths.len()];
    let wanted = paths
        .iter()
        .enumerate()
        .map(|(at, path)| (at, path.steps()));
    let seed = FieldsSeed {
        wanted: wanted.collect(),
        found: &mut found,
    };
    walk_map(json, seed)?;
    Some(found)
}

/// Walks a JSON object to its end; `None` when the text is none. Where all of it is UTF-8, which is known at
/// once, no text in it is checked for that again.
fn walk_map<'de, V: Visitor<'de>>(json: &'de [u8], visitor: V) -> Option<V::Value> {
    fn walk<'de, R: serde_json::de::Read<'de>, V: Visitor<'de>>(
        mut reader: serde_json::Deserializer<R>,
        visitor: V,
    ) -> Option<V::Value> {
        let value = reader.deserialize_map(visitor).ok()?;
        reader.end().ok()?;
        Some(value)
    }
    match std::str::from_utf8(json) {
        Ok(text) => walk(serde_json::Deserializer::from_str(text), visitor),
        Err(_) => walk(serde_json::Deserializer::from_slice(json), visitor),
    }
}

/// The record's text with these fields added (name, JSON text); fields of the same name are replaced.
/// What is no object stays as it is.
pub fn with_fields(record: &Bytes, fields: &[(&str, &str)]) -> Bytes {
    let mut json = Vec::with_capacity(record.len() + 64);
    write_with_fields(&mut json, record, fields);
    json.into()
}

/// Appends the record's text with these fields added, as [`with_fields`] does.
pub fn write_with_fields(json: &mut Vec<u8>, record: &[u8], fields: &[(&str, &str)]) {
    let mut reader = serde_json::Deserializer::from_slice(record);
    let Ok(own) = reader.deserialize_map(FieldsVisitor) else {
        json.extend_from_slice(record);
        return;
    };
    let own = own.iter().map(|(name, raw)| (name.as_ref(), raw.get()));
    let kept = own.filter(|(name, _)| !fields.iter().any(|(added, _)| added == name));
    json.push(b'{');
    for (name, raw) in kept.chain(fields.iter().copied()) {
        push_field(json, name, raw);
    }
    json.push(b'}');
}

/// Appends `"name":raw` to an object that was begun.
pub fn push_field(json: &mut Vec<u8>, name: &str, raw: &str) {
    if json.last() != Some(&b'{') {
        json.push(b',');
    }
    json.extend_from_slice(Value::from(name).to_string().as_bytes());
    json.push(b':');
    json.extend_from_slice(raw.as_bytes());
}

/// Walks to one value.
struct FieldSeed<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => serde::Deserialize::deserialize(d).map(Some),
            _ => d.deserialize_any(self),
        }
    }
}

/// Scalars have no fields: the rest of the path is missing.
macro_rules! nothing {
    ($($name:ident($kind:ty)),*) => { $(fn $name<E>(self, _: $kind) -> Result<Self::Value, E> { Ok(None) })* };
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    nothing!(
        visit_bool(bool),
        visit_i64(i64),
        visit_u64(u64),
        visit_f64(f64),
        visit_str(&str)
    );

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match self.0 {
                [Step::Field(field), rest @ ..] if **field == *name => {
                    found = map.next_value_seed(FieldSeed(rest))?
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut at = 0;
        loop {
            let more = match self.0 {
                [Step::Index(index), rest @ ..] if *index == at => {
                    match seq.next_element_seed(FieldSeed(rest))? {
                        Some(value) => {
                            found = value;
                            true
                        }
                        None => false,
                    }
                }
                _ => seq.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                return Ok(found);
            }
            at += 1;
        }
    }
}

/// Walks to several values; each with its place in `found` and the steps that are left.
struct FieldsSeed<'p, 'f> {
    wanted: Vec<(usize, &'p [Step])>,
    found: &'f mut [Option<Value>],
}

impl<'p> FieldsSeed<'p, '_> {
    /// What is wanted of the field of this name.
    fn of(&self, name: &str) -> Vec<(usize, &'p [Step])> {
        let below = self.wanted.iter().filter_map(|(at, steps)| match steps {
            [Step::Field(field), rest @ ..] if **field == *name => Some((*at, rest)),
            _ => None,
        });
        below.collect()
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(NameSeed)? {
            match self.of(&name).as_slice() {
                [] => drop(map.next_value::<IgnoredAny>()?),
                [(at, steps)] => self.found[*at] = map.next_value_seed(FieldSeed(steps))?,
                several => {
                    let value: Value = map.next_value()?;
                    for (at, steps) in several {
                        self.found[*at] = get(steps, &value).cloned();
                    }
                }
            }
        }
        Ok(())
    }
}

/// A field's name, borrowed where it holds no escapes.
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The fields of an object, each as its text.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(16);
        while let Some(name) = map.next_key_seed(NameSeed)? {
            fields.push((name, map.next_value()?));
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn several_fields_are_found_in_one_walk() {
        let text =
            br#"{"a": {"b": [1, {"c": "x"}]}, "skip": [[{}]], "id": 7, "a\u0062": true, "id": 8}"#;
        let whole: Value = serde_json::from_slice(text).unwrap();
        let paths: Vec<Path> = ["id", "a.b[1].c", "a.b", "a.c", "none", "ab", "id.x"]
            .map(|p| Path::parse(p).unwrap())
            .into();
        let found = fields(text, &paths.iter().collect::<Vec<_>>()).unwrap();
        let expected: Vec<Option<Value>> = paths.iter().map(|p| p.get(&whole).cloned()).collect();
        assert_eq!(found, expected);
        assert_eq!(
            found[0],
            Some(json!(8)),
            "the last of two counts, as everywhere"
        );
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        let path = Path::parse("a").unwrap();
        for text in ["[1]", "7", "null", "{\"a\": 1", "{\"a\": 1} x", ""] {
            assert_eq!(fields(text.as_bytes(), &[&path]), None, "{text}");
        }
    }
}
