//! Tombstones, and records that leave: what is deleted, what never is, and what comes back.

use serde_json::{Value, json};

use crate::record::Key;
use crate::state::{Link, Presence, RunReport, Store};
use crate::worker::AllowDeletes;

use super::support::Bench;

/// A Sync that deletes what its source calls deleted.
async fn bench(
    rule: impl Fn(&mut super::support::World, &super::support::Asked) -> Option<(u16, Value)>
    + Send
    + Sync
    + 'static,
) -> Bench {
    let mut bench = Bench::new(rule).await;
    bench.spec["shop"]["objects"][0]["deleted"] = json!("record.deleted == true");
    bench.spec["sync"]["write"] = json!({"onDelete": {"delete": {}}});
    bench
}

fn customer(n: usize, more: Value) -> Value {
    let mut record =
        json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "name": "Ada"});
    for (name, value) in more.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    record
}

fn gone(n: usize) -> Value {
    customer(n, json!({"deleted": true}))
}

fn figures(report: &RunReport) -> (u64, u64, u64, u64) {
    let counts = report.counts;
    (
        counts.created,
        counts.updated,
        counts.deleted,
        counts.skipped,
    )
}

async fn run(bench: &Bench) -> (u64, u64, u64, u64) {
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.outcome, "Succeeded", "{:?}", report.message);
    figures(&report)
}

async fn link(bench: &Bench, key: &str) -> Option<Link> {
    let store = bench.beside();
    let session = bench.session(&store).await;
    let keys = vec![Key::from_text(key)];
    store
        .known(&session, keys, false)
        .await
        .unwrap()
        .remove(0)
        .link
}

fn deletes(bench: &Bench) -> Vec<String> {
    let world = bench.world();
    let lines = world.asked.iter().map(|asked| asked.line());
    lines.filter(|line| line.starts_with("DELETE")).collect()
}

#[tokio::test]
async fn a_tombstone_deletes_its_own_target_record_once() {
    let bench = bench(|_, _| None).await;
    bench.source((0..3).map(|n| customer(n, json!({}))).collect());
    assert_eq!(run(&bench).await, (3, 0, 0, 0));
    bench.source(vec![
        customer(0, json!({})),
        gone(1),
        customer(2, json!({})),
    ]);
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
    assert_eq!(deletes(&bench).len(), 1);
    {
        let world = bench.world();
        let left: Vec<&Value> = world.records.iter().filter(|r| !r.is_null()).collect();
        let mut emails: Vec<&str> = left.iter().map(|r| r["email"].as_str().unwrap()).collect();
        emails.sort_unstable();
        assert_eq!(emails, ["c0@example.com", "c2@example.com"]);
    }
    assert_eq!(
        run(&bench).await,
        (0, 0, 0, 0),
        "the same tombstone is old news"
    );
    assert_eq!(deletes(&bench).len(), 1);
    let link = link(&bench, "c1").await.unwrap();
    assert_eq!((link.target, link.presence), (None, Presence::Removed));
}

#[tokio::test]
async fn a_tombstone_of_what_was_never_synced_deletes_nothing() {
    let bench = bench(|_, _| None).await;
    // It stands in the target, made by somebody else.
    bench.world().records = vec![json!({"email": "c0@example.com", "name": "by hand"})];
    bench.source(vec![gone(0)]);
    assert_eq!(run(&bench).await, (0, 0, 0, 1));
    assert_eq!(bench.world().records.len(), 1);
    assert!(deletes(&bench).is_empty());
}

#[tokio::test]
async fn a_record_that_comes_back_is_created_anew() {
    let bench = bench(|_, _| None).await;
    bench.source(vec![customer(0, json!({}))]);
    run(&bench).await;
    bench.source(vec![gone(0)]);
    run(&bench).await;
    bench.source(vec![customer(0, json!({}))]);
    assert_eq!(run(&bench).await, (1, 0, 0, 0));
    assert_eq!(bench.world().records.len(), 2);
    assert_eq!(bench.world().records[0], Value::Null);
    bench.source(vec![gone(0)]);
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
    assert_eq!(
        deletes(&bench),
        ["DELETE /contacts/0", "DELETE /contacts/1"]
    );
}

