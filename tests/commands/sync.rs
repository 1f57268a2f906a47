//! A run now, a rest, and what the controller says of a Sync, by the command line.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::cluster::{ApiServer, eventually, program};
use super::controller::Controller;
use super::systems::{self, RECORDS, SECRET};

const BOUND: Duration = Duration::from_secs(60);

#[test]
fn a_sync_runs_now_rests_and_says_how_it_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (port, systems) = runtime.block_on(systems::start());
    let server = ApiServer::shared();
    let controller = Controller::start(server, "commands");
    let empty = controller.expect(0, &["status"]);
    assert!(empty.contains("no Syncs"), "{empty}");

    let manifests = systems::manifests(port);
    server.apply(&controller.namespace, &manifests).unwrap();
    let dead = RECORDS / 10;
    eventually(BOUND, || {
        let written = systems.written.load(Ordering::SeqCst);
        let wanted = RECORDS - dead;
        (written == wanted)
            .then_some(())
            .ok_or(format!("{written} written\n{}", controller.log()))
    });

    // Nothing has changed: the second run reads everything and writes nothing.
    let ran = controller.expect(0, &["sync", "now", "items", "--wait", "--timeout", "60s"]);
    let wanted = format!("items: Succeeded: read {RECORDS}, created 0, updated 0");
    assert!(ran.contains(&wanted), "{ran}");
    assert_eq!(systems.written.load(Ordering::SeqCst), RECORDS - dead);

    let status = controller.expect(1, &["status", "items", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status[0]["status"]["deadLettersOpen"], dead, "{status}");
    assert_eq!(status[0]["suspended"], false);

    controller.expect(0, &["sync", "suspend", "items"]);
    let refused = controller.expect(1, &["sync", "now", "items"]);
    assert!(refused.contains("is suspended"), "{refused}");
    let text = controller.expect(1, &["status"]);
    assert!(text.contains("Suspended"), "{text}");
    controller.expect(0, &["sync", "resume", "items"]);
    controller.expect(0, &["sync", "now", "items", "--wait", "--timeout", "60s"]);

    // Without its Mapping no run can start: that is told at once, not after the time of --timeout.
    let mapping = server.run(&[
        "get",
        "mapping",
        "--namespace",
        &controller.namespace,
        "--output",
        "name",
    ]);
    server.run(&[
        "delete",
        mapping.trim(),
        "--namespace",
        &controller.namespace,
    ]);
    let waits = ["sync", "now", "items", "--wait", "--timeout", "1h"];
    let told = controller.expect(1, &waits);
    assert!(told.contains("items: no run can start:"), "{told}");
    assert!(told.contains("there is no Mapping"), "{told}");
    let told = controller.expect(0, &["sync", "now", "items"]);
    assert!(told.contains("items is not Ready:"), "{told}");
    server.apply(&controller.namespace, &manifests).unwrap();
    eventually(BOUND, || {
        let output = controller.command(&["status", "items", "--output", "json"]);
        let json = super::cluster::text(&output.stdout);
        json.contains("Supervised").then_some(()).ok_or(json)
    });
    controller.expect(0, &waits);
    let unknown = controller.expect(1, &["sync", "now", "other"]);
    assert!(unknown.contains("it has: items"), "{unknown}");

    let metrics = controller.metrics();
    let namespace = &controller.namespace;
    for line in [
        format!(
            r#"syncline_sync_records_total{{namespace="{namespace}",sync="items",outcome="created"}} {}"#,
            RECORDS - dead
        ),
        format!(
            r#"syncline_sync_dead_letters{{namespace="{namespace}",sync="items",reason="Permanent"}} {dead}"#
        ),
        format!(
            r#"syncline_sync_freshness_max_age_seconds{{namespace="{namespace}",sync="items"}} 7200.0"#
        ),
        format!(r#"syncline_sync_stalled{{namespace="{namespace}",sync="items"}} 0"#),
        "syncline_controller_leader 1".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    for text in [&metrics, &controller.log(), &text] {
        assert!(
            !text.contains(SECRET) && !text.contains(systems::CONTENT),
            "{text}"
        );
    }
    server.run(&["delete", "sync", "items", "--namespace", namespace]);
    eventually(BOUND, || {
        let metrics = controller.metrics();
        (!metrics.contains(r#"sync="items""#))
            .then_some(())
            .ok_or(metrics)
    });
}

#[test]
fn kubectl_finds_it_as_a_plugin() {
    let server = ApiServer::shared();
    let namespace = server.namespace("plugin");
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-syncline");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_syncline"), plugin).unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut kubectl = Command::new(program("kubectl"));
    let output = kubectl
        .env("PATH", format!("{}:{path}", folder.path().display()))
        .env("KUBECONFIG", server.kubeconfig())
        .args(["syncline", "status", "--namespace", &namespace])
        .output()
        .unwrap();
    let said = super::cluster::text(&output.stdout);
    assert_eq!(
        said,
        format!("namespace {namespace}: no Syncs\n"),
        "{output:?}"
    );
}
