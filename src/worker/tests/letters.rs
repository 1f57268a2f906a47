//! What is kept of a record that became a dead letter: what was sent, when it was tried, none of what nobody is
//! to see; and how long it is kept.

use serde_json::{Value, json};

use super::support::{Asked, Bench, World};
use crate::record::{Class, Key};
use crate::state::{Exception, How, Store, Which};

const CANARY: &str = "078-05-1120 \"quoted\"";

fn customer(n: usize) -> Value {
    json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "name": "Ada", "ssn": CANARY})
}

/// A customer by its key, as the source has it now.
fn by_key(world: &World, asked: &Asked) -> Option<(u16, Value)> {
    let id = asked.path.strip_prefix("/customers/")?;
    let found = world.pages.concat().into_iter().find(|c| c["id"] == id);
    Some(found.map_or((404, json!({})), |customer| (200, customer)))
}

/// Everything that is kept of a dead letter.
fn kept(letter: &Exception) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let entry = &letter.entry;
    let detail = serde_json::to_string(&letter.detail).unwrap();
    [
        detail,
        text(&entry.source),
        text(&entry.body),
        text(&entry.params),
    ]
    .join("\n")
}

#[tokio::test]
async fn a_dead_letter_tells_what_was_sent_and_each_attempt() {
    let bench = Bench::new(|world, asked| match world.count("PUT /contacts/0") {
        1 | 2 => (asked.method == "PUT").then(|| (503, json!({}))),
        _ => (asked.method == "PUT").then(|| (422, json!({"error": "the name is too long"}))),
    })
    .await;
    bench.source(vec![customer(0)]);
    bench.run().await;
    let mut changed = customer(0);
    changed["name"] = json!("Grace");
    bench.source(vec![changed]);
    while bench.dead_letters().await.is_empty() {
        bench.run().await;
    }
    let letter = bench.dead_letters().await.remove(0);
    let tried: Vec<_> = letter
        .detail
        .tried
        .iter()
        .map(|t| (t.status, t.class))
        .collect();
    assert_eq!(
        tried,
        [
            (Some(503), Class::Transient),
            (Some(503), Class::Transient),
            (Some(422), Class::Permanent)
        ]
    );
    assert!(letter.detail.tried.is_sorted_by_key(|t| t.at));
    let failure = letter.detail.failure.unwrap();
    assert_eq!(
        failure.excerpt.as_deref(),
        Some(r#"{"error":"the name is too long"}"#)
    );
    let request = failure.request.unwrap();
    assert_eq!((request.method.as_str(), request.records), ("PUT", 1));
    assert!(request.url.ends_with("/contacts/0"), "{}", request.url);
    let body: Value = serde_json::from_str(&request.body.unwrap()).unwrap();
    assert_eq!(body["name"], "Grace");
}

#[tokio::test]
async fn what_nobody_is_to_see_is_not_kept_and_a_replay_reads_it_again() {
    let mut bench = Bench::new(|world, asked| {
        by_key(world, asked).or_else(|| {
            // The target repeats what it refuses.
            let first = asked.method == "POST" && world.count("POST /contacts") == 1;
            first.then(|| {
                (
                    422,
                    json!({"error": format!("{} is no tax number", asked.body["tax"])}),
                )
            })
        })
    })
    .await;
    bench.spec["shop"]["objects"][0]["redact"] = json!(["ssn"]);
    bench.spec["shop"]["objects"][0]["get"] = json!({"path": "/customers/${key.id}"});
    bench.spec["map"] = json!({"fields": [
        {"to": "email", "from": "email"}, {"to": "tax", "from": "ssn"},
        {"to": "note", "expr": "'tax number ' + record.ssn"},
    ]});
    bench.source(vec![customer(0)]);
    bench.run().await;
    let letter = bench.dead_letters().await.remove(0);
    let all = kept(&letter);
    assert!(!all.contains("078-05"), "{all}");
    assert!(
        all.contains("is no tax number") && all.contains("c0@example.com"),
        "{all}"
    );
    assert!(letter.detail.redacted);

    let beside = bench.beside();
    let session = bench.session(&beside).await;
    let which = Which::Key(Key::from_text("c0"));
    beside.replay(&session, which).await.unwrap();
    drop(beside);
    bench.run().await;
    assert_eq!(bench.world().records[0]["tax"], CANARY);
    assert_eq!(bench.world().count("GET /customers/c0"), 1);
    assert_eq!(bench.totals().await.exceptions(), 0);
}

#[tokio::test]
async fn a_rejected_value_that_nobody_is_to_see_is_not_in_the_message() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["shop"]["objects"][0]["redact"] = json!(["ssn"]);
    bench.spec["map"] = json!({"fields": [
        {"to": "email", "from": "email"}, {"to": "born", "from": "ssn", "date": {"parse": "RFC3339", "format": "RFC3339"}},
    ]});
    bench.source(vec![customer(0)]);
    bench.run().await;
    let letter = bench.dead_letters().await.remove(0);
    assert_eq!(letter.detail.reason, "BadDate");
    let all = kept(&letter);
    assert!(!all.contains("078-05"), "{all}");

    // It cannot be read again here: that is said, and it stays a dead letter.
    let beside = bench.beside();
    let session = bench.session(&beside).await;
    beside.replay(&session, Which::All).await.unwrap();
    drop(beside);
    bench.run().await;
    let letter = bench.dead_letters().await.remove(0);
    assert_eq!(letter.detail.reason, "NotReadable");
    assert!(
        letter.detail.message.contains("has no get"),
        "{}",
        letter.detail.message
    );
}

#[tokio::test]
async fn only_so_many_are_kept_and_the_others_are_counted() {
    let mut bench = Bench::new(|_, asked| (asked.method == "POST").then(|| (422, json!({})))).await;
    bench.spec["sync"]["failures"] = json!({"deadLetterLimit": 100, "suspectMappingAt": 1_000});
    bench.source((0..130).map(customer).collect());
    bench.run().await;
    assert_eq!(bench.dead_letters().await.len(), 100);
    let beside = bench.beside();
    let session = bench.session(&beside).await;
    let closed = beside.closed(&session, 1_000).await.unwrap();
    assert_eq!(closed.len(), 30);
    assert!(closed.iter().all(|one| one.how == How::Expired));
    drop(beside);
    // What was dropped counts as dealt with: a full scan does not bring it back.
    let posts = bench.world().count("POST /contacts");
    bench.run().await;
    assert_eq!(bench.world().count("POST /contacts"), posts);
}
