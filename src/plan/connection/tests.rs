//! What `compile` says about Connections that cannot work.

use serde_json::{Value, json};

use super::{BodyPlan, compile};
use crate::api::connection::ConnectionSpec;

fn spec(change: impl FnOnce(&mut Value)) -> ConnectionSpec {
    let mut spec = json!({
        "settings": {"region": "eu"},
        "http": {"baseURL": "https://${settings.region}.crm.example.com/api/"},
        "auth": {"none": {}},
        "objects": [{
            "name": "contacts",
            "key": ["id"],
            "get": {"path": "/contacts/${key.id}"},
            "create": {"path": "/contacts"},
            "update": {"path": "/contacts/${key.id}"},
        }],
    });
    change(&mut spec);
    serde_json::from_value(spec).unwrap()
}

/// A change of a spec that is right.
type Change = Box<dyn FnOnce(&mut Value)>;

#[test]
fn defaults_are_filled_in() {
    let compiled = compile("team", "crm", &spec(|_| ())).unwrap();
    let connection = &compiled.connection;
    assert_eq!(connection.base_url, "https://eu.crm.example.com/api");
    assert_eq!(connection.concurrency, 16);
    assert_eq!(connection.timeout.as_secs(), 30);
    assert_eq!(connection.max_response_bytes, 64 << 20);
    assert!(connection.access.read && !connection.access.create && !connection.access.update);
    let contacts = &compiled.objects["contacts"];
    assert_eq!(contacts.create.as_ref().unwrap().request.method, "POST");
    assert_eq!(contacts.update.as_ref().unwrap().request.method, "PATCH");
    assert_eq!(contacts.get.as_ref().unwrap().method, "GET");
    assert_eq!(contacts.get.as_ref().unwrap().body, BodyPlan::None);
    assert!(contacts.create.as_ref().unwrap().idempotency_ttl.is_none());
}

#[test]
fn a_plan_survives_being_written_and_read() {
    let compiled = compile(
        "team",
        "crm",
        &spec(|s| s["objects"][0]["create"]["body"] = json!({"template": {"a": "${record.b}"}})),
    )
    .unwrap();
    let text = serde_json::to_string(&compiled.connection).unwrap();
    let again: super::ConnectionPlan = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    let text = serde_json::to_string(&compiled.objects["contacts"]).unwrap();
    let again: super::ObjectPlan = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
}

