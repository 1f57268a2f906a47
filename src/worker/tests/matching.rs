//! Source records that share a match value: one of them may create a target record, and while it is not
//! known whether it did, nobody else may.

use serde_json::{Value, json};

use super::support::Bench;
use crate::pipeline::observe::Stage;
use crate::record::Key;
use crate::state::contract::{entry, target};
use crate::state::{Closing, Entry, Store, Trouble, Which};
use crate::worker::flight::{Base, Flight, Flights, Home};

fn twins(count: usize) -> Vec<Value> {
    (0..count)
        .map(
            |n| json!({"id": format!("c{n}"), "email": "one@example.com", "name": format!("n{n}")}),
        )
        .collect()
}

/// The first create is carried out, and its answer is lost; so is every search after it.
async fn in_doubt() -> Bench {
    Bench::new(|world, asked| match asked.line().as_str() {
        "POST /contacts" => {
            let _ = world.behave(asked);
            Some((500, json!({})))
        }
        "GET /contacts" if !world.records.is_empty() => Some((500, json!({}))),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_match_value_stays_taken_while_its_holder_is_in_doubt() {
    let bench = in_doubt().await;
    bench.source(twins(3));
    for _ in 0..2 {
        // The second run has only the store to know it from.
        bench.run().await;
        assert_eq!(bench.world().count("POST /contacts"), 1);
        let totals = bench.totals().await;
        assert_eq!((totals.unknown, totals.waiting), (1, 2), "{totals:?}");
    }
}

#[tokio::test]
async fn more_records_than_are_taken_at_once_wait_behind_one_in_doubt_and_all_come_to_an_end() {
    let bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            let _ = world.behave(asked);
            (500, json!({}))
        })
    })
    .await;
    bench.source(twins(300));
    let (report, _) = bench.run().await;
    assert_eq!(report.outcome, "Succeeded");
    assert_eq!(bench.world().records.len(), 1);
    let totals = bench.totals().await;
    assert_eq!(
        (totals.waiting, totals.dead.get("DuplicateMatch")),
        (0, Some(&299)),
        "{totals:?}"
    );
}

#[tokio::test]
async fn shared_records_wait_for_the_one_that_is_created_and_update_it() {
    let mut bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            let _ = world.behave(asked);
            (500, json!({}))
        })
    })
    .await;
    bench.spec["sync"]["match"]["onShared"] = json!("Share");
    bench.source(twins(3));
    bench.run().await;
    assert_eq!(bench.world().records.len(), 1);
    let totals = bench.totals().await;
    assert_eq!((totals.links, totals.exceptions()), (3, 0), "{totals:?}");
}

#[tokio::test]
async fn what_a_person_found_in_the_target_keeps_its_match_value_and_is_not_created_again() {
    let mut bench = in_doubt().await;
    bench.spec["crm"]["objects"][0]
        .as_object_mut()
        .unwrap()
        .remove("find");
    bench.source(twins(2));
    bench.run().await;
    let dead = bench.dead_letters().await;
    assert_eq!((dead.len(), dead[0].trouble), (1, Trouble::Ambiguous));
    let beside = bench.beside();
    let session = bench.session(&beside).await;
    let which = Which::Key(Key::from_text("c0"));
    assert_eq!(
        beside
            .discard(&session, which, Closing::discard(None, 1))
            .await
            .unwrap(),
        1
    );
    bench.run().await;
    let reasons = |dead: Vec<crate::state::Exception>| {
        dead.into_iter()
            .map(|e| (e.entry.key.to_string(), e.detail.reason))
            .collect::<Vec<_>>()
    };
    let duplicate = ("c1".to_owned(), "DuplicateMatch".to_owned());
    assert_eq!(reasons(bench.dead_letters().await), vec![duplicate.clone()]);
    bench.source(vec![
        json!({"id": "c0", "email": "one@example.com", "name": "new"}),
    ]);
    bench.run().await;
    let unknown = ("c0".to_owned(), "UnknownTarget".to_owned());
    assert_eq!(reasons(bench.dead_letters().await), [unknown, duplicate]);
    assert_eq!(bench.world().count("POST /contacts"), 1);
}

/// Another record would be linked to the same target record, were the value given back before.
#[test]
fn a_version_that_found_its_target_record_is_not_replaced_before_the_link_is_there() {
    let mut flights = Flights::default();
    let entry = Entry {
        matching: Some(7),
        ..entry("c0", 1)
    };
    let id = flights.add(Flight::new(entry, Home::Exception, Base::default()));
    assert!(flights.take_matching(7, id));
    flights.get_mut(id).holding = Some(7);
    flights.enqueue(id, true);
    assert_eq!(flights.newest_version(id).stage, Stage::Unsent);
    flights.get_mut(id).base.target = Some(target(1009));
    assert_eq!(flights.newest_version(id).stage, Stage::InDoubt);
}

#[tokio::test]
async fn a_record_is_found_again_by_what_the_mapping_writes() {
    let mut bench = Bench::new(|world, asked| {
        (asked.method == "POST" && world.records.is_empty()).then(|| {
            let _ = world.behave(asked);
            (500, json!({}))
        })
    })
    .await;
    bench.spec["map"]["fields"][0] = json!({"to": "email", "expr": "record.id + '@example.com'"});
    bench.spec["sync"]["match"]["fields"] = json!([{"target": "email"}]);
    bench.source(twins(2));
    let (report, _) = bench.run().await;
    assert_eq!(report.outcome, "Succeeded");
    // The first create was carried out and its answer lost: it is found, and nobody creates it again.
    assert_eq!(bench.world().records.len(), 2, "{:?}", bench.world().asked);
    let totals = bench.totals().await;
    assert_eq!((totals.links, totals.exceptions()), (2, 0), "{totals:?}");
}
