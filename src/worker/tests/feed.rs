//! A feed of changes: what its entries name is read once, and nothing that it told is lost.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::removal::{customer, deletes, figures, link, run};
use super::support::{Asked, Bench, World};
use crate::record::Moment;
use crate::state::{FeedPosition, Presence, Store};

type Answer = Option<(u16, Value)>;

/// The entries of the feed: each has a `seq` of its own, which is asked for from `since` on, two a page unless
/// `limit` says otherwise.
#[derive(Clone, Default)]
pub struct Feed(Arc<Mutex<Vec<Value>>>);

impl Feed {
    pub fn tell(&self, kind: &str, n: usize) {
        let mut entries = self.0.lock().unwrap();
        let seq = entries.len() + 1;
        entries.push(json!({"seq": seq, "type": kind, "data": {"id": format!("c{n}")}}));
    }

    fn push(&self, mut entry: Value) {
        let mut entries = self.0.lock().unwrap();
        entry["seq"] = json!(entries.len() + 1);
        entries.push(entry);
    }

    fn answer(&self, asked: &Asked) -> Answer {
        if asked.path != "/events" {
            return None;
        }
        let number = |name: &str| asked.query.get(name).and_then(|text| text.parse().ok());
        let since: u64 = number("since").unwrap_or(0);
        let after: u64 = number("after").unwrap_or(0);
        let entries = self.0.lock().unwrap();
        let seq = |entry: &Value| entry["seq"].as_u64().unwrap();
        let of = entries.iter().filter(|e| seq(e) >= since && seq(e) > after);
        let rest: Vec<Value> = of.cloned().collect();
        let limit = number("limit").unwrap_or(2) as usize;
        let page = &rest[..rest.len().min(limit)];
        let next = (rest.len() > limit).then(|| seq(&page[limit - 1]));
        Some((200, json!({"data": page, "next": next})))
    }
}

/// Customers with a feed; `rule` is asked before the feed is.
pub async fn bench(
    rule: impl Fn(&mut World, &Asked) -> Answer + Send + Sync + 'static,
) -> (Bench, Feed) {
    let feed = Feed::default();
    let events = feed.clone();
    let mut bench =
        Bench::new(move |world, asked| rule(world, asked).or_else(|| events.answer(asked))).await;
    let object = &mut bench.spec["shop"]["objects"][0];
    object["get"] = json!({"path": "/customers/${key.id}"});
    object["changes"] = json!({
        "path": "/events",
        "records": "data",
        "pagination": {"token": {"from": "next", "sendAs": {"in": "Query", "name": "after"}}},
        "cursor": {"field": {"path": "seq", "format": "Integer", "sendAs": {"in": "Query", "name": "since"}}},
        "routes": [
            {"when": "entry.type.startsWith('customer.')", "key": {"id": "entry.data.id"}},
            {"when": "entry.type == 'customer.deleted'", "key": {"id": "entry.data.id"}, "use": "Deleted"},
        ],
    });
    bench.spec["shop"]["retry"] = json!({"initialDelay": "1ms", "maxDelay": "2ms"});
    bench.spec["sync"]["write"] = json!({"onDelete": {"delete": {}}});
    bench.full = false;
    (bench, feed)
}

pub fn named(n: usize, name: &str) -> Value {
    customer(n, json!({"name": name}))
}

pub fn count(bench: &Bench, line: &str) -> usize {
    bench.world().count(line)
}

pub fn gets(bench: &Bench, n: usize) -> usize {
    count(bench, &format!("GET /customers/c{n}"))
}

pub async fn position(bench: &Bench) -> Option<FeedPosition> {
    let store = bench.beside();
    store.list().await.unwrap().remove(0).1.feed
}

pub fn watermark(n: i64) -> Option<Moment> {
    Some(Moment::Integer(n))
}

