//! docs/reference.md: every field of the three kinds, made from their schemas as an API server has them.
//! A shape that stands in several places is told once, where it stands first.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;
use syncline::api::crd;

use crate::generated::expect_file;

const HEAD: &str = "# Every field\n\n\
    Made from the schemas in [crds](../crds) (`make generate`), which an API server and `syncline validate`\n\
    check alike; in a cluster `kubectl explain connection.spec` says the same. Bold fields must be there.\n\
    What Mappings can do, with examples: [mapping.md](mapping.md); webhooks: [webhooks.md](webhooks.md).\n";

struct Page {
    text: String,
    /// The section in which a shape is told already.
    told: HashMap<String, String>,
}

impl Page {
    /// A section about an object, and then those of the objects in it.
    fn section(&mut self, schema: &Value, path: &str) {
        let mark = "#".repeat(if path.contains('.') { 3 } else { 2 });
        let _ = write!(self.text, "\n{mark} {path}\n");
        if let Some(text) = schema["description"].as_str() {
            let _ = write!(self.text, "\n{}\n", one_line(text));
        }
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if let Some(message) = rule["message"].as_str() {
                let _ = write!(self.text, "\n- {}\n", one_line(message));
            }
        }
        let Some(fields) = schema["properties"].as_object() else {
            return;
        };
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        self.text
            .push_str("\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n");
        let mut inner = Vec::new();
        for (name, field) in fields {
            let shown = match required.contains(&name.as_str()) {
                true => format!("**`{name}`**"),
                false => format!("`{name}`"),
            };
            let (mut kind, object) = kind(field);
            if let Some(object) = object {
                let here = format!("{path}.{name}");
                let told = self
                    .told
                    .entry(shape(object))
                    .or_insert(here.clone())
                    .clone();
                kind = format!("[{kind}](#{})", anchor(&told));
                if told == here {
                    inner.push((object.clone(), here));
                }
            }
            let default = match &field["default"] {
                Value::Null => String::new(),
                value => format!("`{}`", serde_json::to_string(value).unwrap()),
            };
            let meaning = one_line(field["description"].as_str().unwrap_or_default());
            let _ = writeln!(
                self.text,
                "| {shown} | {kind} | {} | {} |",
                cell(&default),
                cell(&meaning)
            );
        }
        for (object, path) in inner {
            self.section(&object, &path);
        }
    }
}

/// What stands in a field, and the object whose fields are told in a section of their own.
fn kind(field: &Value) -> (String, Option<&Value>) {
    let fields = |value: &Value| value["properties"].is_object();
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        return (values.join(" \\| "), None);
    }
    match field["type"].as_str() {
        Some("array") => {
            let items = &field["items"];
            let (inner, _) = kind(items);
            (format!("list of {inner}"), fields(items).then_some(items))
        }
        Some("object") if fields(field) => ("object".to_owned(), Some(field)),
        Some("object") => {
            let values = &field["additionalProperties"];
            match values["type"].as_str() {
                Some(_) => (format!("map of {}", kind(values).0), None),
                None => ("object".to_owned(), None),
            }
        }
        Some(other) => (other.to_owned(), None),
        None => ("any".to_owned(), None),
    }
}

/// Two objects of one shape have the same fields; what is said about the whole may differ.
fn shape(object: &Value) -> String {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.retain(|key, _| matches!(key.as_str(), "properties" | "required"));
    }
    object.to_string()
}

/// The link that GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .replace(' ', "-")
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '-')
        .collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[test]
fn the_reference_of_the_kinds_is_that_of_their_schemas() {
    let mut page = Page {
        text: HEAD.to_owned(),
        told: HashMap::new(),
    };
    for crd in crd::all() {
        let _ = write!(page.text, "\n# {}\n", crd.kind);
        for part in ["spec", "status"] {
            let schema = &crd.schema()["properties"][part];
            page.section(schema, &format!("{} {part}", crd.kind));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    expect_file(&path, &page.text).unwrap_or_else(|message| panic!("{message}"));
}
