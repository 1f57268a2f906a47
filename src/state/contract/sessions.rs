//! Taking a Sync over, its epochs, its identity and its own state.

use std::sync::Arc;

use super::*;
use crate::record::Moment;
use crate::state::{Counts, FeedPosition, GuardTrip, RunReport, Scan};

async fn the_first_session_finds_an_empty_state(place: &Place) {
    let store = place.open().await;
    let (session, state) = open_with_state(&*store, "a").await;
    assert_eq!((session.epoch, session.sync), (1, sync("a")));
    assert_eq!(state, SyncState::default());
}

async fn an_old_session_is_refused_and_changes_nothing(place: &Place) {
    let store = place.open().await;
    let old = open(&*store, "a").await;
    commit(&*store, &old, vec![Change::Link(link("x", 1))]).await;
    let new = open(&*store, "a").await;
    assert!(new.epoch > old.epoch);
    for change in [
        Change::Link(link("x", 2)),
        segment(1, &["x"]),
        put(exception("x", Trouble::Dead, 0)),
        Change::State(Box::new(SyncState {
            next_segment: 9,
            ..SyncState::default()
        })),
        Change::Resolved(key("x")),
        Change::Forget {
            key: key("x"),
            target_gone: true,
        },
    ] {
        let refused = store.commit(&old, vec![change]).await;
        assert!(
            matches!(&refused, Err(StoreError::Fenced { sync: s }) if *s == sync("a")),
            "{refused:?}"
        );
    }
    assert_eq!(link_of(&*store, &new, "x").await, Some(link("x", 1)));
    assert_eq!(exception_of(&*store, &new, "x").await, None);
    assert!(store.outbox(&new).await.unwrap().is_empty());
    commit(&*store, &new, vec![Change::Link(link("x", 3))]).await;
    assert_eq!(link_of(&*store, &new, "x").await, Some(link("x", 3)));
}

async fn a_takeover_leaves_other_syncs_alone(place: &Place) {
    let store = place.open().await;
    let (a, b) = (open(&*store, "a").await, open(&*store, "b").await);
    open(&*store, "a").await;
    // Both wait at the same time, so that they share a transaction.
    let (refused, done) = futures::join!(
        store.commit(&a, vec![Change::Link(link("x", 1))]),
        store.commit(&b, vec![Change::Link(link("x", 2))]),
    );
    assert!(
        matches!(refused, Err(StoreError::Fenced { .. })),
        "{refused:?}"
    );
    assert!(done.is_ok(), "{done:?}");
    assert_eq!(link_of(&*store, &b, "x").await, Some(link("x", 2)));
    assert_eq!(link_of(&*store, &a, "x").await, None);
}

fn full_state() -> SyncState {
    SyncState {
        removals: 3,
        guard: Some(GuardTrip {
            count: 12,
            token: "1a2b3c4d".into(),
        }),
        feed: Some(FeedPosition {
            feed: "print".into(),
            watermark: Some(Moment::Integer(9)),
            token: Some("t\u{0}".into()),
            read: 8,
        }),
        inbox: Some(crate::state::InboxPosition {
            connection: "default/shop".into(),
            after: 9,
        }),
        watermark: Some(Moment::Time(1_700_000_000_123_456_789)),
        token: Some("next\u{0}\u{fffd}😀".into()),
        scan: Some(Scan {
            started: 5,
            full: true,
            first: true,
            feed: Some("print".into()),
            max_seen: Some(Moment::Text("v\u{0}2".into())),
            position: Some(serde_json::json!({"page": 3, "after": "\u{0}"})),
        }),
        scanned: Some(6),
        refreshed: Some(7),
        next_segment: 8,
        expires: Some(9),
        down: crate::state::Downtime {
            total: 11,
            since: Some(12),
        },
        last_run: Some(RunReport {
            started: 1,
            ended: 2,
            outcome: "Succeeded".into(),
            message: Some("said 'so'".into()),
            counts: Counts {
                read: u64::from(u32::MAX),
                dead: 1,
                ..Counts::default()
            },
        }),
    }
}