#[tokio::test]
async fn an_older_version_does_not_come_back_from_the_dead() {
    let mut bench = bench(|_, _| None).await;
    bench.spec["shop"]["objects"][0]["modified"] = json!({"path": "at", "format": "RFC3339"});
    let at = |day: u32| json!({"at": format!("2026-01-{day:02}T00:00:00Z")});
    let dead = |day: u32| {
        let mut record = customer(0, at(day));
        record["deleted"] = json!(true);
        record
    };
    bench.source(vec![customer(0, at(1))]);
    run(&bench).await;
    bench.source(vec![dead(3)]);
    run(&bench).await;
    bench.source(vec![customer(0, at(2))]);
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    bench.source(vec![customer(0, at(4))]);
    assert_eq!(run(&bench).await, (1, 0, 0, 0));
    bench.source(vec![dead(3)]);
    assert_eq!(
        run(&bench).await,
        (0, 0, 0, 0),
        "an old tombstone deletes nothing"
    );
    assert_eq!(deletes(&bench).len(), 1);
}

#[tokio::test]
async fn what_was_adopted_is_kept_unless_it_is_to_be_deleted() {
    for adopted in [false, true] {
        let mut bench = bench(|_, _| None).await;
        if adopted {
            bench.spec["sync"]["write"] = json!({"onDelete": {"delete": {"adopted": "Delete"}}});
        }
        bench.world().records = vec![json!({"email": "c0@example.com", "name": "by hand"})];
        bench.source(vec![customer(0, json!({}))]);
        assert_eq!(run(&bench).await, (0, 1, 0, 0));
        bench.source(vec![gone(0)]);
        let wanted = if adopted { (0, 0, 1, 0) } else { (0, 0, 0, 1) };
        assert_eq!(run(&bench).await, wanted);
        assert_eq!(bench.world().records[0].is_null(), adopted);
        // It is adopted again when it comes back.
        bench.source(vec![customer(0, json!({"name": "Bob"}))]);
        let wanted = if adopted { (1, 0, 0, 0) } else { (0, 1, 0, 0) };
        assert_eq!(run(&bench).await, wanted);
    }
}

#[tokio::test]
async fn fields_are_set_instead_and_the_record_is_updated_when_it_comes_back() {
    let mut bench = bench(|_, _| None).await;
    bench.spec["crm"]["objects"][0]["update"]["method"] = json!("PATCH");
    bench.spec["sync"]["write"] = json!({"onDelete": {"set": {"active": false}}});
    bench.source(vec![customer(0, json!({}))]);
    run(&bench).await;
    bench.source(vec![gone(0)]);
    assert_eq!(run(&bench).await, (0, 1, 0, 0));
    assert_eq!(bench.world().records, [json!({"active": false})]);
    // Another tombstone of the same record says nothing new.
    bench.source(vec![customer(0, json!({"deleted": true, "note": 1}))]);
    assert_eq!(run(&bench).await, (0, 0, 0, 1));
    bench.source(vec![customer(0, json!({}))]);
    assert_eq!(run(&bench).await, (0, 1, 0, 0));
    assert_eq!(bench.world().records[0]["name"], "Ada");
    assert!(deletes(&bench).is_empty());
}

