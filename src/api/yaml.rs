//! Writes JSON as YAML that is the same every time and that every YAML reader reads back.
//! Pure. Called by `api::crd` and, for resources, by `cli`.

use std::fmt::Write;

use serde_json::Value;

/// The YAML of a value: fields in their order, texts in quotes where they could be mistaken.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(_) | Value::Array(_) => block(value, 0, false, &mut out),
        scalar => {
            let _ = writeln!(out, "{}", inline(scalar));
        }
    }
    out
}

/// Writes a list or map; `started`: the first line's indentation stands already.
fn block(value: &Value, indent: usize, started: bool, out: &mut String) {
    let mut first = started;
    let mut begin = |out: &mut String| {
        if !std::mem::take(&mut first) {
            out.push_str(&" ".repeat(indent));
        }
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, item) in map {
                begin(out);
                out.push_str(&text(key));
                out.push(':');
                nested(item, indent + 2, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                begin(out);
                out.push('-');
                if is_block(item) {
                    out.push(' ');
                    block(item, indent + 2, true, out);
                } else {
                    nested(item, indent + 2, out);
                }
            }
        }
        other => {
            begin(out);
            let _ = writeln!(out, "{}", inline(other));
        }
    }
}

/// Writes what follows `key:` or `-`.
fn nested(item: &Value, indent: usize, out: &mut String) {
    if is_block(item) {
        out.push('\n');
        // Kubernetes tools write a list at the indentation of its key.
        let indent = if item.is_array() { indent - 2 } else { indent };
        block(item, indent, false, out);
    } else {
        let _ = writeln!(out, " {}", inline(item));
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(content) => text(content),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        scalar => scalar.to_string(),
    }
}

/// Plain where nobody can take it for something else; else as a JSON string, which YAML reads.
fn text(content: &str) -> String {
    let words = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let plain = content.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
        && content
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./$()".contains(c))
        && !words.contains(&content.to_ascii_lowercase().as_str());
    if plain {
        content.to_owned()
    } else {
        Value::from(content).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_like_yaml() {
        let value = json!({
            "a": {"b": [1, {"c": "x y", "d": []}, [true, "no"]], "e": {}},
            "f": "line\nbreak", "g": "plain.text/x", "h": null, "i": "12"
        });
        assert_eq!(
            to_yaml(&value),
            "a:\n  b:\n  - 1\n  - c: \"x y\"\n    d: []\n  - - true\n    - \"no\"\n  e: {}\nf: \"line\\nbreak\"\ng: plain.text/x\nh: null\ni: \"12\"\n"
        );
    }
}
