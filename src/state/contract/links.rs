//! Links: what is known of keys, and how it is found by target, match value and other Syncs.

use super::*;
use crate::record::Moment;
use crate::state::Holder;

fn full_link() -> Link {
    Link {
        moment: Some(Moment::Integer(-3)),
        matching: Some(i64::MIN),
        fields: vec![0, 255, 7],
        own: true,
        presence: Presence::Removed,
        ..link("full", 1)
    }
}

async fn a_link_comes_back_as_it_was(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let text = Link {
        moment: Some(Moment::Text("2026-01-01\u{0}".into())),
        target: None,
        mapped: Fingerprint::UNKNOWN,
        ..link("text", 2)
    };
    let changes = [full_link(), text.clone(), link("bare", 3)];
    commit(&*store, &session, changes.map(Change::Link).into()).await;
    let found = known(&*store, &session, &["bare", "text", "full"]).await;
    let links: Vec<_> = found.into_iter().filter_map(|known| known.link).collect();
    assert_eq!(links, [link("bare", 3), text, full_link()]);
}

async fn a_time_comes_back_as_its_nanoseconds(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let timed = |moment| Link {
        moment: Some(moment),
        ..link("x", 1)
    };
    let at = 1_700_000_000_123_456_789_i64;
    commit(
        &*store,
        &session,
        vec![Change::Link(timed(Moment::Time(at.into())))],
    )
    .await;
    assert_eq!(
        link_of(&*store, &session, "x").await,
        Some(timed(Moment::Integer(at)))
    );
}

async fn a_later_link_replaces_all_of_an_earlier_one(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    commit(&*store, &session, vec![Change::Link(full_link())]).await;
    let bare = Link {
        target: None,
        ..link("full", 9)
    };
    commit(&*store, &session, vec![Change::Link(bare.clone())]).await;
    assert_eq!(link_of(&*store, &session, "full").await, Some(bare.clone()));
    let both = [full_link(), bare.clone()].map(Change::Link);
    commit(&*store, &session, both.into()).await;
    assert_eq!(link_of(&*store, &session, "full").await, Some(bare));
}

