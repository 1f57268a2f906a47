//! Dead letters: walking through them, sending them again, dropping them.

use super::*;
use crate::state::{Closing, Holder, Pick, Which};

fn dead(name: &str, reason: &str) -> Exception {
    let mut exception = exception(name, Trouble::Dead, 5);
    exception.detail.reason = reason.into();
    exception.detail.first_sent = Some(1);
    exception.detail.negative_reads = 2;
    exception
}

fn dropped() -> Closing {
    Closing::discard(None, 1_000)
}

/// Four dead letters of two reasons, and records in other trouble.
async fn some(store: &dyn Store) -> Session {
    let session = open(store, "a").await;
    let held = Exception {
        trouble: Trouble::Ambiguous,
        behind: Some(entry("held", 2)),
        ..dead("held", "NoAnswer")
    };
    let changes = vec![
        put(dead("a", "Permanent")),
        put(dead("B", "Permanent")),
        put(dead("c\u{0}", "Missing")),
        put(held),
        put(exception("retry", Trouble::Retry, 5)),
        put(exception("wait", Trouble::Waiting, 5)),
    ];
    commit(store, &session, changes).await;
    session
}

async fn page(
    store: &dyn Store,
    session: &Session,
    after: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let after = after.map(key);
    let found = store
        .exceptions(session, Pick::DeadLetters { after }, limit)
        .await
        .unwrap();
    found.iter().map(|e| e.entry.key.to_string()).collect()
}

async fn dead_letters_are_walked_through_in_the_order_of_bytes(place: &Place) {
    let store = place.open().await;
    let session = some(&*store).await;
    assert_eq!(
        page(&*store, &session, None, 10).await,
        ["B", "a", "c\u{0}", "held"]
    );
    assert_eq!(page(&*store, &session, None, 2).await, ["B", "a"]);
    assert_eq!(
        page(&*store, &session, Some("a"), 2).await,
        ["c\u{0}", "held"]
    );
    assert_eq!(page(&*store, &session, Some("c"), 1).await, ["c\u{0}"]);
    assert!(page(&*store, &session, Some("held"), 2).await.is_empty());
}

