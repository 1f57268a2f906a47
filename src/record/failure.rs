//! What a request that did not succeed means, in words that may be shown.
//! Pure data. Made by `connector`, judged by `pipeline`, kept by `state`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an answer of a system means for the engine (design: "Classification of answers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Class {
    /// May pass by itself: 408, 425, 5xx, resets, timeouts, DNS.
    Transient,
    /// The system asks for fewer requests: 429, 503 with Retry-After.
    RateLimited,
    /// The credential is not accepted: 401 after one refresh.
    Authentication,
    /// The request will never be accepted as it is: 400, 413, 415, 422.
    Permanent,
    /// The credential may not do this: 403.
    Forbidden,
    /// The record isn't there any more: 404, 410.
    Gone,
    /// Somebody else changed the record since it was read: 409, 412.
    VersionConflict,
    /// A record with this identity stands there already.
    AlreadyExists,
    /// The same request is being worked on.
    InFlight,
    /// The request may or may not have taken effect.
    Ambiguous,
    /// The manifest or the system's set-up is wrong: bad certificate, redirect to another origin.
    Configuration,
}

/// A request that did not succeed, in words that may be shown to anybody: no secret, no query string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub class: Class,
    /// Whether the request may have reached the system (false: refused connection, DNS, open circuit).
    pub sent: bool,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// What happened and what to do, in one line.
    pub message: String,
    /// The beginning of the answer's body, at most 512 bytes.
    pub excerpt: Option<Box<str>>,
    /// What was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<Request>>,
    /// When the system wants the next try, in milliseconds from now.
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    pub fn new(class: Class, sent: bool, message: impl Into<String>) -> Self {
        Self {
            class,
            sent,
            status: None,
            message: message.into(),
            excerpt: None,
            request: None,
            retry_after_ms: None,
        }
    }
}

/// A request as people may see it in a dead letter: no header, and no credential of the Connection.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub method: String,
    pub url: String,
    /// Records in it.
    pub records: usize,
    /// The beginning of the body, at most 4 KiB; absent where there is none or where it holds several records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A failure may be logged; what was sent may not.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} records", self.method, self.records)
    }
}