async fn keys_are_answered_in_their_order_and_as_often_as_asked(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let changes = vec![
        Change::Link(link("x", 1)),
        Change::Link(link("both", 2)),
        put(exception("both", Trouble::Retry, 5)),
        put(exception("only", Trouble::Dead, 5)),
    ];
    commit(&*store, &session, changes).await;
    let found = known(&*store, &session, &["only", "x", "none", "both", "x"]).await;
    let there: Vec<(bool, bool)> = found
        .iter()
        .map(|k| (k.link.is_some(), k.exception.is_some()))
        .collect();
    assert_eq!(
        there,
        [
            (false, true),
            (true, false),
            (false, false),
            (true, true),
            (true, false)
        ]
    );
    assert_eq!(found[1], found[4]);
    let without = store
        .known(&session, vec![key("both")], false)
        .await
        .unwrap();
    assert_eq!(
        without,
        [Known {
            link: Some(link("both", 2)),
            exception: None
        }]
    );
    assert!(
        store
            .known(&session, Vec::new(), true)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn any_text_is_a_key_and_none_is_mistaken_for_another(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let long = "é".repeat(512);
    let names = [
        "a",
        "A",
        "a ",
        "a\u{0}",
        "a\u{0}b",
        "á",
        "a\u{301}",
        "'; --",
        "%",
        "\\x61",
        "😀",
        long.as_str(),
    ];
    let changes = names
        .iter()
        .zip(1..)
        .map(|(name, id)| Change::Link(link(name, id)));
    commit(&*store, &session, changes.collect()).await;
    let found = known(&*store, &session, &names).await;
    for ((name, id), known) in names.iter().zip(1..).zip(found) {
        assert_eq!(known.link, Some(link(name, id)), "{name:?}");
    }
}

async fn a_forgotten_link_keeps_its_target_unless_that_is_gone(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let named = |name: &str| Link {
        key: key(name),
        ..full_link()
    };
    commit(
        &*store,
        &session,
        ["kept", "gone"].map(|n| Change::Link(named(n))).into(),
    )
    .await;
    let forget = |name, target_gone| Change::Forget {
        key: key(name),
        target_gone,
    };
    commit(
        &*store,
        &session,
        vec![
            forget("kept", false),
            forget("gone", true),
            forget("none", true),
        ],
    )
    .await;
    let kept = Link {
        mapped: Fingerprint::UNKNOWN,
        fields: Vec::new(),
        ..named("kept")
    };
    let gone = Link {
        mapped: Fingerprint::UNKNOWN,
        fields: Vec::new(),
        target: None,
        ..named("gone")
    };
    assert_eq!(link_of(&*store, &session, "kept").await, Some(kept));
    assert_eq!(link_of(&*store, &session, "gone").await, Some(gone));
    assert_eq!(link_of(&*store, &session, "none").await, None);
}

async fn changes_of_one_key_take_effect_in_their_order(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let forget = |target_gone| Change::Forget {
        key: key("x"),
        target_gone,
    };
    commit(
        &*store,
        &session,
        vec![
            Change::Link(link("x", 1)),
            forget(true),
            Change::Link(link("x", 2)),
            forget(false),
        ],
    )
    .await;
    let half = Link {
        mapped: Fingerprint::UNKNOWN,
        ..link("x", 2)
    };
    assert_eq!(link_of(&*store, &session, "x").await, Some(half));
    commit(&*store, &session, vec![forget(true), forget(false)]).await;
    let none = Link {
        mapped: Fingerprint::UNKNOWN,
        target: None,
        ..link("x", 2)
    };
    assert_eq!(link_of(&*store, &session, "x").await, Some(none));
}

async fn a_link_is_found_by_its_match_value_and_by_its_target(place: &Place) {
    let store = place.open().await;
    let (session, other) = (open(&*store, "a").await, open(&*store, "b").await);
    let matched = |name, id, value| Link {
        matching: Some(value),
        ..link(name, id)
    };
    let long = TargetId::from_json(format!("{:?}", "t".repeat(5_000)));
    let far = Link {
        target: Some(long.clone()),
        ..matched("far", 1, 30)
    };
    let targetless = Link {
        target: None,
        ..matched("targetless", 4, 20)
    };
    let changes = [
        matched("x", 1, 10),
        targetless,
        far.clone(),
        link("plain", 2),
    ];
    commit(&*store, &session, changes.map(Change::Link).into()).await;
    commit(
        &*store,
        &other,
        vec![Change::Link(matched("foreign", 5, 50))],
    )
    .await;
    let by_match = async |value, except| {
        let found = store.by_match(&session, value, &key(except)).await;
        found.unwrap()
    };
    let by_target = async |id: &TargetId, except| {
        let found = store.by_target(&session, id, &key(except)).await;
        found.unwrap()
    };
    let x = Some(Holder::Linked(matched("x", 1, 10)));
    assert_eq!(by_match(10, "y").await, x);
    assert_eq!(by_match(10, "x").await, None, "nobody else has it");
    for value in [20, 40, 50] {
        assert_eq!(by_match(value, "y").await, None, "{value}");
    }
    assert_eq!(by_target(&target(1), "y").await, Some(matched("x", 1, 10)));
    assert_eq!(by_target(&target(1), "x").await, None, "nobody else has it");
    assert_eq!(by_target(&long, "y").await, Some(far));
    // 2 has no match value, 5 is another Sync's, and "1" is not 1.
    for id in [target(2), target(5), TargetId::from_json("\"1\"")] {
        assert_eq!(by_target(&id, "y").await, None, "{id:?}");
    }
}

async fn removed_links_are_counted_apart_and_come_back(place: &Place) {
    let store = place.open().await;
    let session = open(&*store, "a").await;
    let removed = |name| Link {
        presence: Presence::Removed,
        ..link(name, 1)
    };
    let own = Link {
        own: true,
        ..link("own", 2)
    };
    let links = [removed("a"), removed("b"), own.clone(), link("found", 3)];
    commit(&*store, &session, links.map(Change::Link).into()).await;
    assert_eq!(link_of(&*store, &session, "own").await, Some(own));
    assert_eq!(link_of(&*store, &session, "a").await, Some(removed("a")));
    let count = async || {
        let totals = store.totals(&session).await.unwrap();
        (totals.links, totals.removed)
    };
    assert_eq!(count().await, (2, 2));
    commit(&*store, &session, vec![Change::Link(link("a", 1))]).await;
    assert_eq!(count().await, (3, 1));
    assert_eq!(link_of(&*store, &session, "a").await, Some(link("a", 1)));
}

async fn links_of_other_syncs_are_found_by_their_names(place: &Place) {
    let store = place.open().await;
    let (a, b) = (open(&*store, "a").await, open(&*store, "b").await);
    let targetless = Link {
        target: None,
        ..link("y", 0)
    };
    commit(
        &*store,
        &a,
        vec![Change::Link(link("x", 1)), Change::Link(targetless)],
    )
    .await;
    commit(&*store, &b, vec![Change::Link(link("x", 2))]).await;
    let elsewhere = SyncName {
        namespace: "other".into(),
        name: "a".into(),
    };
    let wanted = vec![
        (sync("b"), key("x")),
        (sync("a"), key("none")),
        (sync("a"), key("x")),
        (sync("a"), key("y")),
        (sync("none"), key("x")),
        (elsewhere, key("x")),
        (sync("b"), key("x")),
    ];
    let found = store.linked(wanted).await.unwrap();
    let (one, two) = (Some(target(1)), Some(target(2)));
    assert_eq!(found, [two.clone(), None, one, None, None, None, two]);
    assert!(store.linked(Vec::new()).await.unwrap().is_empty());
}

on_both_stores!(
    a_link_comes_back_as_it_was,
    a_time_comes_back_as_its_nanoseconds,
    a_later_link_replaces_all_of_an_earlier_one,
    keys_are_answered_in_their_order_and_as_often_as_asked,
    any_text_is_a_key_and_none_is_mistaken_for_another,
    a_forgotten_link_keeps_its_target_unless_that_is_gone,
    changes_of_one_key_take_effect_in_their_order,
    a_link_is_found_by_its_match_value_and_by_its_target,
    removed_links_are_counted_apart_and_come_back,
    links_of_other_syncs_are_found_by_their_names,
);
