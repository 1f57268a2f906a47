//! The sequences that break naive engines, each by its name. Those with webhooks are in `tests/webhooks`, those
//! of twins in `matching`, the way from A to B and back in `faults`.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::Bench;
use crate::record::Key;
use crate::state::{Store, Trouble, Which};
use crate::worker::{RunError, now};

fn customer(n: usize, name: &str) -> Value {
    json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "name": name})
}

/// The target remembers creates by their key for this long.
fn keyed(bench: &mut Bench, ttl: &str) {
    let key = json!({"in": "Header", "name": "Idempotency-Key", "ttl": ttl});
    bench.spec["crm"]["objects"][0]["create"]["idempotencyKey"] = key;
}

#[tokio::test]
async fn an_update_that_did_not_arrive_is_sent_again_and_never_taken_for_the_old_record_that_is_found()
 {
    let bench = Bench::new(|world, asked| {
        let first = world.count("PUT /contacts/0") == 1;
        (asked.method == "PUT" && first).then(|| (504, json!({})))
    })
    .await;
    bench.source(vec![customer(0, "A")]);
    bench.run().await;
    let searches = bench.world().count("GET /contacts");
    bench.source(vec![customer(0, "B")]);
    let (report, _) = bench.run().await;
    assert_eq!(report.outcome, "Succeeded");
    let world = bench.world();
    assert_eq!(world.records[0]["name"], "B");
    assert_eq!(world.count("PUT /contacts/0"), 2);
    assert_eq!(world.count("GET /contacts"), searches, "its id is known");
}

#[tokio::test]
async fn a_sync_that_is_deleted_and_applied_again_creates_nothing_twice() {
    let bench = Bench::new(|_, _| None).await;
    bench.source((0..5).map(|n| customer(n, "Ada")).collect());
    bench.run().await;
    {
        let beside = bench.beside();
        let session = bench.session(&beside).await;
        let later = Some(now() + 3_600_000);
        beside.expire(&session.sync, later).await.unwrap();
    }
    bench.source((0..6).map(|n| customer(n, "Ada")).collect());
    let (report, _) = bench.run().await;
    assert_eq!((report.counts.created, report.counts.unchanged), (1, 5));
    assert_eq!(bench.world().records.len(), 6);
}

#[tokio::test]
async fn a_replay_of_an_old_dead_letter_sends_the_newest_version_and_never_the_old_one() {
    // The target refuses what is called "bad" for as long as it is told to.
    let bench = Bench::new(|world, asked| {
        let refused = asked.body["name"]
            .as_str()
            .is_some_and(|n| n.starts_with("bad"));
        (refused && !world.silent && asked.method != "GET").then(|| (422, json!({})))
    })
    .await;
    bench.source(vec![customer(0, "good")]);
    bench.run().await;
    bench.source(vec![customer(0, "bad 1")]);
    bench.run().await;
    let replay = async || {
        let beside = bench.beside();
        let session = bench.session(&beside).await;
        let which = Which::Key(Key::from_text("c0"));
        beside.replay(&session, which).await.unwrap()
    };
    assert_eq!(bench.dead_letters().await.len(), 1);
    // A newer version that is refused takes its place, and is what a replay sends.
    bench.source(vec![customer(0, "bad 2")]);
    bench.run().await;
    assert_eq!(replay().await, 1);
    bench.run().await;
    let sent: Vec<Value> = bench
        .world()
        .asked
        .iter()
        .filter(|a| a.method == "PUT")
        .map(|a| a.body["name"].clone())
        .collect();
    assert_eq!(sent, ["bad 1", "bad 2", "bad 2"]);
    // Once a newer one is applied there is nothing left to replay.
    bench.source(vec![customer(0, "best")]);
    bench.run().await;
    assert_eq!(replay().await, 0);
    bench.run().await;
    assert_eq!(bench.world().records[0]["name"], "best");
}

#[tokio::test]
async fn a_key_past_its_ttl_is_not_sent_again() {
    let mut bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            let _ = world.behave(asked);
            (500, json!({}))
        })
    })
    .await;
    keyed(&mut bench, "400ms");
    let object = bench.spec["crm"]["objects"][0].as_object_mut().unwrap();
    object.remove("find");
    bench.spec["sync"].as_object_mut().unwrap().remove("match");
    bench.source(vec![customer(0, "Ada")]);
    bench.crash("POST /contacts", 1).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let sent = bench.world().count("POST /contacts");
    bench.run().await;
    assert_eq!(bench.world().count("POST /contacts"), sent);
    let dead = bench.dead_letters().await;
    assert_eq!((dead.len(), dead[0].trouble), (1, Trouble::Ambiguous));
}

