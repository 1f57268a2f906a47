//! Sends one request and reads its answer, within bounds: time, size, addresses. Follows nothing and
//! judges nothing. Used by `client` and `token`, so that all URLs go through one client.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::guard::{Denied, Guard, GuardedResolver};
use crate::plan::ConnectionPlan;
use crate::record::{Class, Failure};

/// The longest time to open a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: shorter than most servers keep theirs, since a request on one that
/// is being closed has no answer.
const IDLE: Duration = Duration::from_secs(20);

pub(super) struct Transport {
    client: reqwest::Client,
    guard: Arc<Guard>,
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

impl Transport {
    pub fn new(plan: &ConnectionPlan, guard: Arc<Guard>) -> Result<Self, Failure> {
        // Another part of the program may have installed a provider already; either does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder();
        // Reading the machine's certificates takes longer than the first requests, and a minimal image has
        // none: only who speaks TLS needs them. No redirect leads elsewhere.
        let builder = if plan.speaks_tls() {
            builder
        } else {
            builder.tls_certs_only([])
        };
        let client = builder
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .dns_resolver(GuardedResolver(Arc::clone(&guard)))
            .connect_timeout(CONNECT.min(plan.timeout))
            .pool_max_idle_per_host(plan.concurrency.saturating_add(4))
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .user_agent(HeaderValue::from_static(concat!(
                "syncline/",
                env!("CARGO_PKG_VERSION")
            )))
            .build()
            .map_err(|error| {
                let text = format!(
                    "{}: the HTTP client cannot be made: {}",
                    plan.resource(),
                    chain(&error)
                );
                Failure::new(Class::Configuration, false, text)
            })?;
        Ok(Self {
            client,
            guard,
            timeout: plan.timeout,
            max_bytes: plan.max_response_bytes,
            resource: plan.resource(),
        })
    }

    /// Sends a request and reads the whole answer. The failure's class is Transient or Configuration.
    pub async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Raw, Failure> {
        self.guard
            .check_url(&url)
            .map_err(|denied| self.denied(&denied))?;
        let mut request = reqwest::Request::new(method, url);
        *request.headers_mut() = headers;
        *request.timeout_mut() = Some(self.timeout);
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        let response = self
            .client
            .execute(request)
            .await
            .map_err(|error| self.failed(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = self.read(response).await.map_err(|mut failure| {
            failure.status = Some(status.as_u16());
            failure
        })?;
        Ok(Raw {
            status,
            headers,
            body,
        })
    }

    /// Reads the body, counted after decompression. A body of one chunk is not copied.
    async fn read(&self, mut response: reqwest::Response) -> Result<Bytes, Failure> {
        if response
            .content_length()
            .is_some_and(|length| length > self.max_bytes)
        {
            return Err(self.too_large());
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.failed(&error))?
        {
            let so_far = (first.len() + all.len()) as u64;
            if so_far + chunk.len() as u64 > self.max_bytes {
                return Err(self.too_large());
            }
            if so_far == 0 {
                first = chunk;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&chunk);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
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
    fn failed(&self, error: &reqwest::Error) -> Failure {
        if let Some(denied) = cause::<Denied>(error) {
            return self.denied(denied);
        }
        let sent = !(error.is_connect() || error.is_dns() || error.is_builder());
        let (class, what) = match cause::<rustls::Error>(error) {
            Some(tls @ rustls::Error::InvalidCertificate(_)) => (
                Class::Configuration,
                format!(
                    "the certificate is not accepted: {tls}; check the host name and who signed it"
                ),
            ),
            Some(tls) if !sent => (
                Class::Configuration,
                format!("no TLS connection: {tls}; check that baseURL speaks https"),
            ),
            _ if error.is_builder() => (
                Class::Configuration,
                "the URL cannot be called; check spec.http.baseURL".to_owned(),
            ),
            _ if error.is_dns() => (
                Class::Transient,
                format!("the host name does not resolve: {}", chain(error)),
            ),
            _ if error.is_connect() => {
                (Class::Transient, format!("no connection: {}", chain(error)))
            }
            _ if error.is_timeout() => (
                Class::Transient,
                format!(
                    "no complete answer within {:?} (spec.http.timeout)",
                    self.timeout
                ),
            ),
            _ => (
                Class::Transient,
                format!(
                    "the connection broke before the answer was complete: {}",
                    chain(error)
                ),
            ),
        };
        Failure::new(class, sent, format!("{}: {what}", self.resource))
    }
}

/// The first cause of type `T`, also behind I/O errors.
fn cause<T: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&T> {
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
            .map(|inner| inner as &(dyn std::error::Error + 'static))
            .or_else(|| current.source());
    }
    None
}

/// The innermost cause: the outer ones repeat that a request failed, with its URL.
fn chain(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = match error.source() {
        Some(source) => source,
        None => return "no cause given".to_owned(),
    };
    for _ in 0..16 {
        match last.source() {
            Some(next) => last = next,
            None => break,
        }
    }
    last.to_string()
}
