//! The manifests of a case, compiled: one Sync from the world's source to its target. Read by the engine alone.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use syncline::plan::{Plan, ResourceName, Resources, compile};
use syncline::record::SyncName;

use crate::case::{Case, Fault, Feed, Guarantee, Hook};

/// How long the engine waits for an answer where answers come too late, until things go well.
const HASTY: Duration = Duration::from_millis(100);

/// How long it waits otherwise: that an answer takes long on a busy machine is no fault of a case.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The key of the webhook's signatures, and the password of the login.
pub const SECRET: &str = "canary-secret";

pub fn sync_name(case: &Case) -> SyncName {
    SyncName {
        namespace: "default".into(),
        name: format!("seed-{}", case.seed),
    }
}

/// What the engine is told, for systems on one port.
pub struct Plans {
    /// While things go wrong.
    pub trouble: Arc<Plan>,
    /// Once they go well.
    pub calm: Arc<Plan>,
}

impl Plans {
    pub fn new(case: &Case, port: u16) -> Self {
        let calm = plan(case, port, TIMEOUT);
        let trouble = match case.has(Fault::LateReply) {
            true => plan(case, port, HASTY),
            false => Arc::clone(&calm),
        };
        Self { trouble, calm }
    }
}

fn plan(case: &Case, port: u16, timeout: Duration) -> Arc<Plan> {
    let name = |name: &str| ResourceName::new("default", name);
    let sync = sync_name(case);
    let source = format!("source-{}", case.seed);
    let of = |value: Value| {
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"))
    };
    let resources = Resources {
        connections: [
            (name(&source), of(source_spec(case, port, timeout))),
            (
                name("target"),
                serde_json::from_value(target_spec(case, port, timeout)).expect("a Connection"),
            ),
        ]
        .into(),
        mappings: [(
            name("map"),
            serde_json::from_value(mapping(case)).expect("a Mapping"),
        )]
        .into(),
        syncs: [(
            name(&sync.name),
            serde_json::from_value(sync_spec(case, &source)).expect("a Sync"),
        )]
        .into(),
        ..Resources::default()
    };
    Arc::new(compile(&resources, &sync).unwrap_or_else(|e| panic!("{e:?}")))
}

fn http(port: u16, timeout: Duration) -> Value {
    json!({
        "baseURL": format!("http://127.0.0.1:{port}"),
        "allowPlaintext": true,
        "timeout": format!("{}ms", timeout.as_millis()),
    })
}

fn retry() -> Value {
    json!({"initialDelay": "2ms", "maxDelay": "10ms"})
}

fn source_spec(case: &Case, port: u16, timeout: Duration) -> Value {
    let query = |name: &str| json!({"in": "Query", "name": name});
    let pagination = match case.ordered {
        true => json!({"token": {"from": "next", "sendAs": query("token")}}),
        false => json!({"page": {"sendAs": query("page")}}),
    };
    let mut list = json!({"path": "/records", "records": "data", "pagination": pagination});
    let mut object = json!({"name": "records", "key": ["id"]});
    if case.gets {
        object["get"] = json!({"path": "/records/${key.id}"});
    }
    if case.vanishes && case.feed.is_none() {
        list["absent"] = "Deleted".into();
    }
    if case.ordered {
        object["modified"] = json!({"path": "updated_at", "format": "RFC3339"});
    }
    if case.cursor {
        let mut field =
            json!({"path": "updated_at", "format": "RFC3339", "sendAs": query("since")});
        // Where a time says it all, the cursor must do without looking back.
        if case.granularity > 1 || case.fault != Fault::Crash {
            field["overlap"] = "3s".into();
        }
        list["cursor"] = json!({"field": field});
    }
    object["list"] = list;
    if let Some(feed) = case.feed {
        let cursor = match feed {
            Feed::Number => {
                json!({"field": {"path": "number", "format": "Integer", "sendAs": query("since")}})
            }
            Feed::Token => json!({"token": {"from": "token", "sendAs": query("since")}}),
        };
        object["changes"] = json!({
            "path": "/events", "records": "data", "cursor": cursor,
            "pagination": {"token": {"from": "next", "sendAs": query("page")}},
            "routes": [
                {"when": "entry.type == 'changed'", "key": {"id": "entry.record"}},
                {"when": "entry.type == 'deleted'", "key": {"id": "entry.record"}, "use": "Deleted"},
            ],
        });
    }
    let mut spec = json!({
        "http": http(port, timeout), "auth": {"none": {}}, "access": ["Read"], "retry": retry(),
        "objects": [object],
    });
    if let Some(hook) = case.hook {
        let mut route = json!({"object": "records", "key": {"id": "body.record.id"}});
        if hook == Hook::Payload {
            route["use"] = "Payload".into();
            route["record"] = "body.record".into();
        }
        let verify =
            json!({"secretRef": {"name": "s", "key": "k"}, "signature": {"header": "x-signature"}});
        spec["webhooks"] = json!([{
            "name": "events", "verify": {"hmac": verify}, "eventID": "body.id", "routes": [route],
        }]);
    }
    spec
}

