//! Tombstones, and records that leave: what is deleted, what never is, and what comes back.

use serde_json::{Value, json};

use crate::record::Key;
use crate::state::{Link, Presence, RunReport, Store};

use super::support::Bench;

/// A Sync that deletes what its source calls deleted.
pub async fn bench(
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

pub fn customer(n: usize, more: Value) -> Value {
    let mut record =
        json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "name": "Ada"});
    for (name, value) in more.as_object().into_iter().flatten() {
        record[name] = value.clone();
    }
    record
}

pub fn gone(n: usize) -> Value {
    customer(n, json!({"deleted": true}))
}

pub fn figures(report: &RunReport) -> (u64, u64, u64, u64) {
    let counts = report.counts;
    (
        counts.created,
        counts.updated,
        counts.deleted,
        counts.skipped,
    )
}

pub async fn run(bench: &Bench) -> (u64, u64, u64, u64) {
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(report.outcome, "Succeeded", "{:?}", report.message);
    figures(&report)
}

pub async fn link(bench: &Bench, key: &str) -> Option<Link> {
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

pub fn deletes(bench: &Bench) -> Vec<String> {
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
    // Another tombstone is carried out again: what may have been sent meanwhile is not known.
    bench.source(vec![customer(0, json!({"deleted": true, "note": 1}))]);
    assert_eq!(run(&bench).await, (0, 1, 0, 0));
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
