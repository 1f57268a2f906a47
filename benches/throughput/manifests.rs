//! The job as manifests: what the ceiling does in Rust, said as Connections, a Mapping and a Sync.
//! Written to a folder by `measure` and read by the engine alone.

use crate::Mode;
use crate::ceiling::IN_FLIGHT;

/// The manifests for servers at `base`.
pub fn yaml(base: &str, mode: Mode) -> String {
    let upsert = match mode {
        Mode::Put => r#"{method: PUT, path: "/records/${source.id}", id: {id: id}}"#,
        Mode::Batch => {
            r#"{method: POST, path: /batch, id: {id: id}, batch: {max: 100, at: records, results: results, status: status}}"#
        }
    };
    format!(
        r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: source}}
spec:
  http: {{baseURL: "{base}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read]
  objects:
    - name: records
      key: [id]
      modified: {{path: updated_at, format: RFC3339}}
      list:
        path: /records
        query: {{limit: "100"}}
        records: data
        pagination: {{token: {{from: next_cursor, sendAs: {{in: Query, name: cursor}}}}}}
---
apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: target}}
spec:
  http: {{baseURL: "{base}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read, Create, Update]
  limits: [{{concurrency: {IN_FLIGHT}}}]
  objects:
    - name: records
      key: [id]
      upsert: {upsert}
---
{MAPPING}
---
apiVersion: syncline.dev/v1alpha1
kind: Sync
metadata: {{name: records}}
spec:
  source: {{connectionRef: {{name: source}}, object: records, backfill: All}}
  target: {{connectionRef: {{name: target}}, object: records}}
  mappingRef: {{name: customer-to-contact}}
  trigger: {{interval: 1h}}
  write: {{mode: Upsert}}
"#
    )
}

const MAPPING: &str = r#"apiVersion: syncline.dev/v1alpha1
kind: Mapping
metadata: {name: customer-to-contact}
spec:
  fields:
    - {to: external_id, from: id, onMissing: Reject}
    - {to: account_number, from: number}
    - {from: full_name, split: {separator: " ", into: [first_name, last_name], rest: Last}}
    - {to: email, from: email}
    - {to: phone, from: phone, onMissing: Omit}
    - to: stage
      from: status
      translate:
        - {from: new, to: open}
        - {from: paid, to: won}
        - {from: complete, to: fulfilled}
        - {from: cancelled, to: lost}
      onUnmapped: Reject
    - {to: total_cents, from: total, number: {parse: Decimal, format: MinorUnits, currency: currency}}
    - {to: currency, from: currency}
    - {to: signed_up_on, from: created, date: {parse: "%m/%d/%Y", format: "%Y-%m-%d"}}
    - {to: address.line1, from: billing.street}
    - {to: address.city, from: billing.city}
    - {to: address.postcode, from: billing.zip}
    - {to: address.country, from: billing.country}
    - {to: labels, from: tags}
    - {to: origin, value: shop}"#;
