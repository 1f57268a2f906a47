//! Checks a value against a CRD's schema as the API server does: types, bounds, unknown fields, defaults.
//! Pure. Called by `manifest::kinds`.

use serde_json::{Map, Value};

use super::node::{Content, Entry, Node, Position};
use super::text::check_text;
use crate::plan::suggest::hint;

/// Something that does not fit the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// `spec.target.objct`
    pub field: String,
    pub at: Position,
    pub message: String,
}

/// The value with its defaults filled in; what doesn't fit goes to `misfits`.
pub fn check(node: &Node, schema: &Value, field: &str, misfits: &mut Vec<Misfit>) -> Value {
    let mut checker = Checker { misfits };
    checker.value(node, node.at, schema, field)
}

struct Checker<'a> {
    misfits: &'a mut Vec<Misfit>,
}

impl Checker<'_> {
    fn misfit(&mut self, field: &str, at: Position, message: impl Into<String>) {
        self.misfits.push(Misfit {
            field: field.to_owned(),
            at,
            message: message.into(),
        });
    }

    /// `at` is where a person would look: the field's name, or the item of a list.
    fn value(&mut self, node: &Node, at: Position, schema: &Value, field: &str) -> Value {
        let Some(wanted) = schema["type"].as_str() else {
            return node.to_json();
        };
        match (&node.content, wanted) {
            (Content::Null, _) if schema["nullable"] == true => return Value::Null,
            (Content::Map(entries), "object") => {
                return self.object(node, entries, at, schema, field);
            }
            (Content::List(items), "array") => return self.list(items, at, schema, field),
            (Content::Text(text), "string") => {
                if let Some(message) = check_text(text, schema) {
                    self.misfit(field, at, message);
                }
            }
            (Content::Bool(_), "boolean") => {}
            (Content::Number(number), "integer" | "number") => {
                let whole = !number.is_f64();
                if wanted == "integer" && !whole {
                    self.misfit(field, at, format!("must be a whole number, not {number}"));
                } else {
                    self.range(number, at, schema, field);
                }
            }
            _ => self.wrong_type(node, at, wanted, field),
        }
        node.to_json()
    }

    fn wrong_type(&mut self, node: &Node, at: Position, wanted: &str, field: &str) {
        let name = match wanted {
            "object" => "an object",
            "array" => "a list",
            "string" => "a string",
            "integer" => "an integer",
            "boolean" => "a boolean (true or false)",
            other => other,
        };
        let advice = match (&node.content, wanted) {
            (Content::Number(n), "string") => format!("; put it in quotes: \"{n}\""),
            (Content::Bool(_), "string") => {
                "; put it in quotes (YAML reads yes, no, on and off as booleans)".to_owned()
            }
            (Content::Text(text), "integer" | "number") if text.parse::<f64>().is_ok() => {
                "; remove the quotes".to_owned()
            }
            (Content::Text(text), "boolean") if text == "true" || text == "false" => {
                "; remove the quotes".to_owned()
            }
            (Content::Map(_), "array") => "; begin each item with -".to_owned(),
            (Content::Null, _) => "; remove the field or give it a value".to_owned(),
            _ => String::new(),
        };
        self.misfit(
            field,
            at,
            format!("must be {name}, not {}{advice}", node.kind()),
        );
    }

    fn range(&mut self, number: &serde_json::Number, at: Position, schema: &Value, field: &str) {
        let Some(value) = number.as_f64() else { return };
        let bound = |name: &str| schema[name].as_f64();
        if bound("minimum").is_some_and(|m| value < m) {
            self.misfit(
                field,
                at,
                format!("must be at least {}, not {number}", schema["minimum"]),
            );
        }
        if bound("maximum").is_some_and(|m| value > m) {
            self.misfit(
                field,
                at,
                format!("must be at most {}, not {number}", schema["maximum"]),
            );
        }
    }

    fn list(&mut self, items: &[Node], at: Position, schema: &Value, field: &str) -> Value {
        self.size(items.len(), "Items", "entries", at, schema, field);
        let mut list = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            let place = format!("{field}[{i}]");
            list.push(self.value(item, item.at, &schema["items"], &place));
        }
        self.distinct(items, &list, schema, field);
        Value::Array(list)
    }

    /// Entries of a set differ, and so do the keys of a list that is a map.
    fn distinct(&mut self, items: &[Node], list: &[Value], schema: &Value, field: &str) {
        let keys: Vec<&str> = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => vec![],
            Some("map") => schema["x-kubernetes-list-map-keys"]
                .as_array()
                .map(|keys| keys.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default(),
            _ => return,
        };
        let identity = |value: &Value| match keys.as_slice() {
            [] => value.clone(),
            keys => keys.iter().map(|k| value[*k].clone()).collect(),
        };
        for (i, value) in list.iter().enumerate() {
            let id = identity(value);
            if let Some(first) = list[..i].iter().position(|v| identity(v) == id) {
                let what = match (keys.as_slice(), &id) {
                    ([key], Value::Array(ids)) => format!("{key} {}", ids[0]),
                    _ => id.to_string(),
                };
                let line = items[first].at.line;
                self.misfit(
                    &format!("{field}[{i}]"),
                    items[i].at,
                    format!("{what} stands here twice; the first is in line {line}"),
                );
            }
        }
    }

    fn size(
        &mut self,
        count: usize,
        suffix: &str,
        noun: &str,
        at: Position,
        schema: &Value,
        field: &str,
    ) {
        let bound = |name: &str| schema[format!("{name}{suffix}").as_str()].as_u64();
        if let Some(most) = bound("max").filter(|m| count as u64 > *m) {
            self.misfit(
                field,
                at,
                format!("has {count} {noun}; at most {most} are allowed"),
            );
        }
        if let Some(least) = bound("min").filter(|m| (count as u64) < *m) {
            self.misfit(
                field,
                at,
                format!("has {count} {noun}; at least {least} needed"),
            );
        }
    }

    fn object(
        &mut self,
        node: &Node,
        entries: &[Entry],
        at: Position,
        schema: &Value,
        field: &str,
    ) -> Value {
        self.size(entries.len(), "Properties", "entries", at, schema, field);
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true;
        let mut object = Map::new();
        for entry in entries {
            let place = join(field, &entry.key);
            let inner = properties
                .get(&entry.key)
                .or_else(|| schema.get("additionalProperties").filter(|a| a.is_object()));
            let value = match inner {
                Some(inner) => {
                    let dropped = matches!(entry.value.content, Content::Null)
                        && inner["nullable"] != true
                        && inner.get("default").is_some();
                    if dropped {
                        continue;
                    }
                    self.value(&entry.value, entry.at, inner, &place)
                }
                None if open => entry.value.to_json(),
                None => {
                    let known = properties
                        .keys()
                        .filter(|k| !entries.iter().any(|e| e.key == **k))
                        .map(String::as_str);
                    self.misfit(
                        &place,
                        entry.at,
                        format!("unknown field{}", hint(&entry.key, known)),
                    );
                    continue;
                }
            };
            object.insert(entry.key.clone(), value);
        }
        self.required(node, at, schema, field);
        for (name, inner) in properties {
            if !object.contains_key(name)
                && let Some(default) = inner.get("default")
            {
                object.insert(name.clone(), with_defaults(default, inner));
            }
        }
        Value::Object(object)
    }

    fn required(&mut self, node: &Node, at: Position, schema: &Value, field: &str) {
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for name in required.iter().filter_map(Value::as_str) {
            if node.get(name).is_none() && schema["properties"][name].get("default").is_none() {
                self.misfit(&join(field, name), at, "is missing");
            }
        }
    }
}

/// A default value with the defaults of what is inside it.
fn with_defaults(default: &Value, schema: &Value) -> Value {
    kube_cel::apply_defaults(schema, default)
}

fn join(field: &str, name: &str) -> String {
    if field.is_empty() {
        name.to_owned()
    } else {
        format!("{field}.{name}")
    }
}
