//! Many records that are rejected for good pause the Sync: nothing of what was not sent is lost, and it goes on
//! through the Mapping as it is then.

use serde_json::{Value, json};

use super::support::Bench;
use crate::state::{Store, Which};
use crate::worker::RunError;

fn customers(count: usize) -> Vec<Value> {
    let of = |n| json!({"id": format!("c{n}"), "email": format!("c{n}@x"), "name": "Ada"});
    (0..count).map(of).collect()
}

/// A target that refuses what has no kind.
async fn strict() -> Bench {
    Bench::new(|_, asked| {
        let refused = asked.method == "POST" && asked.body["kind"].is_null();
        refused.then(|| (422, json!({"error": "kind is missing"})))
    })
    .await
}

fn gives_kind(bench: &mut Bench) {
    let fields = bench.spec["map"]["fields"].as_array_mut().unwrap();
    fields.push(json!({"to": "kind", "value": "person"}));
}

async fn replay_all(bench: &Bench) {
    let beside = bench.beside();
    let session = bench.session(&beside).await;
    beside.replay(&session, Which::All).await.unwrap();
}

/// Rejected, all, and the words of a run that paused.
fn paused(error: Option<RunError>) -> (u64, u64, String) {
    let error = error.expect("it pauses");
    assert!(error.needs_a_person());
    let words = error.to_string();
    match error {
        RunError::MappingSuspect { rejected, of, .. } => (rejected, of, words),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_target_that_refuses_everything_gets_a_hundred_records_and_the_rest_waits() {
    let mut bench = strict().await;
    bench.world().pages = customers(300).chunks(50).map(<[Value]>::to_vec).collect();
    let (report, error) = bench.run().await;
    let (rejected, of, words) = paused(error);
    assert_eq!(rejected, of, "{words}");
    let all = format!("the target refuses {of} of {of} records of this run, most often 422 ({of})");
    for part in [
        all.as_str(),
        "Connection crm object contacts",
        "deadletters replay sync --all",
        "sync now sync",
        "failures.suspectMappingAt",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(report.outcome, "Failed");
    // Those that were under way when it was noticed.
    let dead = bench.totals().await.dead_letters();
    assert!((100..110).contains(&dead), "{dead}");

    // What waited goes through the corrected Mapping, and nothing is refused any more.
    gives_kind(&mut bench);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.counts.dead, 0);
    replay_all(&bench).await;
    bench.run().await;
    assert_eq!(bench.totals().await.exceptions(), 0);
    let world = bench.world();
    assert_eq!(world.records.len(), 300);
    assert!(world.records.iter().all(|r| r["kind"] == "person"));
}

#[tokio::test]
async fn going_on_as_it_is_takes_the_next_ones() {
    let mut bench = strict().await;
    bench.spec["sync"]["failures"] = json!({"suspectMappingAt": 30});
    bench.source(customers(100));
    assert!(paused(bench.run().await.1).0 >= 30);
    let first = bench.totals().await.dead_letters();
    assert!(first < 40, "{first}");
    assert!(paused(bench.run().await.1).0 >= 30);
    let second = bench.totals().await.dead_letters();
    assert!(second >= first + 30, "{first}, {second}");
    bench.spec["sync"]["failures"] = json!({"suspectMappingAt": 1_000});
    let (_, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(bench.totals().await.dead_letters(), 100);
}

#[tokio::test]
async fn keyed_creates_that_were_not_sent_do_not_count_as_perhaps_sent() {
    let mut bench = strict().await;
    let key = json!({"in": "Header", "name": "Idempotency-Key", "ttl": "24h"});
    bench.spec["crm"]["objects"][0]["create"]["idempotencyKey"] = key;
    bench.spec["sync"]["match"] = Value::Null;
    bench.spec["sync"]["failures"] = json!({"suspectMappingAt": 10});
    bench.source(customers(60));
    paused(bench.run().await.1);
    gives_kind(&mut bench);
    let dead = bench.totals().await.dead;
    assert_eq!(dead.keys().collect::<Vec<_>>(), ["Permanent"], "{dead:?}");
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.counts.dead, 0);
    assert_eq!(bench.totals().await.exceptions(), 0);
    assert_eq!(bench.world().records.len(), 60);
}

#[tokio::test]
async fn a_mapping_that_rejects_half_of_a_run_pauses_it() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["map"]["fields"][0]["onMissing"] = json!("Reject");
    let mut all = customers(100);
    for customer in &mut all[..50] {
        customer["email"] = Value::Null;
    }
    bench.source(all);
    let (rejected, of, words) = paused(bench.run().await.1);
    assert_eq!((rejected, of), (50, 100));
    let said =
        "the Mapping rejects 50 of 100 records of this run, most often Missing in field email (50)";
    assert!(words.contains(said), "{words}");
    assert!(
        words.contains("Connection shop object customers"),
        "{words}"
    );
    // The good ones wait.
    assert_eq!(bench.world().count("POST /contacts"), 0);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.counts.created, 50);
    assert_eq!(bench.totals().await.dead_letters(), 50);
}

