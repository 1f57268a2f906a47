//! What changes a Plan's fingerprints, and which guarantee each set of operations gives.

use serde_json::{Value, json};

use super::*;

/// A shop, a CRM, a Mapping and a Sync, changed by `change`.
fn resources(change: impl FnOnce(&mut Value)) -> Resources {
    let mut all = json!({
        "shop": {
            "http": {"baseURL": "https://${settings.region}.shop.example.com"},
            "settings": {"region": "eu"},
            "auth": {"none": {}},
            "objects": [{"name": "customers", "key": ["id"], "list": {
                "path": "/customers",
                "pagination": {"token": {"from": "next", "sendAs": {"in": "Query", "name": "cursor"}}},
            }}],
        },
        "crm": {
            "http": {"baseURL": "https://crm.example.com"},
            "auth": {"none": {}},
            "access": ["Read", "Create", "Update"],
            "objects": [{
                "name": "contacts",
                "key": ["id"],
                "find": {"path": "/contacts", "query": {"email": "${match.email}"}},
                "create": {"path": "/contacts"},
                "update": {"path": "/contacts/${key.id}"},
            }],
        },
        "mapping": {"fields": [{"to": "email", "from": "email"}]},
        "sync": {
            "source": {"connectionRef": {"name": "shop"}, "object": "customers", "backfill": "All"},
            "target": {"connectionRef": {"name": "crm"}, "object": "contacts"},
            "mappingRef": {"name": "mapping"},
            "match": {"fields": [{"source": "email", "target": "email"}]},
        },
    });
    change(&mut all);
    let name = |name: &str| ResourceName::new("default", name);
    let connection = |name: &str| serde_json::from_value(all[name].clone()).unwrap();
    Resources {
        connections: [
            (name("shop"), connection("shop")),
            (name("crm"), connection("crm")),
        ]
        .into(),
        mappings: [(
            name("mapping"),
            serde_json::from_value(all["mapping"].clone()).unwrap(),
        )]
        .into(),
        syncs: [(
            name("sync"),
            serde_json::from_value(all["sync"].clone()).unwrap(),
        )]
        .into(),
        ..Resources::default()
    }
}

