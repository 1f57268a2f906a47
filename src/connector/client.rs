//! One exchange with the system: limits, credential, send, meaning. Reads are retried; a write that
//! fails is its caller's to decide. Used by `pages`, `read` and `write`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tracing::{Instrument, Span};
use url::Url;

use super::auth::Credential;
use super::build::{Parts, Prepared};
use super::circuit::{Pass, Turn};
use super::classify::{self, Asked, Purpose, Verdict};
use super::limit::Permit;
use super::transport::Raw;
use super::{Connector, retry};
use crate::expression::Scope;
use crate::plan::connection::{InjectionPlan, Operation};
use crate::record::{Class, Failure};
use crate::telemetry::Answered;
use crate::telemetry::events::CircuitChanged;
use crate::telemetry::spans;

/// Redirects that are followed, one after the other.
const HOPS: u32 = 5;

/// A read to send.
pub(crate) struct Request<'a> {
    pub operation: &'a Operation,
    pub purpose: Purpose,
    /// Settings are added by the connector.
    pub scope: Scope<'a>,
    /// Values that go where the manifest says: page tokens, cursors.
    pub inject: &'a [(&'a InjectionPlan, Value)],
    /// The address from a next link, absolute or relative to the base URL, in place of the operation's
    /// path and query. Must have the base URL's origin.
    pub url: Option<&'a str>,
}

/// An answer that is no failure.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// A rule of `responses` says that there is nothing here.
    pub ignored: bool,
    /// What the request was sent with, to be hidden wherever the answer is shown.
    pub(super) credential: Arc<Credential>,
}

impl Connector {
    /// Sends a read and answers what came back. Waits for the limits, renews the credential, follows
    /// redirects within the origin, retries what may pass.
    pub(crate) async fn call(&self, request: Request<'_>) -> Result<Reply, Failure> {
        if !self.inner.plan.access.read {
            return Err(self.no_access("Read"));
        }
        let parts = Parts {
            operation: request.operation,
            scope: request.scope,
            record: None,
            body: None,
            inject: request.inject,
            url: request.url,
        };
        let prepared = self.inner.base.prepare(&self.inner.plan, parts)?;
        let result = self
            .call_prepared(&prepared, request.purpose, request.operation)
            .await;
        // Only a search belongs to one record.
        result.map_err(|failure| match request.purpose {
            Purpose::Find => self.with_request(failure, &prepared, 1),
            _ => failure,
        })
    }

    async fn call_prepared(
        &self,
        prepared: &Prepared,
        purpose: Purpose,
        operation: &Operation,
    ) -> Result<Reply, Failure> {
        let name = operation.path.source();
        let mut attempt = 0;
        loop {
            let (mut failure, page) = match self.exchange(prepared, purpose, name).await {
                Ok(reply) if !reply.ignored && classify::is_html(&reply.headers, &reply.body) => {
                    (self.html(prepared, name, reply.status), true)
                }
                Err(failure) if failure.class == Class::Transient => (failure, false),
                other => return other,
            };
            attempt += 1;
            if attempt >= retry::ATTEMPTS
                || self.blocked_for().is_some()
                || !self.inner.budget.spend()
            {
                if page {
                    failure.class = Class::Configuration;
                }
                return Err(failure);
            }
            tokio::time::sleep(retry::backoff(&self.inner.plan.retry, attempt - 1)).await;
        }
    }

    /// One request with its answer; none is sent while the credential is known to be rejected.
    pub(super) async fn exchange(
        &self,
        prepared: &Prepared,
        purpose: Purpose,
        name: &str,
    ) -> Result<Reply, Failure> {
        self.inner.stall.enter(Instant::now())?;
        let result = self.ask(prepared, purpose, name).await;
        self.inner.stall.tell(&result, Instant::now());
        result
    }

    /// One request with its answer: waits for the limits, asks again after a refusal for being too many
    /// and after one renewal of the credential. Neither uses an attempt.
    async fn ask(
        &self,
        prepared: &Prepared,
        purpose: Purpose,
        name: &str,
    ) -> Result<Reply, Failure> {
        let inner = &*self.inner;
        let mut waiting = Waiting::default();
        let mut target: Option<(Url, u32)> = None;
        loop {
            let url = target.as_ref().map_or(&prepared.url, |(url, _)| url);
            let sent = self
                .attempt(prepared, url, name, waiting.rejected.as_deref())
                .await;
            let Sent {
                raw,
                credential,
                pass,
                permit,
                span,
            } = sent.map_err(|f| self.unanswered(f, prepared, purpose, name))?;
            if raw.status.is_redirection() && purpose.reads() && prepared.method == Method::GET {
                self.tell(pass, true);
                inner.meter.answered(Answered::Success);
                spans::answered(&span, raw.status.as_u16(), Answered::Success);
                let hops = target.as_ref().map_or(0, |(_, hops)| *hops) + 1;
                target = Some((self.redirected(&raw, url, hops, name)?, hops));
                continue;
            }
            let asked = Asked {
                method: prepared.method.as_str(),
                path: &prepared.path,
            };
            let verdict = classify::judge(
                &inner.plan.responses,
                purpose,
                &asked,
                raw.status,
                &raw.headers,
                &raw.body,
            );
            let Verdict::Failed { class, wait } = verdict else {
                self.tell(pass, true);
                inner.limiter.taken();
                inner.budget.earn();
                let ignored = verdict == Verdict::Ignored;
                let answer = if ignored {
                    Answered::Ignored
                } else {
                    Answered::Success
                };
                inner.meter.answered(answer);
                spans::answered(&span, raw.status.as_u16(), answer);
                let Raw {
                    status,
                    headers,
                    body,
                } = raw;
                return Ok(Reply {
                    status,
                    headers,
                    body,
                    ignored,
                    credential,
                });
            };
            inner.meter.answered(Answered::Failed(class));
            spans::answered(&span, raw.status.as_u16(), Answered::Failed(class));
            self.tell(pass, !matches!(class, Class::Transient | Class::Ambiguous));
            match class {
                Class::RateLimited => {
                    inner.limiter.refused(permit.slot, wait);
                    self.tell_pause(wait);
                    if waiting.may_wait(wait, inner.longest_wait) {
                        continue;
                    }
                }
                Class::Authentication if waiting.rejected.is_some() => {
                    return Err(inner.auth.not_accepted());
                }
                Class::Authentication => {
                    waiting.rejected = Some(credential);
                    continue;
                }
                _ => {}
            }
            return Err(self.refusal(&raw, class, wait, prepared, name, &credential));
        }
    }

