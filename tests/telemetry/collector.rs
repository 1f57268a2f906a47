//! A collector of OpenTelemetry: takes what is posted to `/v1/traces`, and answers what it was shown.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Attributes by name, as text.
pub type Attributes = BTreeMap<String, String>;

#[derive(Default)]
pub struct Collector {
    posts: Mutex<Vec<(HeaderMap, Bytes)>>,
}

/// Serves until the test's runtime ends; answers the URL for all signals.
pub async fn start() -> (String, Arc<Collector>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (url, serve(listener))
}

/// The same on any listener.
pub fn serve<L>(listener: L) -> Arc<Collector>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    let collector = Arc::new(Collector::default());
    let router = Router::new()
        .route("/v1/traces", post(take))
        .with_state(Arc::clone(&collector));
    tokio::spawn(async move { axum::serve(listener, router).await });
    collector
}

async fn take(
    State(collector): State<Arc<Collector>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let packed = headers
        .get("content-encoding")
        .is_some_and(|coding| coding == "gzip");
    let body = match packed {
        true => unpack(&body),
        false => body,
    };
    collector.posts.lock().unwrap().push((headers, body));
    StatusCode::OK
}

fn unpack(body: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body)
        .read_to_end(&mut plain)
        .expect("gzip");
    plain.into()
}

impl Collector {
    /// All that came, unpacked.
    pub fn bytes(&self) -> Vec<Bytes> {
        let posts = self.posts.lock().unwrap();
        posts.iter().map(|(_, body)| body.clone()).collect()
    }

    /// The header of each post.
    pub fn header(&self, name: &str) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        let value = |headers: &HeaderMap| headers.get(name)?.to_str().ok().map(str::to_owned);
        posts
            .iter()
            .map(|(headers, _)| value(headers).unwrap_or_default())
            .collect()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let decode = |body: Bytes| ExportTraceServiceRequest::decode(body).expect("protobuf");
        self.bytes().into_iter().map(decode).collect()
    }

    /// Who says that it sent them.
    pub fn resource(&self) -> Attributes {
        let requests = self.requests();
        let resource = &requests[0].resource_spans[0].resource;
        attributes(&resource.as_ref().expect("a resource").attributes)
    }

    pub fn spans(&self) -> Vec<Span> {
        let requests = self.requests().into_iter();
        requests
            .flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }
}

pub fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |pair: &KeyValue| match pair.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    list.iter()
        .map(|pair| (pair.key.clone(), text(pair)))
        .collect()
}
