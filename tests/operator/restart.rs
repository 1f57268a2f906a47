//! What the operator stands on is not there yet, or goes away for a while.

use std::path::Path;
use std::time::Duration;

use super::cluster::{ApiServer, eventually};
use super::manifests;
use super::stage::{BOUND, Stage};

#[test]
fn it_waits_for_its_definitions_and_begins_when_they_come() {
    let server = ApiServer::start_empty();
    let stage = Stage::alone(&server, "early", 3);
    let operator = stage.operator(&[]);
    for kind in ["connections", "mappings", "syncs"] {
        operator.until_ready_says(503, &format!("{kind}.syncline.dev"));
    }
    let said = operator.get("/readyz").unwrap().1;
    assert!(said.contains("syncline crds"), "{said}");
    assert_eq!(
        operator.get("/healthz").unwrap().0,
        200,
        "it is not restarted for it"
    );

    let crds = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let crds = crds.to_str().unwrap();
    server.run(&[
        "apply",
        "--server-side",
        "-f",
        &format!("{crds}/mappings.yaml"),
    ]);
    eventually(BOUND, || match operator.get("/readyz") {
        Ok((503, said)) if !said.contains("mappings") && said.contains("syncs") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    server.run(&["apply", "--server-side", "-f", crds]);
    operator.until_leading();
    stage.apply_all();
    stage.until_synced("people");

    // Taken away and put back while it runs, as a reinstallation does.
    server.run(&["delete", "-f", crds]);
    server.run(&["apply", "--server-side", "-f", crds]);
    server.wait_for_crds();
    stage.world.held().people.insert("new".into(), "New".into());
    let without = manifests::all(stage.world.port).replace(&manifests::secrets(), "");
    stage.apply(&without);
    stage.run("people");
    assert_eq!(stage.world.held().agree(), Ok(()));
}

#[test]
fn an_api_server_that_goes_away_costs_no_record() {
    let server = ApiServer::start();
    let stage = Stage::alone(&server, "restarted", 300);
    let operator = stage.operator(&[]);
    operator.until_leading();
    stage.world.held().slow = Duration::from_millis(20);
    stage.apply(&manifests::all(stage.world.port).replace("interval: 1h", "interval: 1s"));
    let some = |count: usize| {
        stage.until_world("the middle of the run", |held| match held.contacts.len() {
            now if now >= count => Ok(()),
            now => Err(format!("{now} contacts")),
        });
    };
    some(20);
    server.stop_api();
    server.start_api();
    some(300);
    assert_eq!(stage.world.held().agree(), Ok(()));

    // For longer than it may lead without the API server.
    server.stop_api();
    rename(&stage, "while it was away");
    eventually(BOUND, || match operator.log() {
        log if log.contains("no longer leading") => Ok(()),
        log => Err(log),
    });
    let asked = stage.world.held().asked.len();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(
        stage.world.held().asked.len(),
        asked,
        "it sends without a Lease"
    );
    rename(&stage, "later");
    server.start_api();
    operator.until_leading();
    stage.until_world("the new names", |held| held.agree());
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
}

fn rename(stage: &Stage, what: &str) {
    for (id, name) in &mut stage.world.held().people {
        *name = format!("{id} {what}");
    }
}