fn sync_name(name: &str) -> SyncName {
    SyncName {
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

#[track_caller]
fn plan(change: impl FnOnce(&mut Value)) -> Plan {
    compile(&resources(change), &sync_name("sync")).unwrap()
}

#[test]
fn the_hash_is_about_what_a_record_becomes() {
    let before = plan(|_| {}).hash;
    let same: [fn(&mut Value); 3] = [
        |all| all["mapping"]["tests"] = json!([{"name": "x", "given": {}, "expect": {}}]),
        |all| all["sync"]["trigger"] = json!({"interval": "1m"}),
        |all| all["crm"]["description"] = json!("another line"),
    ];
    for change in same {
        assert_eq!(plan(change).hash, before);
    }
    let other: [fn(&mut Value); 3] = [
        |all| all["mapping"]["fields"][0]["from"] = json!("mail"),
        |all| all["sync"]["source"]["where"] = json!("record.vip"),
        |all| all["sync"]["match"]["fields"][0]["ignoreCase"] = json!(true),
    ];
    for change in other {
        assert_ne!(plan(change).hash, before);
    }
}

#[test]
fn another_system_is_another_identity() {
    let before = plan(|_| {}).identity;
    let same: [fn(&mut Value); 2] = [
        |all| all["crm"]["http"]["timeout"] = json!("5s"),
        |all| all["mapping"]["fields"][0]["from"] = json!("mail"),
    ];
    for change in same {
        assert_eq!(plan(change).identity, before);
    }
    let other: [fn(&mut Value); 4] = [
        |all| all["crm"]["http"]["baseURL"] = json!("https://sandbox.example.com"),
        |all| all["shop"]["settings"]["region"] = json!("us"),
        |all| all["shop"]["objects"][0]["key"] = json!(["number"]),
        |all| {
            all["shop"]["http"] = all["crm"]["http"].clone();
            all["crm"]["http"] = json!({"baseURL": "https://eu.shop.example.com"});
            all["shop"]["settings"] = json!({});
        },
    ];
    for change in other {
        assert_ne!(plan(change).identity, before);
    }
}

#[test]
fn operations_give_the_guarantees_that_they_can_keep() {
    use Guarantee::{Blind, IdempotencyKey, Repeatable, Searchable};
    let key = json!({"in": "Header", "name": "Idempotency-Key"});
    type Case<'a> = (&'a str, &'a dyn Fn(&mut Value), [Option<Guarantee>; 3]);
    let cases: [Case<'_>; 8] = [
        (
            "find and match",
            &|_| {},
            [Some(Searchable), Some(Repeatable), None],
        ),
        (
            "an idempotency key",
            &|all| all["crm"]["objects"][0]["create"]["idempotencyKey"] = key.clone(),
            [Some(IdempotencyKey), Some(Repeatable), None],
        ),
        (
            "a batch, which is taken apart",
            &|all| {
                all["crm"]["objects"][0]["create"] =
                    json!({"path": "/batch", "batch": {"max": 10}});
            },
            [Some(Searchable), Some(Repeatable), None],
        ),
        (
            "nothing to recognize a record by",
            &|all| {
                all["sync"].as_object_mut().unwrap().remove("match");
            },
            [Some(Blind), Some(Repeatable), None],
        ),
        (
            "a natural key",
            &|all| all["crm"]["objects"][0]["upsert"] = json!({"path": "/contacts/${source.id}"}),
            [None, Some(Repeatable), Some(Repeatable)],
        ),
        (
            "a natural key, and records are only created",
            &|all| {
                all["crm"]["objects"][0]["upsert"] = json!({"path": "/contacts/${source.id}"});
                all["sync"]["write"] = json!({"mode": "CreateOnly"});
            },
            [Some(Searchable), None, None],
        ),
        (
            "no record is created",
            &|all| all["sync"]["match"]["onNone"] = json!("Skip"),
            [None, Some(Repeatable), None],
        ),
        (
            "only updates",
            &|all| all["sync"]["write"] = json!({"mode": "UpdateOnly"}),
            [None, Some(Repeatable), None],
        ),
    ];
    for (case, change, [create, update, upsert]) in cases {
        let wanted = Guarantees {
            create,
            update,
            upsert,
            delete: None,
        };
        assert_eq!(plan(|all| change(all)).guarantees, wanted, "{case}");
    }
}

#[test]
fn a_sync_is_compiled_without_the_mistakes_of_others() {
    let mut all = resources(|_| {});
    let broken = all.syncs[&ResourceName::new("default", "sync")].clone();
    let broken = crate::api::sync::SyncSpec {
        mapping_ref: crate::api::reference::LocalRef {
            name: "nothing".to_owned(),
        },
        ..broken
    };
    all.syncs
        .insert(ResourceName::new("default", "other"), broken);
    assert!(compile(&all, &sync_name("sync")).is_ok());
    let problems = compile(&all, &sync_name("other")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].field, "spec.mappingRef.name");
    let problems = compile(&all, &sync_name("snyc")).unwrap_err();
    assert!(
        problems[0].message.contains("did you mean \"sync\""),
        "{problems:?}"
    );
}

#[test]
fn a_connection_of_another_namespace_needs_its_own_consent() {
    let cases = [
        (json!({}), false),
        (json!({"from": "Same"}), false),
        (json!({"from": "All"}), true),
        (json!({"from": "Names", "names": ["default"]}), true),
        (json!({"from": "Names", "names": ["elsewhere"]}), false),
    ];
    for (allowed, good) in cases {
        let mut all = resources(|all| {
            all["crm"]["allowedNamespaces"] = allowed.clone();
            all["sync"]["target"]["connectionRef"]["namespace"] = json!("team-a");
        });
        let crm = all
            .connections
            .remove(&ResourceName::new("default", "crm"))
            .unwrap();
        all.connections
            .insert(ResourceName::new("team-a", "crm"), crm);
        match compile(&all, &sync_name("sync")) {
            Ok(plan) => assert!(
                good && plan.target.connection.namespace == "team-a",
                "{allowed}"
            ),
            Err(problems) => {
                assert!(!good, "{allowed}: {problems:?}");
                assert_eq!(
                    problems[0].field, "spec.target.connectionRef",
                    "{problems:?}"
                );
            }
        }
    }
}
