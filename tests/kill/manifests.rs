//! The manifests of a scenario: one Sync from the oracle's source to one of its target's objects.
//! Written to a folder by `cycle`, read by the engine alone.

use crate::Scenario;
use crate::target::Guarantee;

/// The manifests for an oracle on `port`.
pub fn yaml(scenario: &Scenario, port: u16) -> String {
    let object = scenario.guarantee.object();
    let (modified, cursor) = match scenario.ordered {
        true => (
            "modified: {path: updated_at, format: RFC3339}",
            "cursor: {field: {path: updated_at, format: RFC3339, sendAs: {in: Query, name: updated_since}, overlap: 3s}}",
        ),
        false => ("", ""),
    };
    // Records that share an email are kept apart by it; a keyed target is searched in one of two orders.
    let field = if scenario.shared {
        ("email", "email")
    } else {
        ("id", "external_ref")
    };
    let finds = scenario.guarantee == Guarantee::Searchable
        || scenario.guarantee == Guarantee::Keyed && scenario.shared && scenario.ordered;
    let find = match finds {
        true => format!(
            "find: {{path: /{object}, query: {{{0}: \"${{match.{0}}}\"}}, records: data, indexLag: 200ms}}\n      ",
            field.1
        ),
        false => String::new(),
    };
    let writes = match scenario.guarantee {
        Guarantee::Repeatable => {
            r#"upsert: {method: PUT, path: "/repeatable/by-external/${source.id}", id: {id: id}}"#
                .to_owned()
        }
        Guarantee::Keyed => {
            format!(
                "{find}create: {{method: POST, path: /keyed, id: {{id: id}}, idempotencyKey: {{in: Header, name: Idempotency-Key, ttl: 24h}}}}"
            )
        }
        Guarantee::Searchable => {
            format!("{find}create: {{method: POST, path: /searchable, id: {{id: id}}}}")
        }
        Guarantee::Blind => "create: {method: POST, path: /blind, id: {id: id}}".to_owned(),
    };
    let matching = match finds || scenario.shared {
        true => format!(
            "match: {{fields: [{{source: {}, target: {}}}], onNone: Create, onMany: DeadLetter}}",
            field.0, field.1
        ),
        false => String::new(),
    };
    let (deleted, on_delete) = match scenario.deletes {
        true => (
            "deleted: has(record.deleted) && record.deleted",
            ", onDelete: {delete: {adopted: Delete}}, deleteGuard: 100%",
        ),
        false => ("", ""),
    };
    format!(
        r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: source}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read]
  retry: {{initialDelay: 10ms, maxDelay: 100ms}}
  objects:
    - name: records
      key: [id]
      {modified}
      {deleted}
      list:
        path: /records
        records: data
        pagination: {{token: {{from: next_cursor, sendAs: {{in: Query, name: cursor}}}}}}
        {cursor}
      get: {{path: "/records/${{key.id}}"}}
---
apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: target}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read, Create, Update, Delete]
  limits: [{{concurrency: 4}}]
  retry: {{initialDelay: 10ms, maxDelay: 100ms}}
  objects:
    - name: {object}
      key: [id]
      {writes}
      update: {{method: PATCH, path: "/{object}/${{key.id}}"}}
      delete: {{path: "/{object}/${{key.id}}"}}
---
{MAPPING}
---
apiVersion: syncline.dev/v1alpha1
kind: Sync
metadata: {{name: records}}
spec:
  source: {{connectionRef: {{name: source}}, object: records, backfill: All}}
  target: {{connectionRef: {{name: target}}, object: {object}}}
  mappingRef: {{name: record}}
  trigger: {{interval: 1h}}
  {matching}
  write: {{mode: Upsert, onAmbiguous: Hold{on_delete}}}
"#
    )
}

const MAPPING: &str = r#"apiVersion: syncline.dev/v1alpha1
kind: Mapping
metadata: {name: record}
spec:
  fields:
    - {to: external_ref, from: id, onMissing: Reject}
    - {to: email, from: email, onMissing: Omit}
    - {from: name, split: {separator: " ", into: [first_name, last_name], rest: Last}}
    - to: stage
      from: status
      translate: [{from: new, to: open}, {from: complete, to: fulfilled}, {from: paid, to: won}]
      onUnmapped: Reject
    - {to: cents, from: amount, number: {parse: Decimal, format: MinorUnits, currency: currency}}"#;
