//! The inbox: an event once, notices in one order, kept until every Sync has passed them.

use bytes::Bytes;

use super::{Place, commit, on_both_stores, open_with_state};
use crate::record::{Fingerprint, Key};
use crate::state::inbox::{MOST, REMEMBERED};
use crate::state::{Change, Delivered, InboxPosition, Notice, Store, StoreError};

on_both_stores!(
    an_event_is_kept_once_within_its_time,
    notices_come_in_the_order_of_their_commits,
    a_full_inbox_takes_nothing_and_remembers_nothing,
    a_notice_stays_until_every_sync_has_passed_it,
);

const SHOP: &str = "default/shop";

fn event(id: u128, keys: &[&str]) -> Delivered {
    let notice = |key: &&str| Notice {
        object: "customers".into(),
        key: Key::from_text(*key),
        record: (*key == "whole").then(|| Bytes::from_static(b"{\"a\":1}")),
        problem: (*key == "bad\0").then(|| "no key".into()),
    };
    Delivered {
        event: Fingerprint(id),
        notices: keys.iter().map(notice).collect(),
    }
}

async fn keys(store: &dyn Store, connection: &str, after: u64) -> Vec<String> {
    let found = store.inbox(connection, after, 100).await.unwrap();
    found.iter().map(|(_, n)| n.key.to_string()).collect()
}

async fn an_event_is_kept_once_within_its_time(place: &Place) {
    let store = place.open().await;
    let twice = vec![event(1, &["a"]), event(1, &["a"]), event(2, &["b"])];
    assert_eq!(store.receive(SHOP, twice, 1_000).await.unwrap(), 2);
    assert_eq!(
        store
            .receive(SHOP, vec![event(1, &["a"])], 2_000)
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .receive("default/other", vec![event(1, &["c"])], 2_000)
            .await
            .unwrap(),
        1
    );
    let late = 1_001 + REMEMBERED;
    assert_eq!(
        store
            .receive(SHOP, vec![event(1, &["again"])], late)
            .await
            .unwrap(),
        1
    );
    assert_eq!(keys(store.as_ref(), SHOP, 0).await, ["a", "b", "again"]);
    assert_eq!(keys(store.as_ref(), "default/other", 0).await, ["c"]);
}

async fn a_full_inbox_takes_nothing_and_remembers_nothing(place: &Place) {
    let store = place.open().await;
    let receive = async |id| store.receive(SHOP, vec![event(id, &["a"])], 1).await;
    receive(1).await.unwrap();
    // As if all between the two had been told.
    let row = format!("VALUES ({}, '{SHOP}', 'customers', 'z', 1)", MOST + 1);
    let columns = "INSERT INTO inbox (number, connection, object, key, received)";
    place.sql(&match place {
        Place::Sqlite(_) => format!("{columns} {row}"),
        Place::Postgres(_) => format!("{columns} OVERRIDING SYSTEM VALUE {row}"),
    });
    // One that is repeated as well: nobody looks whether it is new.
    for id in [2, 1] {
        let refused = receive(id).await.unwrap_err();
        assert!(matches!(refused, StoreError::InboxFull { most: MOST }));
    }
    assert_eq!(keys(store.as_ref(), SHOP, 0).await, ["a", "z"]);
    place.sql("DELETE FROM inbox WHERE number = 1");
    assert_eq!(receive(2).await.unwrap(), 1);
}

async fn notices_come_in_the_order_of_their_commits(place: &Place) {
    let store = place.open().await;
    let first = vec![event(9, &["whole", "bad\0"]), event(3, &["c"])];
    store.receive(SHOP, first, 1).await.unwrap();
    let together = (10..60).map(|id| store.receive(SHOP, vec![event(id, &["x"])], 2));
    for kept in futures::future::join_all(together).await {
        assert_eq!(kept.unwrap(), 1);
    }
    let found = store.inbox(SHOP, 0, 100).await.unwrap();
    assert!(found.is_sorted_by(|(a, _), (b, _)| a < b));
    assert_eq!(found.len(), 53);
    let notices: Vec<Notice> = found.iter().map(|(_, notice)| notice.clone()).collect();
    // Events of one delivery may change places, their notices do not.
    let whole = notices
        .iter()
        .position(|n| n.key.as_str() == "whole")
        .unwrap();
    assert_eq!(
        notices[whole..whole + 2],
        event(9, &["whole", "bad\0"]).notices
    );
    let last = found[52].0;
    assert_eq!(store.inbox_end().await.unwrap(), last);
    assert!(keys(store.as_ref(), SHOP, last).await.is_empty());
    assert_eq!(store.inbox(SHOP, 0, 2).await.unwrap().len(), 2);
}

async fn a_notice_stays_until_every_sync_has_passed_it(place: &Place) {
    let store = place.open().await;
    for id in 1..=3 {
        let name = id.to_string();
        store
            .receive(SHOP, vec![event(id, &[&name])], 1)
            .await
            .unwrap();
    }
    let numbers: Vec<u64> = store
        .inbox(SHOP, 0, 9)
        .await
        .unwrap()
        .iter()
        .map(|(n, _)| *n)
        .collect();
    for (name, passed) in [("quick", 2), ("slow", 0)] {
        let (session, mut state) = open_with_state(store.as_ref(), name).await;
        state.inbox = Some(InboxPosition {
            connection: SHOP.into(),
            after: numbers[passed],
        });
        commit(
            store.as_ref(),
            &session,
            vec![Change::State(Box::new(state))],
        )
        .await;
    }
    store.prune_inbox(SHOP, 2).await.unwrap();
    assert_eq!(keys(store.as_ref(), SHOP, 0).await, ["2", "3"]);
    // Nobody has a position in this one: it goes when its time is over.
    store
        .receive("default/other", vec![event(1, &["o"])], 5)
        .await
        .unwrap();
    store.prune_inbox("default/other", 6).await.unwrap();
    assert_eq!(keys(store.as_ref(), "default/other", 0).await, ["o"]);
    store
        .prune_inbox("default/other", 6 + REMEMBERED)
        .await
        .unwrap();
    assert!(keys(store.as_ref(), "default/other", 0).await.is_empty());
}
