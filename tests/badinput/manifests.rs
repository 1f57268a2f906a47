//! The manifests of the rows: the shop's customers become the CRM's contacts, in one of four ways. Rows
//! change single texts of them.

use crate::world::KEY;

/// How a contact is written, and with that what a lost answer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Write {
    /// An upsert by the customer's id.
    Repeatable,
    /// A create with an idempotency key.
    Keyed,
    /// A search, then a create.
    Searchable,
    /// A create without any of these.
    Blind,
}

impl Write {
    fn operations(self) -> &'static str {
        match self {
            Self::Repeatable => {
                r#"upsert: {method: PUT, path: "/contacts/by-ref/${source.id}", id: {id: id}}"#
            }
            Self::Keyed => {
                "create: {path: /contacts, id: {id: id}, idempotencyKey: {in: Header, name: Idempotency-Key, ttl: 24h}}"
            }
            Self::Searchable => {
                r#"find: {path: /contacts, query: {ref: "${match.ref}"}, records: data, indexLag: 1ms}
      create: {path: /contacts, id: {id: id}}"#
            }
            Self::Blind => "create: {path: /contacts, id: {id: id}}",
        }
    }
}

/// The manifests for systems at these addresses.
pub fn yaml(write: Write, shop: &str, crm: &str) -> String {
    let operations = write.operations();
    let matching = match write {
        Write::Searchable => "match: {fields: [{source: id, target: ref}]}",
        _ => "",
    };
    format!(
        r#"apiVersion: v1
kind: Secret
metadata: {{name: keys}}
stringData: {{shop: {KEY}, crm: {KEY}}}
---
apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: shop}}
spec:
  http: {{baseURL: "{shop}", allowPlaintext: true, timeout: 2s}}
  auth: {{apiKey: {{in: Header, name: X-Api-Key, secretRef: {{name: keys, key: shop}}}}}}
  access: [Read]
  retry: {{initialDelay: 10ms, maxDelay: 50ms}}
  objects:
    - name: customers
      key: [id]
      modified: {{path: updated_at, format: RFC3339}}
      list:
        path: /customers
        query: {{secret: hush-9c1d}}
        records: data
        pagination: {{token: {{from: next_cursor, sendAs: {{in: Query, name: cursor}}}}}}
        cursor: {{field: {{path: updated_at, format: RFC3339, sendAs: {{in: Query, name: updated_since}}}}}}
---
apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: crm}}
spec:
  http: {{baseURL: "{crm}", allowPlaintext: true, timeout: 2s}}
  auth: {{apiKey: {{in: Header, name: X-Api-Key, secretRef: {{name: keys, key: crm}}}}}}
  access: [Read, Create, Update]
  retry: {{initialDelay: 10ms, maxDelay: 50ms}}
  objects:
    - name: contacts
      key: [id]
      {operations}
      update: {{method: PATCH, path: "/contacts/${{key.id}}"}}
---
apiVersion: syncline.dev/v1alpha1
kind: Mapping
metadata: {{name: customer}}
spec:
  fields:
    - {{to: ref, from: id, onMissing: Reject}}
    - {{to: name, from: name, onMissing: Reject}}
---
apiVersion: syncline.dev/v1alpha1
kind: Sync
metadata: {{name: customers}}
spec:
  source: {{connectionRef: {{name: shop}}, object: customers, backfill: All}}
  target: {{connectionRef: {{name: crm}}, object: contacts}}
  mappingRef: {{name: customer}}
  {matching}
"#
    )
}
