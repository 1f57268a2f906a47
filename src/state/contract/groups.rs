//! Commits as wholes: all or nothing, many at once, large ones, and what follows a failed one.

use futures::future::join_all;

use super::*;

async fn a_group_is_kept_as_a_whole_or_not_at_all(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(&*store, &session, vec![segment(1, &["x"])]).await;
    // A segment with a number that is taken cannot be stored.
    let changes = vec![
        Change::Link(link("x", 1)),
        put(exception("y", Trouble::Dead, 0)),
        segment(1, &["z"]),
        Change::State(Box::new(SyncState {
            next_segment: 5,
            ..SyncState::default()
        })),
    ];
    assert!(store.commit(&session, changes).await.is_err());
    let (session, state) = open_with_state(&*store, "a").await;
    assert_eq!(state, SyncState::default());
    assert_eq!(
        known(&*store, &session, &["x", "y"]).await,
        [Known::default(), Known::default()]
    );
    assert_eq!(
        store.outbox(&session).await.unwrap()[0].entries,
        [entry("x", 0)]
    );
}

async fn after_a_failed_commit_its_session_is_refused_and_a_new_one_is_not(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(&*store, &session, vec![segment(1, &["x"])]).await;
    assert!(
        store
            .commit(&session, vec![segment(1, &["x"])])
            .await
            .is_err()
    );
    assert!(
        store
            .commit(&session, vec![Change::Link(link("x", 1))])
            .await
            .is_err()
    );
    let session = open(&*store, "a").await;
    assert_eq!(link_of(&*store, &session, "x").await, None);
    commit(&*store, &session, vec![Change::Link(link("x", 1))]).await;
    assert!(link_of(&*store, &session, "x").await.is_some());
}

async fn commits_take_effect_in_the_order_of_their_calls(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let mut commits: Vec<_> = (1..=300)
        .map(|id| store.commit(&session, vec![Change::Link(link("x", id))]))
        .collect();
    // The order of the answers does not matter.
    commits.reverse();
    for done in join_all(commits).await {
        done.unwrap();
    }
    assert_eq!(link_of(&*store, &session, "x").await, Some(link("x", 300)));
}

async fn a_commit_needs_nobody_to_wait_for_it(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    drop(store.commit(&session, vec![Change::Link(link("x", 1))]));
    commit(&*store, &session, vec![Change::Link(link("y", 2))]).await;
    assert!(link_of(&*store, &session, "x").await.is_some());
}

async fn an_empty_group_is_still_refused_to_an_old_session(place: &Place) {
    let store = place.open().await;
    let old = open(&*store, "a").await;
    commit(&*store, &old, Vec::new()).await;
    open(&*store, "a").await;
    assert!(matches!(
        store.commit(&old, Vec::new()).await,
        Err(StoreError::Fenced { .. })
    ));
}

async fn a_large_group_is_kept_whole(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let name = |n: u64| format!("record-{n:06}");
    let mut changes: Vec<Change> = (0..20_000)
        .map(|n| Change::Link(link(&name(n), n)))
        .collect();
    changes.extend((0..2_000).map(|n| put(exception(&name(n), Trouble::Retry, n as i64))));
    commit(&*store, &session, changes).await;
    let totals = store.totals(&session).await.unwrap();
    assert_eq!((totals.links, totals.retrying), (20_000, 2_000));
    let keys = (0..20_000).rev().map(|n| key(&name(n))).collect();
    let found = store.known(&session, keys, false).await.unwrap();
    let right = |(n, known): (u64, &Known)| known.link == Some(link(&name(n), n));
    assert!((0..20_000).rev().zip(&found).all(right));
    let resolved = (0..2_000)
        .map(|n| Change::Resolved(key(&name(n))))
        .collect();
    commit(&*store, &session, resolved).await;
    assert_eq!(store.totals(&session).await.unwrap().exceptions(), 0);
}

async fn many_syncs_write_and_read_at_once(place: &Place) {
    let store = place.open().await;
    let one = async |number: u64| {
        let session = open(&*store, &format!("sync-{number}")).await;
        for round in 0..20 {
            let name = format!("k{round}");
            let states = vec![mark::DONE];
            let changes = vec![segment(round, &[&name]), Change::Link(link(&name, number))];
            commit(&*store, &session, changes).await;
            assert_eq!(
                link_of(&*store, &session, &name).await,
                Some(link(&name, number))
            );
            commit(
                &*store,
                &session,
                vec![Change::Marks {
                    number: round,
                    states,
                }],
            )
            .await;
        }
        assert!(store.outbox(&session).await.unwrap().is_empty());
        assert_eq!(store.totals(&session).await.unwrap().links, 20);
    };
    join_all((0..16).map(one)).await;
    assert_eq!(store.list().await.unwrap().len(), 16);
}

on_both_stores!(
    a_group_is_kept_as_a_whole_or_not_at_all,
    after_a_failed_commit_its_session_is_refused_and_a_new_one_is_not,
    commits_take_effect_in_the_order_of_their_calls,
    a_commit_needs_nobody_to_wait_for_it,
    an_empty_group_is_still_refused_to_an_old_session,
    a_large_group_is_kept_whole,
    many_syncs_write_and_read_at_once,
);
