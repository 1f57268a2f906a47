//! Failures of one Connection, in words for the person who is called at night.
//! Names the Connection, the operation and what to do; never a secret, a query or a whole URL.

use std::time::Duration;

use http::StatusCode;

use super::Connector;
use super::auth::Credential;
use super::build::Prepared;
use super::classify::Purpose;
use super::transport::Raw;
use crate::record::{Class, Failure, Request};

/// A wait that somebody who watches is told of.
const LONG_PAUSE: Duration = Duration::from_secs(60);

/// Bytes of an answer that a failure shows.
const EXCERPT: usize = 512;

/// Bytes of a request's body that a failure shows.
const MOST_BODY: usize = 4_096;

impl Connector {
    /// A page for people where data is expected: an outage page at first, a wrong URL if it stays.
    pub(super) fn html(&self, prepared: &Prepared, name: &str, status: StatusCode) -> Failure {
        let text = format!(
            "{}: {} {name} answered text/html instead of JSON; check baseURL and path",
            self.inner.plan.resource(),
            prepared.method
        );
        let mut failure = Failure::new(Class::Transient, true, text);
        failure.status = Some(status.as_u16());
        failure
    }

    pub(super) fn too_late(&self) -> Failure {
        let text = format!(
            "{}: the limits let a create through only after its idempotency key was forgotten; it was not sent",
            self.inner.plan.resource()
        );
        Failure::new(Class::Transient, false, text)
    }

    pub(super) fn cut_off(&self) -> Failure {
        let text = format!(
            "{}: this process is not the elected one any more; the request was not sent",
            self.inner.plan.resource()
        );
        Failure::new(Class::Transient, false, text)
    }

    pub(super) fn circuit_open(&self, rest: Duration) -> Failure {
        let text = format!(
            "{}: circuit open after many failures; the next request is tried in {} s",
            self.inner.plan.resource(),
            rest.as_secs() + 1
        );
        let mut failure = Failure::new(Class::Transient, false, text);
        failure.retry_after_ms = Some(rest.as_millis() as u64);
        failure
    }

    /// A request without a whole answer. A create that was sent may have taken effect.
    pub(super) fn unanswered(
        &self,
        mut failure: Failure,
        prepared: &Prepared,
        purpose: Purpose,
        name: &str,
    ) -> Failure {
        let refused = failure
            .status
            .is_some_and(|status| (400..500).contains(&status));
        if failure.sent && purpose == Purpose::Create && !refused {
            failure.class = Class::Ambiguous;
        } else if failure.sent && !purpose.reads() && failure.class == Class::Configuration {
            // An answer that is too large comes after the write: it will be so again.
            failure.class = Class::Permanent;
        }
        failure.message = format!("{} ({} {name})", failure.message, prepared.method);
        failure
    }

    /// The failure of an answer, in words for a person.
    pub(super) fn refusal(
        &self,
        raw: &Raw,
        class: Class,
        wait: Option<Duration>,
        prepared: &Prepared,
        name: &str,
        credential: &Credential,
    ) -> Failure {
        let advice = match class {
            Class::Forbidden => {
                "; the credential may not do this: give it the right to, or use another"
            }
            Class::Configuration if raw.status.is_redirection() => {
                "; a write is not sent elsewhere: correct spec.http.baseURL or the path"
            }
            Class::Configuration => "; check spec.http.baseURL and the path",
            _ => "",
        };
        let mut text = format!(
            "{}: {} {name} answered {}{advice}",
            self.inner.plan.resource(),
            prepared.method,
            raw.status
        );
        if class == Class::RateLimited {
            text.push_str("; ");
            text.push_str(&self.too_long(wait));
        }
        let mut failure = Failure::new(class, true, text);
        failure.status = Some(raw.status.as_u16());
        failure.retry_after_ms = wait.map(|w| w.as_millis() as u64);
        failure.excerpt = excerpt(&raw.body, credential);
        failure
    }

    /// A request that isn't sent because the system has asked everybody to wait.
    pub(super) fn asked_to_wait(&self, rest: Duration) -> Failure {
        let text = format!(
            "{}: {}",
            self.inner.plan.resource(),
            self.too_long(Some(rest))
        );
        let mut failure = Failure::new(Class::RateLimited, false, text);
        failure.retry_after_ms = Some(rest.as_millis() as u64);
        failure
    }

    /// Says why nothing seems to happen, where the wait is long.
    pub(super) fn tell_pause(&self, wait: Option<Duration>) {
        if let Some(wait) = wait.filter(|wait| *wait >= LONG_PAUSE) {
            tracing::warn!(
                "{}: the system asks to wait for {}; all requests to it pause",
                self.inner.plan.resource(),
                rounded(wait)
            );
        }
    }

    /// Why a wait that the system asks for ends the work.
    fn too_long(&self, wait: Option<Duration>) -> String {
        let longest = rounded(self.inner.longest_wait);
        let asked = match wait {
            Some(wait) if wait >= super::LONGEST_WAIT => {
                "asks to wait for a day or more".to_owned()
            }
            Some(wait) => format!("asks to wait for {}", rounded(wait)),
            None => "still refuses".to_owned(),
        };
        format!(
            "the system {asked}, and a request waits {longest} at most; run again later, ask its owner for a larger \
             quota, or lower spec.limits"
        )
    }

    /// Notes in a failure what was sent: neither headers nor the credential, and of a batch no body.
    pub(super) fn with_request(
        &self,
        mut failure: Failure,
        prepared: &Prepared,
        records: usize,
    ) -> Failure {
        if !failure.sent || failure.request.is_some() {
            return failure;
        }
        let credential = self.inner.auth.known();
        let hide = |text: String| match &credential {
            Some(credential) => credential.hide(text),
            None => text,
        };
        let mut url = prepared.url.clone();
        if let Some(credential) = &credential {
            credential.mask(&mut url);
        }
        let start = prepared.body.get(..prepared.body.len().min(MOST_BODY * 2));
        let body = start.filter(|body| records == 1 && !body.is_empty());
        failure.request = Some(Box::new(Request {
            method: prepared.method.to_string(),
            url: hide(url.into()),
            records,
            body: body.map(|body| {
                let mut text = hide(String::from_utf8_lossy(body).into_owned());
                shorten_to(&mut text, MOST_BODY);
                text
            }),
        }));
        failure
    }

    pub(super) fn no_access(&self, access: &str) -> Failure {
        let text = format!(
            "{}: spec.access does not allow {access}; add it to let Syncs do this",
            self.inner.plan.resource()
        );
        Failure::new(Class::Configuration, false, text)
    }
}

/// A wait in its largest unit, rounded up.
fn rounded(wait: Duration) -> String {
    match wait.as_secs() + u64::from(wait.subsec_nanos() > 0) {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

/// The beginning of a body, without the secret should the system repeat it. It is hidden before the
/// text is cut, since half a secret would not be found.
fn excerpt(body: &[u8], credential: &Credential) -> Option<Box<str>> {
    let start = body.get(..body.len().min(EXCERPT * 16))?;
    let mut text = credential.hide(String::from_utf8_lossy(start).into_owned());
    shorten(&mut text);
    (!text.is_empty()).then(|| text.into())
}

/// Cuts a text to the length of an excerpt, between two characters.
pub(super) fn shorten(text: &mut String) {
    shorten_to(text, EXCERPT);
}

fn shorten_to(text: &mut String, most: usize) {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
}