    /// Waits for the limits and sends once.
    async fn attempt(
        &self,
        prepared: &Prepared,
        url: &Url,
        name: &str,
        rejected: Option<&Credential>,
    ) -> Result<Sent<'_>, Failure> {
        let inner = &*self.inner;
        // Whoever would wait for the limits of a system that is down needn't.
        if let Some(rest) = self.blocked_for() {
            return Err(self.circuit_open(rest));
        }
        let asked = tokio::time::Instant::now();
        let permit = inner
            .limiter
            .acquire(prepared.method.as_str(), &prepared.path, inner.longest_wait)
            .await
            .map_err(|rest| self.asked_to_wait(rest))?;
        inner.meter.waited(permit.slot.at.duration_since(asked));
        let pass = inner
            .circuit
            .enter(Instant::now())
            .map_err(|rest| self.circuit_open(rest))?;
        let credential = inner.auth.credential(&inner.transport, rejected).await?;
        if prepared.not_after.is_some_and(|end| Instant::now() > end) {
            return Err(self.too_late());
        }
        if prepared.fence.as_ref().is_some_and(|fence| !fence.holds()) {
            return Err(self.cut_off());
        }
        let plan = &inner.plan;
        let method = prepared.method.as_str();
        let span = spans::request(&plan.namespace, &plan.name, method, Some(name), url);
        let begun = Instant::now();
        let sent = {
            // Where it is: it is large, and every move is a copy.
            let sending = std::pin::pin!(self.send(prepared, url, &credential));
            sending.instrument(span.clone()).await
        };
        inner.meter.took(begun.elapsed());
        match sent {
            Ok(raw) => Ok(Sent {
                raw,
                credential,
                pass,
                permit,
                span,
            }),
            Err(failure) => {
                spans::unanswered(&span, failure.status, failure.class);
                inner.meter.answered(Answered::Failed(failure.class));
                if failure.class == Class::Transient {
                    self.tell(pass, false);
                }
                Err(failure)
            }
        }
    }

    /// Tells the circuit how a request ended, and those who watch it what became of it.
    fn tell(&self, pass: Pass<'_>, ok: bool) {
        let Some(turn) = pass.tell(ok, Instant::now()) else {
            return;
        };
        let changed = CircuitChanged {
            namespace: &self.inner.plan.namespace,
            connection: &self.inner.plan.name,
            open: match turn {
                Turn::Opened(rest) => Some(rest),
                Turn::Closed => None,
            },
        };
        changed.emit(&self.inner.meter);
    }

    async fn send(
        &self,
        prepared: &Prepared,
        url: &Url,
        credential: &Credential,
    ) -> Result<Raw, Failure> {
        let (mut url, mut headers) = (Cow::Borrowed(url), HeaderMap::clone(&prepared.headers));
        credential.apply(&mut url, &mut headers);
        let (method, body) = (prepared.method.clone(), prepared.body.clone());
        let transport = &self.inner.transport;
        transport.send(method, &url, headers, body).await
    }

    /// Where a redirect leads, when it may be followed (RFC 9110 section 15.4).
    fn redirected(&self, raw: &Raw, from: &Url, hops: u32, name: &str) -> Result<Url, Failure> {
        let stop = |what: String| {
            let text = format!("{}: GET {name}: {what}", self.inner.plan.resource());
            let mut failure = Failure::new(Class::Configuration, true, text);
            failure.status = Some(raw.status.as_u16());
            failure
        };
        let location = raw.headers.get(LOCATION).and_then(|v| v.to_str().ok());
        let Some(Ok(url)) = location.map(|l| from.join(l)) else {
            return Err(stop(format!(
                "answered {} without a usable Location; check baseURL and path",
                raw.status.as_u16()
            )));
        };
        if !self.inner.base.same_origin(&url) {
            let origin = url.origin().ascii_serialization();
            return Err(stop(format!(
                "redirects to {origin}, another origin than baseURL; credentials are not sent there: correct spec.http.baseURL"
            )));
        }
        if hops > HOPS {
            return Err(stop(format!("redirects more than {HOPS} times")));
        }
        Ok(url)
    }
}

/// A request that was answered, with what it holds until its meaning is known.
struct Sent<'a> {
    raw: Raw,
    credential: Arc<Credential>,
    pass: Pass<'a>,
    permit: Permit,
    span: Span,
}

/// What one exchange went through so far.
#[derive(Default)]
struct Waiting {
    since: Option<Instant>,
    rejected: Option<Arc<Credential>>,
}

impl Waiting {
    /// Whether there is time for another wait.
    fn may_wait(&mut self, wait: Option<Duration>, longest: Duration) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        since.elapsed() + wait.unwrap_or_default() < longest
    }
}
