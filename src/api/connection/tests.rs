//! The schema of a Connection: what an API server asks of it, and what it refuses.

use kube::core::CustomResourceExt;
use kube_cel::Validator;
use serde_json::{Value, json};

use super::Connection;

fn schema() -> Value {
    let crd = Connection::crd();
    let version = &crd.spec.versions[0];
    serde_json::to_value(
        version
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap(),
    )
    .unwrap()
}

/// Walks the schema of `spec` and notes what breaks a rule.
fn walk(schema: &Value, path: &str, in_list: bool, wrong: &mut Vec<String>) {
    let has = |name: &str| schema.get(name).is_some();
    let mut bad = |what: &str| wrong.push(format!("{path}: {what}"));
    for name in ["anyOf", "oneOf", "allOf", "not", "$ref"] {
        if has(name) {
            bad(name);
        }
    }
    if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
        bad("additionalProperties: false is no structural schema");
    }
    if in_list && has("default") {
        bad("a default inside a list item drifts under server-side apply");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") if !has("enum") && !has("maxLength") => bad("no maxLength"),
        Some("array") if !has("maxItems") => bad("no maxItems"),
        Some("object") if has("additionalProperties") && !has("maxProperties") => {
            bad("no maxProperties")
        }
        None => bad("no type"),
        _ => {}
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            walk(property, &format!("{path}.{name}"), in_list, wrong);
        }
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{path}[]"), true, wrong);
    }
}

#[test]
fn everything_is_bounded_and_structural() {
    let mut wrong = vec![];
    walk(&schema()["properties"]["spec"], "spec", false, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The messages of the schema's rules for a spec.
fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut spec = json!({
        "http": {"baseURL": "https://crm.example.com", "allowPlaintext": false},
        "auth": {"none": {}},
        "objects": [{"name": "contacts", "key": ["id"]}],
    });
    change(&mut spec);
    let object = json!({"apiVersion": "syncline.dev/v1alpha1", "kind": "Connection", "metadata": {"name": "crm"}, "spec": spec});
    match Validator::new().validate(&schema(), &object, None) {
        Ok(()) => String::new(),
        Err(errors) => errors.to_string(),
    }
}

/// A change of a spec that is right.
type Change = Box<dyn FnOnce(&mut Value)>;

#[test]
fn the_schemas_rules_refuse_what_cannot_work() {
    assert_eq!(refused(|_| ()), "");
    let secret = json!({"name": "a", "key": "b"});
    let rules: Vec<(&str, Change)> = vec![
        ("exactly one of none", Box::new(|s| s["auth"] = json!({}))),
        (
            "exactly one of none",
            Box::new(move |s| s["auth"] = json!({"none": {}, "bearer": {"secretRef": secret}})),
        ),
        (
            "allowPlaintext: true",
            Box::new(|s| s["http"]["baseURL"] = json!("http://crm")),
        ),
        (
            "requests and per",
            Box::new(|s| s["limits"] = json!([{"requests": 5}])),
        ),
        ("or concurrency", Box::new(|s| s["limits"] = json!([{}]))),
        (
            "refreshTokenRef",
            Box::new(|s| {
                s["auth"] = json!({"oauth2": {"grant": "RefreshToken", "tokenURL": "/t"}})
            }),
        ),
        (
            "wrap or template",
            Box::new(|s| {
                s["objects"][0]["create"] =
                    json!({"path": "/", "body": {"wrap": "a", "template": {"b": 1}}})
            }),
        ),
        (
            "index, byKey",
            Box::new(|s| {
                s["objects"][0]["create"] =
                    json!({"path": "/", "batch": {"max": 2, "correlate": {}}})
            }),
        ),
    ];
    for (message, change) in rules {
        let answer = refused(change);
        assert!(answer.contains(message), "{message}: {answer:?}");
    }
}
