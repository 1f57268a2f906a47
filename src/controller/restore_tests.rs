//! What stays in use of resources whose newest version cannot be.

use serde_json::{Value, json};

use super::index::*;
use super::index_tests::{connection, index, mapping, name, seen, sync, targets};

/// A field that a newer version may know.
fn newer(mut spec: Value) -> Value {
    spec["sparkle"] = json!(true);
    spec
}

fn target(kind: Kind, text: &str) -> Target {
    Target::new(kind, &name(text))
}

/// All three kinds, each with a good spec.
fn each() -> [(Target, Value); 3] {
    [
        (target(Kind::Connection, "shop"), connection("shop")),
        (target(Kind::Mapping, "m1"), mapping("a@b.co")),
        (target(Kind::Sync, "a"), sync("shop", "crm", "m1")),
    ]
}

fn see(index: &mut Index, target: &Target, generation: i64, spec: Value) -> Effects {
    let name = target.name.name.as_str();
    match target.kind {
        Kind::Connection => index.connection(seen(name, generation, spec)),
        Kind::Mapping => index.mapping(seen(name, generation, spec)),
        Kind::Sync => index.sync(seen(name, generation, spec)),
    }
}

#[test]
fn a_version_that_cannot_be_read_leaves_the_one_before_in_use() {
    for (target, spec) in each() {
        let mut index = index();
        let before = index.newest(&target).unwrap();
        // A newer definition may fill a field in without any change of the resource.
        for generation in [1, 2] {
            let effects = see(&mut index, &target, generation, newer(spec.clone()));
            assert!(effects.reconcile.contains(&target), "{target:?}");
            let entry = index.entry(&target).unwrap();
            let unread = entry.unread.as_ref().unwrap();
            assert!(unread.problem.contains("sparkle"), "{unread:?}");
            assert_eq!(entry.used.generation, 1);
            assert!(index.in_use(&target) && index.lacks(&target).is_none());
            assert_eq!(index.newest(&target), None, "it is no good version");
        }
        see(&mut index, &target, 3, spec);
        let after = index.newest(&target).unwrap();
        assert_eq!((after.generation, after.spec), (3, before.spec));
    }
}

#[test]
fn a_kept_version_goes_on_in_a_process_that_saw_no_other() {
    for (target, spec) in each() {
        let kept = index().newest(&target).unwrap();
        let mut index = index();
        index.remove(&target);
        see(&mut index, &target, 7, newer(spec));
        assert!(!index.in_use(&target));
        assert_eq!(index.lacks(&target), Some(kept.uid.as_str()));

        let other = Version {
            uid: "other".to_owned(),
            ..kept.clone()
        };
        for useless in [None, Some(other)] {
            let effects = index.restore(&target, useless);
            assert!(
                effects.reconcile.contains(&target),
                "those that wait hear of it"
            );
            assert!(!index.in_use(&target), "{target:?}");
        }
        let revision = index.revision();
        let effects = index.restore(&target, Some(kept.clone()));
        assert!(index.revision() > revision);
        let users = match target.kind {
            Kind::Connection => vec!["Connection/shop", "Sync/a", "Sync/c"],
            Kind::Mapping => vec!["Mapping/m1", "Sync/a", "Sync/b"],
            Kind::Sync => vec!["Sync/a"],
        };
        assert_eq!(targets(&effects), users);
        assert!(index.in_use(&target) && index.lacks(&target).is_none());
        let entry = index.entry(&target).unwrap();
        assert_eq!(
            (entry.used.generation, entry.meta.generation),
            (kept.generation, 7)
        );
        assert!(entry.unread.is_some());
    }
}

