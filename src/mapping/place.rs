//! The places of values in an object, in the order in which the usual way writes them: by name.
//! Pure. Used by `direct`.

/// An object's places; each holds what its value is made from.
#[derive(Debug)]
pub struct Places<T>(Vec<Place<T>>);

#[derive(Debug)]
struct Place<T> {
    name: String,
    /// `,"name":`
    written: String,
    holds: Option<Holds<T>>,
}

#[derive(Debug)]
enum Holds<T> {
    Value(T),
    Below(Places<T>),
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Places<T> {
    /// What the place at the end of these names holds; `new` where nothing is there yet. `None`: it is another's, or
    /// inside of one.
    pub fn at(&mut self, names: &[&str], new: impl FnOnce() -> T) -> Option<&mut T> {
        let [name, rest @ ..] = names else {
            return None;
        };
        let found = self.0.binary_search_by(|place| (*place.name).cmp(name));
        let at = found.unwrap_or_else(|at| {
            let place = Place {
                name: (*name).to_owned(),
                written: format!(",{}:", serde_json::Value::from(*name)),
                holds: None,
            };
            self.0.insert(at, place);
            at
        });
        let holds = &mut self.0[at].holds;
        if rest.is_empty() {
            match holds.get_or_insert_with(|| Holds::Value(new())) {
                Holds::Value(value) => Some(value),
                Holds::Below(_) => None,
            }
        } else {
            match holds.get_or_insert_with(|| Holds::Below(Self::default())) {
                Holds::Below(below) => below.at(rest, new),
                Holds::Value(_) => None,
            }
        }
    }

    /// Writes an object. `value` writes what a place holds; `false`: nothing stands there for this record, and no
    /// object stands where nothing is in it. `None`: it cannot be written.
    pub fn write(
        &self,
        json: &mut Vec<u8>,
        value: &mut impl FnMut(&T, &mut Vec<u8>) -> Option<bool>,
    ) -> Option<bool> {
        json.push(b'{');
        let start = json.len();
        for place in &self.0 {
            let before = json.len();
            let comma = usize::from(before == start);
            json.extend_from_slice(&place.written.as_bytes()[comma..]);
            let there = match &place.holds {
                Some(Holds::Value(holds)) => value(holds, json)?,
                Some(Holds::Below(below)) => below.write(json, value)?,
                None => false,
            };
            if !there {
                json.truncate(before);
            }
        }
        let any = json.len() > start;
        json.push(b'}');
        Some(any)
    }
}
