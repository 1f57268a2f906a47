//! Deletes by absence: what a complete list does not show, and who has the last word about it.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::record::{Fingerprint, Key};
use crate::state::{Delivered, Notice, Presence, Store};
use crate::worker::{Mode, RunError, Target};

use super::removal::{customer, deletes, figures, link, run};
use super::support::{Asked, Bench, World};

type Answer = Option<(u16, Value)>;

/// A Sync that deletes what its source's list does not show any more; `get`: the source is asked first.
pub async fn bench(
    get: bool,
    rule: impl Fn(&mut World, &Asked) -> Answer + Send + Sync + 'static,
) -> Bench {
    let mut bench = Bench::new(rule).await;
    let object = &mut bench.spec["shop"]["objects"][0];
    object["list"]["absent"] = json!("Deleted");
    if get {
        object["get"] = json!({"path": "/customers/${key.id}"});
    }
    bench.spec["sync"]["write"] = json!({"onDelete": {"delete": {}}});
    bench
}

pub fn customers(numbers: impl IntoIterator<Item = usize>) -> Vec<Value> {
    numbers
        .into_iter()
        .map(|n| customer(n, json!({})))
        .collect()
}

/// How often the source was asked for this record alone.
pub fn asked_for(bench: &Bench, n: usize) -> usize {
    bench.world().count(&format!("GET /customers/c{n}"))
}

#[tokio::test]
async fn what_neither_the_list_nor_get_has_is_deleted_once() {
    let bench = bench(true, |_, _| None).await;
    bench.source(customers(0..3));
    assert_eq!(run(&bench).await, (3, 0, 0, 0));
    bench.source(customers([0, 2]));
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
    let gone = link(&bench, "c1").await.unwrap();
    assert_eq!((gone.target, gone.presence), (None, Presence::Removed));
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    assert_eq!(deletes(&bench).len(), 1);
    assert_eq!(asked_for(&bench, 1), 1, "nobody asks for it again");
    assert_eq!(
        asked_for(&bench, 0),
        0,
        "what the list shows is not asked for"
    );
}

#[tokio::test]
async fn what_get_still_finds_is_kept() {
    let bench = bench(true, |_, _| None).await;
    bench.source(customers(0..3));
    run(&bench).await;
    bench.source(customers([0, 2]));
    bench.world().hidden = customers([1]);
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    assert_eq!(asked_for(&bench, 1), 1);
    bench.world().hidden.clear();
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
}

#[tokio::test]
async fn what_get_shows_as_deleted_is_deleted() {
    let mut bench = bench(true, |_, _| None).await;
    bench.spec["shop"]["objects"][0]["deleted"] = json!("record.deleted == true");
    bench.source(customers(0..2));
    run(&bench).await;
    bench.source(customers([0]));
    bench.world().hidden = vec![super::removal::gone(1)];
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
}

#[tokio::test]
async fn without_get_a_record_must_be_missing_from_two_complete_scans() {
    let bench = bench(false, |_, _| None).await;
    bench.source(customers(0..3));
    run(&bench).await;
    bench.source(customers([0, 2]));
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    assert_eq!(link(&bench, "c1").await.unwrap().presence, Presence::Missed);
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    assert_eq!(deletes(&bench).len(), 1);
}

#[tokio::test]
async fn without_get_a_record_that_is_seen_in_between_is_not_missing_twice() {
    let bench = bench(false, |_, _| None).await;
    bench.source(customers(0..3));
    run(&bench).await;
    for _ in 0..2 {
        bench.source(customers([0, 2]));
        assert_eq!(run(&bench).await, (0, 0, 0, 0));
        bench.source(customers(0..3));
        assert_eq!(run(&bench).await, (0, 0, 0, 0));
        assert_eq!(link(&bench, "c1").await.unwrap().presence, Presence::Here);
    }
}

