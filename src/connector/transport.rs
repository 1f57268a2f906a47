//! Sends one request and reads its answer, within bounds: time, size, addresses. Follows nothing and
//! judges nothing. Used by `client` and `token`, so that all URLs go through one client.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, Entry, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy;
use url::Url;

use super::dial::{self, HttpClient, Unresolved};
use super::guard::{Denied, Guard};
use super::unpack::{self, Body, TooLarge};
use crate::plan::ConnectionPlan;
use crate::record::{Class, Failure};

/// Times that a request is sent again which the server says it has not looked at.
const UNTOUCHED: u32 = 2;

/// Headers of every request that has none of its own.
const DEFAULTS: [(HeaderName, HeaderValue); 3] = [
    (ACCEPT, HeaderValue::from_static("*/*")),
    (ACCEPT_ENCODING, HeaderValue::from_static(unpack::ACCEPTED)),
    (
        USER_AGENT,
        HeaderValue::from_static(concat!("syncline/", env!("CARGO_PKG_VERSION"))),
    ),
];

pub(super) struct Transport {
    client: HttpClient,
    guard: Arc<Guard>,
    tls: bool,
    timeout: Duration,
    max_bytes: u64,
    resource: String,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Raw {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no whole answer.
enum Broken {
    /// The URL is none that can be called.
    Url,
    /// No answer began.
    Client(legacy::Error),
    /// It broke off.
    Body(Box<dyn Error + Send + Sync>),
    Late,
    TooLarge,
}

impl Transport {
    pub fn new(plan: &ConnectionPlan, guard: Arc<Guard>) -> Result<Self, Failure> {
        let idle = plan.concurrency.saturating_add(4);
        let client =
            dial::client(&guard, plan.speaks_tls(), plan.timeout, idle).map_err(|error| {
                let text = format!(
                    "{}: the HTTP client cannot be made: {error}; https needs the machine's certificates (the package \
                     ca-certificates, or SSL_CERT_FILE)",
                    plan.resource()
                );
                Failure::new(Class::Configuration, false, text)
            })?;
        Ok(Self {
            client,
            guard,
            tls: plan.speaks_tls(),
            timeout: plan.timeout,
            max_bytes: plan.max_response_bytes,
            resource: plan.resource(),
        })
    }

    /// Sends a request and reads the whole answer. The failure's class is Transient or Configuration.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Raw, Failure> {
        self.guard
            .check_url(url)
            .map_err(|denied| self.denied(&denied))?;
        let uri = Uri::try_from(url.as_str()).map_err(|_| self.failed(&Broken::Url, url))?;
        add_defaults(&mut headers);
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let mut status = None;
        let answered = {
            // Where it is: it is large, and every move is a copy.
            let exchange = std::pin::pin!(self.exchange(request, &mut status));
            tokio::time::timeout(self.timeout, exchange).await
        };
        match answered {
            Ok(Ok(raw)) => Ok(raw),
            Ok(Err(broken)) => Err(self.broken(&broken, status, url)),
            Err(_) => Err(self.broken(&Broken::Late, status, url)),
        }
    }

    /// One request with its answer; `status` is noted as soon as it is known.
    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        status: &mut Option<StatusCode>,
    ) -> Result<Raw, Broken> {
        let mut tries = 0;
        let response = loop {
            // Only HTTP/2 says that it has not looked at a request, and that is only spoken over TLS.
            let again = (self.tls && tries < UNTOUCHED).then(|| request.clone());
            match (self.client.request(request).await, again) {
                (Ok(response), _) => break response,
                (Err(error), Some(again)) if untouched(&error) => request = again,
                (Err(error), _) => return Err(Broken::Client(error)),
            }
            tries += 1;
        };
        let (head, body) = response.into_parts();
        *status = Some(head.status);
        Ok(Raw {
            status: head.status,
            body: self.read(&head.headers, body).await?,
            headers: head.headers,
        })
    }

