//! How YAML is read: places, duplicates, aliases, bounds.

use serde_json::json;

use super::node::Position;
use super::yaml::{YamlError, read};

fn one(text: &str) -> super::node::Node {
    let (mut documents, error) = read(text);
    assert_eq!(error, None, "{text}");
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn fails(text: &str) -> YamlError {
    read(text).1.unwrap()
}

#[test]
fn every_field_knows_its_line_and_column() {
    let node = one(
        "# top\nspec:\n  objects:\n    - name: a\n      list: {path: /x}\n    - name: b\n      headers:\n        X.Y-Z: 1\n",
    );
    for (path, line, column) in [
        ("spec", 2, 1),
        ("spec.objects", 3, 3),
        ("spec.objects[0]", 4, 7),
        ("spec.objects[0].list.path", 5, 14),
        ("spec.objects[1].name", 6, 7),
        ("spec.objects[1].headers.X.Y-Z", 8, 9),
        ("spec.objects[1].absent.deeper", 6, 7),
        ("spec.objects[7]", 3, 3),
    ] {
        assert_eq!(node.locate(path), Position { line, column }, "{path}");
    }
}

#[test]
fn several_documents_and_empty_ones_are_read() {
    let (documents, error) = read("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n");
    assert_eq!(error, None);
    let values: Vec<_> = documents.iter().map(super::node::Node::to_json).collect();
    assert_eq!(values, [json!({"a": 1}), json!({"b": 2})]);
}

#[test]
fn json_is_read_with_its_escapes() {
    let node =
        one(r#"{"a": "x\/y \u00e9 \"q\"", "emoji": "\ud83d\ude00", "n": [1, 2.5, true, null]}"#);
    assert_eq!(
        node.to_json(),
        json!({"a": "x/y é \"q\"", "emoji": "😀", "n": [1, 2.5, true, null]})
    );
}

#[test]
fn a_key_that_stands_twice_is_an_error() {
    let error = fails("a: 1\nb: 2\na: 3\n");
    assert_eq!(error.at, Position { line: 3, column: 1 });
    assert!(
        error.message.contains("first is in line 1"),
        "{}",
        error.message
    );
    // YAML 1.1: both are the key "true".
    assert_eq!(fails("yes: 1\non: 2\n").at.line, 2);
}

#[test]
fn a_tab_is_named_as_the_reason() {
    let error = fails("a:\n\tb: 1\n");
    assert_eq!(error.at.line, 2);
    assert!(error.message.contains("tab"), "{}", error.message);
}

#[test]
fn aliases_and_merges_are_read() {
    let node = one("base: &b {x: 1, z: 2}\nsame: *b\nmore: {<<: *b, z: 3}\n");
    assert_eq!(
        node.to_json(),
        json!({"base": {"x": 1, "z": 2}, "same": {"x": 1, "z": 2}, "more": {"x": 1, "z": 3}})
    );
}

#[test]
fn a_billion_laughs_end_early() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let before = format!("*a{}, ", i - 1).repeat(10);
        text.push_str(&format!(
            "a{i}: &a{i} [{}]\n",
            before.trim_end_matches(", ")
        ));
    }
    let error = fails(&text);
    assert!(
        error.message.contains("more than 200000 values"),
        "{}",
        error.message
    );
}

#[test]
fn a_deep_document_ends_early() {
    let error = fails(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
    assert!(error.message.contains("64 levels"), "{}", error.message);
}
