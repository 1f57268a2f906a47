//! One Plan for each guarantee that a create can have. Used by the state machine alone.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::plan::{Plan, ResourceName, Resources, compile};
use crate::record::SyncName;

/// What the target can do about creates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Repeatable,
    Keyed,
    KeyedAndSearchable,
    Searchable,
    Blind,
}

pub const KINDS: [Kind; 5] = [
    Kind::Repeatable,
    Kind::Keyed,
    Kind::KeyedAndSearchable,
    Kind::Searchable,
    Kind::Blind,
];

pub static PLANS: LazyLock<[Plan; 5]> = LazyLock::new(|| KINDS.map(plan));

fn plan(kind: Kind) -> Plan {
    let mut object = json!({
        "name": "contacts", "key": ["id"],
        "update": {"path": "/contacts/${key.id}"},
    });
    let key = json!({"path": "/contacts", "idempotencyKey": {"in": "Header", "name": "Key", "ttl": "24h"}});
    let find = json!({"path": "/contacts", "query": {"email": "${match.email}"}, "indexLag": "1s"});
    let mut sync = json!({
        "source": {"connectionRef": {"name": "shop"}, "object": "customers", "backfill": "All"},
        "target": {"connectionRef": {"name": "crm"}, "object": "contacts"},
        "mappingRef": {"name": "map"},
    });
    match kind {
        Kind::Repeatable => object["upsert"] = json!({"path": "/by/${source.id}"}),
        Kind::Keyed => object["create"] = key,
        Kind::KeyedAndSearchable => (object["create"], object["find"]) = (key, find),
        Kind::Searchable => {
            (object["create"], object["find"]) = (json!({"path": "/contacts"}), find)
        }
        Kind::Blind => object["create"] = json!({"path": "/contacts"}),
    }
    if object.get("find").is_some() {
        sync["match"] = json!({"fields": [{"source": "email", "target": "email"}]});
    }
    let connection = |object: Value| {
        json!({
            "http": {"baseURL": "https://example.com"}, "auth": {"none": {}},
            "access": ["Read", "Create", "Update"], "objects": [object],
        })
    };
    let shop = json!({"name": "customers", "key": ["id"], "list": {"path": "/customers"}});
    let name = |name: &str| ResourceName::new("default", name);
    let resources = Resources {
        connections: [(name("shop"), shop), (name("crm"), object)]
            .map(|(name, object)| (name, serde_json::from_value(connection(object)).unwrap()))
            .into(),
        mappings: [(
            name("map"),
            serde_json::from_value(json!({"fields": [{"to": "email", "from": "email"}]})).unwrap(),
        )]
        .into(),
        syncs: [(name("sync"), serde_json::from_value(sync).unwrap())].into(),
        ..Resources::default()
    };
    let sync = SyncName {
        namespace: "default".into(),
        name: "sync".into(),
    };
    compile(&resources, &sync).unwrap()
}
