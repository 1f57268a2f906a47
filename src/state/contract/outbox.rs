//! The outbox: segments, their marks, and how they go.

use super::*;

fn marks(number: u64, states: &[u8]) -> Change {
    Change::Marks {
        number,
        states: states.into(),
    }
}

async fn numbers_and_states(store: &dyn Store, session: &Session) -> Vec<(u64, Vec<u8>)> {
    let outbox = store.outbox(session).await.unwrap();
    outbox
        .into_iter()
        .map(|stored| (stored.number, stored.states))
        .collect()
}

async fn segments_come_back_oldest_first_with_their_entries(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    for number in [10, 9, 100] {
        commit(&*store, &session, vec![segment(number, &["x\u{0}", "y"])]).await;
    }
    commit(&*store, &other, vec![segment(9, &["z"])]).await;
    let outbox = store.outbox(&session).await.unwrap();
    let numbers: Vec<u64> = outbox.iter().map(|stored| stored.number).collect();
    assert_eq!(numbers, [9, 10, 100]);
    assert_eq!(store.totals(&session).await.unwrap().outbox, 3);
    for stored in outbox {
        assert_eq!(stored.entries, [entry("x\u{0}", 0), entry("y", 0)]);
        assert_eq!(stored.states, [mark::PENDING; 2]);
    }
}

async fn marks_replace_earlier_ones(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(
        &*store,
        &session,
        vec![segment(1, &["x", "y"]), segment(2, &["z"])],
    )
    .await;
    commit(
        &*store,
        &session,
        vec![marks(1, &[mark::CREATING, mark::PENDING])],
    )
    .await;
    commit(
        &*store,
        &session,
        vec![
            marks(1, &[mark::CREATING, mark::DONE]),
            marks(3, &[mark::CREATING]),
        ],
    )
    .await;
    let expected = [
        (1, vec![mark::CREATING, mark::DONE]),
        (2, vec![mark::PENDING]),
    ];
    assert_eq!(numbers_and_states(&*store, &session).await, expected);
}

async fn a_segment_goes_when_all_of_it_is_done(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    commit(
        &*store,
        &session,
        vec![segment(1, &["x", "y"]), segment(2, &["z"])],
    )
    .await;
    commit(&*store, &other, vec![segment(1, &["x"])]).await;
    commit(&*store, &session, vec![marks(1, &[mark::DONE, mark::DONE])]).await;
    assert_eq!(
        numbers_and_states(&*store, &session).await,
        [(2, vec![mark::PENDING])]
    );
    assert_eq!(store.outbox(&other).await.unwrap().len(), 1);
}

async fn a_segment_may_come_be_marked_and_go_in_one_group(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let changes = vec![
        segment(1, &["x", "y"]),
        marks(1, &[mark::CREATING, mark::DONE]),
        segment(2, &["z"]),
        marks(2, &[mark::DONE]),
        segment(3, &["w"]),
    ];
    commit(&*store, &session, changes).await;
    let expected = [
        (1, vec![mark::CREATING, mark::DONE]),
        (3, vec![mark::PENDING]),
    ];
    assert_eq!(numbers_and_states(&*store, &session).await, expected);
    commit(
        &*store,
        &session,
        vec![marks(3, &[mark::CREATING]), marks(3, &[mark::DONE])],
    )
    .await;
    assert_eq!(numbers_and_states(&*store, &session).await.len(), 1);
}

async fn a_large_segment_comes_back_whole(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let entries: Vec<Entry> = (0..64)
        .map(|n| Entry {
            source: vec![n; 100_000].into(),
            ..entry(&format!("k{n}"), n)
        })
        .collect();
    let body = segment::encode(&entries);
    let states = vec![mark::PENDING; entries.len()];
    commit(
        &*store,
        &session,
        vec![Change::Segment {
            number: 0,
            body,
            states,
        }],
    )
    .await;
    let outbox = store.outbox(&session).await.unwrap();
    assert!(
        outbox[0].entries == entries,
        "a segment of 6 MB has changed"
    );
}

on_both_stores!(
    segments_come_back_oldest_first_with_their_entries,
    marks_replace_earlier_ones,
    a_segment_goes_when_all_of_it_is_done,
    a_segment_may_come_be_marked_and_go_in_one_group,
    a_large_segment_comes_back_whole,
);
