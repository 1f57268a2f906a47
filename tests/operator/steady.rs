//! Nothing is written at rest, and Events come only when something turns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::cluster::{ApiServer, eventually};
use super::stage::{BOUND, Stage};

const KINDS: [&str; 3] = ["Connection", "Mapping", "Sync"];

/// The version of every resource, and of every Event.
fn versions(stage: &Stage) -> BTreeMap<String, Value> {
    let kinds = KINDS.iter().chain(&["Event"]);
    let objects = kinds.flat_map(|kind| {
        let list = stage.api.list(&stage.namespace, kind).into_iter();
        list.map(move |object| (kind, object["metadata"].clone()))
    });
    let version = |(kind, meta): (&&str, Value)| {
        let name = meta["name"].as_str().unwrap().to_owned();
        (format!("{kind} {name}"), meta["resourceVersion"].clone())
    };
    objects.map(version).collect()
}

/// The Events about a resource, by reason.
fn events(stage: &Stage, kind: &str, name: &str) -> Vec<String> {
    let about =
        |event: &Value| event["regarding"]["kind"] == kind && event["regarding"]["name"] == name;
    let mut all = stage.api.list(&stage.namespace, "Event");
    all.retain(about);
    let reason = |event: &Value| {
        let times = event["series"]["count"].as_u64().unwrap_or(1);
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        format!("{} {} {times}", text("type"), text("reason"))
    };
    let mut all: Vec<String> = all.iter().map(reason).collect();
    all.sort();
    all
}

fn until_events(stage: &Stage, kind: &str, name: &str, wanted: &[&str]) {
    eventually(BOUND, || match events(stage, kind, name) {
        found if found == wanted => Ok(()),
        found => Err(format!("{kind} {name}: {found:?}")),
    });
}

#[test]
fn nothing_is_written_at_rest_and_events_tell_of_turns() {
    let stage = Stage::alone(ApiServer::shared(), "steady", 3);
    let mut operator = stage.operator(&["--log", "syncline=debug"]);
    stage.apply_all();
    stage.until_synced("people");
    stage.until_condition("Connection", "shop", "Authenticated", "True", "Accepted");
    stage.until_condition("Connection", "crm", "Ready", "True", "Configured");
    until_events(&stage, "Sync", "people", &["Normal Supervised 1"]);
    for name in ["shop", "crm"] {
        until_events(&stage, "Connection", name, &["Normal Configured 1"]);
    }
    until_events(
        &stage,
        "Mapping",
        "person-to-contact",
        &["Normal Compiled 1"],
    );
    let before = versions(&stage);
    // Two Connections, a Mapping and a Sync, with an Event each.
    assert_eq!(before.len(), 8, "{before:?}");

    // Reconciled again and again: Secrets are touched, and another process begins from nothing.
    let reconciled = |log: String| log.matches("\"reconciled\"").count();
    for turn in 0..3 {
        let looks = reconciled(operator.log());
        for name in ["shop-key", "crm-key"] {
            let labels = json!({"labels": {"turn": turn.to_string()}});
            stage.patch("Secret", name, json!({"metadata": labels}));
        }
        eventually(BOUND, || match reconciled(operator.log()) - looks {
            more if more >= 2 => Ok(()),
            more => Err(format!("{more} looks")),
        });
    }
    stage.let_pass(3);
    assert_eq!(operator.stop().code(), Some(0), "{}", operator.log());
    let state = operator.folder.path().join("state");
    let second = stage.operator_with_state(state.to_str().unwrap());
    second.until_leading();
    stage.let_pass(4);
    let after = versions(&stage);
    let differs = |name: &&String| after.get(*name) != before.get(*name);
    let written: BTreeSet<&String> = before.keys().chain(after.keys()).filter(differs).collect();
    if !written.is_empty() {
        let told = stage.told();
        panic!("written at rest: {written:?}\n{told}\n{}", second.log());
    }
    let metrics = second.metrics();
    let writes = metrics
        .lines()
        .find(|l| l.starts_with("syncline_controller_status_writes_total"));
    assert_eq!(
        writes,
        Some("syncline_controller_status_writes_total 0"),
        "{metrics}"
    );

    // A turn for the worse is one Event, and so is the one for the better.
    stage.delete("Secret", "crm-key");
    let missing = "Warning SecretMissing 1";
    until_events(&stage, "Sync", "people", &["Normal Supervised 1", missing]);
    until_events(
        &stage,
        "Connection",
        "crm",
        &["Normal Configured 1", missing],
    );
    stage.apply(&super::manifests::secrets());
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    let again = ["Normal Supervised 1", "Normal Supervised 1", missing];
    until_events(&stage, "Sync", "people", &again);
    until_events(&stage, "Connection", "shop", &["Normal Configured 1"]);
}

/// A Sync whose Mapping was not listed yet must not be told that there is none.
#[test]
fn an_operator_that_begins_judges_nothing_before_it_knows_all_that_there_is() {
    let stage = Stage::alone(ApiServer::shared(), "begins", 3);
    stage.apply_all();
    let more = (0..600).map(|n| {
        format!(
            "apiVersion: syncline.dev/v1alpha1\nkind: Mapping\nmetadata: {{name: a-{n:03}}}\n\
             spec: {{fields: [{{to: email, from: email}}]}}\n"
        )
    });
    stage.apply(&more.collect::<Vec<_>>().join("---\n"));
    let mut operator = stage.operator(&[]);
    stage.until_synced("people");
    // Events come one after the other: one about the Sync from before would have come first.
    eventually(BOUND, || {
        match stage.api.list(&stage.namespace, "Event").len() {
            told if told >= 20 => Ok(()),
            told => Err(format!("{told} Events")),
        }
    });
    let told = events(&stage, "Sync", "people");
    assert!(
        told.iter().all(|event| event.starts_with("Normal")),
        "{told:?}"
    );
    assert_eq!(operator.stop().code(), Some(0), "{}", operator.log());
}
