//! The way of several versions and records through the queue, and what waits for what.

use serde_json::{Value, json};

use super::support::Bench;
use crate::state::Store;

fn customer(n: usize, name: &str) -> Value {
    json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "name": name})
}

#[tokio::test]
async fn a_version_that_is_replaced_in_the_queue_is_passed_over() {
    // One request at a time, and none is answered before all pages were read.
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["crm"]["limits"] = json!([{"concurrency": 1}]);
    let first = (0..20).map(|n| customer(n, "old")).collect();
    let second = (5..10).map(|n| customer(n, "new")).collect();
    bench.world().pages = vec![first, second];
    let (report, error) = bench.run().await;
    assert_eq!(
        (report.outcome.as_str(), error.is_none()),
        ("Succeeded", true)
    );
    let world = bench.world();
    assert_eq!(world.records.len(), 20);
    for record in &world.records {
        let number: usize = record["email"].as_str().unwrap()[1..]
            .split('@')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let name = if (5..10).contains(&number) {
            "new"
        } else {
            "old"
        };
        assert_eq!(record["name"], name);
    }
}

#[tokio::test]
async fn a_record_that_waits_for_another_of_its_own_sync_goes_on_in_the_same_run() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["map"]["fields"] = json!([
        {"to": "email", "from": "email"},
        {"to": "parent", "from": "parent", "lookup": "parents", "onUnlinked": "Wait", "onMissing": "Omit"},
    ]);
    bench.spec["sync"]["lookups"] = json!([{"name": "parents", "syncRef": {"name": "sync"}}]);
    let child = |n: usize| json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "parent": format!("c{}", n + 1)});
    bench.source(vec![child(0), child(1), child(2), customer(3, "root")]);
    let (report, _) = bench.run().await;
    assert_eq!(
        (report.outcome.as_str(), report.counts.created),
        ("Succeeded", 4)
    );
    assert_eq!(bench.totals().await.waiting, 0);
}

/// Many waiting records are asked for while others of them are settled: what the store was asked before a
/// record was settled must not bring it back. The target has no search, so nothing but order keeps it from a
/// second create.
#[tokio::test]
async fn a_waiting_record_that_was_settled_while_the_store_was_asked_is_not_created_again() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["map"]["fields"] = json!([
        {"to": "email", "from": "email"},
        {"to": "parent", "from": "parent", "lookup": "parents", "onUnlinked": "Wait", "onMissing": "Omit"},
    ]);
    let sync = bench.spec["sync"].as_object_mut().unwrap();
    sync.insert(
        "lookups".into(),
        json!([{"name": "parents", "syncRef": {"name": "sync"}}]),
    );
    sync.remove("match");
    let contacts = bench.spec["crm"]["objects"][0].as_object_mut().unwrap();
    contacts.remove("find");
    let child = |n: usize| json!({"id": format!("c{n}"), "email": format!("c{n}@example.com"), "parent": format!("p{}", n % 100)});
    let parent = |n: usize| json!({"id": format!("p{n}"), "email": format!("p{n}@example.com")});
    bench.source((0..900).map(child).chain((0..100).map(parent)).collect());
    let (report, _) = bench.run().await;
    let created = bench.world().count("POST /contacts");
    assert_eq!((report.counts.created, created), (1000, 1000));
    assert_eq!(bench.totals().await.waiting, 0);
}

#[tokio::test]
async fn a_dead_letter_is_superseded_by_a_version_on_the_very_next_page() {
    let mut bench = Bench::new(|_, _| None).await;
    bench.spec["map"]["fields"] = json!([
        {"to": "email", "from": "email"},
        {"to": "name", "from": "name", "onMissing": "Reject"},
    ]);
    bench.spec["sync"]["failures"] = json!({"suspectMappingAt": 1_000});
    let broken = |n: usize| json!({"id": format!("c{n}"), "email": format!("c{n}@example.com")});
    bench.world().pages = vec![
        (0..50).map(broken).collect(),
        (0..50).map(|n| customer(n, "Ada")).collect(),
    ];
    bench.run().await;
    assert_eq!(bench.world().records.len(), 50);
    assert_eq!(bench.totals().await.exceptions(), 0);
}

