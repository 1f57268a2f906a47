//! Links of records that a list may not show any more: looked through by key, marked and unmarked.

use super::*;
use crate::state::Present;

on_both_stores!(
    links_are_looked_through_by_key_in_portions,
    what_was_removed_or_never_arrived_is_not_looked_at,
    a_mark_is_set_and_taken_back_and_changes_nothing_else,
    marks_of_one_group_take_effect_in_their_order,
    a_marked_link_is_counted_as_one_that_is_there,
);

async fn present(
    store: &dyn Store,
    session: &Session,
    after: Option<&str>,
    limit: usize,
) -> Vec<(String, bool)> {
    let after = after.map(key);
    let found = store.present(session, after.as_ref(), limit).await;
    let found = found.unwrap_or_else(|e| panic!("{e}"));
    let told = |link: Present| (link.key.to_string(), link.missed);
    found.into_iter().map(told).collect()
}

fn missed(name: &str) -> Change {
    Change::Missed(key(name))
}

fn seen(name: &str) -> Change {
    Change::Seen(key(name))
}

async fn links_are_looked_through_by_key_in_portions(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    // In the order of their bytes.
    let names = ["A", "a", "a\u{0}", "ab", "b", "é", "😀"];
    let links = names.iter().rev().map(|name| Change::Link(link(name, 1)));
    commit(&*store, &session, links.collect()).await;
    commit(&*store, &other, vec![Change::Link(link("foreign", 1))]).await;
    let mut all = Vec::new();
    loop {
        let after = all.last().cloned();
        let portion = present(&*store, &session, after.as_deref(), 3).await;
        assert!(portion.len() <= 3);
        if portion.is_empty() {
            break;
        }
        all.extend(portion.into_iter().map(|(name, _)| name));
    }
    assert_eq!(all, names);
    assert!(present(&*store, &session, None, 0).await.is_empty());
}

async fn what_was_removed_or_never_arrived_is_not_looked_at(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let links = [
        Link {
            presence: Presence::Removed,
            ..link("removed", 1)
        },
        Link {
            presence: Presence::Removed,
            own: true,
            ..link("removed and own", 1)
        },
        Link {
            target: None,
            mapped: Fingerprint::UNKNOWN,
            ..link("only seen", 1)
        },
        Link {
            target: None,
            ..link("no id", 1)
        },
        Link {
            mapped: Fingerprint::UNKNOWN,
            own: true,
            ..link("not sure", 1)
        },
        Link {
            presence: Presence::Missed,
            own: true,
            ..link("missed", 1)
        },
    ];
    commit(&*store, &session, links.map(Change::Link).into()).await;
    let found = present(&*store, &session, None, 10).await;
    let told = |name: &str, missed| (name.to_owned(), missed);
    let wanted = [
        told("missed", true),
        told("no id", false),
        told("not sure", false),
    ];
    assert_eq!(found, wanted);
}

async fn a_mark_is_set_and_taken_back_and_changes_nothing_else(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let own = Link {
        own: true,
        matching: Some(7),
        fields: vec![1, 2],
        ..link("own", 1)
    };
    let removed = Link {
        presence: Presence::Removed,
        own: true,
        ..link("removed", 2)
    };
    let links = [own.clone(), removed.clone(), link("found", 3)];
    commit(&*store, &session, links.map(Change::Link).into()).await;
    for _ in 0..2 {
        let marks = ["own", "removed", "found", "none"].map(missed);
        commit(&*store, &session, marks.into()).await;
        let marked = Link {
            presence: Presence::Missed,
            ..own.clone()
        };
        assert_eq!(link_of(&*store, &session, "own").await, Some(marked));
    }
    let of = async |name| link_of(&*store, &session, name).await.map(|l| l.presence);
    assert_eq!(of("found").await, Some(Presence::Missed));
    assert_eq!(of("removed").await, Some(Presence::Removed));
    assert_eq!(of("none").await, None);
    for _ in 0..2 {
        let marks = ["own", "removed", "none"].map(seen);
        commit(&*store, &session, marks.into()).await;
        assert_eq!(link_of(&*store, &session, "own").await, Some(own.clone()));
    }
    let found = link_of(&*store, &session, "removed").await;
    assert_eq!(found, Some(removed));
    // What is written anew is there.
    commit(&*store, &session, vec![Change::Link(link("found", 4))]).await;
    assert_eq!(of("found").await, Some(Presence::Here));
}

async fn marks_of_one_group_take_effect_in_their_order(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let of = async || link_of(&*store, &session, "x").await.unwrap();
    let put = |presence| {
        Change::Link(Link {
            presence,
            ..link("x", 1)
        })
    };
    let forget = || Change::Forget {
        key: key("x"),
        target_gone: false,
    };
    for (changes, wanted) in [
        (vec![put(Presence::Here), missed("x")], Presence::Missed),
        (vec![missed("x"), seen("x")], Presence::Here),
        (vec![seen("x"), missed("x")], Presence::Missed),
        (vec![missed("x"), put(Presence::Here)], Presence::Here),
        (vec![put(Presence::Missed), seen("x")], Presence::Here),
        (vec![missed("x"), forget()], Presence::Missed),
        (vec![forget(), seen("x")], Presence::Here),
        (vec![put(Presence::Removed), missed("x")], Presence::Removed),
        (vec![seen("x")], Presence::Removed),
    ] {
        let told = format!("{changes:?}");
        commit(&*store, &session, changes).await;
        assert_eq!(of().await.presence, wanted, "{told}");
    }
}

async fn a_marked_link_is_counted_as_one_that_is_there(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let removed = Link {
        presence: Presence::Removed,
        ..link("c", 3)
    };
    let links = [link("a", 1), link("b", 2), removed].map(Change::Link);
    commit(&*store, &session, links.into()).await;
    commit(&*store, &session, vec![missed("a")]).await;
    let totals = store.totals(&session).await.unwrap();
    assert_eq!((totals.links, totals.targets, totals.removed), (2, 2, 1));
}
