//! The endpoint that systems call: `POST /hooks/NAMESPACE/CONNECTION/WEBHOOK`. Bounded in size, time and
//! number; a delivery is answered with 2xx only when it is durable. Run by `runtime`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;

use super::endpoints::{Endpoint, Endpoints, Name};
use super::{Admission, Refusal, admit};
use crate::connector::SecretSource;
use crate::state::{Store, StoreError};
use crate::telemetry::{Delivery, spans};
use crate::trial::{Bug, planted};

/// Most deliveries under way at once.
const MOST_DELIVERIES: usize = 512;

/// Longest time for a body to arrive.
const ARRIVAL: Duration = Duration::from_secs(15);

/// Takes deliveries in.
#[derive(Clone)]
pub struct Receiver {
    inner: Arc<Inner>,
}

struct Inner {
    endpoints: Arc<Endpoints>,
    secrets: Arc<dyn SecretSource>,
    store: Arc<dyn Store>,
    slots: Semaphore,
    /// How often something new was kept, by Connection.
    news: watch::Sender<BTreeMap<String, u64>>,
}

impl Receiver {
    pub fn new(
        endpoints: Arc<Endpoints>,
        secrets: Arc<dyn SecretSource>,
        store: Arc<dyn Store>,
        news: watch::Sender<BTreeMap<String, u64>>,
    ) -> Self {
        let slots = Semaphore::new(MOST_DELIVERIES);
        let inner = Inner {
            endpoints,
            secrets,
            store,
            slots,
            news,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Serves until told to stop; deliveries that have begun are finished.
    ///
    /// # Errors
    /// What the system says of the socket.
    pub async fn serve(
        &self,
        listener: TcpListener,
        mut stop: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        let app = Router::new()
            .route("/hooks/{namespace}/{connection}/{webhook}", any(deliver))
            .fallback(|State(receiver): State<Self>| async move {
                receiver.refuse(None, Refusal::Unknown)
            })
            .with_state(self.clone());
        axum::serve(listener, app)
            .with_graceful_shutdown(async move {
                // An error means that nobody can ask for a stop any more: that is one.
                let _ = stop.wait_for(|stop| *stop).await;
            })
            .await
    }

    /// Says no, and counts it for the webhook, or for those that there are not.
    fn refuse(&self, endpoint: Option<&Endpoint>, refusal: Refusal) -> Response {
        match endpoint {
            Some(endpoint) => endpoint.meter.add(refusal.counted(), 1),
            None => self.inner.endpoints.nowhere(),
        }
        let (status, retry) = refusal.answer();
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, format!("{refusal}\n")).into_response();
        if let Some(seconds) = retry {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }

    async fn take(&self, endpoint: &Endpoint, request: Request) -> Result<Response, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::NotPost);
        }
        let _slot = self.inner.slots.try_acquire().map_err(|_| Refusal::Busy)?;
        let (parts, body) = request.into_parts();
        let limit = endpoint.plan.max_body_bytes;
        let body = arrival(&parts.headers, body, limit).await?;
        is_json(&parts.headers)?;
        let keys = endpoint.keys(self.inner.secrets.as_ref()).await?;
        let now = jiff::Timestamp::now();
        let admission = admit(
            &endpoint.plan,
            &keys,
            &parts.headers,
            &body,
            now.as_second(),
        )?;
        match admission {
            Admission::Answer(answer) => {
                endpoint.meter.add(Delivery::Challenge, 1);
                Ok(match answer {
                    Value::String(text) => text.into_response(),
                    json => (
                        [(header::CONTENT_TYPE, "application/json")],
                        json.to_string(),
                    )
                        .into_response(),
                })
            }
            Admission::Keep { events, unrouted } => {
                if unrouted > 0 {
                    endpoint.meter.add(Delivery::Unrouted, unrouted as u64);
                }
                if !events.is_empty() {
                    self.keep(endpoint, events, now.as_millisecond()).await?;
                }
                Ok(StatusCode::OK.into_response())
            }
        }
    }

    async fn keep(
        &self,
        endpoint: &Endpoint,
        events: Vec<crate::state::Delivered>,
        at: i64,
    ) -> Result<(), Refusal> {
        let count = events.len() as u64;
        if planted(Bug::AcknowledgeBeforeCommit) {
            let kept = self.inner.store.receive(&endpoint.inbox, events, at);
            tokio::spawn(kept);
            return Ok(());
        }
        match self.inner.store.receive(&endpoint.inbox, events, at).await {
            Ok(new) => {
                endpoint.meter.add(Delivery::Kept, new);
                if count > new {
                    endpoint.meter.add(Delivery::Repeated, count - new);
                }
                if new > 0 {
                    let inbox = &endpoint.inbox;
                    self.inner
                        .news
                        .send_modify(|news| match news.get_mut(inbox) {
                            Some(times) => *times += 1,
                            None => drop(news.insert(inbox.clone(), 1)),
                        });
                }
                Ok(())
            }
            Err(error) => {
                let quiet = matches!(error, StoreError::InboxFull { .. });
                if !quiet {
                    tracing::error!(webhook = %endpoint.path(), "a delivery cannot be kept, the sender is told to come again: {error}");
                }
                Err(Refusal::NotKept)
            }
        }
    }
}

async fn deliver(
    State(receiver): State<Receiver>,
    Path(name): Path<Name>,
    request: Request,
) -> Response {
    let Some(endpoint) = receiver.inner.endpoints.find(&name) else {
        return receiver.refuse(None, Refusal::Unknown);
    };
    let webhook = &endpoint.plan.name;
    let span = spans::delivery(&endpoint.namespace, &endpoint.connection, webhook);
    let taken = receiver.take(&endpoint, request);
    let (response, refusal) = match taken.instrument(span.clone()).await {
        Ok(response) => (response, None),
        Err(refusal) => {
            let counted = refusal.counted().name();
            (receiver.refuse(Some(&endpoint), refusal), Some(counted))
        }
    };
    spans::delivered(&span, response.status().as_u16(), refusal);
    response
}

/// The whole body, within its bounds.
async fn arrival(headers: &HeaderMap, body: Body, limit: u64) -> Result<Bytes, Refusal> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Refusal::TooLarge);
    }
    let read = async {
        let mut stream = body.into_data_stream();
        // Most come in one piece.
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Refusal::Interrupted)?;
            if (first.len().max(whole.len()) + chunk.len()) as u64 > limit {
                return Err(Refusal::TooLarge);
            }
            if first.is_empty() && whole.is_empty() {
                first = chunk;
                continue;
            }
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(if whole.is_empty() {
            first
        } else {
            whole.into()
        })
    };
    tokio::time::timeout(ARRIVAL, read)
        .await
        .unwrap_or(Err(Refusal::Interrupted))
}

/// A body that says nothing of its type may be JSON.
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    if essence == "application/json" || essence.ends_with("+json") {
        Ok(())
    } else {
        Err(Refusal::NotJsonType)
    }
}
