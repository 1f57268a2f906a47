//! Dotted paths into JSON: `a.b[0]["odd name"]`; `""` and `.` are the root.
//! Pure. A path is parsed once and then read for every record by `plan`, `mapping` and `connector`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Highest list index that a path may name.
pub const MAX_INDEX: usize = 10_000;
/// Longest text of a path in bytes.
pub const MAX_PATH_BYTES: usize = 1024;
/// Most steps of a path.
pub const MAX_STEPS: usize = 32;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Field(Box<str>),
    Index(usize),
}

/// What is wrong with a path, or with the place it points to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?}: {problem}")]
pub struct PathError {
    pub path: String,
    pub problem: String,
}

/// A parsed path. Serializes as its text.
///
/// A plain name may hold every character but white space, control characters and `.[]{}"'|$`;
/// other names stand in brackets and quotes, with JSON's escapes: `["odd name"]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Path {
    steps: Vec<Step>,
}

impl Path {
    /// Parses a path of at most [`MAX_STEPS`] steps and [`MAX_PATH_BYTES`] bytes.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let error = |problem: String| PathError {
            path: text.chars().take(80).collect(),
            problem,
        };
        if text.len() > MAX_PATH_BYTES {
            return Err(error(format!("is longer than {MAX_PATH_BYTES} bytes")));
        }
        let mut steps = Vec::new();
        let mut rest = if text == "." { "" } else { text };
        while !rest.is_empty() {
            if steps.len() == MAX_STEPS {
                return Err(error(format!("has more than {MAX_STEPS} steps")));
            }
            let (step, after) = if let Some(inside) = rest.strip_prefix('[') {
                bracket(inside).map_err(&error)?
            } else {
                name(rest, steps.is_empty()).map_err(&error)?
            };
            steps.push(step);
            rest = after;
        }
        Ok(Self { steps })
    }

    /// The path of these steps.
    pub fn from_steps(steps: Vec<Step>) -> Self {
        Self { steps }
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// The value at this path; `None` when a step is missing. Null is a value.
    #[inline]
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        get(&self.steps, value)
    }

    /// Sets the value at this path, making objects and list items (null until set) on the way; null on
    /// the way counts as nothing. Other values on the way are an error, and the root is left as it was
    /// up to that step.
    pub fn set(&self, root: &mut Value, value: Value) -> Result<(), PathError> {
        let mut here = root;
        for (at, step) in self.steps.iter().enumerate() {
            here = match step {
                Step::Field(name) => {
                    if here.is_null() {
                        *here = Value::Object(Map::new());
                    }
                    match here {
                        Value::Object(map) => map.entry(&**name).or_insert(Value::Null),
                        _ => return Err(self.blocked(at, "an object")),
                    }
                }
                Step::Index(index) => {
                    if here.is_null() {
                        *here = Value::Array(Vec::new());
                    }
                    match here {
                        Value::Array(items) => {
                            if *index > MAX_INDEX {
                                return Err(self.blocked(at, "a list this long"));
                            }
                            if items.len() <= *index {
                                items.resize(index + 1, Value::Null);
                            }
                            &mut items[*index]
                        }
                        _ => return Err(self.blocked(at, "a list")),
                    }
                }
            };
        }
        *here = value;
        Ok(())
    }

    fn blocked(&self, at: usize, wanted: &str) -> PathError {
        let before = Self::from_steps(self.steps[..at].to_vec());
        let place = if before.is_root() {
            "the root".to_owned()
        } else {
            before.to_string()
        };
        PathError {
            path: self.to_string(),
            problem: format!("{place} is not {wanted}"),
        }
    }
}

/// The value that steps lead to.
#[inline]
pub(super) fn get<'v>(steps: &[Step], value: &'v Value) -> Option<&'v Value> {
    let mut here = value;
    for step in steps {
        here = match (step, here) {
            (Step::Field(name), Value::Object(map)) => map.get(&**name)?,
            (Step::Index(index), Value::Array(items)) => items.get(*index)?,
            _ => return None,
        };
    }
    Some(here)
}

/// Whether a name can stand in a path without brackets.
fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !".[]{}\"'|$".contains(c)
}

/// Reads a plain name, with the dot before it unless it is the first step.
fn name(text: &str, first: bool) -> Result<(Step, &str), String> {
    let body = if first {
        text
    } else {
        text.strip_prefix('.')
            .ok_or("write a dot or a bracket between two steps")?
    };
    let end = body.find(|c| !is_plain(c)).unwrap_or(body.len());
    if end == 0 {
        return Err(match body.chars().next() {
            None => "ends with a dot".to_owned(),
            Some('.' | '[') => "has an empty step".to_owned(),
            Some(c) => {
                format!("has {c:?} where a name begins; write odd names as [\"odd name\"]")
            }
        });
    }
    let (name, rest) = body.split_at(end);
    match rest.chars().next() {
        None | Some('.' | '[') => Ok((Step::Field(name.into()), rest)),
        Some(c) => Err(format!(
            "has {c:?} in a name; write odd names as [\"odd name\"]"
        )),
    }
}

