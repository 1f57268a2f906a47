//! The schemas are what an API server accepts: structural, bounded, small enough for kubectl apply.

use serde_json::{Value, json};
use syncline::api::crd;

/// kubectl apply keeps a copy in an annotation of at most 262,144 bytes.
const MAX_BYTES: usize = 250_000;

/// Fields without a bound of their own: the status conditions are Kubernetes' own type, whose bounds
/// the API server does not need because only the controller writes them.
fn may_be_unbounded(path: &str) -> bool {
    path.contains(".status.conditions[]")
}

/// Calls `visit` with each schema and its path.
fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&Value, &str)) {
    visit(schema, path);
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            walk(inner, &format!("{path}.{name}"), visit);
        }
    }
    for (key, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&schema[key], &format!("{path}{mark}"), visit);
        }
    }
}

fn problems(find: impl Fn(&Value, &str) -> Option<String>) -> Vec<String> {
    let mut problems = Vec::new();
    for crd in crd::all() {
        walk(crd.schema(), &crd.kind, &mut |schema, path| {
            problems.extend(find(schema, path).map(|p| format!("{path}: {p}")));
        });
    }
    problems
}

#[track_caller]
fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_text_list_and_map_is_bounded() {
    assert_none(&problems(|schema, path| {
        if may_be_unbounded(path) {
            return None;
        }
        let missing = match schema["type"].as_str() {
            Some("string") if schema["enum"].is_null() && schema["maxLength"].is_null() => {
                "maxLength"
            }
            Some("array") if schema["maxItems"].is_null() => "maxItems",
            Some("object")
                if schema["additionalProperties"].is_object()
                    && schema["maxProperties"].is_null() =>
            {
                "maxProperties"
            }
            _ => return None,
        };
        Some(format!("has no {missing}"))
    }));
}

#[test]
fn every_schema_is_structural() {
    assert_none(&problems(|schema, _| {
        for junctor in ["oneOf", "anyOf", "allOf", "not", "$ref", "const"] {
            if !schema[junctor].is_null() {
                return Some(format!("has {junctor}"));
            }
        }
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true
            || schema["x-kubernetes-int-or-string"] == true;
        if schema["type"].is_null() && !open {
            return Some("has no type".to_owned());
        }
        (schema["additionalProperties"] == false)
            .then(|| "has additionalProperties: false".to_owned())
    }));
}

#[test]
fn no_default_stands_inside_a_list() {
    // Under server-side apply a default inside a list item is a drift.
    assert_none(&problems(|schema, path| {
        (path.contains("[]") && !schema["default"].is_null()).then(|| "has a default".to_owned())
    }));
}

#[test]
fn every_field_of_a_spec_is_described() {
    assert_none(&problems(|schema, path| {
        let item = path.ends_with("[]") || path.ends_with("{}");
        let field = path.contains(".spec") && !item;
        (field && schema["description"].is_null()).then(|| "has no description".to_owned())
    }));
}

#[test]
fn every_definition_can_be_applied() {
    for crd in crd::all() {
        let size = crd.definition.to_string().len();
        assert!(size < MAX_BYTES, "{} has {size} bytes", crd.kind);
        assert_eq!(
            crd.schema()["properties"]["status"]["default"]["observedGeneration"],
            -1,
            "{}",
            crd.kind
        );
        assert_eq!(crd.definition["spec"]["names"]["categories"][0], "syncline");
        assert!(crd.definition["spec"]["versions"][0]["subresources"]["status"].is_object());
    }
}

#[test]
fn where_a_sync_reads_and_writes_cannot_be_changed() {
    let definitions = crd::all();
    let sync = definitions.iter().find(|c| c.kind == "Sync").unwrap();
    let spec = |source: &str, filter: &str, target: &str| {
        json!({"spec": {
            "source": {"connectionRef": {"name": "shop"}, "object": source, "where": filter},
            "target": {"connectionRef": {"name": target}, "object": "contacts"},
            "mappingRef": {"name": "m"},
        }})
    };
    let old = spec("customers", "true", "crm");
    let errors = |new: &Value| {
        let checked = kube_cel::Validator::new().validate(sync.schema(), new, Some(&old));
        checked.map_or_else(|errors| errors.len(), |()| 0)
    };
    assert_eq!(errors(&old), 0);
    assert_eq!(errors(&spec("customers", "record.vip", "crm")), 0);
    assert_eq!(errors(&spec("orders", "true", "crm")), 1);
    assert_eq!(errors(&spec("customers", "true", "crm2")), 1);
}

#[test]
fn every_rule_can_be_read() {
    assert_none(&problems(|schema, _| {
        let compiled = kube_cel::compile_schema(&json!({
            "x-kubernetes-validations": schema["x-kubernetes-validations"],
        }));
        let errors = compiled.compilation_errors();
        errors.first().map(|error| error.to_string())
    }));
}