#[tokio::test]
async fn a_feed_brings_what_was_created_changed_and_deleted_and_reads_each_record_once() {
    let (bench, feed) = bench(|_, _| None).await;
    bench.source(vec![named(0, "Ada"), named(1, "Bob"), named(2, "Cleo")]);
    feed.tell("customer.created", 0);
    assert_eq!(run(&bench).await, (3, 0, 0, 0));
    assert_eq!(gets(&bench, 0), 0, "what was told before is in the list");
    assert_eq!(position(&bench).await.unwrap().watermark, watermark(1));

    bench.source(vec![named(0, "Ada L"), named(2, "Cleo"), named(3, "Dan")]);
    for (kind, n) in [
        ("customer.updated", 0),
        ("customer.updated", 0),
        ("customer.created", 3),
        ("customer.deleted", 1),
        ("invoice.paid", 2),
    ] {
        feed.tell(kind, n);
    }
    assert_eq!(run(&bench).await, (1, 1, 1, 0));
    let lists = count(&bench, "GET /customers");
    assert_eq!(
        lists, 2,
        "one page and the empty one after it, in the first run only"
    );
    assert_eq!(
        gets(&bench, 1),
        1,
        "both routes of its entry are one question"
    );
    assert_eq!(gets(&bench, 2), 0, "no route wants it");
    assert_eq!(
        link(&bench, "c1").await.unwrap().presence,
        Presence::Removed
    );
    assert_eq!(position(&bench).await.unwrap().watermark, watermark(6));
    // What was read up to is read once more, and does no harm.
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    assert_eq!(deletes(&bench).len(), 1);
}

#[tokio::test]
async fn a_record_that_is_not_there_counts_as_deleted_only_where_the_feed_said_so() {
    let (bench, feed) = bench(|_, _| None).await;
    bench.source(vec![named(0, "Ada"), named(1, "Bob")]);
    run(&bench).await;
    bench.source(vec![named(1, "Bob")]);
    feed.tell("customer.updated", 0);
    // It was deleted, and is there again.
    feed.tell("customer.deleted", 1);
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    assert!(deletes(&bench).is_empty());
    assert_eq!((gets(&bench, 0), gets(&bench, 1)), (1, 1));
}

#[tokio::test]
async fn a_record_that_cannot_be_fetched_now_holds_the_place_in_the_feed() {
    let down = Arc::new(Mutex::new(Some(500)));
    let status = Arc::clone(&down);
    let (bench, feed) = bench(move |_, asked| {
        let status = (*status.lock().unwrap())?;
        (asked.path == "/customers/c1").then(|| (status, json!({})))
    })
    .await;
    bench.source(vec![]);
    feed.tell("customer.created", 9);
    run(&bench).await;
    bench.source(vec![named(0, "Ada"), named(1, "Bob")]);
    for n in [0, 0, 1] {
        feed.tell("customer.created", n);
    }
    let (report, error) = bench.run().await;
    assert!(error.is_some(), "{report:?}");
    assert_eq!(position(&bench).await.unwrap().watermark, watermark(1));
    let (report, error) = bench.run().await;
    assert!(error.is_some(), "{report:?}");
    *down.lock().unwrap() = None;
    bench.run().await;
    assert!(link(&bench, "c1").await.is_some());
    assert_eq!(position(&bench).await.unwrap().watermark, watermark(4));
    assert_eq!(bench.world().records.len(), 2);
}

#[tokio::test]
async fn what_can_never_be_fetched_and_what_names_no_record_are_dead_letters() {
    let (bench, feed) = bench(|_, asked| {
        (asked.path == "/customers/c1").then(|| (422, json!({"error": "broken"})))
    })
    .await;
    bench.source(vec![]);
    run(&bench).await;
    bench.source(vec![named(0, "Ada")]);
    feed.tell("customer.updated", 1);
    feed.push(json!({"type": "customer.updated", "data": {}}));
    feed.tell("customer.updated", 0);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!((report.counts.created, report.counts.dead), (1, 2));
    let letters = bench.dead_letters().await;
    let messages: Vec<&str> = letters.iter().map(|l| l.detail.message.as_str()).collect();
    let says = |what: &str| messages.iter().any(|message| message.contains(what));
    assert!(says("cannot be fetched"), "{messages:?}");
    assert!(
        says("check key of changes.routes of object customers"),
        "{messages:?}"
    );
    assert_eq!(
        run(&bench).await,
        (0, 0, 0, 0),
        "the place in the feed has moved"
    );
}

