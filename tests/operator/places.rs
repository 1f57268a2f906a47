//! Namespaces that an operator is to watch and that are not there.

use super::cluster::{ApiServer, eventually};
use super::operator::Operator;
use super::stage::{BOUND, Stage};

#[test]
fn a_namespace_that_is_gone_holds_up_no_other_and_is_taken_up_when_it_comes_back() {
    let server = ApiServer::shared();
    let [here, gone] = ["here", "gone"].map(|hint| Stage::alone(server, hint, 3));
    let watched = format!("{},{}", here.namespace, gone.namespace);
    let install = || {
        let value = format!("watchNamespaces={{{watched}}}");
        server.install_roles(&here.namespace, &[&value])
    };
    let roles = install();
    server.run(&["delete", "namespace", &gone.namespace, "--timeout=60s"]);
    let operator = Operator::start(&roles, &["--watch-namespace", &watched]);
    here.logs.borrow_mut().push(operator.log_file.clone());
    let told = format!("Syncs in {} cannot be watched", gone.namespace);
    operator.until_ready_says(200, &told);
    here.apply_all();
    here.until_synced("people");
    let refused = |count: usize| {
        let line = format!("syncline_controller_watches_refused {count}\n");
        eventually(BOUND, || {
            let metrics = operator.metrics();
            metrics.contains(&line).then_some(()).ok_or(metrics)
        });
    };
    refused(4);
    let log = operator.log();
    let told = format!("\"stream\":\"Syncs in {}\"", gone.namespace);
    let lines = log.lines().filter(|line| line.contains(&told));
    assert_eq!(lines.count(), 1, "said again and again: {log}");

    server.run(&["create", "namespace", &gone.namespace]);
    install();
    gone.logs.borrow_mut().push(operator.log_file.clone());
    gone.apply_all();
    gone.until_synced("people");
    refused(0);
    let (_, said) = operator.get("/readyz").unwrap();
    assert!(!said.contains("cannot be watched"), "{said}");
}
