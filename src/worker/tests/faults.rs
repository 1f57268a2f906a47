//! Answers that are lost, late or wrong: nothing twice, nothing lost, and every run ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::Bench;
use crate::record::Key;
use crate::state::{OnMismatch, Store, Trouble, Which};
use crate::worker::{Mode, Worker};

fn customers(count: usize) -> Vec<Value> {
    (0..count)
        .map(
            |n| json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "name": "Ada"}),
        )
        .collect()
}

#[tokio::test]
async fn a_single_run_ends_while_a_record_fails_again_and_again() {
    let bench = Bench::new(|_, asked| (asked.method == "POST").then(|| (500, json!({})))).await;
    bench.source(customers(3));
    let (report, error) = bench.run().await;
    assert_eq!(
        (report.outcome.as_str(), error.is_none()),
        ("Incomplete", true),
        "{error:?}"
    );
    assert_eq!(bench.totals().await.unknown, 3);
}

#[tokio::test]
async fn a_way_from_a_to_b_and_back_ends_as_a_also_over_a_crash() {
    let mut bench = Bench::new(|world, asked| {
        let first = world.pages[0][0]["name"] == "B";
        world.silent |= first && asked.body["name"] == "B";
        None
    })
    .await;
    let versions = |name: &str| {
        let mut all = customers(60);
        all.iter_mut()
            .for_each(|customer| customer["name"] = json!(name));
        all
    };
    bench.source(versions("A"));
    bench.run().await;
    // All of B is carried out, and nobody learns of it; then the source goes back to A.
    bench.spec["crm"]["limits"] = json!([{"concurrency": 64}]);
    bench.source(versions("B"));
    bench.crash("PUT /contacts/", 60).await;
    assert!(
        bench
            .world()
            .records
            .iter()
            .all(|record| record["name"] == "B")
    );
    bench.world().silent = false;
    bench.source(versions("A"));
    bench.spec["crm"]["limits"] = json!([{"concurrency": 1}]);
    bench.run().await;
    let left = bench
        .world()
        .records
        .iter()
        .filter(|r| r["name"] != "A")
        .count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn what_a_crash_left_in_doubt_and_the_target_refuses_since_is_not_taken_for_the_old_content()
{
    // B is carried out before the crash, and refused from then on.
    let bench = Bench::new(|world, asked| {
        let there = world.records.iter().any(|record| record["name"] == "B");
        let wanted = asked.body["name"] == "B";
        world.silent |= wanted && !there;
        (wanted && there).then(|| (422, json!({})))
    })
    .await;
    let named = |name: &str| json!({"id": "c0", "email": "c0@example.com", "name": name});
    bench.source(vec![named("A")]);
    bench.run().await;
    bench.source(vec![named("B")]);
    bench.crash("PUT /contacts/", 1).await;
    bench.world().silent = false;
    bench.run().await;
    assert_eq!(bench.dead_letters().await[0].detail.reason, "Permanent");
    bench.source(vec![named("A")]);
    bench.run().await;
    assert_eq!(bench.world().records[0]["name"], "A");
    assert_eq!(bench.totals().await.exceptions(), 0);
}

#[tokio::test]
async fn more_exceptions_than_are_taken_at_once_all_go_on() {
    // Every create is answered 500 once, after it was carried out.
    let bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            let _ = world.behave(asked);
            (500, json!({}))
        })
    })
    .await;
    bench.source(customers(600));
    let (report, error) = bench.run().await;
    assert_eq!(
        (report.outcome.as_str(), error.is_none()),
        ("Succeeded", true)
    );
    assert_eq!(bench.world().records.len(), 600);
    assert_eq!(bench.totals().await.exceptions(), 0);
}

#[tokio::test]
async fn a_create_that_exists_already_and_is_not_found_ends_in_dead_letters() {
    let mut bench = Bench::new(|_, asked| (asked.method == "POST").then(|| (409, json!({})))).await;
    bench.spec["crm"]["responses"] = json!([{"when": "status == 409", "class": "AlreadyExists"}]);
    bench.source(customers(1));
    bench.run().await;
    while bench.dead_letters().await.is_empty() {
        bench.run().await;
        assert!(
            bench.world().count("POST /contacts") < 10,
            "it goes on for ever"
        );
    }
    let dead = bench.dead_letters().await;
    assert_eq!(dead[0].detail.reason, "AlreadyExists", "{dead:?}");
}