#[test]
fn a_restored_resource_is_reached_by_what_it_uses() {
    let mut index = index();
    let (connection_a, sync_a) = (target(Kind::Connection, "shop"), target(Kind::Sync, "a"));
    for target in [&connection_a, &sync_a] {
        let kept = index.newest(target);
        index.remove(target);
        see(&mut index, target, 7, json!({"sparkle": true}));
        index.restore(target, kept);
    }
    let rotated = index.secret(name("shop"), Some("9".to_owned()));
    assert_eq!(targets(&rotated), ["Connection/shop"]);
    let effects = index.mapping(seen("m1", 2, mapping("a@b.co")));
    assert!(
        targets(&effects).contains(&"Sync/a".to_owned()),
        "{effects:?}"
    );
}

#[test]
fn a_mapping_that_fails_its_tests_goes_on_as_it_was_kept() {
    let mut index = index();
    let target = target(Kind::Mapping, "m1");
    let kept = index.newest(&target);
    index.remove(&target);
    index.mapping(seen("m1", 2, mapping("other@b.co")));
    assert!(index.lacks(&target).is_some());
    index.restore(&target, kept);
    let entry = index.entry(&target).unwrap();
    assert!(index.in_use(&target) && entry.tests_failed && entry.used.generation == 1);
    // One that fails its tests now does not go on, whatever it did once.
    let mut worse = index
        .newest(&super::restore_tests::target(Kind::Mapping, "m2"))
        .unwrap();
    let m2 = super::restore_tests::target(Kind::Mapping, "m2");
    worse.spec = mapping("other@b.co");
    index.remove(&m2);
    index.mapping(seen("m2", 2, mapping("other@b.co")));
    index.restore(&m2, Some(worse));
    assert!(!index.in_use(&m2));
}

#[test]
fn rights_that_are_taken_away_are_gone_at_once_whatever_else_cannot_be_read() {
    let shop = target(Kind::Connection, "shop");
    let mut index = index();
    let spec = |index: &Index| index.resources.connections.get(&name("shop")).cloned();
    let before = spec(&index).unwrap();
    let used = index.entry(&shop).unwrap().used;

    let mut less = newer(connection("other"));
    less["access"] = json!(["Read", "Update", "Delete"]);
    index.connection(seen("shop", 2, less.clone()));
    let narrowed = spec(&index).unwrap();
    assert_eq!(
        json!(narrowed.access),
        json!(["Read", "Update"]),
        "nothing is won"
    );
    assert_eq!(narrowed.auth, before.auth);
    assert!(
        index.compiled.connections[&name("shop")]
            .connection
            .access
            .update
    );
    assert!(
        !index.compiled.connections[&name("shop")]
            .connection
            .access
            .create
    );
    assert_ne!(
        index.entry(&shop).unwrap().used,
        used,
        "it is another version"
    );

    less["allowedNamespaces"] = json!({"from": "Nobody"});
    index.connection(seen("shop", 3, less));
    assert!(!index.in_use(&shop), "who may use it cannot be read");
    assert!(spec(&index).is_none());
}

#[test]
fn a_sync_is_suspended_and_resumed_whatever_else_cannot_be_read() {
    let mut index = index();
    for (generation, suspend) in [(2, true), (3, false)] {
        let mut spec = newer(sync("shop", "crm", "m1"));
        spec["suspend"] = json!(suspend);
        index.sync(seen("a", generation, spec));
        assert_eq!(index.resources.syncs[&name("a")].suspend, suspend);
    }
}

#[test]
fn another_resource_of_the_same_name_does_not_go_on_as_the_one_before() {
    for (target, spec) in each() {
        let mut index = index();
        let name = target.name.name.as_str();
        let uid = "other".to_owned();
        match target.kind {
            Kind::Connection => {
                let mut other = seen(name, 1, newer(spec));
                other.meta.uid = uid;
                index.connection(other);
            }
            Kind::Mapping => {
                let mut other = seen(name, 1, newer(spec));
                other.meta.uid = uid;
                index.mapping(other);
            }
            Kind::Sync => {
                let mut other = seen(name, 1, newer(spec));
                other.meta.uid = uid;
                index.sync(other);
            }
        }
        assert!(!index.in_use(&target), "{target:?}");
    }
}
