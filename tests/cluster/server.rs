//! The API server that other tests rely on: it holds our definitions and its RBAC, survives a restart, and
//! leaves nothing behind.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::cluster::{ApiServer, eventually};

#[test]
fn a_service_account_may_do_only_what_it_was_given() {
    let server = ApiServer::shared();
    let namespace = server.namespace("rbac");
    server.run(&[
        "create",
        "serviceaccount",
        "reader",
        "--namespace",
        &namespace,
    ]);
    server.run(&[
        "create",
        "role",
        "reader",
        "--namespace",
        &namespace,
        "--verb=get,list",
        "--resource=syncs.syncline.dev",
    ]);
    server.run(&[
        "create",
        "rolebinding",
        "reader",
        "--namespace",
        &namespace,
        "--role=reader",
        &format!("--serviceaccount={namespace}:reader"),
    ]);
    let kubeconfig = server.service_account(&namespace, "reader");
    let may = |verb: &str, what: &str| {
        let mut kubectl = server.kubectl();
        kubectl
            .args(["auth", "can-i", verb, what, "--kubeconfig"])
            .arg(&kubeconfig);
        kubectl.output().unwrap().status.success()
    };
    assert!(may("list", "syncs.syncline.dev"));
    assert!(!may("delete", "syncs.syncline.dev"));
    assert!(!may("get", "secrets"));
}

#[test]
fn a_deleted_namespace_is_gone_with_all_in_it() {
    let server = ApiServer::shared();
    let namespace = server.namespace("gone");
    server.apply(&namespace, &example("shop-to-crm")).unwrap();
    server.run(&["delete", "namespace", &namespace, "--wait=false"]);
    eventually(Duration::from_secs(60), || {
        match server.run(&["get", "namespaces", "-o", "name"]) {
            names if names.contains(&format!("namespace/{namespace}\n")) => Err(names),
            _ => Ok(()),
        }
    });
}

#[test]
fn what_was_applied_survives_a_restart_of_the_api_server() {
    let server = ApiServer::start();
    let namespace = server.namespace("restart");
    server.apply(&namespace, &example("shop-to-crm")).unwrap();
    server.stop_api();
    let mut kubectl = server.kubectl();
    kubectl.args([
        "get",
        "syncs",
        "--namespace",
        &namespace,
        "--request-timeout=2s",
    ]);
    assert!(!kubectl.output().unwrap().status.success(), "it is stopped");
    server.start_api();
    let names = server.run(&["get", "syncs", "--namespace", &namespace, "-o", "name"]);
    assert_eq!(
        names,
        "sync.syncline.dev/customers-to-contacts\nsync.syncline.dev/orders-to-deals\n"
    );
}

#[test]
fn a_server_that_is_no_longer_needed_leaves_nothing_behind() {
    let server = ApiServer::start();
    let logs = server.logs();
    assert!(logs.join("kube-apiserver.log").is_file());
    drop(server);
    assert!(!logs.parent().unwrap().exists());
}

/// The manifests of an example, as one document stream.
fn example(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    let texts = files
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "yaml"));
    texts
        .map(|f| fs::read_to_string(f).unwrap() + "\n---\n")
        .collect()
}
