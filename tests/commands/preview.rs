//! A preview of what a cluster declares, run on this machine with the rights of whoever types. The same in the Pod
//! is seen on a whole node (tests/cluster).

use std::sync::atomic::Ordering;

use serde_json::Value;

use super::cluster::{ApiServer, text};
use super::controller::Controller;
use super::systems::{self, RECORDS, SECRET};

#[test]
fn what_a_cluster_declares_is_previewed_and_so_is_a_change_of_it() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (port, systems) = runtime.block_on(systems::start());
    let server = ApiServer::shared();
    let controller = Controller::start(server, "preview");
    // As before a go-live: declared, and nothing written yet. Another Sync is wrong, which is its own matter.
    let manifests = systems::manifests(port) + "  suspend: true\n";
    let wrong = manifests.rsplit("---\n").next().unwrap();
    let wrong = wrong
        .replace("name: items}", "name: other}")
        .replace("item-to-thing", "nothing");
    let all = format!("{manifests}---\n{wrong}");
    server.apply(&controller.namespace, &all).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("of-a-first-run");
    let state = state.to_str().unwrap();
    let preview = |code: i32, more: &[&str]| {
        let mut args = vec!["preview", "--here", "--state", state, "items"];
        args.extend(more);
        controller.expect(code, &args)
    };
    let count = |said: &str, action: &str| {
        let summary: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        summary["summary"][0]["actions"][action].as_u64()
    };
    let json = preview(0, &["--output", "json"]);
    let made = count(&json, "Upsert").or(count(&json, "Create"));
    assert_eq!(made, Some(RECORDS), "{json}");

    // What is on this machine wins over what has its name there.
    let change = folder.path().join("change.yaml");
    let mapping = manifests
        .split("---\n")
        .find(|m| m.contains("kind: Mapping"))
        .unwrap();
    let rejecting = mapping.replace("from: name}", "from: nothing, onMissing: Reject}");
    std::fs::write(&change, rejecting).unwrap();
    let change = change.to_str().unwrap();
    let json = preview(1, &["--output", "json", "-f", change]);
    assert_eq!(count(&json, "DeadLetter"), Some(RECORDS), "{json}");

    // Everything: then what is wrong matters.
    let all = controller.command(&["preview", "--here", "--state", state]);
    let said = text(&all.stderr);
    assert_eq!(all.status.code(), Some(1));
    assert!(said.contains("Sync/other: spec.mappingRef"), "{said}");
    assert!(!said.contains(SECRET) && !json.contains(SECRET));

    server.run(&[
        "delete",
        "secret",
        "credentials",
        "--namespace",
        &controller.namespace,
    ]);
    let missing = preview(1, &["--wait", "1s"]);
    assert!(missing.contains("there is no such Secret"), "{missing}");
    assert_eq!(systems.written.load(Ordering::SeqCst), 0);
}
