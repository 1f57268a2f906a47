//! Where a feed of changes is read from: found before the list is read, kept from run to run, and lost.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::feed::{Feed, bench, count, gets, named, position, watermark};
use super::removal::run;

#[tokio::test]
async fn a_feed_that_has_forgotten_leads_to_a_full_scan_at_once() {
    let forgets = Arc::new(Mutex::new(false));
    let forgot = Arc::clone(&forgets);
    let (bench, feed) = bench(move |_, asked| {
        let asks = asked.path == "/events" && asked.query.contains_key("since");
        (asks && std::mem::take(&mut *forgot.lock().unwrap())).then(|| (410, json!({})))
    })
    .await;
    bench.source(vec![named(0, "Ada")]);
    feed.tell("customer.created", 0);
    run(&bench).await;
    // Nobody tells of these.
    bench.source(vec![named(0, "Ada L"), named(1, "Bob")]);
    assert_eq!(
        run(&bench).await,
        (0, 1, 0, 0),
        "only what is read up to again"
    );
    *forgets.lock().unwrap() = true;
    assert_eq!(run(&bench).await, (1, 0, 0, 0));
    assert_eq!(position(&bench).await.unwrap().watermark, watermark(1));
}

#[tokio::test]
async fn a_sync_that_was_away_for_longer_than_the_feed_keeps_reads_the_list() {
    let (mut bench, _feed) = bench(|_, _| None).await;
    bench.spec["shop"]["objects"][0]["changes"]["keeps"] = json!("1ms");
    bench.source(vec![named(0, "Ada")]);
    run(&bench).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    bench.source(vec![named(0, "Ada"), named(1, "Bob")]);
    assert_eq!(run(&bench).await, (1, 0, 0, 0));
    // Another feed than before: its place is another one.
    bench.spec["shop"]["objects"][0]["changes"]["keeps"] = json!("1h");
    run(&bench).await;
    let lists = count(&bench, "GET /customers");
    run(&bench).await;
    assert_eq!(count(&bench, "GET /customers"), lists);
    bench.spec["shop"]["objects"][0]["changes"]["cursor"]["field"]["path"] = json!("data.seq");
    run(&bench).await;
    assert!(count(&bench, "GET /customers") > lists);
}

#[tokio::test]
async fn what_changes_while_the_list_is_read_at_first_is_found_in_the_feed_afterwards() {
    let happens = Arc::new(Mutex::new(None::<Feed>));
    let happened = Arc::clone(&happens);
    let (bench, feed) = bench(move |world, asked| {
        if asked.path != "/customers" {
            return None;
        }
        let feed = happened.lock().unwrap().take()?;
        // The answer has what was there before.
        let answer = world.behave(asked);
        world.pages = vec![vec![named(0, "after"), named(1, "after")]];
        feed.tell("customer.updated", 0);
        feed.tell("customer.created", 1);
        Some(answer)
    })
    .await;
    *happens.lock().unwrap() = Some(feed.clone());
    feed.tell("customer.created", 0);
    bench.source(vec![named(0, "before")]);
    assert_eq!(run(&bench).await, (1, 0, 0, 0));
    assert_eq!(run(&bench).await, (1, 1, 0, 0));
}

#[tokio::test]
async fn a_feed_with_times_is_read_ahead_from_a_day_back_even_if_it_says_nothing() {
    let (mut bench, _feed) = bench(|_, _| None).await;
    let cursor =
        json!({"path": "at", "format": "UnixMillis", "sendAs": {"in": "Query", "name": "from"}});
    bench.spec["shop"]["objects"][0]["changes"]["cursor"] = json!({ "field": cursor });
    let day = 24 * 3_600_000;
    let before = crate::worker::now();
    run(&bench).await;
    run(&bench).await;
    let asked = bench.world().asked.clone();
    let froms: Vec<i64> = asked
        .iter()
        .filter_map(|a| a.query.get("from")?.parse().ok())
        .collect();
    let [ahead, next] = froms[..] else {
        panic!("{froms:?}");
    };
    assert!(ahead >= before - day && ahead < before, "{ahead}");
    assert_eq!(ahead, next, "nothing was told since");
}

#[tokio::test]
async fn a_feed_with_tokens_is_read_from_the_last_one_and_its_end_is_found_first() {
    let (mut bench, _feed) = bench(|_, asked| {
        let token = asked.query.get("token").map(String::as_str);
        let entries = match token {
            None => json!([{"id": "c0"}]),
            Some("t1") => json!([{"id": "c1"}]),
            Some(_) => json!([]),
        };
        let next = if token.is_none() { "t1" } else { "t2" };
        (asked.path == "/events").then(|| (200, json!({"data": entries, "delta": next})))
    })
    .await;
    let changes = &mut bench.spec["shop"]["objects"][0]["changes"];
    changes["pagination"] = json!(null);
    changes["cursor"] =
        json!({"token": {"from": "delta", "sendAs": {"in": "Query", "name": "token"}}});
    changes["routes"] = json!([{"key": {"id": "entry.id"}, "use": "Deleted"}]);
    bench.source(vec![named(0, "Ada")]);
    assert_eq!(run(&bench).await, (1, 0, 0, 0));
    assert_eq!(position(&bench).await.unwrap().token.as_deref(), Some("t1"));
    bench.source(vec![named(0, "Ada L"), named(1, "Bob")]);
    assert_eq!(
        run(&bench).await,
        (1, 0, 0, 0),
        "nobody told of the other one"
    );
    assert_eq!(position(&bench).await.unwrap().token.as_deref(), Some("t2"));
    assert_eq!((gets(&bench, 0), gets(&bench, 1)), (0, 1));
}
