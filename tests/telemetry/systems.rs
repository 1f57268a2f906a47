//! A source and a target on one port: records with a secret needed to read them, and a target that refuses
//! some of them and asks once for fewer requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::json;

/// Stands in the credential's value and in the records: it must not be found anywhere.
pub const SECRET: &str = "canary-secret-81f3";
/// Stands in a record's value.
pub const CONTENT: &str = "canary-content-2b77";

/// Records of the source; every tenth is refused by the target.
pub const RECORDS: u64 = 50;

#[derive(Default)]
pub struct Systems {
    asked_for_fewer: AtomicBool,
    /// Writes that were accepted.
    pub written: AtomicU64,
}

/// Serves both until the test's runtime ends; answers the port.
pub async fn start() -> (u16, Arc<Systems>) {
    let systems = Arc::new(Systems::default());
    let router = Router::new()
        .route("/items", get(list))
        .route("/things/{id}", put(write))
        .with_state(Arc::clone(&systems));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, systems)
}

async fn list(headers: HeaderMap) -> Response {
    if headers.get("x-api-key").is_none_or(|key| key != SECRET) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let items: Vec<_> = (0..RECORDS)
        .map(|id| json!({"id": id.to_string(), "name": format!("{CONTENT} {id}")}))
        .collect();
    axum::Json(json!({"data": items})).into_response()
}

async fn write(State(systems): State<Arc<Systems>>, Path(id): Path<u64>) -> Response {
    if !systems.asked_for_fewer.swap(true, Ordering::SeqCst) {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    }
    if id % 10 == 0 {
        return (StatusCode::UNPROCESSABLE_ENTITY, "no").into_response();
    }
    systems.written.fetch_add(1, Ordering::SeqCst);
    axum::Json(json!({"id": id.to_string()})).into_response()
}

/// The manifests of one Sync between them.
pub fn manifests(port: u16) -> String {
    format!(
        r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: source}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true}}
  auth: {{apiKey: {{in: Header, name: X-Api-Key, secretRef: {{name: credentials, key: apiKey}}}}}}
  access: [Read]
  objects:
    - name: items
      key: [id]
      list: {{path: /items, query: {{token: "{CONTENT}"}}, records: data}}
---
apiVersion: v1
kind: Secret
metadata: {{name: credentials}}
stringData: {{apiKey: {SECRET}}}
---
apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: target}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read, Create, Update]
  objects:
    - name: things
      key: [id]
      upsert: {{method: PUT, path: "/things/${{source.id}}", id: {{id: id}}}}
---
apiVersion: syncline.dev/v1alpha1
kind: Mapping
metadata: {{name: item-to-thing}}
spec:
  fields: [{{to: name, from: name}}]
---
apiVersion: syncline.dev/v1alpha1
kind: Sync
metadata: {{name: items}}
spec:
  source: {{connectionRef: {{name: source}}, object: items, backfill: All}}
  target: {{connectionRef: {{name: target}}, object: things}}
  mappingRef: {{name: item-to-thing}}
  trigger: {{interval: 1h}}
  freshness: {{maxAge: 2h}}
"#
    )
}