/// Two rows a page. When the first page has been read, its first row is deleted, so that the third row slides into it
/// and no page shows it.
async fn sliding(get: bool) -> Bench {
    let bench = bench(get, |world, asked| {
        if asked.path != "/customers" || world.hidden.is_empty() {
            return None;
        }
        // `hidden` holds how many rows are still to be deleted under the reader.
        let answer = world.behave(asked);
        if asked.query.get("page").is_some_and(|page| page == "1") {
            world.hidden.pop();
            let rows: Vec<Value> = world.pages.iter().flatten().skip(1).cloned().collect();
            world.pages = rows.chunks(2).map(<[Value]>::to_vec).collect();
        }
        Some(answer)
    })
    .await;
    bench.world().pages = customers(0..7).chunks(2).map(<[Value]>::to_vec).collect();
    bench
}

#[tokio::test]
async fn a_row_that_slides_into_a_page_already_read_is_not_deleted_by_absence() {
    for get in [true, false] {
        let bench = sliding(get).await;
        assert_eq!(run(&bench).await, (7, 0, 0, 0));
        let emails = || -> Vec<String> {
            let world = bench.world();
            let left = world.records.iter().filter(|record| !record.is_null());
            let mut emails: Vec<_> = left.map(|r| r["email"].as_str().unwrap().into()).collect();
            emails.sort();
            emails
        };
        // c0 is read and then deleted; c2 stands in no page that is read.
        bench.world().hidden = vec![json!({"id": "-"})];
        assert_eq!(run(&bench).await, (0, 0, 0, 0), "get: {get}");
        assert_eq!(bench.world().count("GET /customers/c2"), usize::from(get));
        if !get {
            let slid = link(&bench, "c2").await.unwrap();
            assert_eq!(slid.presence, Presence::Missed, "no page showed it");
        }
        // Nothing slides any more: c2 is seen again, and c0 is absent.
        let wanted = if get { 1 } else { 0 };
        assert_eq!(run(&bench).await.2, wanted, "get: {get}");
        assert_eq!(link(&bench, "c2").await.unwrap().presence, Presence::Here);
        assert_eq!(run(&bench).await.2, 1 - wanted, "get: {get}");
        let left: Vec<String> = (1..7).map(|n| format!("c{n}@example.com")).collect();
        assert_eq!(emails(), left);
        assert_eq!(deletes(&bench).len(), 1);
    }
}

