//! An operator that is newer than the CustomResourceDefinitions beside it: it works, and says what it can.

use std::path::Path;
use std::time::Duration;

use super::cluster::{ApiServer, eventually};
use super::operator::Operator;

#[test]
fn an_operator_newer_than_its_definitions_shows_what_they_know() {
    let server = ApiServer::start();
    // What a release before this one did not know yet.
    for field in ["recordsOpen", "guarantees"] {
        let at = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        let patch = format!(r#"[{{"op": "remove", "path": "{at}/{field}"}}]"#);
        let crd = [
            "patch",
            "crd",
            "syncs.syncline.dev",
            "--type=json",
            "-p",
            &patch,
        ];
        server.run(&crd);
    }
    let namespace = server.namespace("older");
    let namespace = namespace.as_str();
    let operator = Operator::start(&server.install_roles(namespace, &[]), &[]);
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/shop-to-crm");
    let examples = examples.to_str().unwrap();
    server.run(&["apply", "--namespace", namespace, "-f", examples]);
    // Nobody answers at the addresses of the demo: that, too, is shown.
    let status = "-o=jsonpath={.items[*].status}";
    eventually(Duration::from_secs(60), || {
        let shown = server.run(&["get", "syncs", "--namespace", namespace, status]);
        let ready = shown.matches(r#""reason":"Supervised""#).count();
        let failed = shown.matches(r#""outcome":"Failed""#).count();
        let new = shown.contains("recordsOpen") || shown.contains("guarantees");
        match (ready, failed, new) {
            (2, 2, false) => Ok(()),
            _ => Err(format!("{shown}\n{}", operator.log())),
        }
    });
    let log = operator.log();
    let told = log.matches("is older than this operator").count();
    assert_eq!(told, 1, "{log}");
    assert!(!log.contains("status not written"), "{log}");
}