#[test]
fn what_cannot_work_is_named_with_its_field() {
    let object =
        |name: &'static str, value: Value| move |s: &mut Value| s["objects"][0][name] = value;
    let table: Vec<(&str, &str, Change)> = vec![
        (
            "spec.http.baseURL",
            "http://",
            Box::new(|s| s["http"]["baseURL"] = json!("http://crm/")),
        ),
        (
            "spec.http.baseURL",
            "spec.auth.basic",
            Box::new(|s| s["http"]["baseURL"] = json!("https://u:p@crm/")),
        ),
        (
            "spec.http.baseURL",
            "query",
            Box::new(|s| s["http"]["baseURL"] = json!("https://crm/?a=1")),
        ),
        (
            "spec.http.baseURL",
            "settings",
            Box::new(|s| s["http"]["baseURL"] = json!("https://${settings.none}/")),
        ),
        (
            "spec.http.baseURL",
            "not a URL",
            Box::new(|s| s["http"]["baseURL"] = json!("crm")),
        ),
        (
            "spec.http.baseURL",
            "https",
            Box::new(|s| s["http"]["baseURL"] = json!("ftp://crm/")),
        ),
        (
            "spec.http.headers.Host",
            "connector",
            Box::new(|s| s["http"]["headers"] = json!({"Host": "x"})),
        ),
        (
            "spec.http.headers.a b",
            "header name",
            Box::new(|s| s["http"]["headers"] = json!({"a b": "x"})),
        ),
        (
            "spec.auth",
            "exactly one",
            Box::new(|s| s["auth"] = json!({})),
        ),
        (
            "spec.responses[0].when",
            "",
            Box::new(|s| s["responses"] = json!([{"when": "status ==", "class": "Ignore"}])),
        ),
        (
            "spec.responses[0].when",
            "",
            Box::new(|s| s["responses"] = json!([{"when": "stat == 1", "class": "Ignore"}])),
        ),
        (
            "spec.retry.initialDelay",
            "maxDelay",
            Box::new(|s| s["retry"] = json!({"initialDelay": "10m"})),
        ),
        (
            "spec.objects[1].name",
            "two objects",
            Box::new(|s| {
                let twin = s["objects"][0].clone();
                s["objects"].as_array_mut().unwrap().push(twin);
            }),
        ),
        (
            "spec.objects[0].key[0]",
            "field",
            Box::new(object("key", json!(["."]))),
        ),
        (
            "spec.objects[0].create.path",
            "begin with /",
            Box::new(object("create", json!({"path": "contacts"}))),
        ),
        (
            "spec.objects[0].create.path",
            "query",
            Box::new(object("create", json!({"path": "/c?a=b"}))),
        ),
        (
            "spec.objects[0].create.path",
            "match",
            Box::new(object("create", json!({"path": "/c/${match.a}"}))),
        ),
        (
            "spec.objects[0].get",
            "key fields",
            Box::new(object("get", json!({"path": "/c/${key.uuid}"}))),
        ),
        (
            "spec.objects[0].update",
            "${key.…}",
            Box::new(object("update", json!({"path": "/c"}))),
        ),
        (
            "spec.objects[0].create.id",
            "key fields",
            Box::new(object("create", json!({"path": "/c", "id": {"uuid": "a"}}))),
        ),
        (
            "spec.objects[0].create.body",
            "template",
            Box::new(object(
                "create",
                json!({"path": "/c", "body": {"wrap": "a", "template": {}}}),
            )),
        ),
        (
            "spec.objects[0].create.body.template.a[0]",
            "nowhere",
            Box::new(object(
                "create",
                json!({"path": "/c", "body": {"template": {"a": ["${nowhere.b}"]}}}),
            )),
        ),
        (
            "spec.objects[0].create.body",
            "batch.at",
            Box::new(object(
                "create",
                json!({"path": "/c", "body": {"wrap": "a"}, "batch": {"max": 2}}),
            )),
        ),
        (
            "spec.objects[0].create.path",
            "record",
            Box::new(object(
                "create",
                json!({"path": "/c/${record.a}", "batch": {"max": 2}}),
            )),
        ),
        (
            "spec.objects[0].update.batch.key",
            "id",
            Box::new(object("update", json!({"path": "/c", "batch": {"max": 2}}))),
        ),
        (
            "spec.objects[0].create.batch.errors",
            "byKey",
            Box::new(object(
                "create",
                json!({"path": "/c", "batch": {"max": 2, "errors": "bad"}}),
            )),
        ),
        (
            "spec.objects[0].update",
            "give the object a get",
            Box::new(|s| {
                s["objects"][0]["get"] = Value::Null;
                s["objects"][0]["update"] =
                    json!({"path": "/c/${key.id}", "headers": {"If-Match": "${current.etag}"}});
            }),
        ),
    ];
    for (field, message, change) in table {
        let problems = compile("team", "crm", &spec(change)).unwrap_err();
        assert!(
            problems.iter().any(|p| p.field == field
                && p.message.contains(message)
                && p.resource == "Connection/crm"),
            "{field}: {message}: {problems:?}"
        );
    }
}

#[test]
fn all_problems_are_found_in_one_go() {
    let problems = compile(
        "team",
        "crm",
        &spec(|s| {
            s["http"]["baseURL"] = json!("crm");
            s["objects"][0]["create"] = json!({"path": "contacts"});
            s["auth"] = json!({});
        }),
    );
    assert_eq!(problems.unwrap_err().len(), 3);
}

#[test]
fn an_operation_knows_what_it_reads_of_the_source() {
    let compiled = compile(
        "team",
        "crm",
        &spec(|s| {
            s["objects"][0]["upsert"] = json!({
                "path": "/c/${source.id}",
                "query": {"a": "${source.meta.a}", "again": "${source.id}"},
                "body": {"template": {"x": {"y": ["${source.z}"]}}, "record": "r"},
            });
        }),
    )
    .unwrap();
    let upsert = compiled.objects["contacts"].upsert.as_ref().unwrap();
    let paths: Vec<String> = upsert
        .request
        .source_paths()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(paths, ["id", "meta.a", "z"]);
    assert!(!upsert.request.uses_current());
}
