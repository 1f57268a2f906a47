//! A change reaches exactly those who use what changed.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::index::*;
use crate::plan::ResourceName;

pub fn name(text: &str) -> ResourceName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ResourceName::new(namespace, name)
}

pub fn seen<S: DeserializeOwned>(text: &str, generation: i64, spec: Value) -> Seen<S> {
    Seen {
        name: name(text),
        meta: Meta {
            uid: format!("uid-{text}"),
            generation,
            ..Meta::default()
        },
        spec: serde_json::from_value(spec.clone()).map_err(|e| Unread {
            problem: e.to_string(),
            spec,
        }),
    }
}

pub fn connection(secret: &str) -> Value {
    json!({
        "http": {"baseURL": "https://shop.example.com"},
        "auth": {"bearer": {"secretRef": {"name": secret, "key": "token"}}},
        "access": ["Read", "Create", "Update"],
        "objects": [{
            "name": "customers", "key": ["id"],
            "list": {"path": "/customers", "pagination": {"token": {"from": "next", "sendAs": {"in": "Query", "name": "cursor"}}}},
            "find": {"path": "/customers", "query": {"email": "${match.email}"}},
            "create": {"path": "/customers"},
            "update": {"path": "/customers/${key.id}"},
        }],
    })
}

pub fn mapping(expected: &str) -> Value {
    json!({
        "fields": [{"to": "email", "from": "email"}],
        "tests": [{"name": "keeps it", "given": {"email": "a@b.co"}, "expect": {"email": expected}}],
    })
}

pub fn sync(source: &str, target: &str, mapping: &str) -> Value {
    json!({
        "source": {"connectionRef": {"name": source}, "object": "customers"},
        "target": {"connectionRef": {"name": target}, "object": "customers"},
        "mappingRef": {"name": mapping},
        "match": {"fields": [{"source": "email", "target": "email"}]},
    })
}

/// Two shops and a CRM with Secrets of their own, two Mappings, three Syncs.
pub fn index() -> Index {
    let mut index = Index::default();
    for (connection_name, secret) in [("shop", "shop"), ("shop2", "shop2"), ("crm", "crm")] {
        index.connection(seen(connection_name, 1, connection(secret)));
        index.secret(name(secret), Some("1".to_owned()));
    }
    for mapping_name in ["m1", "m2"] {
        index.mapping(seen(mapping_name, 1, mapping("a@b.co")));
    }
    index.sync(seen("a", 1, sync("shop", "crm", "m1")));
    index.sync(seen("b", 1, sync("shop2", "crm", "m1")));
    index.sync(seen("c", 1, sync("shop2", "shop", "m2")));
    index
}

pub fn targets(effects: &Effects) -> Vec<String> {
    effects
        .reconcile
        .iter()
        .map(|t| format!("{}/{}", t.kind.as_str(), t.name.name))
        .collect()
}

#[test]
fn a_changed_connection_reaches_the_syncs_that_use_it() {
    let mut index = index();
    let effects = index.connection(seen("crm", 2, connection("crm")));
    assert_eq!(targets(&effects), ["Connection/crm", "Sync/a", "Sync/b"]);
    let effects = index.connection(seen("shop", 2, connection("shop")));
    assert_eq!(targets(&effects), ["Connection/shop", "Sync/a", "Sync/c"]);
}

#[test]
fn a_changed_secret_reaches_its_connections_and_no_other() {
    let mut index = index();
    let effects = index.secret(name("shop2"), Some("2".to_owned()));
    assert_eq!(targets(&effects), ["Connection/shop2"]);
    assert_eq!(effects.rotated, BTreeSet::from([name("shop2")]));
    let same = index.secret(name("shop2"), Some("2".to_owned()));
    assert_eq!(same, Effects::default(), "seen again in a new list");
    let other = index.secret(name("elsewhere/shop2"), Some("2".to_owned()));
    assert_eq!(other, Effects::default(), "another namespace");
    assert_eq!(
        targets(&index.secret(name("crm"), None)),
        ["Connection/crm"]
    );
}

#[test]
fn a_changed_secret_of_a_webhook_reaches_its_connection_and_leaves_the_credential_alone() {
    let mut index = index();
    let key = |name: &str| json!({"name": name, "key": "k"});
    let mut spec = connection("shop");
    spec["objects"][0]["get"] = json!({"path": "/customers/${key.id}"});
    spec["webhooks"] = json!([{
        "name": "events",
        "verify": {"bearer": {"secretRef": key("hook"), "alsoAccept": [key("hook2")]}},
        "routes": [{"object": "customers", "key": {"id": "body.id"}}],
    }]);
    index.connection(seen("shop", 2, spec));
    for secret in ["hook", "hook2"] {
        for version in [Some("1"), Some("2"), None] {
            let effects = index.secret(name(secret), version.map(str::to_owned));
            assert_eq!(
                targets(&effects),
                ["Connection/shop"],
                "{secret} {version:?}"
            );
            assert_eq!(effects.rotated, BTreeSet::new(), "{secret} {version:?}");
        }
    }
    let effects = index.secret(name("shop"), Some("2".to_owned()));
    assert_eq!(effects.rotated, BTreeSet::from([name("shop")]));
    index.connection(seen("shop", 3, connection("shop")));
    let effects = index.secret(name("hook"), Some("3".to_owned()));
    assert_eq!(effects, Effects::default(), "it is named no more");
}

