//! The system that all Connections speak to: it has no records, and notes the keys that it is shown.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

type Keys = Arc<Mutex<BTreeSet<String>>>;

pub struct System {
    pub port: u16,
    keys: Keys,
}

impl System {
    pub async fn start() -> Result<Self> {
        let keys = Keys::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let routes = Router::new()
            .route("/{*any}", get(answer))
            .with_state(Arc::clone(&keys));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self { port, keys })
    }

    /// Waits until somebody has shown this key.
    pub async fn until_used(&self, key: &str, bound: Duration) -> Result<()> {
        let end = Instant::now() + bound;
        let used = || {
            let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.contains(key)
        };
        while !used() {
            if Instant::now() > end {
                bail!("the key {key} was not used within {bound:?}");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

async fn answer(State(keys): State<Keys>, headers: HeaderMap) -> impl IntoResponse {
    if let Some(key) = headers.get("x-api-key").and_then(|key| key.to_str().ok()) {
        let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.contains(key) {
            keys.insert(key.to_owned());
        }
    }
    ([(CONTENT_TYPE, "application/json")], r#"{"data":[]}"#)
}