async fn the_state_comes_back_as_it_was(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(
        &*store,
        &session,
        vec![Change::State(Box::new(full_state()))],
    )
    .await;
    let (_, state) = open_with_state(&*store, "a").await;
    assert_eq!(state, full_state());
}

async fn a_sync_of_which_nothing_is_known_takes_another_identity(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(
        &*store,
        &session,
        vec![Change::State(Box::new(full_state()))],
    )
    .await;
    let (_, state) = store
        .open(&sync("a"), Fingerprint(8), OnMismatch::Refuse)
        .await
        .unwrap();
    assert_eq!(state, SyncState::default());
}

async fn another_identity_is_refused_and_fences_nobody(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(&*store, &session, vec![Change::Link(link("w", 1))]).await;
    let refused = store
        .open(&sync("a"), Fingerprint(8), OnMismatch::Refuse)
        .await;
    assert!(
        matches!(&refused, Err(StoreError::Mismatch { stored, given, .. }) if (*stored, *given) == (IDENTITY, Fingerprint(8))),
        "{refused:?}"
    );
    commit(&*store, &session, vec![Change::Link(link("x", 1))]).await;
}

async fn an_adopted_identity_keeps_everything(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(
        &*store,
        &session,
        vec![
            Change::Link(link("x", 1)),
            Change::State(Box::new(full_state())),
        ],
    )
    .await;
    let (session, state) = store
        .open(&sync("a"), Fingerprint(8), OnMismatch::Adopt)
        .await
        .unwrap();
    assert_eq!(state, full_state());
    assert_eq!(link_of(&*store, &session, "x").await, Some(link("x", 1)));
    let again = store
        .open(&sync("a"), Fingerprint(8), OnMismatch::Refuse)
        .await;
    assert!(again.is_ok(), "{again:?}");
}

async fn a_reset_forgets_this_sync_and_no_other(place: &Place) {
    let store = place.open().await;
    let (a, b) = (open(&*store, "a").await, open(&*store, "b").await);
    for session in [&a, &b] {
        let changes = vec![
            Change::Link(link("x", 1)),
            segment(1, &["y"]),
            put(exception("z", Trouble::Dead, 0)),
            Change::State(Box::new(full_state())),
        ];
        commit(&*store, session, changes).await;
    }
    // Not for a Sync whose identity is the given one.
    let (_, state) = store
        .open(&sync("a"), IDENTITY, OnMismatch::Reset)
        .await
        .unwrap();
    assert_eq!(state, full_state());
    let (a, state) = store
        .open(&sync("a"), Fingerprint(8), OnMismatch::Reset)
        .await
        .unwrap();
    assert_eq!(state, SyncState::default());
    assert!(store.outbox(&a).await.unwrap().is_empty());
    assert_eq!(
        store.totals(&a).await.unwrap(),
        crate::state::Totals::default()
    );
    assert_eq!(link_of(&*store, &b, "x").await, Some(link("x", 1)));
    assert_eq!(store.outbox(&b).await.unwrap().len(), 1);
    assert_eq!(store.totals(&b).await.unwrap().dead_letters(), 1);
}

async fn the_list_is_in_order_and_takes_nothing_over(place: &Place) {
    let store = place.open().await;
    assert!(store.list().await.unwrap().is_empty());
    let mut sessions = Vec::new();
    for name in ["b", "a-1", "B", "a"] {
        sessions.push(open(&*store, name).await);
    }
    commit(
        &*store,
        &sessions[0],
        vec![Change::State(Box::new(full_state()))],
    )
    .await;
    let list = store.list().await.unwrap();
    let names: Vec<&str> = list.iter().map(|(s, _)| s.sync.name.as_str()).collect();
    assert_eq!(names, ["B", "a", "a-1", "b"]);
    assert_eq!(
        (list[3].0.id, list[3].0.epoch),
        (sessions[0].id, sessions[0].epoch)
    );
    assert_eq!(list[3].1, full_state());
    commit(&*store, &sessions[0], vec![Change::Link(link("x", 1))]).await;
}

