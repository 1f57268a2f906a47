//! The one HTTP client of a Connection: names resolved under the guard, TLS, timeouts, kept connections.
//! Opens connections and knows no request. Used by `transport`.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

use super::guard::Guard;

/// The longest time to open a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: shorter than most servers keep theirs, since a request on one that
/// is being closed has no answer.
const IDLE: Duration = Duration::from_secs(20);
/// A peer that is gone without a word is noticed by this.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) type HttpClient = Client<Dialler, Full<Bytes>>;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Makes the client. `tls`: some URL of the Connection speaks it.
pub(super) fn client(
    guard: &Arc<Guard>,
    tls: bool,
    timeout: Duration,
    idle: usize,
) -> Result<HttpClient, rustls::Error> {
    let mut http = HttpConnector::new_with_resolver(GuardedResolver(Arc::clone(guard)));
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(KEEP_ALIVE));
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls_config(tls)?)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(http);
    let dialler = Dialler {
        https,
        // Before the whole time is over: what was never sent is known not to have arrived.
        timeout: CONNECT.min(timeout.mul_f64(0.75)),
    };
    Ok(Client::builder(TokioExecutor::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(idle)
        .pool_timer(TokioTimer::new())
        .build(dialler))
}

/// TLS with ring and the machine's certificates. Reading these takes longer than the first requests, and
/// a minimal image has none: only who speaks TLS needs them.
fn tls_config(tls: bool) -> Result<ClientConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    Ok(if tls {
        let verifier = rustls_platform_verifier::Verifier::new(provider)?;
        // rustls calls any verifier that is set so; this one is its own, with the machine's certificates.
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth()
    } else {
        builder
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()
    })
}

/// Opens connections within a bound of time.
#[derive(Clone)]
pub(super) struct Dialler {
    https: HttpsConnector<HttpConnector<GuardedResolver>>,
    timeout: Duration,
}

impl Service<Uri> for Dialler {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.https.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (opening, timeout) = (self.https.call(uri), self.timeout);
        Box::pin(async move {
            match tokio::time::timeout(timeout, opening).await {
                Ok(opened) => opened,
                Err(_) => Err(format!("no connection within {timeout:?}").into()),
            }
        })
    }
}

/// A name that does not resolve.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unresolved(std::io::Error);

/// Resolves names once and hands out only addresses that may be dialled.
#[derive(Clone)]
pub(super) struct GuardedResolver(Arc<Guard>);

impl Service<Name> for GuardedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0))
                .await
                .map_err(Unresolved)?;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            let mut denied = None;
            for address in found {
                match guard.check(host, address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(error) => denied = Some(error),
                }
            }
            match denied {
                Some(denied) if allowed.is_empty() => Err(denied.into()),
                _ => Ok(allowed.into_iter()),
            }
        })
    }
}
