//! The delete guard: too many removals are not begun, and what a person allows is allowed once.

use serde_json::{Value, json};

use crate::worker::AllowDeletes;

use super::removal::{bench, customer, deletes, gone, run};
use super::support::Bench;

/// 40 records of which 4 may be deleted by the usual guard, had it no floor; it lets 5 through.
async fn forty() -> Bench {
    let bench = bench(|_, _| None).await;
    bench.source((0..40).map(|n| customer(n, json!({}))).collect());
    assert_eq!(run(&bench).await, (40, 0, 0, 0));
    bench
}

fn tombstones(from: usize, to: usize) -> Vec<Value> {
    (0..40)
        .map(|n| match (from..to).contains(&n) {
            true => gone(n),
            false => customer(n, json!({})),
        })
        .collect()
}

#[tokio::test]
async fn more_deletes_than_the_guard_allows_are_not_begun() {
    let mut bench = forty().await;
    bench.source(tombstones(0, 5));
    assert_eq!(run(&bench).await, (0, 0, 5, 0), "a few are none too many");
    let mut more = tombstones(0, 11);
    more.push(customer(99, json!({})));
    bench.source(more);
    for _ in 0..2 {
        let (report, error) = bench.run().await;
        assert_eq!(report.counts.deleted, 0, "none of them");
        let error = error.unwrap().to_string();
        assert!(error.contains("6 records of Connection crm"), "{error}");
        assert!(error.contains("10% allows (5 of 3"), "{error}");
    }
    assert_eq!(deletes(&bench).len(), 5);
    assert_eq!(bench.totals().await.held, 6);
    let created = bench.world().count("POST /contacts");
    assert_eq!(created, 41, "what is no delete goes on");
    // The source corrects itself: what is there again is kept, and what is left is few.
    bench.source(tombstones(0, 7));
    assert_eq!(run(&bench).await, (0, 0, 2, 0));
    assert_eq!(bench.totals().await.held, 0);
    assert_eq!(deletes(&bench).len(), 7);
    // A number says how many.
    bench.spec["sync"]["write"]["deleteGuard"] = json!(1);
    bench.source(tombstones(0, 9));
    assert!(bench.run().await.1.is_some());
    bench.spec["sync"]["write"]["deleteGuard"] = json!("2");
    assert_eq!(run(&bench).await, (0, 0, 2, 0));
}

#[tokio::test]
async fn what_a_person_allows_is_deleted_once() {
    let mut bench = forty().await;
    bench.source(tombstones(0, 10));
    let token = async |bench: &Bench| match bench.run().await.1 {
        Some(crate::worker::RunError::DeleteGuard { token, count, .. }) => (token, count),
        other => panic!("{other:?}"),
    };
    let (first, count) = token(&bench).await;
    assert_eq!(count, 10);
    assert_eq!(
        token(&bench).await.0,
        first,
        "it stays as long as nothing is added"
    );
    // More than was spoken of.
    bench.source(tombstones(0, 12));
    bench.allow_deletes = AllowDeletes::These(first.clone());
    let (second, count) = token(&bench).await;
    assert_eq!(count, 12);
    assert_ne!(second, first);
    assert!(deletes(&bench).is_empty());
    bench.allow_deletes = AllowDeletes::These(second.clone());
    assert_eq!(run(&bench).await, (0, 0, 12, 0));
    // The word is used up.
    bench.source(tombstones(0, 24));
    assert_eq!(token(&bench).await.1, 12);
    assert_eq!(deletes(&bench).len(), 12);
    bench.allow_deletes = AllowDeletes::All;
    assert_eq!(run(&bench).await, (0, 0, 12, 0));
}

#[tokio::test]
async fn what_is_held_back_over_a_crash_is_counted_again() {
    let bench = forty().await;
    bench.source(tombstones(0, 30));
    assert!(bench.run().await.1.is_some());
    // It ends while it scans again.
    bench.crash("GET /customers", 1).await;
    let (report, error) = bench.run().await;
    assert!(error.is_some());
    assert_eq!(report.counts.deleted, 0);
    assert!(deletes(&bench).is_empty());
}