async fn everything_is_there_after_the_store_was_closed(place: &Place) {
    let store = place.open().await;
    let old = open(&*store, "a").await;
    commit(
        &*store,
        &old,
        vec![
            Change::Link(link("x", 1)),
            segment(1, &["y"]),
            put(exception("z", Trouble::Waiting, 0)),
            Change::State(Box::new(full_state())),
        ],
    )
    .await;
    store
        .save_value("token/default/crm", Some(vec![0, 1, 255]))
        .await
        .unwrap();
    drop(store);
    let store = place.open().await;
    let (session, state) = open_with_state(&*store, "a").await;
    assert_eq!(session.epoch, old.epoch + 1);
    assert_eq!(state, full_state());
    assert_eq!(link_of(&*store, &session, "x").await, Some(link("x", 1)));
    assert_eq!(
        store.outbox(&session).await.unwrap()[0].entries,
        [entry("y", 0)]
    );
    assert!(exception_of(&*store, &session, "z").await.is_some());
    let value = store.load_value("token/default/crm").await.unwrap();
    assert_eq!(value, Some(vec![0, 1, 255]));
}

async fn a_value_is_kept_under_its_name(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.load_value("a").await.unwrap(), None);
    let save = async |name: &str, value: Option<Vec<u8>>| {
        store.save_value(name, value).await.unwrap();
    };
    save("a", Some(vec![1])).await;
    save("b", Some(Vec::new())).await;
    save("a", Some(vec![2, 3])).await;
    assert_eq!(store.load_value("a").await.unwrap(), Some(vec![2, 3]));
    assert_eq!(store.load_value("b").await.unwrap(), Some(Vec::new()));

    for name in ["a/2", "a/1", "a%", "A/1", "ab/1"] {
        save(name, Some(vec![0])).await;
    }
    assert_eq!(store.value_names("a/").await.unwrap(), ["a/1", "a/2"]);
    save("a/1", None).await;
    save("never/kept", None).await;
    assert_eq!(store.value_names("a/").await.unwrap(), ["a/2"]);
    assert_eq!(store.load_value("a/1").await.unwrap(), None);
    let store = {
        drop(store);
        place.open().await
    };
    assert_eq!(store.value_names("a/").await.unwrap(), ["a/2"]);
    assert_eq!(store.load_value("a").await.unwrap(), Some(vec![2, 3]));
}

async fn who_only_looks_finds_what_runs_and_may_mark(place: &Place) {
    assert!(place.location().attach().await.unwrap().is_none());
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(
        &*store,
        &session,
        vec![put(exception("x", Trouble::Dead, 0))],
    )
    .await;
    let beside: Arc<dyn Store> = place
        .location()
        .attach()
        .await
        .unwrap()
        .expect("there is state");
    let (listed, _) = beside.list().await.unwrap().remove(0);
    assert_eq!(
        beside
            .replay(&listed, crate::state::Which::All)
            .await
            .unwrap(),
        1
    );
    let found = exception_of(&*store, &session, "x").await.unwrap();
    assert_eq!(found.trouble, Trouble::Retry);
    commit(&*store, &session, vec![Change::Resolved(key("x"))]).await;
}

on_both_stores!(
    the_first_session_finds_an_empty_state,
    an_old_session_is_refused_and_changes_nothing,
    a_takeover_leaves_other_syncs_alone,
    the_state_comes_back_as_it_was,
    a_sync_of_which_nothing_is_known_takes_another_identity,
    another_identity_is_refused_and_fences_nobody,
    an_adopted_identity_keeps_everything,
    a_reset_forgets_this_sync_and_no_other,
    the_list_is_in_order_and_takes_nothing_over,
    everything_is_there_after_the_store_was_closed,
    a_value_is_kept_under_its_name,
    who_only_looks_finds_what_runs_and_may_mark,
);
