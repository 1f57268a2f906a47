//! Resources that no version of Syncline can read, as an older or a looser definition would have let them in,
//! beside good ones.

use serde_json::{Value, json};

use super::cluster::{ApiServer, eventually};
use super::manifests::MAPPING;
use super::stage::{BOUND, Stage, status_of};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Each kind with what cannot be read, and the field that is wrong.
fn bad() -> [(&'static str, Value, &'static str); 3] {
    [
        (
            "Connection",
            json!({"http": {"baseURL": 3}, "auth": {"none": {}}}),
            "spec.http.baseURL",
        ),
        (
            "Mapping",
            json!({"fields": [{"to": 3}]}),
            "spec.fields[0].to",
        ),
        ("Sync", json!({"source": "shop"}), "spec.source"),
    ]
}

/// Replaces the schema of a kind; gives the one before.
fn set_schema(stage: &Stage, kind: &str, schema: &Value) -> Value {
    let path = format!("{CRDS}/{}s.syncline.dev", kind.to_lowercase());
    let mut crd = stage.api.send("GET", &path, "", None).unwrap();
    let place = "/spec/versions/0/schema/openAPIV3Schema";
    let before = std::mem::replace(crd.pointer_mut(place).unwrap(), schema.clone());
    stage
        .api
        .send("PUT", &path, "application/json", Some(&crd))
        .unwrap();
    before
}

fn create(stage: &Stage, kind: &str, spec: &Value, how: &str) -> Result<Value, kube::Error> {
    let object = json!({
        "apiVersion": "syncline.dev/v1alpha1", "kind": kind, "metadata": {"name": "bad"}, "spec": spec,
    });
    let namespace = &stage.namespace;
    let kinds = format!("{}s", kind.to_lowercase());
    let path = format!("/apis/syncline.dev/v1alpha1/namespaces/{namespace}/{kinds}{how}");
    stage
        .api
        .send("POST", &path, "application/json", Some(&object))
}

/// Puts the bad ones there while the definitions let everything in.
fn smuggle(stage: &Stage) {
    let loose = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    for (kind, spec, _) in bad() {
        let strict = set_schema(stage, kind, &loose);
        eventually(BOUND, || {
            create(stage, kind, &spec, "")
                .map(drop)
                .map_err(|e| e.to_string())
        });
        set_schema(stage, kind, &strict);
        eventually(BOUND, || match create(stage, kind, &spec, "?dryRun=All") {
            Err(kube::Error::Api(status)) if status.code == 422 || status.code == 400 => Ok(()),
            other => Err(format!("{kind}: {other:?}")),
        });
    }
}

#[test]
fn a_malformed_resource_is_reported_and_harms_no_other() {
    let server = ApiServer::start();
    let stage = Stage::alone(&server, "malformed", 3);
    smuggle(&stage);
    let operator = stage.operator(&["--log", "syncline=debug"]);
    operator.until_leading();
    stage.apply_all();
    stage.until_synced("people");
    reported(&stage, &operator.log());
    stage.world.held().people.insert("new".into(), "New".into());
    stage.run("people");
    assert_eq!(stage.world.held().agree(), Ok(()));

    // It is so at rest: nothing is written again and again.
    let version = |kind: &str| stage.get(kind, "bad")["metadata"]["resourceVersion"].clone();
    let before = bad().map(|(kind, ..)| version(kind));
    stage.let_pass(3);
    assert_eq!(bad().map(|(kind, ..)| version(kind)), before);

    // The same for one that comes while it runs, and for an operator that finds all of them when it starts.
    for (kind, ..) in bad() {
        stage.delete(kind, "bad");
    }
    smuggle(&stage);
    reported(&stage, &operator.log());
    let before = bad().map(|(kind, ..)| version(kind));
    drop(operator);
    let operator = stage.operator(&[]);
    operator.until_leading();
    stage
        .world
        .held()
        .people
        .insert("newer".into(), "Newer".into());
    stage.run("people");
    assert_eq!(stage.world.held().agree(), Ok(()));
    assert_eq!(bad().map(|(kind, ..)| version(kind)), before);

    // What uses it is told so, until it is corrected.
    let other = super::manifests::SYNC
        .replace("name: people}", "name: other}")
        .replace("person-to-contact", "bad");
    stage.apply(&other);
    stage.until_condition("Sync", "other", "Ready", "False", "ReferenceNotReady");
    // The API server applies nothing to what does not fit: it is replaced.
    stage.delete("Mapping", "bad");
    stage.apply(&MAPPING.replace("person-to-contact", "bad"));
    stage.until_condition("Mapping", "bad", "Ready", "True", "Compiled");
    stage.until_condition("Sync", "other", "Ready", "True", "Supervised");
}

/// Each is told of in an Event; and in its status, where the API server takes one for it.
fn reported(stage: &Stage, log: &str) {
    for (kind, _, field) in bad() {
        let tells = |event: &Value| {
            let note = event["note"].as_str().unwrap_or_default();
            event["regarding"]["kind"] == kind
                && event["regarding"]["name"] == "bad"
                && event["regarding"]["uid"] == stage.get(kind, "bad")["metadata"]["uid"]
                && event["reason"] == "InvalidObject"
                && note.contains(field)
        };
        eventually(BOUND, || {
            let events = stage.api.list(&stage.namespace, "Event");
            let told = events.iter().any(tells);
            told.then_some(())
                .ok_or(format!("{kind}: {events:#?}\n{log}"))
        });
    }
    let message = stage.until_condition("Mapping", "bad", "Stalled", "True", "InvalidObject");
    assert!(message.contains("spec.fields[0].to"), "{message}");
    assert_eq!(status_of(&stage.get("Mapping", "bad"), "Ready"), "False");
}