#[tokio::test]
async fn a_create_whose_answer_has_no_id_is_looked_for_and_never_sent_again() {
    let bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            let _ = world.behave(asked);
            (201, json!({"ok": true}))
        })
    })
    .await;
    bench.source(customers(1));
    bench.run().await;
    bench.source(vec![
        json!({"id": "c0", "email": "c0@example.com", "name": "Grace"}),
    ]);
    bench.run().await;
    let world = bench.world();
    assert_eq!(
        world.records,
        [json!({"email": "c0@example.com", "name": "Grace"})]
    );
    assert_eq!(world.count("POST /contacts"), 1);
}

#[tokio::test]
async fn a_record_that_is_created_anew_is_not_created_twice_by_a_crash() {
    // Nothing can be searched here, so that only what was noted down tells.
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["crm"]["objects"][0]
        .as_object_mut()
        .unwrap()
        .remove("find");
    bench.spec["sync"].as_object_mut().unwrap().remove("match");
    bench.source(customers(1));
    bench.run().await;
    // Somebody deletes it in the target; the next version is created anew, and the crash comes before
    // its answer.
    bench.world().records[0] = Value::Null;
    bench.source(vec![
        json!({"id": "c0", "email": "c0@example.com", "name": "Grace"}),
    ]);
    bench.crash("POST /contacts", 1).await;
    bench.run().await;
    let world = bench.world();
    assert_eq!(
        world.count("POST /contacts"),
        2,
        "once at first, once anew: {:?}",
        world.asked
    );
    assert_eq!(
        world.records[1],
        json!({"email": "c0@example.com", "name": "Grace"})
    );
}

#[tokio::test]
async fn a_failure_that_leaves_doubt_is_not_taken_for_the_old_content() {
    // The update to B is carried out and answered 500 for longer than records are retried.
    let mut bench = Bench::new(|world, asked| {
        (asked.method == "PUT" && asked.body["name"] == "B").then(|| {
            let _ = world.behave(asked);
            (500, json!({}))
        })
    })
    .await;
    bench.spec["sync"]["failures"] = json!({"deadLetterAfter": "1s"});
    let version = |name: &str| vec![json!({"id": "c0", "email": "c0@example.com", "name": name})];
    bench.source(version("A"));
    bench.run().await;
    for number in 0.. {
        // The target takes others meanwhile, else it would count as down.
        let other = json!({"id": "c1", "email": "c1@example.com", "name": number.to_string()});
        bench.source([version("B"), vec![other]].concat());
        bench.run().await;
        if !bench.dead_letters().await.is_empty() {
            break;
        }
    }
    bench.source(version("A"));
    bench.run().await;
    assert_eq!(bench.world().records[0]["name"], "A");
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_watching_worker_sees_what_is_replayed_beside_it() {
    let bench = Bench::new(|world, asked| {
        (asked.method == "POST" && world.count("POST /contacts") == 1).then(|| (422, json!({})))
    })
    .await;
    bench.source(customers(1));
    let store = bench.store();
    let (setup, stop) = bench.setup(&store, Mode::Watch);
    let worker = Worker::open(setup, OnMismatch::Refuse).await.unwrap();
    let running = tokio::spawn(worker.run());
    let wait = async {
        while bench.dead_letters().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let beside = bench.beside();
        let session = bench.session(&beside).await;
        let which = Which::Key(Key::from_text("c0"));
        assert_eq!(beside.replay(&session, which).await.unwrap(), 1);
        while bench.world().records.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait)
        .await
        .expect("it is sent");
    stop.send_replace(true);
    running.await.unwrap();
    assert_eq!(bench.totals().await.exceptions(), 0);
}

#[tokio::test]
async fn a_record_without_a_match_value_is_never_created_again() {
    let bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            let _ = world.behave(asked);
            (500, json!({}))
        })
    })
    .await;
    bench.source(vec![json!({"id": "c0", "name": "Ada"})]);
    bench.run().await;
    bench.run().await;
    assert_eq!(bench.world().records.len(), 1);
    let dead = bench.dead_letters().await;
    assert_eq!(dead[0].trouble, Trouble::Ambiguous, "{dead:?}");
}

#[tokio::test]
async fn what_a_lookup_finds_gets_the_version_and_is_never_taken_for_it() {
    // The create does not arrive, and meanwhile somebody makes the record by hand.
    let bench = Bench::new(|world, asked| {
        (asked.method == "POST").then(|| {
            world
                .records
                .push(json!({"email": asked.body["email"], "name": "by hand"}));
            (500, json!({}))
        })
    })
    .await;
    bench.source(customers(1));
    let (report, _) = bench.run().await;
    assert_eq!(report.outcome, "Succeeded");
    assert_eq!(
        bench.world().records,
        [json!({"email": "c0@example.com", "name": "Ada"})]
    );
}