#[tokio::test]
async fn a_stored_500_that_the_target_replays_is_no_answer_and_the_record_is_looked_for_in_the_end()
{
    // The first create is carried out; its 500 is kept under its key and replayed ever after.
    let mut bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            if world.records.is_empty() {
                let _ = world.behave(asked);
            }
            (500, json!({}))
        })
    })
    .await;
    keyed(&mut bench, "500ms");
    bench.source(vec![customer(0, "Ada")]);
    bench.run().await;
    while bench.totals().await.links == 0 {
        bench.run().await;
        assert!(
            bench.world().count("POST /contacts") < 1000,
            "it goes on for ever"
        );
    }
    let world = bench.world();
    assert_eq!(world.records.len(), 1);
    assert!(
        world.count("POST /contacts") > 1,
        "the key was used again first"
    );
    assert!(
        world.count("PUT /contacts/0") > 0,
        "a lookup marks nothing applied"
    );
}

#[tokio::test]
async fn a_token_that_suddenly_belongs_to_another_tenant_recreates_a_few_records_and_no_more() {
    let bench = Bench::new(|_, _| None).await;
    bench.source((0..60).map(|n| customer(n, "A")).collect());
    bench.run().await;
    // The other tenant has none of them.
    bench
        .world()
        .records
        .iter_mut()
        .for_each(|record| *record = Value::Null);
    bench.source((0..60).map(|n| customer(n, "B")).collect());
    let (_, error) = bench.run().await;
    assert!(
        matches!(error, Some(RunError::TargetSuspect { .. })),
        "{error:?}"
    );
    let made = bench
        .world()
        .records
        .iter()
        .filter(|record| !record.is_null())
        .count();
    assert!(made <= 20, "{made} were created there");
}

#[tokio::test]
async fn a_keyed_create_whose_answer_was_lost_and_that_is_then_refused_is_looked_for_before_it_is_given_up()
 {
    for arrived in [false, true] {
        let mut bench = Bench::new(move |world, asked| {
            let first = world.count("POST /contacts") == 1;
            (asked.method == "POST").then(|| match first {
                true if arrived => {
                    let _ = world.behave(asked);
                    (500, json!({}))
                }
                true => (500, json!({})),
                false => (422, json!({})),
            })
        })
        .await;
        keyed(&mut bench, "24h");
        bench.source(vec![customer(0, "A")]);
        let (report, error) = bench.run().await;
        assert_eq!(report.outcome, "Succeeded", "{error:?}");
        let dead = bench.dead_letters().await;
        let reasons: Vec<_> = dead.iter().map(|e| e.detail.reason.as_str()).collect();
        let expected: &[&str] = if arrived { &[] } else { &["Permanent"] };
        assert_eq!(reasons, expected, "arrived: {arrived}");
        assert_eq!(bench.totals().await.links, u64::from(arrived));
    }
}

/// The first create is carried out and its answer lost, then refused, so that the record is looked for. The first update
/// finds it gone, and whoever asks under the first key again is told of the record that was.
async fn gone_soon() -> Bench {
    let mut bench = Bench::new(|world, asked| match asked.method.as_str() {
        "POST" if world.count("POST /contacts") == 1 => {
            let _ = world.behave(asked);
            Some((500, json!({})))
        }
        "POST" if world.count("PUT /contacts/0") == 0 => Some((422, json!({}))),
        "POST" => {
            let used = |old: &&super::support::Asked| old.query["key"] == asked.query["key"];
            let posts = world.asked.iter().filter(|old| old.method == "POST");
            let same = posts.filter(used).count();
            (same > 1).then(|| (201, json!({"id": 0})))
        }
        "PUT" => {
            world.records[0] = Value::Null;
            Some((410, json!({})))
        }
        _ => None,
    })
    .await;
    keyed(&mut bench, "24h");
    let create = &mut bench.spec["crm"]["objects"][0]["create"];
    create["idempotencyKey"]["in"] = "Query".into();
    create["idempotencyKey"]["name"] = "key".into();
    bench.source(vec![customer(0, "A")]);
    bench
}

#[tokio::test]
async fn a_record_that_is_gone_soon_after_its_create_is_created_under_another_key() {
    for crash in [false, true] {
        let bench = gone_soon().await;
        if crash {
            // That it is gone is told to an engine that does not live to keep it.
            bench.crash("PUT /contacts/0", 1).await;
        }
        let (report, error) = bench.run().await;
        assert_eq!(report.outcome, "Succeeded", "{error:?}");
        assert_eq!(bench.dead_letters().await.len(), 0);
        assert_eq!(bench.world().records.len(), 2, "crash: {crash}");
        assert_eq!(bench.world().records[1]["name"], "A");
        assert_eq!(bench.totals().await.links, 1);
    }
}
