//! What a collector is shown of an operator: what it brought in line, and the runs of its Syncs.

use std::collections::BTreeSet;

use super::cluster::ApiServer;
use super::collector::{self, attributes};
use super::stage::Stage;

#[test]
fn a_collector_is_shown_reconciliations_and_runs() {
    let server = ApiServer::shared();
    let stage = Stage::alone(server, "traced", 3);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (url, collector) = runtime.block_on(collector::start());
    let mut operator = stage.operator_traced(&url);
    operator.until_leading();
    stage.apply_all();
    stage.until_synced("people");
    assert!(operator.stop().success());

    let spans = collector.spans();
    let reconciled: BTreeSet<_> = spans
        .iter()
        .filter(|span| span.name.starts_with("reconcile "))
        .map(|span| {
            let of = attributes(&span.attributes);
            assert_eq!(of["syncline.namespace"], stage.namespace);
            assert_eq!(span.name, format!("reconcile {}", of["syncline.kind"]));
            (of["syncline.kind"].clone(), of["syncline.name"].clone())
        })
        .collect();
    let sync = ("Sync".to_owned(), "people".to_owned());
    assert!(reconciled.contains(&sync), "{reconciled:?}");
    for kind in ["Connection", "Mapping"] {
        assert!(
            reconciled.iter().any(|(of, _)| of == kind),
            "{reconciled:?}"
        );
    }
    let run = spans.iter().find(|span| span.name == "run").expect("a run");
    let of = attributes(&run.attributes);
    assert_eq!(of["syncline.outcome"], "Succeeded");
    assert_eq!(of["syncline.records.created"], "3");
    assert!(spans.iter().any(|span| span.parent_span_id == run.span_id));
}