/// Reads what follows an opening bracket: an index or a quoted name, and the closing bracket.
fn bracket(text: &str) -> Result<(Step, &str), String> {
    const UNCLOSED: &str = "has a bracket without its end";
    match text.chars().next() {
        Some('"') => {
            let end = quoted_end(text).ok_or(UNCLOSED)?;
            let name: String = serde_json::from_str(&text[..end])
                .map_err(|_| "has a quoted name that is not a JSON string")?;
            let rest = text[end..].strip_prefix(']').ok_or(UNCLOSED)?;
            Ok((Step::Field(name.into()), rest))
        }
        Some('\'') => {
            let (name, rest) = text[1..].split_once("']").ok_or(UNCLOSED)?;
            Ok((Step::Field(name.into()), rest))
        }
        _ => {
            let (digits, rest) = text.split_once(']').ok_or(UNCLOSED)?;
            let canonical = !digits.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            let index = digits
                .parse()
                .ok()
                .filter(|index| canonical && *index <= MAX_INDEX);
            let index = index.ok_or_else(|| {
                format!("has [{digits}]; write an index from 0 to {MAX_INDEX} or a quoted name")
            })?;
            Ok((Step::Index(index), rest))
        }
    }
}

/// The length of the JSON string that `text` begins with, its quotes included.
pub(super) fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

impl fmt::Display for Path {
    /// The shortest text that parses to this path again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Field(name) if !name.is_empty() && name.chars().all(is_plain) => {
                    let dot = if at > 0 { "." } else { "" };
                    write!(f, "{dot}{name}")?;
                }
                Step::Field(name) => write!(f, "[{}]", Value::from(&**name))?,
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> Path {
        Path::parse(text).unwrap()
    }

    #[test]
    fn a_path_reads_fields_items_and_odd_names() {
        let value = json!({"a": {"b": [{"odd name": 1}, null]}, "": 2, "x-y": 3, "straße": 4});
        assert_eq!(
            path(r#"a.b[0]["odd name"]"#).get(&value),
            Some(&Value::from(1))
        );
        assert_eq!(path("a.b[0]['odd name']").get(&value), Some(&json!(1)));
        assert_eq!(path("a.b[1]").get(&value), Some(&Value::Null));
        assert_eq!(path("a.b[2]").get(&value), None);
        assert_eq!(path("a.b.c").get(&value), None);
        assert_eq!(path(r#"[""]"#).get(&value), Some(&json!(2)));
        assert_eq!(path("x-y").get(&value), Some(&json!(3)));
        assert_eq!(path("straße").get(&value), Some(&json!(4)));
        assert_eq!(path("").get(&value), Some(&value));
        assert_eq!(path(".").get(&value), Some(&value));
    }

    #[test]
    fn a_wrong_path_says_what_is_wrong() {
        for (text, part) in [
            ("a..b", "empty step"),
            (".a", "empty step"),
            ("a.", "ends with a dot"),
            ("a[", "without its end"),
            ("a[x]", "write an index"),
            ("a[01]", "write an index"),
            ("a[-1]", "write an index"),
            ("a[10001]", "write an index"),
            ("a[0]b", "between two steps"),
            ("a b", "odd names"),
            (r#"a["x"#, "without its end"),
            (r#"a["\q"]"#, "JSON string"),
        ] {
            let error = Path::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(Path::parse(&"a.".repeat(600)).is_err());
        assert!(Path::parse(&vec!["a"; 33].join(".")).is_err());
    }

    #[test]
    fn set_makes_what_is_missing_and_refuses_to_walk_through_scalars() {
        let mut root = Value::Null;
        path("a.b[1].c").set(&mut root, json!(1)).unwrap();
        assert_eq!(root, json!({"a": {"b": [null, {"c": 1}]}}));
        let error = path("a.b[1].c.d").set(&mut root, json!(2)).unwrap_err();
        assert_eq!(error.problem, "a.b[1].c is not an object");
        let error = path("a[0]").set(&mut root, json!(2)).unwrap_err();
        assert_eq!(error.problem, "a is not a list");
        let far = Path::from_steps(vec![Step::Index(MAX_INDEX + 1)]);
        assert!(far.set(&mut Value::Null, json!(1)).is_err());
    }

    proptest! {
        #[test]
        fn a_path_survives_its_text(steps in proptest::collection::vec(
            prop_oneof![
                any::<String>().prop_map(|s| Step::Field(s.chars().take(20).collect::<String>().into())),
                (0..=MAX_INDEX).prop_map(Step::Index),
            ], 0..6)
        ) {
            let made = Path::from_steps(steps);
            prop_assert_eq!(Path::parse(&made.to_string()).unwrap(), made);
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = Path::parse(&text);
        }

        #[test]
        fn what_is_set_is_read(steps in proptest::collection::vec(
            prop_oneof!["[a-c]{1,2}".prop_map(|s| Step::Field(s.into())), (0usize..4).prop_map(Step::Index)], 0..5)
        ) {
            let made = Path::from_steps(steps);
            let mut root = Value::Null;
            made.set(&mut root, json!("here")).unwrap();
            prop_assert_eq!(made.get(&root), Some(&json!("here")));
        }
    }
}