#[tokio::test]
async fn a_record_that_an_entry_holds_does_not_overwrite_a_newer_one() {
    let (mut bench, feed) = bench(|_, _| None).await;
    let object = &mut bench.spec["shop"]["objects"][0];
    object["modified"] = json!({"path": "v", "format": "Integer"});
    object["deleted"] = json!("record.deleted == true");
    object["changes"]["routes"] =
        json!([{"key": {"id": "entry.data.id"}, "use": "Payload", "record": "entry.data"}]);
    let version = |n: usize, name: &str, v: i64| customer(n, json!({"name": name, "v": v}));
    bench.source(vec![
        version(0, "five", 5),
        version(1, "one", 1),
        version(2, "one", 1),
    ]);
    run(&bench).await;
    let mut gone = version(2, "two", 2);
    gone["deleted"] = json!(true);
    for data in [version(0, "four", 4), version(1, "two", 2), gone] {
        feed.push(json!({"data": data}));
    }
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(figures(&report), (0, 1, 1, 0));
    assert_eq!(report.counts.superseded, 1);
    let mut names: Vec<Value> = bench
        .world()
        .records
        .iter()
        .map(|r| r["name"].clone())
        .collect();
    names.sort_by_key(Value::to_string);
    assert_eq!(names, [json!("five"), json!("two"), json!(null)]);
    assert_eq!(gets(&bench, 0) + gets(&bench, 1) + gets(&bench, 2), 0);
}

#[tokio::test]
async fn a_crash_between_fetching_and_t1_and_after_it_loses_nothing() {
    let (bench, feed) = bench(|_, _| None).await;
    bench.source(vec![named(0, "Ada")]);
    run(&bench).await;
    bench.source((0..6).map(|n| named(n, "new")).collect());
    for n in 0..6 {
        feed.tell("customer.changed", n);
    }
    // The first record was asked for, and nothing is durable; then the first record was written.
    bench.crash("GET /customers/c1", 1).await;
    assert_eq!(position(&bench).await.unwrap().watermark, None);
    bench.crash("POST /contacts", 1).await;
    bench.run().await;
    let mut names: Vec<String> = (0..6).map(|n| format!("c{n}@example.com")).collect();
    let records = bench.world().records.clone();
    let mut emails: Vec<String> = records
        .iter()
        .map(|r| r["email"].as_str().unwrap().into())
        .collect();
    emails.sort();
    names.sort();
    assert_eq!(emails, names);
    assert!(records.iter().all(|record| record["name"] == "new"));
}

#[tokio::test]
async fn a_large_page_is_taken_in_portions_and_its_place_moves_at_the_end() {
    let down = Arc::new(Mutex::new(true));
    let is_down = Arc::clone(&down);
    let (mut bench, feed) = bench(move |_, asked| {
        let last = asked.path == "/customers/c449";
        (last && *is_down.lock().unwrap()).then(|| (500, json!({})))
    })
    .await;
    bench.spec["shop"]["objects"][0]["changes"]["query"] = json!({"limit": "1000"});
    run(&bench).await;
    bench.source((0..450).map(|n| named(n, "new")).collect());
    for n in (0..450).chain(0..450) {
        feed.tell("customer.created", n);
    }
    let (report, error) = bench.run().await;
    assert!(error.is_some(), "{report:?}");
    assert_eq!(report.counts.read, 400, "two portions are kept");
    assert_eq!(position(&bench).await.unwrap().watermark, None);
    *down.lock().unwrap() = false;
    bench.run().await;
    assert_eq!(bench.world().records.len(), 450);
    assert_eq!(position(&bench).await.unwrap().watermark, watermark(900));
    assert_eq!(
        (gets(&bench, 0), gets(&bench, 448)),
        (2, 2),
        "once in each run"
    );
}
