//! A Connection, checked and compiled: everything the connector needs to talk to one system.
//! Pure. `compile` is called by `plan`, the values are run by `connector`.

mod auth;
mod batch;
mod changes;
mod check;
mod compile;
mod list;
mod object;
mod request;
mod route;
mod secrets;
mod session;
#[cfg(test)]
mod tests;
mod webhook;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expression::Expression;

pub use crate::api::connection::{
    Encoding, HashAlgorithm, Place, ResponseClass, SignatureEncoding,
};
pub use auth::{AuthPlan, ClientAuth, Grant, OAuth2Plan, SecretRef, SendAsPlan};
pub use batch::{BatchPlan, Correlate};
pub use changes::{ChangeRoutePlan, ChangesPlan};
pub use check::{Checker, RequestParts};
pub use compile::compile;
pub use list::*;
pub use object::{FindPlan, ObjectPlan};
pub(crate) use object::{id_of, read_id};
pub use request::{BodyPlan, InjectionPlan, JsonTemplate, Operation, Uses};
pub use route::{EventPath, Named, RoutePlan};
pub use secrets::{NamedSecret, SecretUse};
pub use session::{CredentialPlan, LoginPlan, SessionPlan};
pub use webhook::*;
pub use write::{CreatePlan, IdempotencyPlan, UpdatePlan, UpsertPlan};

/// A compiled Connection and its objects by name.
#[derive(Clone, Debug)]
pub struct ConnectionWithObjects {
    pub connection: Arc<ConnectionPlan>,
    pub objects: BTreeMap<String, Arc<ObjectPlan>>,
    pub webhooks: BTreeMap<String, Arc<WebhookPlan>>,
}

/// One system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionPlan {
    pub namespace: String,
    pub name: String,
    /// Base URL with `${settings.…}` resolved, without a trailing slash.
    pub base_url: String,
    pub settings: Value,
    /// Most requests under way at once (default 16).
    pub concurrency: usize,
    /// Headers and query parameters of every request, resolved.
    pub headers: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    /// Longest time from sending a request to the end of its answer.
    pub timeout: Duration,
    /// Largest body of an answer, after decompression.
    pub max_response_bytes: u64,
    pub auth: AuthPlan,
    pub access: AccessPlan,
    pub limits: Vec<LimitPlan>,
    pub retry: RetryPlan,
    pub responses: Vec<ResponseRule>,
    pub probe: Option<ProbePlan>,
}

/// How the system is tried out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProbePlan {
    pub request: Operation,
    /// Time between two probes.
    pub interval: Duration,
}

impl ConnectionPlan {
    /// `Connection/shop`, as people look for it.
    pub fn resource(&self) -> String {
        format!("Connection/{}", self.name)
    }

    /// Whether any URL of the Connection is one of https.
    pub fn speaks_tls(&self) -> bool {
        let plain = |url: &str| url.starts_with("http://");
        let token = match &self.auth {
            AuthPlan::OAuth2(oauth) => plain(&oauth.token_url),
            AuthPlan::Session(session) => plain(&session.login.url),
            AuthPlan::None | AuthPlan::Fixed { .. } | AuthPlan::Basic { .. } => true,
        };
        !(token && plain(&self.base_url))
    }
}

/// What Syncs may do here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessPlan {
    pub read: bool,
    pub create: bool,
    pub update: bool,
    pub delete: bool,
}

/// How many requests the system takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitPlan {
    /// Requests in a time, sent evenly.
    pub rate: Option<(u32, Duration)>,
    /// Most requests under way at once.
    pub concurrency: Option<usize>,
    /// Only requests with this method.
    pub method: Option<String>,
    /// Only requests whose path matches: the texts between the `*`s.
    pub path: Option<Vec<String>>,
}

impl LimitPlan {
    /// Whether a request with this method and path (below the base URL) is counted here.
    pub fn applies_to(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|m| m == method)
            && self
                .path
                .as_deref()
                .is_none_or(|parts| matches_glob(parts, path))
    }
}

/// Whether `text` is the parts in order with any text between them.
fn matches_glob(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last.as_str())
}

/// How temporary failures of reads are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPlan {
    pub initial_delay: Duration,
    pub max_delay: Duration,
}

/// What an answer means: the first rule whose expression is true decides.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResponseRule {
    pub when: Expression,
    pub class: ResponseClass,
    /// Seconds to wait, or text such as `30s`.
    pub retry_after: Option<Expression>,
    /// Whether the rule looks at single results of a batch (`item`).
    pub per_item: bool,
    /// Whether the rule looks at the body; one that doesn't spares its parsing.
    pub needs_body: bool,
}

#[cfg(test)]
mod limit_tests {
    use super::*;

    #[test]
    fn a_star_in_a_limits_path_stands_for_any_text() {
        let limit = |glob: &str| LimitPlan {
            rate: None,
            concurrency: None,
            method: None,
            path: Some(glob.split('*').map(str::to_owned).collect()),
        };
        for (glob, path, yes) in [
            ("/a", "/a", true),
            ("/a", "/a/1", false),
            ("/a/*", "/a/1", true),
            ("/a/*", "/b/1", false),
            ("*", "/x", true),
            ("/a/*/notes", "/a/1/notes", true),
            ("/a/*/notes", "/a/notes", false),
            ("/a/*/*/c", "/a/1/2/c", true),
        ] {
            assert_eq!(limit(glob).applies_to("GET", path), yes, "{glob} {path}");
        }
    }
}
