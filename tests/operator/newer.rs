//! Definitions that are newer than the operator, and good versions that outlive the process that saw them.

use serde_json::{Value, json};

use super::cluster::{ApiServer, eventually};
use super::manifests::{MAPPING, SYNC};
use super::stage::{BOUND, Stage, find, status_of};

/// Adds a field with a default to the spec of a kind, as a newer version may, or takes it away again, and waits
/// until these objects tell of it, or no more. What is there already has it from then on.
fn add_field(stage: &Stage, kind: &str, field: &str, add: bool, names: &[&str]) {
    let path = format!(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}s.syncline.dev",
        kind.to_lowercase()
    );
    let mut crd = stage.api.send("GET", &path, "", None).unwrap();
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let fields = crd.pointer_mut(fields).unwrap().as_object_mut().unwrap();
    match add {
        true => fields.insert(
            field.to_owned(),
            json!({"type": "boolean", "default": true}),
        ),
        false => fields.remove(field),
    };
    stage
        .api
        .send("PUT", &path, "application/json", Some(&crd))
        .unwrap();
    for name in names {
        // The operator hears of it when an object is next written; its watch shows the old shape until the API
        // server has closed it.
        let mut touched = 0;
        eventually(BOUND, || {
            touched += 1;
            let label = json!({"metadata": {"labels": {"touched": touched.to_string()}}});
            let object = stage.patch(kind, name, label);
            let said = object["status"]["conditions"].to_string();
            (said.contains(field) == add).then_some(()).ok_or(said)
        });
    }
}

/// A new person reaches the CRM by a run that was asked for.
fn flows(stage: &Stage, name: &str) {
    let person = (name.to_owned(), name.to_owned());
    stage.world.held().people.extend([person]);
    stage.run("people");
    assert_eq!(stage.world.held().agree(), Ok(()));
}

fn message(object: &Value) -> &str {
    let ready = find(object, "Ready").and_then(|c| c["message"].as_str());
    ready.unwrap_or_default()
}

#[test]
fn a_definition_that_is_newer_leaves_at_work_what_was_and_begins_nothing_new() {
    let server = ApiServer::start();
    let stage = Stage::alone(&server, "newer", 3);
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("state");
    let state = state.to_str().unwrap();
    let operator = stage.operator_with_state(state);
    operator.until_leading();
    stage.apply_all();
    stage.until_synced("people");

    add_field(&stage, "Connection", "sparkle", true, &["shop", "crm"]);
    let said = stage.until_condition("Connection", "crm", "Ready", "True", "DefinitionNewer");
    assert!(said.contains("spec.sparkle"), "{said}");
    let sync = stage.until("Sync", "people", "told of it", |sync| {
        message(sync).contains("Connection crm goes on as of generation 1")
    });
    assert_eq!(status_of(&sync, "Ready"), "True");
    assert!(message(&sync).contains("spec.sparkle"), "{sync:#}");
    flows(&stage, "newer");

    let second = SYNC.replace("name: people}", "name: second}");
    stage.apply(&second);
    let waits = || stage.until_condition("Sync", "second", "Ready", "False", "ReferenceNotReady");
    let said = waits();
    assert!(said.contains("new or changed"), "{said}");

    // The same in a process that has never seen a version which it can read.
    add_field(&stage, "Sync", "glitter", true, &["people"]);
    let said = stage.until_condition("Sync", "people", "Ready", "True", "DefinitionNewer");
    assert!(said.contains("spec.glitter"), "{said}");
    assert!(said.contains("spec.sparkle"), "{said}");
    stage.until_condition("Sync", "second", "Ready", "False", "ReferenceNotReady");
    let versions = || {
        [
            ("Connection", "shop"),
            ("Connection", "crm"),
            ("Sync", "people"),
        ]
        .map(|(kind, name)| stage.get(kind, name)["status"]["conditions"].clone())
    };
    let before = versions();
    drop(operator);
    let operator = stage.operator_with_state(state);
    operator.until_leading();
    flows(&stage, "restarted");
    assert_eq!(versions(), before);
    stage.until_condition("Sync", "second", "Stalled", "True", "InvalidObject");

    // A change is not in use, and says so; a right that is taken away is gone all the same.
    stage.patch(
        "Connection",
        "crm",
        json!({"spec": {"description": "changed"}}),
    );
    let said = stage.until_condition("Connection", "crm", "Stalled", "True", "InvalidObject");
    assert!(said.contains("generation 1 stays in use"), "{said}");
    flows(&stage, "changed");
    stage.patch("Sync", "people", json!({"spec": {"suspend": true}}));
    stage.until("Sync", "people", "suspended", |sync| {
        sync["status"]["nextRun"].is_null()
    });
    stage.patch("Sync", "people", json!({"spec": {"suspend": false}}));
    flows(&stage, "resumed");
    stage.patch("Connection", "crm", json!({"spec": {"access": ["Read"]}}));
    let said = stage.until_condition("Sync", "people", "Ready", "False", "ReferenceMissing");
    assert!(said.contains("access"), "{said}");

    // An operator that knows the field takes up all of it.
    add_field(&stage, "Sync", "glitter", false, &["people", "second"]);
    add_field(&stage, "Connection", "sparkle", false, &["shop", "crm"]);
    stage.until_condition("Connection", "crm", "Ready", "True", "Configured");
    stage.patch(
        "Connection",
        "crm",
        json!({"spec": {"access": ["Read", "Create", "Update"]}}),
    );
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    stage.until_condition("Sync", "second", "Ready", "True", "Supervised");
    flows(&stage, "known");
}

#[test]
fn a_mapping_that_broke_before_a_restart_goes_on_after_it() {
    let server = ApiServer::start();
    let stage = Stage::alone(&server, "kept", 3);
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("state");
    let state = state.to_str().unwrap();
    let operator = stage.operator_with_state(state);
    operator.until_leading();
    stage.apply_all();
    stage.until_synced("people");
    stage.apply(&MAPPING.replace("value: shop", "value: elsewhere"));
    let name = "person-to-contact";
    stage.until_condition("Mapping", name, "Stalled", "True", "TestsFailed");
    drop(operator);

    let operator = stage.operator_with_state(state);
    operator.until_leading();
    let said = stage.until_condition("Mapping", name, "Stalled", "True", "TestsFailed");
    assert!(said.contains("was good, generation 1"), "{said}");
    flows(&stage, "new");
    let sync = stage.get("Sync", "people");
    assert_eq!(status_of(&sync, "Ready"), "True");
    let goes_on = format!("Mapping {name} goes on as of generation 1");
    assert!(message(&sync).contains(&goes_on), "{sync:#}");
    let held = stage.world.held();
    let mut origins = held.contacts.values().map(|c| &c["origin"]);
    assert!(
        origins.all(|origin| origin == "shop"),
        "{:?}",
        held.contacts
    );
    drop(held);

    // What is made again under its name is another Mapping: nothing of the old one goes on.
    stage.delete("Mapping", name);
    stage.until_condition("Sync", "people", "Ready", "False", "ReferenceMissing");
    stage.apply(&MAPPING.replace("value: shop", "value: elsewhere"));
    stage.until_condition("Sync", "people", "Ready", "False", "ReferenceNotReady");
}
