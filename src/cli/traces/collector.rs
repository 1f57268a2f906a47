//! The client that posts to the collector: hyper and rustls as everywhere else, in a runtime of its own, so that it
//! neither waits for the engine nor takes from it. Used by `traces`, on the thread of the batch processor.
//!
//! The collector is named by whoever runs the program, not in a manifest: the guard against forbidden addresses does
//! not hold here.

use std::fmt;
use std::future::{Future, ready};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;

use super::settings::Settings;
use crate::connector::innermost;

/// Most bytes of an answer that are read; a collector answers with a few.
const MOST_ANSWER: usize = 64 * 1024;

type Pooled = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Posts to a collector.
#[derive(Clone)]
pub struct Collector(Arc<Inner>);

struct Inner {
    runtime: Runtime,
    client: Pooled,
    timeout: Duration,
    /// Host and port.
    place: String,
    /// Why the last post failed.
    problem: Mutex<Option<String>>,
}

impl Collector {
    /// # Errors
    /// A certificate or key that cannot be used, or no way to run.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls(settings)?)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        // A connection that is kept would not be looked after between two exports.
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(https);
        let endpoint = &settings.endpoint;
        let host = endpoint.host_str().unwrap_or_default();
        let port = endpoint.port_or_known_default().unwrap_or_default();
        Ok(Self(Arc::new(Inner {
            runtime,
            client,
            timeout: settings.timeout,
            place: format!("{host}:{port}"),
            problem: Mutex::default(),
        })))
    }

    /// Host and port.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// Why the last post failed; `None`: there was an answer.
    pub fn problem(&self) -> Option<String> {
        let problem = self.0.problem.lock();
        problem.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let inner = &*self.0;
        let exchange = async {
            let answer = inner.client.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, MOST_ANSWER).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let within = async { tokio::time::timeout(inner.timeout, exchange).await };
        let answered = match inner.runtime.block_on(within) {
            Ok(answered) => answered,
            Err(_) => Err(format!("no answer within {:?}", inner.timeout).into()),
        };
        let problem = answered
            .as_ref()
            .err()
            .map(|error: &HttpError| innermost(error.as_ref()));
        *inner.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
        answered
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Collector").field(&self.0.place).finish()
    }
}

impl HttpClient for Collector {
    // As `async_trait` writes it. It blocks: the thread of the batch processor has nothing else to do.
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(ready(self.post(request)))
    }
}

/// TLS with ring, and the certificates that the settings name or else the machine's.
fn tls(settings: &Settings) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &settings.certificate {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots
                    .add(certificate)
                    .map_err(|error| format!("{}: {error}", file.display()))?;
            }
            builder.with_root_certificates(roots)
        }
        // A minimal image has no certificates: only who speaks TLS needs them.
        None if settings.endpoint.scheme() == "http" => {
            builder.with_root_certificates(RootCertStore::empty())
        }
        None => {
            let verifier = rustls_platform_verifier::Verifier::new(provider)
                .map_err(|error| error.to_string())?;
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    match &settings.client {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let secret = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("{}: {error}", key.display()))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, secret)
                .map_err(|error| format!("{}: {error}", certificate.display()))
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(format!("{}: has no certificate", file.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}
