//! Puts texts into their places of an object, between what was mapped in the usual way, and writes all
//! of it in the order in which the usual way writes it: by name. Pure. Used by `direct`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// The places of the texts.
#[derive(Debug)]
pub struct Places(Vec<Place>);

#[derive(Debug)]
struct Place {
    name: String,
    /// `"name":`
    written: String,
    /// The field whose text stands here.
    field: Option<usize>,
    below: Vec<Place>,
}

impl Places {
    /// Of fields and the names that lead to their places; no place is another's or inside of one.
    pub fn new(fields: &[(usize, Vec<&str>)]) -> Self {
        let mut root = Vec::new();
        for (field, names) in fields {
            insert(&mut root, *field, names);
        }
        Self(root)
    }

    /// Writes `out` with the texts that are there. `None`: it cannot be written.
    pub fn write(
        &self,
        json: &mut Vec<u8>,
        out: &Map<String, Value>,
        texts: &[Option<&str>],
    ) -> Option<()> {
        object(json, &self.0, Some(out), texts)
    }
}

fn insert(level: &mut Vec<Place>, field: usize, names: &[&str]) {
    let [name, rest @ ..] = names else { return };
    let at = match level.binary_search_by(|place| (*place.name).cmp(name)) {
        Ok(at) => at,
        Err(at) => {
            let place = Place {
                name: (*name).to_owned(),
                written: format!("{}:", Value::from(*name)),
                field: None,
                below: Vec::new(),
            };
            level.insert(at, place);
            at
        }
    };
    if rest.is_empty() {
        level[at].field = Some(field);
    } else {
        insert(&mut level[at].below, field, rest);
    }
}

impl Place {
    /// Whether a text is here or below.
    fn holds(&self, texts: &[Option<&str>]) -> bool {
        match self.field {
            Some(field) => texts[field].is_some(),
            None => self.below.iter().any(|place| place.holds(texts)),
        }
    }

    fn write(
        &self,
        json: &mut Vec<u8>,
        own: Option<&Map<String, Value>>,
        texts: &[Option<&str>],
    ) -> Option<()> {
        comma(json);
        json.extend_from_slice(self.written.as_bytes());
        match self.field.and_then(|field| texts[field]) {
            Some(text) => json.extend_from_slice(text.as_bytes()),
            None => object(json, &self.below, own, texts)?,
        }
        Some(())
    }
}

fn object(
    json: &mut Vec<u8>,
    places: &[Place],
    own: Option<&Map<String, Value>>,
    texts: &[Option<&str>],
) -> Option<()> {
    json.push(b'{');
    let mut own = own.into_iter().flatten().peekable();
    let mut places = places.iter().filter(|p| p.holds(texts)).peekable();
    loop {
        let order = match (places.peek(), own.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(place), Some((name, _))) => place.name.cmp(name),
        };
        let place = places.next_if(|_| order != Ordering::Greater);
        let value = own.next_if(|_| order != Ordering::Less);
        match (place, value) {
            (Some(place), None) => place.write(json, None, texts)?,
            (Some(place), Some((_, Value::Object(map)))) => place.write(json, Some(map), texts)?,
            (None, Some((name, value))) => {
                comma(json);
                serde_json::to_writer(&mut *json, name).ok()?;
                json.push(b':');
                serde_json::to_writer(&mut *json, value).ok()?;
            }
            // A value stands where a text's object should be.
            (Some(_), Some(_)) | (None, None) => return None,
        }
    }
    json.push(b'}');
    Some(())
}

fn comma(json: &mut Vec<u8>) {
    if json.last() != Some(&b'{') {
        json.push(b',');
    }
}