async fn a_replayed_one_is_due_at_once_and_starts_anew(place: &Place) {
    let store = place.open().await;
    let session = some(&*store).await;
    assert_eq!(
        store.replay(&session, Which::Key(key("a"))).await.unwrap(),
        1
    );
    let found = exception_of(&*store, &session, "a").await.unwrap();
    assert_eq!((found.trouble, found.next), (Trouble::Retry, 0));
    assert_eq!(found.entry, entry("a", 1));
    let detail = found.detail;
    assert!(detail.remap && detail.replayed);
    assert_eq!(
        (
            detail.attempts,
            detail.since,
            detail.first_sent,
            detail.negative_reads
        ),
        (0, 0, None, 0)
    );
    assert_eq!(
        (detail.reason.as_str(), detail.message.as_str()),
        ("Permanent", "the target answered 503")
    );
    let due = store.exceptions(&session, Pick::Due(0), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    // It is no dead letter any more.
    assert_eq!(
        store.replay(&session, Which::Key(key("a"))).await.unwrap(),
        0
    );
    let held = store
        .replay(&session, Which::Key(key("held")))
        .await
        .unwrap();
    let found = exception_of(&*store, &session, "held").await.unwrap();
    assert_eq!((held, found.behind), (1, Some(entry("held", 2))));
}

async fn replay_and_discard_take_a_reason_or_all(place: &Place) {
    let store = place.open().await;
    let session = some(&*store).await;
    let other = open(&*store, "b").await;
    commit(&*store, &other, vec![put(dead("a", "Permanent"))]).await;
    assert_eq!(
        store
            .replay(&session, Which::Reason("None".into()))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .replay(&session, Which::Key(key("retry")))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .replay(&session, Which::Reason("Permanent".into()))
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        store
            .discard(&session, Which::Reason("Missing".into()), dropped())
            .await
            .unwrap(),
        1
    );
    assert_eq!(page(&*store, &session, None, 10).await, ["held"]);
    assert_eq!(store.replay(&session, Which::All).await.unwrap(), 1);
    assert_eq!(
        store
            .discard(&session, Which::All, dropped())
            .await
            .unwrap(),
        0
    );
    let totals = store.totals(&session).await.unwrap();
    assert_eq!(
        (totals.retrying, totals.waiting, totals.dead_letters()),
        (4, 1, 0)
    );
    assert_eq!(page(&*store, &other, None, 10).await, ["a"]);
}

async fn a_discarded_version_counts_as_dealt_with(place: &Place) {
    let store = place.open().await;
    let session = some(&*store).await;
    commit(&*store, &session, vec![Change::Link(link("B", 9))]).await;
    assert_eq!(
        store
            .discard(&session, Which::Reason("Permanent".into()), dropped())
            .await
            .unwrap(),
        2
    );
    let found = known(&*store, &session, &["a", "B"]).await;
    assert!(found.iter().all(|known| known.exception.is_none()));
    let seen = Link {
        target: None,
        raw: entry("a", 1).raw,
        mapped: Fingerprint::UNKNOWN,
        ..link("a", 0)
    };
    assert_eq!(found[0].link, Some(seen));
    // What is linked stays linked.
    let linked = Link {
        raw: entry("B", 1).raw,
        ..link("B", 9)
    };
    assert_eq!(found[1].link, Some(linked));
}

async fn a_version_behind_a_discarded_one_goes_to_work(place: &Place) {
    let store = place.open().await;
    let session = some(&*store).await;
    assert_eq!(
        store
            .discard(&session, Which::Key(key("held")), dropped())
            .await
            .unwrap(),
        1
    );
    let found = known(&*store, &session, &["held"]).await.remove(0);
    // It stands in the target, and nobody said where: it is never created again.
    let link = found.link.expect("a link");
    assert_eq!(
        (link.target, link.raw),
        (Some(TargetId::untold()), Fingerprint::UNKNOWN)
    );
    let promoted = found.exception.expect("the newer version");
    assert_eq!(
        (promoted.trouble, promoted.next, promoted.behind),
        (Trouble::Retry, 0, None)
    );
    assert_eq!(promoted.entry, entry("held", 2));
    assert!(promoted.detail.remap && promoted.detail.replayed);
    assert_eq!(promoted.detail.reason, "Promoted");
}

async fn what_a_person_found_keeps_its_match_value_and_is_no_link_for_lookups(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let mut held = dead("held", "NoAnswer");
    held.trouble = Trouble::Ambiguous;
    held.entry.matching = Some(7);
    let mut other = dead("other", "Missing");
    other.entry.matching = Some(8);
    commit(&*store, &session, vec![put(held), put(other)]).await;
    assert_eq!(
        store
            .discard(&session, Which::All, dropped())
            .await
            .unwrap(),
        2
    );
    let holder = async |value| store.by_match(&session, value, &key("x")).await.unwrap();
    let Some(Holder::Linked(link)) = holder(7).await else {
        panic!("the match value is free");
    };
    assert_eq!(
        (link.key, link.target),
        (key("held"), Some(TargetId::untold()))
    );
    assert_eq!(holder(8).await, None, "a definite failure holds nothing");
    let wanted = vec![(sync("a"), key("held"))];
    assert_eq!(store.linked(wanted).await.unwrap(), [None]);
}

on_both_stores!(
    dead_letters_are_walked_through_in_the_order_of_bytes,
    a_replayed_one_is_due_at_once_and_starts_anew,
    replay_and_discard_take_a_reason_or_all,
    a_discarded_version_counts_as_dealt_with,
    a_version_behind_a_discarded_one_goes_to_work,
    what_a_person_found_keeps_its_match_value_and_is_no_link_for_lookups,
);
