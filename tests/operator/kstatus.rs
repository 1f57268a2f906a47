//! What GitOps tools and `kubectl wait` make of a status, by the rules of kstatus (sigs.k8s.io/cli-utils,
//! pkg/kstatus/status: generic.go, then the Ready condition).

use serde_json::{Value, json};

use super::manifests;
use super::stage::{Stage, find, is_observed};

/// What kstatus says of an object.
fn kstatus(object: &Value) -> &'static str {
    if object["metadata"]["deletionTimestamp"].is_string() {
        return "Terminating";
    }
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return "InProgress";
    }
    let is = |kind: &str, status: &str| find(object, kind).is_some_and(|c| c["status"] == status);
    match () {
        () if is("Reconciling", "True") => "InProgress",
        () if is("Stalled", "True") => "Failed",
        () if is("Ready", "False") || is("Ready", "Unknown") => "InProgress",
        () => "Current",
    }
}

#[test]
fn a_resource_that_nobody_has_seen_yet_is_in_progress() {
    let stage = Stage::alone(super::cluster::ApiServer::shared(), "unseen", 0);
    stage.apply_all();
    for (kind, name) in EVERYTHING {
        let object = stage.get(kind, name);
        assert_eq!(
            object["status"],
            json!({"observedGeneration": -1}),
            "{kind}"
        );
        assert_eq!(kstatus(&object), "InProgress");
    }
}

const EVERYTHING: [(&str, &str); 4] = [
    ("Connection", "shop"),
    ("Connection", "crm"),
    ("Mapping", "person-to-contact"),
    ("Sync", "people"),
];

#[test]
fn kubectl_wait_and_kstatus_agree_at_each_stage() {
    let stage = Stage::shared("kstatus");
    stage.apply_all();
    let ready = |object: &str| {
        let namespace = ["--namespace", &stage.namespace];
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s", object];
        stage.server.run(&[&wait[..], &namespace[..]].concat())
    };
    for (kind, name) in EVERYTHING {
        ready(&format!("{kind}.syncline.dev/{name}"));
        assert_eq!(kstatus(&stage.get(kind, name)), "Current");
    }
    let listed = ["get", "connections,mappings,syncs", "-n", &stage.namespace];
    let table = stage.server.run(&listed);
    assert!(table.contains("people"), "{table}");

    // Something else has to change first: the controller goes on looking.
    stage.until_synced("people");
    stage.delete("Mapping", "person-to-contact");
    stage.until_condition("Sync", "people", "Ready", "False", "ReferenceMissing");
    assert_eq!(kstatus(&stage.get("Sync", "people")), "InProgress");
    stage.apply(manifests::MAPPING);
    ready("sync/people");
    assert_eq!(kstatus(&stage.get("Sync", "people")), "Current");

    // A person is needed.
    stage.world.held().crm_key = "another".into();
    stage.world.held().people.insert("new".into(), "New".into());
    stage.request("people");
    stage.until_condition("Sync", "people", "Stalled", "True", "CredentialRejected");
    assert_eq!(kstatus(&stage.get("Sync", "people")), "Failed");

    // Trouble that may pass.
    stage.world.held().down = true;
    stage.until_condition("Connection", "shop", "Ready", "Unknown", "Unreachable");
    let shop = stage.get("Connection", "shop");
    assert!(
        is_observed(&shop) && kstatus(&shop) == "InProgress",
        "{shop:#}"
    );
    stage.world.held().down = false;
    stage.until_condition("Connection", "shop", "Ready", "True", "Configured");

    stage.patch("Sync", "people", json!({"spec": {"suspend": true}}));
    stage.until_condition("Sync", "people", "Ready", "True", "Suspended");
    assert_eq!(kstatus(&stage.get("Sync", "people")), "Current");
}
