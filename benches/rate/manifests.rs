//! The manifests of a row: one Sync from the source to the limited target, with no limit configured.
//! Written to a folder by `measure`, read by the engine alone.

use crate::Guarantee;

pub fn yaml(guarantee: Guarantee, port: u16) -> String {
    let create = "create: {method: POST, path: /contacts, id: {id: id}";
    let writes = match guarantee {
        Guarantee::Repeatable => {
            r#"upsert: {method: PUT, path: "/contacts/${source.id}", id: {id: id}}"#.to_owned()
        }
        Guarantee::IdempotencyKey => {
            format!("{create}, idempotencyKey: {{in: Header, name: Idempotency-Key, ttl: 24h}}}}")
        }
        Guarantee::Searchable => format!(
            r#"find: {{path: /contacts, query: {{number: "${{match.number}}"}}, records: data, indexLag: 1s}}
      {create}}}"#
        ),
        Guarantee::BlindHold | Guarantee::BlindRetry => format!("{create}}}"),
    };
    let matching = match guarantee {
        Guarantee::Searchable => {
            "match: {fields: [{source: id, target: number}], onNone: Create, onMany: DeadLetter}"
        }
        _ => "",
    };
    let ambiguous = match guarantee {
        Guarantee::BlindRetry => "Retry",
        _ => "Hold",
    };
    format!(
        r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: source}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read]
  objects:
    - name: customers
      key: [id]
      list:
        path: /customers
        records: data
        pagination: {{token: {{from: next_cursor, sendAs: {{in: Query, name: cursor}}}}}}
---
apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: target}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read, Create, Update]
  objects:
    - name: contacts
      key: [id]
      {writes}
      update: {{method: PATCH, path: "/contacts/${{key.id}}"}}
---
apiVersion: syncline.dev/v1alpha1
kind: Mapping
metadata: {{name: contact}}
spec:
  fields: [{{to: number, from: id}}, {{to: name, from: name}}]
---
apiVersion: syncline.dev/v1alpha1
kind: Sync
metadata: {{name: contacts}}
spec:
  source: {{connectionRef: {{name: source}}, object: customers, backfill: All}}
  target: {{connectionRef: {{name: target}}, object: contacts}}
  mappingRef: {{name: contact}}
  trigger: {{interval: 1h}}
  {matching}
  write: {{mode: Upsert, onAmbiguous: {ambiguous}}}
"#
    )
}