    /// Reads the body, counted after unpacking.
    async fn read(&self, headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, Broken> {
        if !headers.contains_key(CONTENT_ENCODING) && body.size_hint().lower() > self.max_bytes {
            return Err(Broken::TooLarge);
        }
        let failed = |error: std::io::Error| match error.get_ref() {
            Some(inner) if inner.is::<TooLarge>() => Broken::TooLarge,
            _ => Broken::Body(error.into()),
        };
        let mut whole = Body::new(headers, self.max_bytes, body.size_hint().lower());
        let mut any = false;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Broken::Body(error.into()))?;
            if let Ok(chunk) = frame.into_data()
                && !chunk.is_empty()
            {
                any = true;
                whole.push(&chunk).map_err(failed)?;
            }
        }
        whole.finish(any).map_err(failed)
    }

    fn broken(&self, broken: &Broken, status: Option<StatusCode>, url: &Url) -> Failure {
        let mut failure = self.failed(broken, url);
        failure.status = status.map(|status| status.as_u16());
        failure
    }

    fn too_large(&self) -> Failure {
        let text = format!(
            "{}: the answer is larger than {} bytes; ask for smaller pages, or raise spec.http.maxResponseBytes",
            self.resource, self.max_bytes
        );
        Failure::new(Class::Configuration, true, text)
    }

    fn denied(&self, denied: &Denied) -> Failure {
        let text = format!("{}: {denied}; check spec.http.baseURL", self.resource);
        Failure::new(Class::Configuration, false, text)
    }

    /// What a failure of the client means. Its own text would name the whole URL, with its query.
    fn failed(&self, broken: &Broken, url: &Url) -> Failure {
        let (class, sent, what) = match broken {
            Broken::TooLarge => return self.too_large(),
            Broken::Url => (
                Class::Configuration,
                false,
                "the URL cannot be called; check spec.http.baseURL".to_owned(),
            ),
            Broken::Late => (
                Class::Transient,
                true,
                format!(
                    "no complete answer within {:?} (spec.http.timeout)",
                    self.timeout
                ),
            ),
            Broken::Body(error) => (Class::Transient, true, broke_off(error.as_ref())),
            Broken::Client(error) => {
                if let Some(denied) = cause::<Denied>(error) {
                    return self.denied(denied);
                }
                let sent = !error.is_connect();
                let (class, what) = unanswered(error, sent, &place(url));
                (class, sent, what)
            }
        };
        Failure::new(class, sent, format!("{}: {what}", self.resource))
    }
}

/// Adds what every request says.
pub(super) fn add_defaults(headers: &mut HeaderMap) {
    for (name, value) in DEFAULTS {
        if let Entry::Vacant(entry) = headers.entry(name) {
            entry.insert(value);
        }
    }
}

/// Host and port; the rest of a URL may hold what is nobody's business.
fn place(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Why no answer began.
fn unanswered(error: &legacy::Error, sent: bool, place: &str) -> (Class, String) {
    match cause::<rustls::Error>(error) {
        Some(tls @ rustls::Error::InvalidCertificate(_)) => (
            Class::Configuration,
            format!(
                "the certificate of {place} is not accepted: {tls}; check the host name, who signed it and until when"
            ),
        ),
        Some(tls) if !sent => (
            Class::Configuration,
            format!(
                "no TLS connection to {place}: {tls}; check that spec.http.baseURL speaks https"
            ),
        ),
        _ if cause::<Unresolved>(error).is_some() => (
            Class::Transient,
            format!(
                "the name of {place} does not resolve: {}; check spec.http.baseURL and this machine's DNS",
                innermost(error)
            ),
        ),
        _ if !sent => (
            Class::Transient,
            format!(
                "no connection to {place}: {}; is it up, and is spec.http.baseURL right, https or http?",
                innermost(error)
            ),
        ),
        _ => (Class::Transient, broke_off(error)),
    }
}

fn broke_off(error: &(dyn Error + 'static)) -> String {
    format!(
        "the connection broke before the answer was complete: {}",
        innermost(error)
    )
}

/// Whether the server says that it has not looked at a request: it refused the stream, or was about to
/// close the connection (RFC 9113 section 8.7).
fn untouched(error: &legacy::Error) -> bool {
    cause::<h2::Error>(error).is_some_and(|error| {
        let closes = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        let refuses = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        error.is_remote() && (closes || refuses)
    })
}

/// The first cause of type `T`, also behind I/O errors.
fn cause<'e, T: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e T> {
    let mut next = error.source();
    for _ in 0..16 {
        let current = next?;
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        let inner = current
            .downcast_ref::<std::io::Error>()
            .and_then(|io| io.get_ref());
        if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<T>()) {
            return Some(found);
        }
        next = inner
            .map(|inner| inner as &(dyn Error + 'static))
            .or_else(|| current.source());
    }
    None
}

/// What the innermost cause says: the outer ones only repeat that a request failed, and may name the URL.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    for _ in 0..16 {
        match last.source() {
            Some(next) => last = next,
            None => break,
        }
    }
    last.to_string()
}
