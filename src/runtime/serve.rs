//! The address at which a process says how it is doing: `/healthz`, `/readyz` and `/metrics`.
//! Nothing here changes anything. Run by `controller` and by `syncline run --metrics-address`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use crate::telemetry::Metrics;

/// A process that says how it is doing.
pub trait Subject: Send + Sync + 'static {
    fn metrics(&self) -> &Metrics;

    /// # Errors
    /// Why the process should be restarted.
    fn alive(&self) -> Result<(), String>;

    /// What it does.
    ///
    /// # Errors
    /// Why it is not ready.
    fn ready(&self) -> Result<String, String>;

    /// Brings figures up to date that are looked at only when somebody asks.
    fn look(&self) -> BoxFuture<'_, ()>;
}

/// Answers on `listener` until the process ends.
///
/// # Errors
/// What the system says of the socket.
pub async fn serve(listener: TcpListener, subject: Arc<dyn Subject>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(subject);
    axum::serve(listener, router).await
}

async fn healthz(State(subject): State<Arc<dyn Subject>>) -> impl IntoResponse {
    match subject.alive() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

async fn readyz(State(subject): State<Arc<dyn Subject>>) -> impl IntoResponse {
    match subject.ready() {
        Ok(state) => (StatusCode::OK, format!("{state}\n")),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

async fn metrics(State(subject): State<Arc<dyn Subject>>, headers: HeaderMap) -> impl IntoResponse {
    subject.look().await;
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    let open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let (kind, text) = if open {
        (Metrics::CONTENT_TYPE, subject.metrics().render())
    } else {
        let text = subject.metrics().render_plain();
        (Metrics::PLAIN_CONTENT_TYPE, text)
    };
    ([(header::CONTENT_TYPE, kind)], text)
}
