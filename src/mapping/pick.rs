//! Finds the texts at several places of a JSON object in one walk, without parsing them.
//! Pure. Used by `direct`.

use crate::expression::{Fields, Malformed, Path, Scanner, Step};

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

type Found<'t> = Vec<Option<&'t [u8]>>;

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
    pub fn read<'t>(&self, json: &'t Fields) -> Option<Found<'t>> {
        let mut found = vec![None; self.paths.len()];
        let mut walk = Walk {
            level: &self.root,
            found: &mut found,
        };
        for (name, value) in json.iter() {
            walk.meet(name, value).ok()?;
        }
        Some(found)
    }
}

/// Where a name is, or would be: names of one length stand together, so that most comparisons are of
/// two numbers.
fn search(level: &[Node], name: &[u8]) -> Result<usize, usize> {
    level.binary_search_by(|node| {
        let length = node.name.len().cmp(&name.len());
        length.then_with(|| node.name.as_bytes().cmp(name))
    })
}

fn node<'n>(level: &'n mut Vec<Node>, name: &str) -> &'n mut Node {
    let at = match search(level, name.as_bytes()) {
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
struct Walk<'p, 'f, 't> {
    level: &'p [Node],
    found: &'f mut Found<'t>,
}

impl<'t> Walk<'_, '_, 't> {
    /// A field that comes twice: the last one counts, as everywhere in JSON.
    fn forget(&mut self, level: &[Node]) {
        for node in level {
            if let Some(slot) = node.slot {
                self.found[slot] = None;
            }
            self.forget(&node.below);
        }
    }

    /// A field of the object.
    fn meet(&mut self, name: &[u8], value: &'t [u8]) -> Result<(), Malformed> {
        let level = self.level;
        let Ok(at) = search(level, name) else {
            return Ok(());
        };
        let node = &level[at];
        if let Some(slot) = node.slot {
            self.found[slot] = Some(value);
        }
        if !node.below.is_empty() {
            self.forget(&node.below);
            if value.starts_with(b"{") {
                let mut inner = Walk {
                    level: &node.below,
                    found: self.found,
                };
                let mut scanner = Scanner::new(value);
                scanner.enter()?;
                while let Some(name) = scanner.name()? {
                    inner.meet(&name, scanner.value()?)?;
                }
            }
        }
        Ok(())
    }
}
