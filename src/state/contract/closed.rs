//! Dead letters that go: dropped by a person with a note, or because they are too old or too many, and what
//! is remembered of them.

use super::*;
use crate::record::{Class, Failure};
use crate::state::{Closing, How, Keep, MOST_CLOSED, Which};

/// A dead letter that became one at this moment.
fn dead(name: &str, at: i64) -> Exception {
    let mut exception = exception(name, Trouble::Dead, 0);
    exception.detail.since = at;
    exception.detail.reason = "Permanent".into();
    exception.detail.field = Some("email".into());
    exception
}

async fn left(store: &dyn Store, session: &Session) -> u64 {
    store.totals(session).await.unwrap().dead_letters()
}

async fn closed(store: &dyn Store, session: &Session) -> Vec<(String, How, i64)> {
    let closed = store.closed(session, 100).await.unwrap();
    let of = |c: crate::state::Closed| (c.key.to_string(), c.how, c.at);
    closed.into_iter().map(of).collect()
}

async fn what_a_person_dropped_is_remembered_with_the_note(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let other = open(&*store, "b").await;
    let odd = "c\u{0}\u{e9}";
    commit(
        &*store,
        &session,
        vec![put(dead("a", 5)), put(dead(odd, 6))],
    )
    .await;
    let note = Some("asked the customer\u{0}".to_owned());
    let closing = Closing::discard(note.clone(), 70);
    store
        .discard(&session, Which::Key(key(odd)), closing)
        .await
        .unwrap();
    store
        .discard(&session, Which::All, Closing::discard(None, 80))
        .await
        .unwrap();
    let found = store.closed(&session, 10).await.unwrap();
    let keys: Vec<_> = found.iter().map(|c| c.key.as_str()).collect();
    assert_eq!(keys, ["a", odd], "the last one first");
    let one = &found[1];
    assert_eq!((one.how, &one.note, one.at), (How::Discarded, &note, 70));
    assert_eq!((one.reason.as_str(), one.since), ("Permanent", 6));
    assert_eq!(one.field.as_deref(), Some("email"));
    assert_eq!(store.closed(&session, 1).await.unwrap().len(), 1);
    assert!(store.closed(&other, 10).await.unwrap().is_empty());
    store.forget(&sync("a")).await.unwrap();
    let anew = open(&*store, "a").await;
    assert!(store.closed(&anew, 10).await.unwrap().is_empty());
}

async fn the_oldest_go_first_when_they_are_too_old_or_too_many(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let mut late = dead("late", 1);
    let failure = Failure::new(Class::Transient, true, "no");
    late.detail.note(90, &failure);
    let changes = vec![
        put(dead("d", 40)),
        put(late),
        put(dead("b", 20)),
        put(dead("c", 30)),
        put(dead("a", 10)),
        put(exception("retry", Trouble::Retry, 1)),
        put(exception("wait", Trouble::Waiting, 1)),
        put(exception("doubt", Trouble::Unknown, 1)),
    ];
    commit(&*store, &session, changes).await;
    let expire = async |since, most, limit| {
        let keep = Keep { since, most };
        let gone = store.expire_dead_letters(&session, keep, 100, limit).await;
        gone.unwrap()
    };
    assert_eq!(expire(10, 5, 100).await, 0, "none is too old or too many");
    assert_eq!(expire(31, 5, 2).await, 2, "a portion");
    assert_eq!(expire(31, 5, 2).await, 1, "the rest of those before 31");
    let gone = |name: &str| (name.to_owned(), How::Expired, 100);
    assert_eq!(
        closed(&*store, &session).await,
        [gone("c"), gone("b"), gone("a")]
    );
    assert_eq!(expire(31, 1, 100).await, 1, "one is too many");
    assert_eq!(closed(&*store, &session).await[0], gone("d"));
    assert!(
        exception_of(&*store, &session, "late").await.is_some(),
        "it died last"
    );
    let totals = store.totals(&session).await.unwrap();
    assert_eq!((totals.retrying, totals.waiting, totals.unknown), (1, 1, 1));
    // The version that was given up counts as dealt with, so that it does not come back by itself.
    let link = link_of(&*store, &session, "a").await.expect("a link");
    assert_eq!((link.target, link.raw), (None, entry("a", 1).raw));
}

async fn one_that_was_replayed_does_not_go(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(
        &*store,
        &session,
        vec![put(dead("a", 10)), put(dead("b", 20))],
    )
    .await;
    store.replay(&session, Which::Key(key("a"))).await.unwrap();
    let keep = Keep { since: 50, most: 0 };
    let gone = store.expire_dead_letters(&session, keep, 100, 10).await;
    assert_eq!((gone.unwrap(), left(&*store, &session).await), (1, 0));
    let replayed = exception_of(&*store, &session, "a").await.expect("it is");
    assert_eq!(replayed.trouble, Trouble::Retry);
    // It may become one again.
    commit(&*store, &session, vec![put(dead("a", 10))]).await;
    let gone = store.expire_dead_letters(&session, keep, 100, 10).await;
    assert_eq!(gone.unwrap(), 1);
}

async fn an_ambiguous_one_that_goes_is_never_created_again(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let held = Exception {
        trouble: Trouble::Ambiguous,
        behind: Some(entry("held", 2)),
        ..dead("held", 10)
    };
    commit(&*store, &session, vec![put(held)]).await;
    let keep = Keep { since: 50, most: 9 };
    let gone = store.expire_dead_letters(&session, keep, 100, 10).await;
    assert_eq!(gone.unwrap(), 1);
    let found = known(&*store, &session, &["held"]).await.remove(0);
    let link = found.link.expect("a link");
    assert_eq!(link.target, Some(TargetId::untold()));
    let promoted = found.exception.expect("the newer version goes to work");
    assert_eq!(promoted.trouble, Trouble::Retry);
    assert_eq!(promoted.entry, entry("held", 2));
}

async fn only_the_last_ones_are_remembered(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let count = MOST_CLOSED as i64 + 3;
    let all = (0..count).map(|n| put(dead(&format!("{n:05}"), n + 1)));
    commit(&*store, &session, all.collect()).await;
    let keep = Keep { since: 0, most: 0 };
    let limit = usize::try_from(count).unwrap();
    let gone = store.expire_dead_letters(&session, keep, 100, limit).await;
    assert_eq!(gone.unwrap(), count as u64);
    let closed = store.closed(&session, limit).await.unwrap();
    assert_eq!(closed.len() as u64, MOST_CLOSED);
    assert_eq!(closed.last().unwrap().key, key("00003"));
}

on_both_stores!(
    what_a_person_dropped_is_remembered_with_the_note,
    the_oldest_go_first_when_they_are_too_old_or_too_many,
    one_that_was_replayed_does_not_go,
    an_ambiguous_one_that_goes_is_never_created_again,
    only_the_last_ones_are_remembered,
);
