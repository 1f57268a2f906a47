//! A record that somebody changes back each time is not written for ever, and its newest version is not lost.

use serde_json::{Value, json};

use super::support::Bench;
use crate::state::{Store, Which};

fn ada(name: &str, round: usize) -> Vec<Value> {
    // The source says each time that it was changed.
    vec![json!({"id": "c0", "email": "c0@x", "name": name, "changed": round})]
}

fn writes(bench: &Bench) -> usize {
    bench.world().count("PUT /contacts/0")
}

/// Runs, each finding the record changed back by somebody.
async fn echo(bench: &Bench, rounds: usize) {
    for round in 0..rounds {
        let name = ["Ada", "ADA"][round % 2];
        bench.source(ada(name, round));
        let (_, error) = bench.run().await;
        assert!(error.is_none(), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_changed_back_each_time_is_held_and_another_content_is_written() {
    let bench = Bench::new(|_, _| None).await;
    echo(&bench, 20).await;
    assert_eq!(writes(&bench), 8, "and the create");
    let held = bench.dead_letters().await.remove(0);
    assert_eq!(held.detail.reason, "Echo");
    let message = &held.detail.message;
    assert!(
        message.contains("written 8 times within 720 min"),
        "{message}"
    );
    let newest: Value = serde_json::from_slice(&held.entry.source).unwrap();
    assert_eq!(newest["changed"], 19, "the newest version waits");
    assert_eq!(bench.world().records[0]["name"], "Ada");
    // What the target has already needs no write, and then nothing is held any more.
    bench.source(ada("Ada", 20));
    bench.run().await;
    assert_eq!((writes(&bench), bench.totals().await.exceptions()), (8, 0));
    // Another content is no echo.
    bench.source(ada("ADA", 21));
    bench.run().await;
    assert_eq!(bench.totals().await.dead_letters(), 1);
    bench.source(ada("Grace", 22));
    bench.run().await;
    assert_eq!((writes(&bench), bench.totals().await.exceptions()), (9, 0));
    assert_eq!(bench.world().records[0]["name"], "Grace");
}

#[tokio::test]
async fn a_replay_writes_it_and_counts_anew() {
    let bench = Bench::new(|_, _| None).await;
    echo(&bench, 12).await;
    assert_eq!(
        (writes(&bench), bench.totals().await.dead_letters()),
        (8, 1)
    );
    let beside = bench.beside();
    let session = bench.session(&beside).await;
    beside.replay(&session, Which::All).await.unwrap();
    drop(beside);
    bench.run().await;
    assert_eq!((writes(&bench), bench.totals().await.exceptions()), (9, 0));
    assert_eq!(bench.world().records[0]["name"], "ADA");
    echo(&bench, 20).await;
    assert_eq!(writes(&bench), 17);
}

#[tokio::test]
async fn it_can_be_switched_off_and_others_are_not_held_up() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["sync"]["failures"] = json!({"echoAt": 0});
    echo(&bench, 20).await;
    assert_eq!((writes(&bench), bench.totals().await.exceptions()), (19, 0));
}
