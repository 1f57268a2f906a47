//! Exceptions that are not dead letters: retries, unknown fates and waiting records, and their counts.

use super::*;
use crate::record::{Class, Failure, LookupKey, Moment};
use crate::state::{Awaited, Holder, Pick};

fn waiting(name: &str, on: &str, wanted: &str) -> Exception {
    let mut exception = exception(name, Trouble::Waiting, 0);
    exception.detail.awaits = Some(Awaited {
        sync: sync(on),
        lookup: LookupKey {
            lookup: "companies".into(),
            key: key(wanted),
        },
    });
    exception
}

async fn names(store: &dyn Store, session: &Session, pick: Pick, limit: usize) -> Vec<String> {
    let found = store.exceptions(session, pick, limit).await.unwrap();
    found.iter().map(|e| e.entry.key.to_string()).collect()
}

async fn an_exception_comes_back_as_it_was(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let mut full = waiting("x\u{0}", "companies", "c\u{0}");
    full.trouble = Trouble::Ambiguous;
    full.next = i64::MAX;
    full.entry.moment = Some(Moment::Time(i128::MAX));
    full.entry.matching = Some(-1);
    full.behind = Some(entry("x\u{0}", 2));
    full.detail.first_sent = Some(3);
    full.detail.negative_reads = 1;
    full.detail.remap = true;
    full.detail.target = Some(target(4));
    full.detail.message = "answered \u{0} and 😀".into();
    full.detail.failure = Some(Failure::new(Class::Ambiguous, true, "no answer"));
    commit(&*store, &session, vec![put(full.clone())]).await;
    assert_eq!(exception_of(&*store, &session, "x\u{0}").await, Some(full));
}

async fn a_later_exception_replaces_and_a_resolved_one_is_gone(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let behind = Exception {
        behind: Some(entry("x", 2)),
        ..exception("x", Trouble::Unknown, 1)
    };
    commit(&*store, &session, vec![put(behind)]).await;
    let later = exception("x", Trouble::Retry, 2);
    commit(&*store, &session, vec![put(later.clone())]).await;
    assert_eq!(
        exception_of(&*store, &session, "x").await,
        Some(later.clone())
    );
    commit(
        &*store,
        &session,
        vec![Change::Resolved(key("x")), Change::Resolved(key("none"))],
    )
    .await;
    assert_eq!(exception_of(&*store, &session, "x").await, None);
    commit(
        &*store,
        &session,
        vec![
            put(later.clone()),
            Change::Resolved(key("x")),
            put(later.clone()),
        ],
    )
    .await;
    assert_eq!(
        exception_of(&*store, &session, "x").await,
        Some(later.clone())
    );
    commit(
        &*store,
        &session,
        vec![put(later), Change::Resolved(key("x"))],
    )
    .await;
    assert_eq!(exception_of(&*store, &session, "x").await, None);
}

async fn what_is_due_comes_oldest_first_and_no_more_than_asked(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    let changes = vec![
        put(exception("late", Trouble::Retry, 30)),
        put(exception("mid", Trouble::Unknown, 20)),
        put(exception("early", Trouble::Retry, 10)),
        put(exception("future", Trouble::Retry, 99)),
        put(waiting("waits", "companies", "c")),
        put(exception("dead", Trouble::Dead, 0)),
        put(exception("held", Trouble::Ambiguous, 0)),
    ];
    commit(&*store, &session, changes).await;
    commit(
        &*store,
        &other,
        vec![put(exception("foreign", Trouble::Retry, 1))],
    )
    .await;
    assert_eq!(
        names(&*store, &session, Pick::Due(30), 10).await,
        ["early", "mid", "late"]
    );
    assert_eq!(
        names(&*store, &session, Pick::Due(30), 2).await,
        ["early", "mid"]
    );
    assert!(names(&*store, &session, Pick::Due(9), 10).await.is_empty());
    for (after, next) in [(0, Some(10)), (10, Some(20)), (30, Some(99)), (99, None)] {
        assert_eq!(
            store.next_due(&session, after).await.unwrap(),
            next,
            "after {after}"
        );
    }
}

async fn a_waiting_record_is_found_when_its_link_is_there(place: &Place) {
    let store = place.open().await;
    let (session, companies) = (open(&*store, "a").await, open(&*store, "companies").await);
    let changes = vec![
        put(waiting("x", "companies", "c1")),
        put(waiting("y", "companies", "c2\u{0}")),
        put(waiting("z", "unknown", "c1")),
    ];
    commit(&*store, &session, changes).await;
    assert!(names(&*store, &session, Pick::Awaited, 10).await.is_empty());
    let targetless = Link {
        target: None,
        ..link("c2\u{0}", 2)
    };
    commit(
        &*store,
        &companies,
        vec![Change::Link(link("c1", 1)), Change::Link(targetless)],
    )
    .await;
    assert_eq!(names(&*store, &session, Pick::Awaited, 10).await, ["x"]);
    commit(&*store, &companies, vec![Change::Link(link("c2\u{0}", 2))]).await;
    let mut found = names(&*store, &session, Pick::Awaited, 10).await;
    found.sort();
    assert_eq!(found, ["x", "y"]);
    assert_eq!(names(&*store, &session, Pick::Awaited, 1).await.len(), 1);
    // It waits no longer, whatever it once waited for.
    commit(
        &*store,
        &session,
        vec![put(exception("x", Trouble::Retry, 0))],
    )
    .await;
    assert_eq!(names(&*store, &session, Pick::Awaited, 10).await, ["y"]);
}