#[tokio::test]
async fn what_may_only_be_created_is_upserted_where_there_is_no_create() {
    let mut bench = Bench::new(|world, asked| {
        (asked.method == "PUT" && asked.path.starts_with("/by/")).then(|| {
            world.records.push(asked.body.clone());
            (200, json!({"id": world.records.len() - 1}))
        })
    })
    .await;
    let object = bench.spec["crm"]["objects"][0].as_object_mut().unwrap();
    object.remove("create");
    object.insert("upsert".into(), json!({"path": "/by/${source.id}"}));
    bench.spec["sync"]["write"] = json!({"mode": "CreateOnly"});
    bench.source(vec![customer(0, "Ada")]);
    let (report, _) = bench.run().await;
    assert_eq!((report.counts.skipped, bench.world().records.len()), (0, 1));
}

#[tokio::test]
async fn a_new_parent_is_read_from_its_beginning_and_an_old_one_is_not() {
    let mut bench = Bench::new(|world, asked| {
        let region = asked.path.strip_prefix("/customers/")?;
        let since = asked.query.get("since").cloned().unwrap_or_default();
        let all = world
            .pages
            .iter()
            .flatten()
            .filter(|c| c["region"] == region);
        let new = all
            .filter(|c| c["at"].as_str().unwrap() >= since.as_str())
            .cloned();
        Some((200, new.collect()))
    })
    .await;
    let list = |regions: &[&str]| {
        json!({
            "path": "/customers/${parent.value}",
            "forEach": [{"values": regions}],
            "cursor": {"field": {"path": "at", "format": "RFC3339", "sendAs": {"in": "Query", "name": "since"}}},
        })
    };
    let customer = |n: usize, region: &str, at: &str| {
        let mut customer = customer(n, "Ada");
        customer["region"] = json!(region);
        customer["at"] = json!(at);
        customer
    };
    bench.full = false;
    bench.source(vec![
        customer(0, "eu", "2024-01-01T00:00:00Z"),
        customer(1, "eu", "2024-03-01T00:00:00Z"),
        customer(2, "us", "2024-02-01T00:00:00Z"),
    ]);
    for (regions, created, read) in [
        (&["eu"][..], 2, 2),
        (&["eu", "us"], 1, 2),
        (&["eu", "us"], 0, 1),
    ] {
        bench.spec["shop"]["objects"][0]["list"] = list(regions);
        let (report, _) = bench.run().await;
        // The common watermark lies after all that us has, and is inclusive.
        assert_eq!(
            (report.counts.created, report.counts.read),
            (created, read),
            "{regions:?}"
        );
    }
}

#[tokio::test]
async fn what_is_repeatable_is_kept_without_its_body_and_mapped_anew_after_a_crash() {
    let mut bench = Bench::new(|world, asked| {
        (asked.method == "PUT").then(|| {
            let id = world.records.len();
            world.records.push(asked.body.clone());
            (200, json!({"id": id}))
        })
    })
    .await;
    let target = bench.spec["crm"]["objects"][0].as_object_mut().unwrap();
    target.insert("upsert".into(), json!({"path": "/by/${source.id}"}));
    target.remove("create");
    bench.source((0..3).map(|n| customer(n, "Ada")).collect());
    bench.crash("PUT /by/", 1).await;
    let kept = {
        let beside = bench.beside();
        let session = bench.session(&beside).await;
        beside.outbox(&session).await.unwrap()
    };
    let entries = kept.iter().flat_map(|stored| &stored.entries);
    assert_eq!(entries.clone().count(), 3);
    assert!(
        entries
            .into_iter()
            .all(|e| e.body.is_empty() && !e.source.is_empty())
    );
    bench.spec["map"]["fields"][1]["expr"] = json!("record.name + '!'");
    bench.spec["map"]["fields"][1]
        .as_object_mut()
        .unwrap()
        .remove("from");
    let before = bench.world().records.len();
    let (report, _) = bench.run().await;
    assert_eq!(report.outcome, "Succeeded");
    let world = bench.world();
    assert_eq!(world.records.len() - before, 3);
    let names = world.records[before..]
        .iter()
        .map(|r| r["name"].as_str().unwrap());
    assert!(
        names.into_iter().all(|name| name.ends_with('!')),
        "{:?}",
        world.records
    );
}
