//! Dotted paths into JSON: `a.b[0]["odd name"]`; `""` and `.` are the root.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Field(Box<str>),
    Index(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?}: {problem}")]
pub struct PathError {
    pub path: String,
    pub problem: String,
}

/// A parsed path. Serializes as its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Path {
    steps: Vec<Step>,
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let _ = text;
        Ok(Self::default())
    }
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }
    /// The value at this path; `None` when a step is missing. Null is a value.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        let _ = value;
        None
    }
    /// Sets the value at this path, making objects and list items on the way.
    pub fn set(&self, root: &mut Value, value: Value) -> Result<(), PathError> {
        let _ = (root, value);
        Ok(())
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.steps.len())
    }
}

impl Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