#[tokio::test]
async fn a_small_run_is_judged_at_its_end_and_a_smaller_one_is_not() {
    for (bad, good, pauses) in [
        (20, 0, true),
        (10, 10, true),
        (10, 11, false),
        (19, 0, false),
    ] {
        let mut bench = strict().await;
        let fields = bench.spec["map"]["fields"].as_array_mut().unwrap();
        fields.push(json!({"to": "kind", "from": "kind"}));
        let mut all = customers(bad + good);
        for customer in &mut all[bad..] {
            customer["kind"] = json!("person");
        }
        bench.source(all);
        let (report, error) = bench.run().await;
        assert_eq!(
            error.is_some(),
            pauses,
            "{bad} of {}: {error:?}",
            bad + good
        );
        let counts = (report.counts.dead, report.counts.created);
        assert_eq!(counts, (bad as u64, good as u64), "all were tried first");
        // The same dead letters are no news to the next run.
        let (_, error) = bench.run().await;
        assert!(error.is_none(), "{error:?}");
    }
}

#[tokio::test]
async fn a_batch_counts_per_record_and_a_replay_not_at_all() {
    let mut bench = Bench::new(|_, asked| (asked.method == "POST").then(|| (422, json!({})))).await;
    bench.spec["crm"]["objects"][0]["create"] = json!({"path": "/contacts", "batch": {"max": 10, "at": "items", "results": "results", "correlate": {"index": {}}}});
    bench.spec["sync"]["match"] = Value::Null;
    bench.spec["sync"]["write"] = json!({"onAmbiguous": "Retry"});
    bench.source(customers(25));
    let (rejected, of, words) = paused(bench.run().await.1);
    assert_eq!((rejected, of), (25, 25), "{words}");
    replay_all(&bench).await;
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.counts.dead, 25);
}

/// The Sync of the others has only begun: what waits for them says nothing against the Mapping, and the few that
/// are rejected are not many of all.
#[tokio::test]
async fn records_that_wait_for_others_are_not_left_out_of_the_share() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["map"]["fields"] = json!([
        {"to": "email", "from": "email", "onMissing": "Reject"},
        {"to": "parent", "from": "parent", "lookup": "parents", "onUnlinked": "Wait", "onMissing": "Omit"},
    ]);
    bench.spec["sync"]["lookups"] = json!([{"name": "parents", "syncRef": {"name": "sync"}}]);
    let mut all = customers(260);
    for customer in &mut all[..60] {
        customer["email"] = Value::Null;
    }
    for customer in &mut all[60..] {
        customer["parent"] = json!("late");
    }
    bench.source(all);
    let (_, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    let totals = bench.totals().await;
    assert_eq!((totals.waiting, totals.dead_letters()), (200, 60));
    // Once they go through the Mapping again, each counts once.
    bench.source(vec![
        json!({"id": "late", "email": "late@x", "name": "Ada"}),
    ]);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.counts.created, 201);
}
