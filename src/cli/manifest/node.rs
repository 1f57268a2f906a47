//! A YAML value that knows where each of its parts stands in the file.
//! Made by `yaml`, checked by `schema`.

use serde_json::{Map, Number, Value};

/// Line and column in a file, both counted from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub struct Node {
    pub at: Position,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    /// Where the key begins.
    pub at: Position,
    pub value: Node,
}

impl Node {
    /// The value of a map's entry.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|e| &e.value)
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|e| e.key == key),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(flag) => Value::Bool(*flag),
            Content::Number(number) => Value::Number(number.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Node::to_json).collect(),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|e| (e.key.clone(), e.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// What kind of value this is, as the API server names it.
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::Null => "null",
            Content::Bool(_) => "a boolean",
            Content::Number(n) if n.is_f64() => "a number",
            Content::Number(_) => "an integer",
            Content::Text(_) => "a string",
            Content::List(_) => "a list",
            Content::Map(_) => "an object",
        }
    }

    /// Where the field `path` stands (`spec.objects[0].create`): its key, or the nearest part above it
    /// that is there. Keys may hold dots.
    pub fn locate(&self, path: &str) -> Position {
        let mut node = self;
        let mut at = self.at;
        let mut rest = path.trim_start_matches('.');
        while !rest.is_empty() {
            match &node.content {
                Content::List(items) => {
                    let Some((index, after)) = read_index(rest) else {
                        return at;
                    };
                    let Some(item) = items.get(index) else {
                        return at;
                    };
                    (node, at, rest) = (item, item.at, after.trim_start_matches('.'));
                }
                Content::Map(entries) => {
                    let Some((entry, after)) = find_entry(entries, rest) else {
                        return at;
                    };
                    (node, at, rest) = (&entry.value, entry.at, after.trim_start_matches('.'));
                }
                _ => return at,
            }
        }
        at
    }
}

/// `[3].rest` as 3 and `.rest`.
fn read_index(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((index.parse().ok()?, rest))
}

/// The entry that the path begins with; the longest key wins.
fn find_entry<'n, 'p>(entries: &'n [Entry], path: &'p str) -> Option<(&'n Entry, &'p str)> {
    if let Some((key, rest)) = path.strip_prefix("[\"").and_then(|p| p.split_once("\"]")) {
        return Some((entries.iter().find(|e| e.key == key)?, rest));
    }
    entries
        .iter()
        .filter_map(|e| {
            let rest = path.strip_prefix(e.key.as_str())?;
            (rest.is_empty() || rest.starts_with(['.', '['])).then_some((e, rest))
        })
        .max_by_key(|(e, _)| e.key.len())
}
