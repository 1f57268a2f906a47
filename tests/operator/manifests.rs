//! The manifests that the rows begin with: people of a shop become contacts of a CRM. A row changes what it is
//! about by replacing a piece of the text.

/// The credentials of both systems, as `World` accepts them at first.
pub const SHOP_KEY: &str = "shop-key-1";
pub const CRM_KEY: &str = "crm-key-1";

/// Everything that one Sync needs.
pub fn all(port: u16) -> String {
    [
        secrets(),
        shop(port),
        crm(port),
        MAPPING.to_owned(),
        SYNC.to_owned(),
    ]
    .join("---\n")
}

pub fn secrets() -> String {
    secret("shop-key", SHOP_KEY) + "---\n" + &secret("crm-key", CRM_KEY)
}

pub fn secret(name: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{value: {value:?}}}\n"
    )
}

pub fn shop(port: u16) -> String {
    format!(
        r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: shop}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}/shop", allowPlaintext: true, timeout: 2s}}
  auth: {{apiKey: {{in: Header, name: X-Api-Key, secretRef: {{name: shop-key, key: value}}}}}}
  access: [Read]
  retry: {{initialDelay: 50ms, maxDelay: 100ms}}
  probe: {{path: /me, interval: 1s}}
  objects:
    - name: people
      key: [id]
      list: {{path: /people, records: data}}
"#
    )
}

pub fn crm(port: u16) -> String {
    format!(
        r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: crm}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}/crm", allowPlaintext: true, timeout: 2s, headers: {{X-Version: one}}}}
  auth: {{bearer: {{secretRef: {{name: crm-key, key: value}}}}}}
  access: [Read, Create, Update]
  limits: [{{concurrency: 4}}]
  retry: {{initialDelay: 50ms, maxDelay: 100ms}}
  objects:
    - name: contacts
      key: [id]
      find: {{path: /contacts, query: {{ref: "${{match.ref}}"}}, records: data, indexLag: 100ms}}
      create: {{method: POST, path: /contacts, id: {{id: id}}}}
      update: {{method: PATCH, path: "/contacts/${{key.id}}"}}
"#
    )
}

pub const MAPPING: &str = r#"apiVersion: syncline.dev/v1alpha1
kind: Mapping
metadata: {name: person-to-contact}
spec:
  fields:
    - {to: ref, from: id, onMissing: Reject}
    - {to: name, from: name, onMissing: Reject}
    - {to: origin, value: shop}
  tests:
    - {name: takes the name over, given: {id: "1", name: Ada}, expect: {ref: "1", name: Ada, origin: shop}}
"#;

/// It runs at once, and then only when it is asked to.
pub const SYNC: &str = r#"apiVersion: syncline.dev/v1alpha1
kind: Sync
metadata: {name: people}
spec:
  source: {connectionRef: {name: shop}, object: people, backfill: All}
  target: {connectionRef: {name: crm}, object: contacts}
  mappingRef: {name: person-to-contact}
  match: {fields: [{source: id, target: ref}]}
  trigger: {interval: 1h}
  freshness: {maxAge: 2h}
"#;
