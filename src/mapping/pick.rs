//! Finds the texts at several places of a JSON object in one walk, without parsing them.
//! Pure. Used by `direct`.

use std::fmt;

use serde::Deserializer;
use serde::de::{Deserialize, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::expression::raw::NameSeed;
use crate::expression::{Fields, Path, Step};

/// The places; each has a slot.
#[derive(Debug, Default)]
pub struct Picks {
    root: Vec<Node>,
    paths: Vec<Path>,
}

/// A field that is looked at, or one on the way to such a field.
#[derive(Debug)]
struct Node {
    name: Box<str>,
    slot: Option<usize>,
    /// Sorted as [`search`] wants it.
    below: Vec<Node>,
}

type Found<'de> = Vec<Option<&'de str>>;

impl Picks {
    /// The slot of the field at these names; `None` for the whole object.
    pub fn add(&mut self, names: Vec<&str>) -> Option<usize> {
        let (last, way) = names.split_last()?;
        let mut level = &mut self.root;
        for name in way {
            level = &mut node(level, name).below;
        }
        let slot = &mut node(level, last).slot;
        if let Some(slot) = *slot {
            return Some(slot);
        }
        *slot = Some(self.paths.len());
        let steps = names.iter().map(|name| Step::Field((*name).into()));
        self.paths.push(Path::from_steps(steps.collect()));
        *slot
    }

    /// Where a slot's value stands.
    pub fn path(&self, slot: usize) -> &Path {
        &self.paths[slot]
    }

    /// The text of each slot; `None` when something on the way to it cannot be read.
    pub fn read<'de>(&self, json: &'de Fields) -> Option<Found<'de>> {
        let mut found = vec![None; self.paths.len()];
        let mut walk = Walk {
            level: &self.root,
            found: &mut found,
        };
        for (name, value) in json.iter() {
            walk.meet(name, value)?;
        }
        Some(found)
    }
}

/// Where a name is, or would be: names of one length stand together, so that most comparisons are of
/// two numbers.
fn search(level: &[Node], name: &str) -> Result<usize, usize> {
    level.binary_search_by(|node| {
        let length = node.name.len().cmp(&name.len());
        length.then_with(|| (*node.name).cmp(name))
    })
}

fn node<'n>(level: &'n mut Vec<Node>, name: &str) -> &'n mut Node {
    let at = match search(level, name) {
        Ok(at) => at,
        Err(at) => {
            let node = Node {
                name: name.into(),
                slot: None,
                below: Vec::new(),
            };
            level.insert(at, node);
            at
        }
    };
    &mut level[at]
}

/// Walks one object.
struct Walk<'p, 'f, 'de> {
    level: &'p [Node],
    found: &'f mut Found<'de>,
}

impl<'de> Walk<'_, '_, 'de> {
    /// A field that comes twice: the last one counts, as everywhere in JSON.
    fn forget(&mut self, level: &[Node]) {
        for node in level {
            if let Some(slot) = node.slot {
                self.found[slot] = None;
            }
            self.forget(&node.below);
        }
    }

    /// A field of the object; `None`: it cannot be read.
    fn meet(&mut self, name: &str, value: &'de str) -> Option<()> {
        let level = self.level;
        let Ok(at) = search(level, name) else {
            return Some(());
        };
        let node = &level[at];
        if let Some(slot) = node.slot {
            self.found[slot] = Some(value);
        }
        if !node.below.is_empty() {
            self.forget(&node.below);
            if value.starts_with('{') {
                let inner = Walk {
                    level: &node.below,
                    found: self.found,
                };
                let mut reader = serde_json::Deserializer::from_str(value);
                reader.deserialize_map(inner).ok()?;
            }
        }
        Some(())
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(NameSeed)? {
            if search(self.level, &name).is_err() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value_seed(Raw)?.get();
            self.meet(&name, value)
                .ok_or_else(|| serde::de::Error::custom("unreadable"))?;
        }
        Ok(())
    }
}

/// A value as its text, borrowed from the input.
struct Raw;

impl<'de> DeserializeSeed<'de> for Raw {
    type Value = &'de RawValue;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        <&RawValue>::deserialize(d)
    }
}