fn matched(name: &str, trouble: Trouble, value: i64) -> Exception {
    let mut exception = exception(name, trouble, 0);
    exception.entry.matching = Some(value);
    exception
}

async fn a_match_value_is_taken_while_its_holder_is_in_doubt(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    let linked = Link {
        matching: Some(7),
        ..link("linked", 1)
    };
    let changes = vec![
        put(matched("holder", Trouble::Unknown, 7)),
        put(matched("waits", Trouble::Waiting, 7)),
        put(matched("free", Trouble::Waiting, 8)),
        put(matched("dead", Trouble::Dead, 8)),
        put(matched("retry", Trouble::Retry, 8)),
        Change::Link(linked.clone()),
    ];
    commit(&*store, &session, changes).await;
    commit(
        &*store,
        &other,
        vec![put(matched("foreign", Trouble::Unknown, 8))],
    )
    .await;
    let holder = Some(Holder::InDoubt(key("holder")));
    let by_match = async |value, except| {
        let found = store.by_match(&session, value, &key(except)).await;
        found.unwrap()
    };
    assert_eq!(by_match(7, "waits").await, holder);
    // Whoever is in doubt itself does not stand behind itself.
    assert_eq!(by_match(7, "holder").await, Some(Holder::Linked(linked)));
    assert_eq!(by_match(8, "x").await, None);
    assert_eq!(names(&*store, &session, Pick::Awaited, 10).await, ["free"]);
    commit(
        &*store,
        &session,
        vec![put(matched("holder", Trouble::Ambiguous, 7))],
    )
    .await;
    assert_eq!(by_match(7, "waits").await, holder);
    commit(&*store, &session, vec![Change::Resolved(key("holder"))]).await;
    let mut found = names(&*store, &session, Pick::Awaited, 10).await;
    found.sort();
    assert_eq!(found, ["free", "waits"]);
}

async fn everything_is_counted_once(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    let dead = |name, trouble, reason: &str| {
        let mut exception = exception(name, trouble, 0);
        exception.detail.reason = reason.into();
        put(exception)
    };
    let changes = vec![
        Change::Link(link("x", 1)),
        Change::Link(link("y", 2)),
        put(exception("r1", Trouble::Retry, 0)),
        put(exception("r2", Trouble::Retry, 0)),
        put(exception("u", Trouble::Unknown, 0)),
        put(waiting("w", "companies", "c")),
        dead("d1", Trouble::Dead, "Permanent"),
        dead("d2", Trouble::Ambiguous, "Permanent"),
        dead("d3", Trouble::Dead, "Missing"),
    ];
    commit(&*store, &session, changes).await;
    commit(&*store, &other, vec![Change::Link(link("x", 1))]).await;
    let totals = store.totals(&session).await.unwrap();
    assert_eq!(
        (
            totals.links,
            totals.retrying,
            totals.unknown,
            totals.waiting
        ),
        (2, 2, 1, 1)
    );
    assert_eq!(
        totals.dead,
        [("Permanent".into(), 2), ("Missing".into(), 1)].into()
    );
    assert_eq!((totals.dead_letters(), totals.exceptions()), (3, 7));
}

async fn held_exceptions_are_due_when_they_are_released_and_not_before(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    let held = |name| put(exception(name, Trouble::Held, 0));
    let dead = put(exception("dead", Trouble::Dead, 0));
    commit(&*store, &session, vec![held("x"), held("y"), dead]).await;
    commit(&*store, &other, vec![held("x")]).await;
    let due = async |session: &Session| {
        let due = store.exceptions(session, Pick::Due(i64::MAX), 10).await;
        let mut keys: Vec<String> = due
            .unwrap()
            .iter()
            .map(|e| e.entry.key.to_string())
            .collect();
        keys.sort();
        keys
    };
    assert!(due(&session).await.is_empty());
    let totals = store.totals(&session).await.unwrap();
    assert_eq!((totals.held, totals.exceptions()), (2, 3));
    assert_eq!(store.oldest_open(&session).await.unwrap(), Some(17));
    // What is held after the release in the same group stays.
    let changes = vec![
        Change::Resolved(key("y")),
        held("z"),
        Change::Release,
        held("later"),
    ];
    commit(&*store, &session, changes).await;
    assert_eq!(due(&session).await, ["x", "z"]);
    assert_eq!(store.totals(&session).await.unwrap().held, 1);
    assert_eq!(store.totals(&other).await.unwrap().held, 1);
}

on_both_stores!(
    held_exceptions_are_due_when_they_are_released_and_not_before,
    an_exception_comes_back_as_it_was,
    a_later_exception_replaces_and_a_resolved_one_is_gone,
    what_is_due_comes_oldest_first_and_no_more_than_asked,
    a_waiting_record_is_found_when_its_link_is_there,
    a_match_value_is_taken_while_its_holder_is_in_doubt,
    everything_is_counted_once,
);
