//! What GitOps compares: what was applied stays as it was applied.

use serde_json::{Value, json};

use super::cluster::{feed, text};
use super::manifests;
use super::stage::Stage;

const KINDS: [(&str, &str); 4] = [
    ("Connection", "shop"),
    ("Connection", "crm"),
    ("Mapping", "person-to-contact"),
    ("Sync", "people"),
];

/// Who owns fields outside of the status, and what was applied.
fn owners(object: &Value) -> Vec<Value> {
    let all = object["metadata"]["managedFields"].as_array().unwrap();
    let own = all.iter().filter(|m| m["subresource"] != "status").cloned();
    own.collect()
}

#[test]
fn a_second_apply_finds_no_drift() {
    let stage = Stage::shared("drift");
    let all = manifests::all(stage.world.port);
    stage.apply(&all);
    stage.until_synced("people");
    stage.until_condition("Connection", "crm", "Ready", "True", "Configured");
    stage.until_condition("Mapping", "person-to-contact", "Ready", "True", "Compiled");
    let before: Vec<Value> = KINDS.map(|(kind, name)| stage.get(kind, name)).into();

    let mut kubectl = stage.server.kubectl();
    kubectl.args(["diff", "--server-side", "--namespace", "drift", "-f", "-"]);
    // A Secret is written as stringData, which the server turns into data: that is a difference to kubectl.
    let without = all.replace(&manifests::secrets(), "");
    let output = feed(&mut kubectl, &without);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "");

    stage.apply(&all);
    stage.run("people");
    for (before, (kind, name)) in before.iter().zip(KINDS) {
        let after = stage.get(kind, name);
        assert_eq!(before["spec"], after["spec"], "{kind} {name}");
        assert_eq!(before["metadata"]["generation"], json!(1), "{kind} {name}");
        assert_eq!(after["metadata"]["generation"], json!(1), "{kind} {name}");
        for owner in owners(&after) {
            let who = owner["manager"].as_str().unwrap();
            assert_ne!(
                who, "syncline",
                "the controller writes more than the status: {owner:#}"
            );
        }
        let applied = |object: &Value| {
            let mut all = owners(object);
            all.retain(|owner| owner["manager"] == "kubectl");
            all
        };
        assert_eq!(applied(before), applied(&after), "{kind} {name}");
    }
}