#[tokio::test]
async fn a_delete_that_fails_for_a_while_is_repeated_and_one_that_is_refused_is_a_dead_letter() {
    let mut bench = bench(|world, asked| {
        let first = world.count("DELETE /contacts/0") == 1;
        match (asked.line().as_str(), first) {
            ("DELETE /contacts/0", true) => {
                // It takes effect, and nobody hears of it; the next one finds nothing.
                world.behave(asked);
                Some((503, json!({})))
            }
            ("DELETE /contacts/1", _) => Some((422, json!({"error": "has orders"}))),
            _ => None,
        }
    })
    .await;
    // One after another, so that the ids of the target are those of the source.
    bench.spec["crm"]["limits"] = json!([{"concurrency": 1}]);
    bench.source((0..2).map(|n| customer(n, json!({}))).collect());
    run(&bench).await;
    bench.source(vec![gone(0), gone(1)]);
    let (report, _) = bench.run().await;
    assert_eq!(figures(&report), (0, 0, 1, 0));
    let dead = bench.dead_letters().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].detail.reason, "Permanent");
    assert!(dead[0].entry.removal.is_some());
    assert!(!bench.world().records[1].is_null());
    // The same tombstone is not tried again; another version of the record ends the dead letter.
    let asked = deletes(&bench).len();
    run(&bench).await;
    assert_eq!(deletes(&bench).len(), asked);
    bench.source(vec![gone(0), customer(1, json!({"name": "Bob"}))]);
    assert_eq!(run(&bench).await, (0, 1, 0, 0));
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_replayed_delete_is_sent_again() {
    let refuse = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let refuses = refuse.clone();
    let bench = bench(move |_, asked| {
        let refused = asked.method == "DELETE" && refuses.load(std::sync::atomic::Ordering::SeqCst);
        refused.then(|| (422, json!({})))
    })
    .await;
    bench.source(vec![customer(0, json!({}))]);
    run(&bench).await;
    bench.source(vec![gone(0)]);
    bench.run().await;
    assert_eq!(bench.dead_letters().await.len(), 1);
    refuse.store(false, std::sync::atomic::Ordering::SeqCst);
    {
        let store = bench.beside();
        let session = bench.session(&store).await;
        let all = crate::state::Which::All;
        assert_eq!(store.replay(&session, all).await.unwrap(), 1);
    }
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_delete_survives_a_crash_between_its_request_and_its_commit() {
    let bench = bench(|_, _| None).await;
    bench.source(vec![customer(0, json!({}))]);
    run(&bench).await;
    bench.source(vec![gone(0)]);
    bench.crash("DELETE /contacts/0", 1).await;
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
    assert_eq!(
        link(&bench, "c0").await.unwrap().presence,
        Presence::Removed
    );
    assert!(bench.dead_letters().await.is_empty());
}

/// The upsert has made a record, and nobody knows its id: it must be learned before it can be deleted.
#[tokio::test]
async fn a_record_whose_upsert_is_in_doubt_is_upserted_before_it_is_deleted() {
    let mut bench = bench(|world, asked| {
        let key = asked.path.strip_prefix("/by-external/")?;
        let at = world.records.iter().position(|r| r["key"] == key);
        let at = at.unwrap_or_else(|| {
            world.records.push(json!({"key": key}));
            world.records.len() - 1
        });
        Some((200, json!({"id": at})))
    })
    .await;
    let target = &mut bench.spec["crm"]["objects"][0];
    target["upsert"] = json!({"path": "/by-external/${source.id}"});
    for unused in ["create", "find"] {
        target.as_object_mut().unwrap().remove(unused);
    }
    bench.spec["sync"].as_object_mut().unwrap().remove("match");
    bench.source(vec![customer(0, json!({}))]);
    bench.crash("PUT /by-external/c0", 1).await;
    bench.source(vec![gone(0)]);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(figures(&report).2, 1, "{report:?}");
    assert_eq!(bench.world().records, [Value::Null]);
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_record_that_where_admits_no_more_leaves_and_one_that_it_cannot_judge_does_not() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["sync"]["source"]["where"] = json!("record.tier != 'free'");
    bench.spec["sync"]["write"] = json!({"onLeave": {"delete": {}}});
    let tier = |n, tier: &str| customer(n, json!({"tier": tier}));
    bench.source(vec![tier(0, "gold"), tier(1, "gold"), tier(2, "free")]);
    assert_eq!(run(&bench).await, (2, 0, 0, 1));
    bench.source(vec![
        tier(0, "free"),
        customer(1, json!({})),
        tier(2, "free"),
    ]);
    assert_eq!(run(&bench).await, (0, 0, 1, 2));
    assert_eq!(deletes(&bench).len(), 1);
    bench.source(vec![tier(0, "gold"), tier(1, "gold"), tier(2, "gold")]);
    assert_eq!(run(&bench).await, (2, 0, 0, 0));
}

#[tokio::test]
async fn what_two_source_records_share_is_deleted_with_the_last_of_them() {
    let mut bench = bench(|_, _| None).await;
    bench.spec["sync"]["match"]["onShared"] = json!("Share");
    let twin = |n: usize, more: Value| {
        let mut record = customer(n, more);
        record["email"] = json!("twin@example.com");
        record
    };
    bench.source(vec![twin(0, json!({})), twin(1, json!({}))]);
    run(&bench).await;
    assert_eq!(bench.world().records.len(), 1);
    let dead = json!({"deleted": true});
    bench.source(vec![twin(0, dead.clone()), twin(1, json!({}))]);
    assert_eq!(run(&bench).await, (0, 0, 0, 1));
    assert!(!bench.world().records[0].is_null());
    bench.spec["sync"]["write"] = json!({"onDelete": {"delete": {"adopted": "Delete"}}});
    bench.source(vec![twin(0, dead.clone()), twin(1, dead)]);
    run(&bench).await;
    assert_eq!(bench.world().records, [Value::Null]);
}

#[tokio::test]
async fn a_tombstone_takes_the_place_of_what_was_never_sent() {
    // The first create is never answered well, so that the record is known and not linked.
    let bench =
        bench(|_, asked| (asked.method == "POST").then(|| (422, json!({"error": "no"})))).await;
    bench.source(vec![customer(0, json!({}))]);
    bench.run().await;
    assert_eq!(bench.dead_letters().await.len(), 1);
    bench.source(vec![gone(0)]);
    assert_eq!(run(&bench).await, (0, 0, 0, 1));
    assert!(bench.dead_letters().await.is_empty());
    assert!(deletes(&bench).is_empty());
}

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
