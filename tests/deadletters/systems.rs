//! A shop with customers and a CRM that refuses some of them, repeating what it was sent; both on one port.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};

/// The credential of the CRM.
pub const KEY: &str = "canary-key-4411";
/// A value that nobody is to see.
pub const SSN: &str = "078-05-1120";

#[derive(Default)]
struct Held {
    contacts: BTreeMap<String, Value>,
    accepts_all: bool,
}

#[derive(Clone)]
pub struct Systems {
    held: Arc<Mutex<Held>>,
    pub address: SocketAddr,
}

impl Systems {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let systems = Self {
            held: Arc::default(),
            address: listener.local_addr().expect("an address"),
        };
        let app = Router::new()
            .route(
                "/customers",
                get(async || Json(json!({"data": customers()}))),
            )
            .route("/customers/{id}", get(customer))
            .route("/contacts/{id}", put(contact))
            .with_state(systems.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        systems
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing is refused.
    pub fn accept_all(&self) {
        self.held().accepts_all = true;
    }

    pub fn contact(&self, id: &str) -> Value {
        self.held().contacts.get(id).cloned().unwrap_or_default()
    }
}

fn customers() -> Vec<Value> {
    let customer = |id: &str, name: &str, since: &str| json!({"id": id, "name": name, "since": since, "ssn": format!("1-{id}")});
    let mut secret = customer("secret", "Secret", "2026-01-02");
    secret["ssn"] = json!(SSN);
    vec![
        customer("good", "Good", "2026-01-01"),
        customer("long", "Long", "2026-01-03"),
        secret,
        customer("undated", "Undated", "long ago"),
    ]
}

async fn customer(Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    let found = customers()
        .into_iter()
        .find(|customer| customer["id"] == id);
    found.map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn contact(
    State(systems): State<Systems>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let key = query.get("key").cloned().unwrap_or_default();
    if key != KEY {
        return (StatusCode::UNAUTHORIZED, Json(json!({})));
    }
    let mut held = systems.held();
    let refusal = match body["name"].as_str() {
        _ if held.accepts_all => None,
        Some("Long") => Some(format!("the name is too long for {key}")),
        Some("Secret") => Some(format!(
            "{} is no tax number",
            body["tax"].as_str().unwrap_or_default()
        )),
        _ => None,
    };
    if let Some(error) = refusal {
        return (
            StatusCode::UNPROCESSABLE_ENTITY,
            Json(json!({"error": error})),
        );
    }
    held.contacts.insert(id.clone(), body);
    (StatusCode::OK, Json(json!({"id": id})))
}