#[tokio::test]
async fn more_absent_records_than_the_guard_allows_are_not_deleted_and_what_comes_back_is_kept() {
    let bench = bench(true, |_, _| None).await;
    bench.source(customers(0..40));
    run(&bench).await;
    bench.source(customers(0..30));
    for _ in 0..2 {
        let (report, error) = bench.run().await;
        assert_eq!(report.counts.deleted, 0);
        match error {
            Some(RunError::DeleteGuard { count, linked, .. }) => {
                assert_eq!((count, linked), (10, 40))
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bench.totals().await.held, 10);
    bench.source(customers(0..36));
    assert_eq!(run(&bench).await, (0, 0, 4, 0));
    assert_eq!(deletes(&bench).len(), 4);
    assert_eq!(bench.totals().await.held, 0);
}

#[tokio::test]
async fn a_record_that_is_shown_again_is_created_anew() {
    for get in [true, false] {
        let bench = bench(get, |_, _| None).await;
        bench.source(customers(0..2));
        run(&bench).await;
        bench.source(customers([0]));
        let first = run(&bench).await.2;
        assert_eq!(first + run(&bench).await.2, 1);
        bench.source(customers(0..2));
        assert_eq!(run(&bench).await, (1, 0, 0, 0));
        assert_eq!(run(&bench).await, (0, 0, 0, 0));
        assert_eq!(link(&bench, "c1").await.unwrap().presence, Presence::Here);
    }
}

#[tokio::test]
async fn what_was_adopted_is_kept_when_it_is_absent() {
    let bench = bench(true, |_, _| None).await;
    bench.world().records = vec![json!({"email": "c1@example.com", "name": "by hand"})];
    bench.source(customers(0..2));
    assert_eq!(run(&bench).await, (1, 1, 0, 0));
    bench.source(customers([0]));
    assert_eq!(run(&bench).await, (0, 0, 0, 1));
    assert!(deletes(&bench).is_empty());
    assert!(!bench.world().records[0].is_null());
}

#[tokio::test]
async fn what_where_excludes_was_seen_and_leaves() {
    let mut bench = bench(true, |_, _| None).await;
    bench.spec["sync"]["source"]["where"] = json!("record.name != 'Eve'");
    bench.source(customers(0..3));
    run(&bench).await;
    bench.source(vec![
        customer(0, json!({})),
        customer(1, json!({"name": "Eve"})),
    ]);
    assert_eq!(run(&bench).await, (0, 0, 1, 1));
    assert_eq!(asked_for(&bench, 1), 0);
    assert!(link(&bench, "c1").await.unwrap().target.is_some());
}

#[tokio::test]
async fn fields_are_set_on_what_is_absent_once() {
    let mut bench = bench(true, |_, _| None).await;
    bench.spec["crm"]["objects"][0]["update"]["method"] = json!("PATCH");
    bench.spec["sync"]["write"] = json!({"onDelete": {"set": {"active": false}}});
    bench.source(customers(0..2));
    run(&bench).await;
    bench.source(customers([0]));
    assert_eq!(run(&bench).await, (0, 1, 0, 0));
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
}

#[tokio::test]
async fn a_removal_of_what_is_absent_survives_a_crash() {
    let bench = bench(true, |_, _| None).await;
    bench.source(customers(0..2));
    run(&bench).await;
    bench.source(customers([0]));
    bench.crash("DELETE /contacts/", 1).await;
    let (report, error) = bench.run().await;
    assert!(error.is_none());
    assert_eq!(report.counts.deleted, 1);
    assert_eq!(
        link(&bench, "c1").await.unwrap().presence,
        Presence::Removed
    );
}

/// What was told of a record by a signed webhook.
fn told(record: &Value) -> Delivered {
    let notice = Notice {
        object: "customers".into(),
        key: Key::from_text(record["id"].as_str().unwrap()),
        record: Some(Bytes::from(record.to_string())),
        problem: None,
    };
    Delivered {
        event: Fingerprint::of(record.to_string().as_bytes()),
        notices: vec![notice],
    }
}

#[tokio::test]
async fn a_record_that_a_webhook_tells_of_meanwhile_is_not_absent() {
    for get in [true, false] {
        let mut bench = bench(get, |_, _| None).await;
        let verify = json!({"standardWebhooks": {"secretRef": {"name": "keys", "key": "shop"}}});
        bench.spec["shop"]["webhooks"] = json!([{"name": "events", "verify": verify, "routes": [
            {"object": "customers", "key": {"id": "body.id"}, "use": "Payload", "record": "body"}
        ]}]);
        bench.spec["shop"]["objects"][0]["modified"] = json!({"path": "at", "format": "RFC3339"});
        bench.spec["sync"]["source"]["webhook"] = json!({"name": "events"});
        let dated = |n| customer(n, json!({"at": "2026-01-01T00:00:00Z"}));
        bench.source(vec![dated(0), dated(1)]);
        assert_eq!(run(&bench).await.0, 2);
        bench.source(vec![dated(0)]);
        if !get {
            assert_eq!(run(&bench).await.2, 0, "missed once");
        }
        let receive = bench
            .beside()
            .receive("default/shop", vec![told(&dated(1))], 1_000);
        assert_eq!(receive.await.unwrap(), 1);
        assert_eq!(run(&bench).await.2, 0, "get: {get}");
        assert_eq!(link(&bench, "c1").await.unwrap().presence, Presence::Here);
        // Nobody tells of it any more.
        let deleted = [run(&bench).await.2, run(&bench).await.2];
        assert_eq!(deleted, if get { [1, 0] } else { [0, 1] });
    }
}

#[tokio::test]
async fn a_rehearsal_shows_what_would_be_deleted_and_deletes_nothing() {
    let bench = bench(true, |_, _| None).await;
    bench.source(customers(0..2));
    run(&bench).await;
    bench.source(customers([0]));
    let store = bench.store();
    let patience = std::time::Duration::from_millis(300);
    let (mut setup, _stop) = bench.setup(&store, Mode::Once { patience });
    if let Target::Live(connector) = setup.target.clone() {
        setup.target = Target::rehearsal(connector);
    }
    let worker = crate::worker::Worker::open(setup, crate::state::OnMismatch::Refuse);
    let (report, error) = worker.await.unwrap().run().await;
    assert!(error.is_none());
    assert_eq!(figures(&report), (0, 0, 1, 0));
    assert!(deletes(&bench).is_empty());
}
