//! News of the store that come late: the worker has gone on meanwhile, and knows better.

use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::removal::{customer, gone};
use super::support::Bench;
use crate::connector::Page;
use crate::state::{Change, Detail, Entry, Exception, Known, OnMismatch, Pick, Trouble};
use crate::worker::digest::Origin;
use crate::worker::event::Event;
use crate::worker::{Mode, Worker, now};

/// Judges a page; gives the news that it is durable, which the worker has not heard yet.
async fn judge(worker: &mut Worker, record: &Value) -> Event {
    let page = Page {
        records: vec![bytes::Bytes::from(record.to_string()).into()],
        position: Value::Null,
        last: false,
        token: None,
        parents: vec![],
        ignored: 0,
    };
    worker.pages += 1;
    worker.look_up(page, Origin::Scan { ended: None }, Instant::now());
    loop {
        match worker.work.next().await.expect("there is work").unwrap() {
            known @ Event::Known(_) => worker.handle(known),
            committed => return committed,
        }
    }
}

async fn opened(bench: &Bench) -> Worker {
    let patience = Duration::from_secs(1);
    let (setup, _stop) = bench.setup(&bench.store(), Mode::Once { patience });
    Worker::open(setup, OnMismatch::Refuse).await.unwrap()
}

/// What is tried again now.
fn failed(entry: &Entry) -> Exception {
    Exception {
        entry: entry.clone(),
        trouble: Trouble::Retry,
        next: 0,
        detail: Detail::default(),
        behind: None,
    }
}

/// Were it sent on the commit of the older version, a crash would leave that one alone in the store, and the next
/// worker would write it over the newer one.
#[tokio::test]
async fn a_version_that_takes_the_place_of_one_that_is_not_kept_yet_is_sent_when_it_is_kept_itself()
{
    let bench = Bench::new(|_, _| None).await;
    let mut worker = opened(&bench).await;
    let older = judge(&mut worker, &customer(0, json!({"name": "older"}))).await;
    let newer = judge(&mut worker, &customer(0, json!({"name": "newer"}))).await;
    worker.handle(older);
    assert_eq!(worker.flights.front(), None);
    worker.handle(newer);
    let id = worker.flights.front().expect("it may be sent");
    let body: Value = serde_json::from_slice(&worker.flights.get(id).entry.body).unwrap();
    assert_eq!(body["name"], "newer");
}

/// Else a run would end, and leave to the next one what it could have tried again itself.
#[tokio::test]
async fn what_is_due_while_its_failure_is_kept_for_the_page_that_is_judged_is_asked_for_again() {
    let bench = Bench::new(|_, _| None).await;
    let mut worker = opened(&bench).await;
    let kept = judge(&mut worker, &customer(0, json!({}))).await;
    worker.handle(kept);
    let id = worker.flights.pop().expect("it may be sent");
    let failed = failed(&worker.flights.get(id).entry);
    worker.flights.keep_settled(id);
    worker.due = None;
    worker.take_due(vec![(failed, Known::default())], None);
    assert!(worker.due.is_some());
}

/// It was never sent, and its tombstone takes the place of what is tried again while the store is asked for that.
#[tokio::test]
async fn what_is_deleted_while_the_store_is_asked_what_is_due_is_not_sent_any_more() {
    let bench = super::removal::bench(|_, _| None).await;
    let mut worker = opened(&bench).await;
    let kept = judge(&mut worker, &customer(0, json!({}))).await;
    worker.handle(kept);
    let id = worker.flights.pop().expect("it may be sent");
    let failed = failed(&worker.flights.get(id).entry);
    worker.flights.remove(id);
    worker.has_exceptions = true;
    let put = worker.commit(vec![Change::Exception(Box::new(failed))]);
    put.await.unwrap();
    let found = worker
        .setup
        .store
        .exceptions(&worker.session, Pick::Due(now()), 1);
    let found = found.await.unwrap();
    assert_eq!(found.len(), 1);
    worker.asking_due = true;
    let deleted = judge(&mut worker, &gone(0)).await;
    let due = found.into_iter().map(|e| (e, Known::default())).collect();
    worker.take_due(due, None);
    assert!(worker.flights.is_empty());
    worker.handle(deleted);
    assert!(!worker.judging);
}