#[test]
fn a_connection_that_names_another_secret_no_longer_hears_of_the_old_one() {
    let mut index = index();
    index.connection(seen("shop", 2, connection("new")));
    assert_eq!(
        index.secret(name("shop"), Some("9".to_owned())),
        Effects::default()
    );
    assert_eq!(
        targets(&index.secret(name("new"), Some("1".to_owned()))),
        ["Connection/shop"]
    );
}

#[test]
fn a_new_status_changes_nothing_and_an_annotation_does() {
    let mut index = index();
    let before = index.revision();
    assert_eq!(
        index.sync(seen("a", 1, sync("shop", "crm", "m1"))),
        Effects::default()
    );
    assert_eq!(index.revision(), before);
    let mut asked = seen("a", 1, sync("shop", "crm", "m1"));
    asked.meta.requested = Some("now".to_owned());
    assert_eq!(targets(&index.sync(asked)), ["Sync/a"]);
}

#[test]
fn a_mapping_whose_tests_fail_leaves_the_last_good_one_in_use() {
    let mut index = index();
    let good = index.resources.mappings[&name("m1")].clone();
    let target = Target::new(Kind::Mapping, &name("m1"));
    let used = |index: &Index| index.entry(&target).unwrap().used.generation;
    assert_eq!(used(&index), 1);
    let effects = index.mapping(seen("m1", 2, mapping("other@b.co")));
    assert_eq!(targets(&effects), ["Mapping/m1", "Sync/a", "Sync/b"]);
    assert!(index.entry(&target).unwrap().tests_failed && used(&index) == 1);
    assert_eq!(index.resources.mappings[&name("m1")], good);
    index.mapping(seen("m1", 3, mapping("a@b.co")));
    assert!(!index.entry(&target).unwrap().tests_failed && used(&index) == 3);
}

#[test]
fn a_malformed_object_is_known_by_name_and_stops_nobody_else() {
    let mut index = index();
    index.remove(&Target::new(Kind::Connection, &name("shop")));
    let broken = seen("shop", 2, json!({"auth": 5}));
    assert_eq!(
        targets(&index.connection(broken)),
        ["Connection/shop", "Sync/a", "Sync/c"]
    );
    let entry = index
        .entry(&Target::new(Kind::Connection, &name("shop")))
        .unwrap();
    assert!(entry.unread.is_some());
    assert!(!index.compiled.connections.contains_key(&name("shop")));
    assert!(index.compiled.connections.contains_key(&name("crm")));
    index.connection(seen("shop", 3, connection("shop")));
    assert!(index.compiled.connections.contains_key(&name("shop")));
}

#[test]
fn what_is_not_in_a_list_is_gone_with_all_that_was_known_of_it() {
    let mut index = index();
    let all = BTreeSet::from(["a", "b", "c"].map(name));
    assert_eq!(index.listed(Kind::Sync, None, &all), Effects::default());
    assert_eq!(
        index.listed(Kind::Sync, Some("other"), &BTreeSet::new()),
        Effects::default()
    );
    let left = BTreeSet::from([name("a")]);
    let effects = index.listed(Kind::Sync, Some("default"), &left);
    let gone: Vec<&str> = effects.gone.iter().map(|t| t.name.name.as_str()).collect();
    assert_eq!(gone, ["b", "c"]);
    assert_eq!(index.users_of_connection(&name("shop2")), BTreeSet::new());
    assert_eq!(index.users_of_connection(&name("crm")), left);
    let effects = index.remove(&Target::new(Kind::Connection, &name("crm")));
    assert_eq!(targets(&effects), ["Sync/a"]);
}

#[test]
fn a_lookup_makes_a_sync_a_user_of_the_other() {
    let mut index = index();
    let mut spec = sync("shop", "crm", "m1");
    spec["lookups"] = json!([{"name": "companies", "syncRef": {"name": "b"}}]);
    index.sync(seen("d", 1, spec));
    let effects = index.sync(seen("b", 2, sync("shop2", "crm", "m2")));
    assert_eq!(targets(&effects), ["Sync/b", "Sync/d"]);
}