fn target_spec(case: &Case, port: u16, timeout: Duration) -> Value {
    let id = json!({"id": "id"});
    let mut object = json!({
        "name": "contacts",
        "key": ["id"],
        "update": {"method": "PATCH", "path": "/contacts/${key.id}"},
    });
    if case.vanishes {
        object["delete"] = json!({"path": "/contacts/${key.id}"});
    }
    if case.guarantee == Guarantee::Repeatable {
        object["upsert"] = json!({"method": "PUT", "path": "/contacts/by/${source.id}", "id": id});
    } else {
        object["create"] = json!({"method": "POST", "path": "/contacts", "id": id});
    }
    if case.guarantee == Guarantee::IdempotencyKey {
        let key = json!({"in": "Header", "name": "Idempotency-Key", "ttl": "24h"});
        object["create"]["idempotencyKey"] = key;
    }
    if case.searches() {
        let field = if case.twins { "email" } else { "external_ref" };
        let query = json!({field: format!("${{match.{field}}}")});
        let lag = format!("{}ms", 2 * case.index_lag().as_millis() + 5);
        object["find"] =
            json!({"path": "/contacts", "query": query, "records": "data", "indexLag": lag});
    }
    let login = json!({
        "path": "/login",
        "credentials": [{"in": "Body", "name": "password", "secretRef": {"name": "s", "key": "k"}}],
    });
    let send = json!({"in": "Header", "name": "X-Token"});
    json!({
        "http": http(port, timeout),
        "auth": {"session": {"login": login, "token": "token", "sendAs": send}},
        "access": ["Read", "Create", "Update", "Delete"],
        "limits": [{"concurrency": case.concurrency}],
        "retry": retry(),
        "objects": [object],
    })
}

fn mapping(case: &Case) -> Value {
    let mut fields = vec![
        json!({"to": "external_ref", "from": "id", "onMissing": "Reject"}),
        json!({"to": "name", "from": "name"}),
    ];
    if case.twins {
        fields.push(json!({"to": "email", "from": "email"}));
    }
    json!({ "fields": fields })
}

fn sync_spec(case: &Case, source: &str) -> Value {
    let ambiguous = match case.guarantee {
        Guarantee::BlindRetry => "Retry",
        _ => "Hold",
    };
    let mut spec = json!({
        "source": {"connectionRef": {"name": source}, "object": "records", "backfill": "All"},
        "target": {"connectionRef": {"name": "target"}, "object": "contacts"},
        "mappingRef": {"name": "map"},
        "trigger": {"interval": "1h"},
        "write": {"mode": "Upsert", "onAmbiguous": ambiguous},
    });
    if case.vanishes {
        // Most of a handful of records may be gone at once.
        let delete = json!({"delete": {"adopted": "Delete"}});
        spec["write"]["onDelete"] = delete;
        spec["write"]["deleteGuard"] = "100%".into();
    }
    if case.hook.is_some() {
        spec["source"]["webhook"] = json!({"name": "events"});
    }
    if case.searches() {
        let (source, target) = match case.twins {
            true => ("email", "email"),
            false => ("id", "external_ref"),
        };
        spec["match"] = json!({"fields": [{"source": source, "target": target}]});
    }
    spec
}
