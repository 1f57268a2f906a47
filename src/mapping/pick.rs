//! Finds the texts at several places of a JSON object in one walk, without parsing them.
//! Pure. Used by `direct`.

use crate::expression::{Fields, Found, Malformed, Path, Scanner, Step};

/// The places; each has a slot.
#[derive(Debug, Default)]
pub struct Picks {
    root: Level,
    paths: Vec<Path>,
}

/// Lists of nodes, so that a name is compared with few others.
const BUCKETS: usize = 32;

/// The fields of one object that are looked at, each in the bucket of its name.
#[derive(Debug)]
struct Level([Vec<Node>; BUCKETS]);

impl Default for Level {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Vec::new()))
    }
}

/// A field that is looked at, or one on the way to such a field.
#[derive(Debug)]
struct Node {
    name: Box<str>,
    slot: Option<usize>,
    below: Option<Box<Below>>,
}

#[derive(Debug, Default)]
struct Below {
    level: Level,
    /// All slots at any depth.
    slots: Vec<usize>,
}

/// Of each slot.
type Texts<'t> = Vec<Option<&'t [u8]>>;

impl Picks {
    /// The slot of the field at these names; `None` for the whole object.
    pub fn add(&mut self, names: Vec<&str>) -> Option<usize> {
        let (last, way) = names.split_last()?;
        let path = Path::from_steps(names.iter().map(|n| Step::Field((*n).into())).collect());
        if let Some(slot) = self.paths.iter().position(|known| *known == path) {
            return Some(slot);
        }
        let slot = self.paths.len();
        let mut level = &mut self.root;
        for name in way {
            let below = level.node(name).below.get_or_insert_default();
            below.slots.push(slot);
            level = &mut below.level;
        }
        level.node(last).slot = Some(slot);
        self.paths.push(path);
        Some(slot)
    }

    /// Where a slot's value stands.
    pub fn path(&self, slot: usize) -> &Path {
        &self.paths[slot]
    }

    /// The text of each slot; `None` when something on the way to it cannot be read.
    pub fn read<'t>(&self, json: &'t Fields) -> Option<Texts<'t>> {
        let mut texts = vec![None; self.paths.len()];
        for field in json.iter() {
            self.root.meet(field, &mut texts).ok()?;
        }
        Some(texts)
    }
}

/// By the length of a name and its ends, in which names of one object mostly differ.
fn bucket(name: &[u8]) -> usize {
    let end = |byte: Option<&u8>| byte.copied().map_or(0, usize::from);
    (name.len() + end(name.first()) * 5 + end(name.last()) * 3) % BUCKETS
}

impl Level {
    fn node(&mut self, name: &str) -> &mut Node {
        let nodes = &mut self.0[bucket(name.as_bytes())];
        let at = nodes.iter().position(|node| *node.name == *name);
        let at = at.unwrap_or_else(|| {
            nodes.push(Node {
                name: name.into(),
                slot: None,
                below: None,
            });
            nodes.len() - 1
        });
        &mut nodes[at]
    }

    fn find(&self, name: &[u8]) -> Option<&Node> {
        let mut nodes = self.0[bucket(name)].iter();
        nodes.find(|node| node.name.as_bytes() == name)
    }

    /// A field of the object.
    fn meet<'t>(&self, field: Found<'t>, texts: &mut [Option<&'t [u8]>]) -> Result<(), Malformed> {
        let Some(node) = self.find(field.name) else {
            return Ok(());
        };
        let Some(below) = node.meet(field.value, texts) else {
            return Ok(());
        };
        match field.inside() {
            Some(mut inside) => inside.try_for_each(|field| below.meet(field, texts)),
            None => below.walk(field.value, texts),
        }
    }

    /// An object whose fields are not noted.
    fn walk<'t>(&self, object: &'t [u8], texts: &mut [Option<&'t [u8]>]) -> Result<(), Malformed> {
        let mut scanner = Scanner::new(object);
        scanner.enter()?;
        while let Some(name) = scanner.name()? {
            let value = scanner.value()?;
            if let Some(below) = self.find(&name).and_then(|node| node.meet(value, texts)) {
                below.walk(value, texts)?;
            }
        }
        Ok(())
    }
}

impl Node {
    /// The field is there, and its value is this. One that comes twice: the last one counts, as everywhere in JSON.
    /// Answers what is looked at inside of the value, if that is an object.
    fn meet<'t>(&self, value: &'t [u8], texts: &mut [Option<&'t [u8]>]) -> Option<&Level> {
        if let Some(slot) = self.slot {
            texts[slot] = Some(value);
        }
        let below = self.below.as_ref()?;
        for slot in &below.slots {
            texts[*slot] = None;
        }
        value.starts_with(b"{").then_some(&below.level)
    }
}
