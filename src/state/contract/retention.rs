//! State outlives its Sync for a while: it is found by name, told when it expires, and forgotten as a whole.

use super::*;

on_both_stores!(
    a_sync_is_found_by_its_name,
    the_oldest_record_on_its_way_is_known,
    state_can_be_told_to_expire_and_to_stay,
    a_forgotten_sync_begins_anew,
);

async fn a_sync_is_found_by_its_name(place: &Place) {
    let store = place.open().await;
    assert!(store.find(&sync("a")).await.unwrap().is_none());
    let a = open(&*store, "a").await;
    open(&*store, "b").await;
    let (found, _) = store.find(&sync("a")).await.unwrap().unwrap();
    assert_eq!(
        (found.id, found.epoch, found.sync),
        (a.id, a.epoch, sync("a"))
    );
}

async fn the_oldest_record_on_its_way_is_known(place: &Place) {
    let store = place.open().await;
    let a = open(&*store, "a").await;
    assert_eq!(store.oldest_open(&a).await.unwrap(), None);
    let since = |name: &str, trouble, since| {
        let mut exception = exception(name, trouble, 0);
        exception.detail.since = since;
        // What a message says is no field, and a NUL in it does no harm.
        exception.detail.message = "\"since\":1 \u{0}".into();
        put(exception)
    };
    let changes = vec![
        since("dead", Trouble::Dead, 5),
        since("unknown", Trouble::Unknown, 30),
        since("retry", Trouble::Retry, 20),
        since("waiting", Trouble::Waiting, 40),
        since("when", Trouble::Waiting, 0),
    ];
    commit(&*store, &a, changes).await;
    assert_eq!(store.oldest_open(&a).await.unwrap(), Some(20));
}

async fn state_can_be_told_to_expire_and_to_stay(place: &Place) {
    let store = place.open().await;
    store.expire(&sync("nobody"), Some(1)).await.unwrap();
    let a = open(&*store, "a").await;
    let state = SyncState {
        token: Some("kept".into()),
        ..SyncState::default()
    };
    commit(&*store, &a, vec![Change::State(Box::new(state))]).await;
    for at in [Some(77), None] {
        store.expire(&sync("a"), at).await.unwrap();
        let (_, state) = store.find(&sync("a")).await.unwrap().unwrap();
        assert_eq!((state.expires, state.token.as_deref()), (at, Some("kept")));
    }
}

async fn a_forgotten_sync_begins_anew(place: &Place) {
    let store = place.open().await;
    let (a, b) = (open(&*store, "a").await, open(&*store, "b").await);
    let changes = |name: &str| {
        vec![
            Change::Link(link(name, 1)),
            segment(1, &[name]),
            put(exception("x", Trouble::Dead, 0)),
        ]
    };
    commit(&*store, &a, changes("x")).await;
    commit(&*store, &b, changes("x")).await;
    store.forget(&sync("a")).await.unwrap();
    assert!(store.find(&sync("a")).await.unwrap().is_none());
    assert!(
        store
            .commit(&a, vec![Change::Link(link("y", 2))])
            .await
            .is_err()
    );
    let again = open(&*store, "a").await;
    assert_eq!(link_of(&*store, &again, "x").await, None);
    assert!(store.outbox(&again).await.unwrap().is_empty());
    assert_eq!(link_of(&*store, &b, "x").await, Some(link("x", 1)));
}
