//! A target that is down: records wait and do not age, a first run goes on by itself when it is back, and nothing
//! is read or written twice for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::Bench;
use crate::state::OnMismatch;
use crate::worker::{Mode, Worker};

fn customers(count: usize) -> Vec<Value> {
    let of = |n| json!({"id": format!("c{n}"), "email": format!("c{n}@x"), "name": "Ada"});
    (0..count).map(of).collect()
}

/// A target that answers 503 to everything until it is told to be up.
async fn down(count: usize) -> (Bench, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let bench = Bench::new(move |_, asked| {
        let target = asked.path != "/customers";
        (target && !is_up.load(Ordering::SeqCst)).then(|| (503, json!({})))
    })
    .await;
    bench.source(customers(count));
    (bench, up)
}

#[tokio::test]
async fn while_the_target_is_down_no_record_ages_into_dead_letters() {
    let (mut bench, up) = down(30).await;
    bench.spec["sync"]["failures"] = json!({"deadLetterAfter": "1s"});
    // The records are known to the target, so that each write is simply tried again.
    up.store(true, Ordering::SeqCst);
    bench.run().await;
    up.store(false, Ordering::SeqCst);
    let mut changed = customers(30);
    changed
        .iter_mut()
        .for_each(|customer| customer["name"] = json!("Grace"));
    bench.source(changed);
    let begun = Instant::now();
    let mut runs = 0;
    while begun.elapsed() < Duration::from_secs(3) || runs < 5 {
        bench.run().await;
        runs += 1;
    }
    assert_eq!(bench.totals().await.dead_letters(), 0);
    up.store(true, Ordering::SeqCst);
    while bench.totals().await.exceptions() > 0 {
        bench.run().await;
    }
    bench.run().await;
    let world = bench.world();
    assert!(world.records.iter().all(|record| record["name"] == "Grace"));
    assert_eq!(world.records.len(), 30);
}

#[tokio::test]
async fn a_record_that_fails_while_others_are_taken_is_given_up_in_time() {
    let mut bench = Bench::new(|_, asked| {
        let bad = asked.method == "POST" && asked.body["name"] == "bad";
        bad.then(|| (500, json!({})))
    })
    .await;
    bench.spec["sync"]["failures"] = json!({"deadLetterAfter": "1s"});
    let begun = Instant::now();
    let mut number = 0;
    while bench.world().asked.is_empty() || bench.dead_letters().await.is_empty() {
        number += 1;
        let mut all = customers(1);
        all[0]["name"] = json!("bad");
        all.push(json!({"id": "ok", "email": "ok@x", "name": format!("v{number}")}));
        bench.source(all);
        bench.run().await;
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it goes on for ever"
        );
    }
    let dead = bench.dead_letters().await.remove(0);
    assert_eq!(
        (dead.entry.key.as_str(), dead.detail.reason.as_str()),
        ("c0", "Transient")
    );
    assert!(begun.elapsed() > Duration::from_secs(1));
    assert_eq!(bench.totals().await.exceptions(), 1);
}

#[tokio::test]
async fn a_first_run_that_finds_the_target_down_goes_on_by_itself_where_it_was() {
    let bench = Bench::new(|_, _| None).await;
    let pages = customers(60);
    bench.world().pages = pages.chunks(20).map(<[Value]>::to_vec).collect();
    let store = bench.store();
    // Nothing listens there: what is sent does not arrive.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut elsewhere = Bench::new(|_, _| None).await;
    elsewhere.spec = bench.spec.clone();
    elsewhere.spec["crm"]["http"]["baseURL"] = json!(format!("http://{address}"));
    // Less often, so that the circuit stays closed: that it opens is another test's.
    elsewhere.spec["crm"]["retry"] = json!({"initialDelay": "500ms", "maxDelay": "1s"});
    let (setup, stop) = elsewhere.setup(&store, Mode::Watch);
    let worker = Worker::open(setup, OnMismatch::Refuse).await.unwrap();
    let running = tokio::spawn(worker.run());
    let target = async {
        while bench.world().count("GET /customers") < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The target comes up at the address that nobody answered at.
        let app = axum::Router::new().fallback(async |request: axum::extract::Request| {
            let found = request.method() == "GET";
            axum::Json(if found {
                json!({"data": []})
            } else {
                json!({"id": 1})
            })
        });
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await });
        let session = bench.session(store.as_ref()).await;
        while store.totals(&session).await.unwrap().links < 60 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), target)
        .await
        .expect("it goes on");
    stop.send_replace(true);
    let (report, error) = running.await.unwrap();
    assert!(error.is_none(), "{error:?}");
    assert_eq!((report.counts.read, report.counts.created), (60, 60));
    let lists = bench.world().count("GET /customers");
    assert!((3..=4).contains(&lists), "each page was read once: {lists}");
}

/// A linked record whose every write is answered with this status once it is bad, and none beside it.
async fn one_bad(status: u16) -> Bench {
    let mut bench = Bench::new(move |_, asked| {
        let bad = asked.method == "PUT" && asked.body["name"] == "bad";
        bad.then(|| (status, json!({})))
    })
    .await;
    bench.spec["sync"]["failures"] = json!({"deadLetterAfter": "1s"});
    bench.source(customers(1));
    bench.run().await;
    let mut changed = customers(1);
    changed[0]["name"] = json!("bad");
    bench.source(changed);
    bench
}

/// Runs for this long, and until the target was asked for some writes; whether there is a dead letter then.
async fn gives_up(bench: &Bench, after: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < after || bench.world().count("PUT /contacts/0") < 30 {
        bench.run().await;
        if let Some(dead) = bench.dead_letters().await.first() {
            assert_eq!(dead.detail.reason, "Transient");
            assert!(begun.elapsed() > Duration::from_secs(1), "its time is over");
            return true;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "hardly anything is sent"
        );
    }
    false
}

#[tokio::test]
async fn one_bad_record_without_any_other_is_given_up_in_time_where_the_target_answers_reads() {
    // By find, by the probe, by get, by the list.
    for way in 0..4 {
        for status in [500, 503] {
            let mut bench = one_bad(status).await;
            let crm = &mut bench.spec["crm"];
            match way {
                1 => crm["probe"] = json!({"path": "/contacts"}),
                2 => crm["objects"][0]["get"] = json!({"path": "/contacts"}),
                3 => crm["objects"][0]["list"] = json!({"path": "/contacts", "records": "data"}),
                _ => {}
            }
            assert!(gives_up(&bench, Duration::from_secs(60)).await, "{way}");
            assert_eq!(bench.totals().await.exceptions(), 1);
        }
    }
}

#[tokio::test]
async fn one_bad_record_where_nothing_can_be_asked_is_told_by_its_status() {
    for (status, bad) in [(500, true), (503, false), (504, false)] {
        let mut bench = one_bad(status).await;
        bench.spec["crm"]["objects"][0]["find"] = Value::Null;
        bench.spec["sync"]["match"] = Value::Null;
        bench.spec["sync"]["write"] = json!({"onAmbiguous": "Retry"});
        assert_eq!(
            gives_up(&bench, Duration::from_secs(4)).await,
            bad,
            "{status}"
        );
    }
}

#[tokio::test]
async fn one_record_does_not_age_while_the_target_answers_nothing() {
    let (mut bench, up) = down(1).await;
    bench.spec["sync"]["failures"] = json!({"deadLetterAfter": "1s"});
    up.store(true, Ordering::SeqCst);
    bench.run().await;
    up.store(false, Ordering::SeqCst);
    let mut changed = customers(1);
    changed[0]["name"] = json!("Grace");
    bench.source(changed);
    // A clock that counts: the outage is known from the first run on, and this is far longer than 1 s.
    assert!(!gives_up(&bench, Duration::from_secs(4)).await);
    up.store(true, Ordering::SeqCst);
    bench.run().await;
    assert_eq!(bench.world().records[0]["name"], "Grace");
    assert_eq!(bench.totals().await.exceptions(), 0);
}

#[tokio::test]
async fn many_records_that_fail_are_the_targets_fault_whatever_it_answers_to_reads() {
    let down = Arc::new(AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let mut bench = Bench::new(move |_, asked| {
        let refused = asked.method == "PUT" && is_down.load(Ordering::SeqCst);
        refused.then(|| (500, json!({})))
    })
    .await;
    bench.spec["sync"]["failures"] = json!({"deadLetterAfter": "1s"});
    bench.source(customers(20));
    bench.run().await;
    down.store(true, Ordering::SeqCst);
    let mut changed = customers(20);
    for customer in &mut changed {
        customer["name"] = json!("Grace");
    }
    bench.source(changed);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        bench.run().await;
        assert_eq!(bench.totals().await.dead_letters(), 0);
    }
    down.store(false, Ordering::SeqCst);
    while bench.totals().await.exceptions() > 0 {
        bench.run().await;
    }
    let world = bench.world();
    assert!(world.records.iter().all(|record| record["name"] == "Grace"));
}
