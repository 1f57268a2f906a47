//! Limits, retries and what answers mean.
//! Data only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::Method;
use crate::api::reference::DurationText;

/// How many requests the system takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.requests) == has(self.per)").message("requests and per belong together: requests: 120, per: 1m"),
    validation = Rule::new("has(self.requests) || has(self.concurrency)").message("give requests and per, or concurrency, or all three")
)]
pub struct LimitSpec {
    /// Requests in `per`, sent evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: Option<u32>,
    /// The time that `requests` is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<DurationText>,
    /// Most requests under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1024))]
    pub concurrency: Option<u32>,
    /// Which requests the limit is for; all when absent.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<LimitMatch>,
}

/// Which requests a limit is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitMatch {
    /// The request's method; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// The request's path below the base URL, where `*` is any text: `/contacts/*`; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub path: Option<String>,
}

/// How temporary failures are tried again: after a random time between nothing and a bound, which
/// begins at `initialDelay` and doubles up to `maxDelay`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetrySpec {
    /// The first bound. Default: 1s.
    #[serde(default = "initial_delay")]
    pub initial_delay: DurationText,
    /// The highest bound. Default: 5m.
    #[serde(default = "max_delay")]
    pub max_delay: DurationText,
}

fn initial_delay() -> DurationText {
    DurationText::literal("1s")
}

fn max_delay() -> DurationText {
    DurationText::literal("5m")
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            initial_delay: initial_delay(),
            max_delay: max_delay(),
        }
    }
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ResponseClass {
    /// It is fine, whatever the status says.
    Success,
    /// There is nothing to read or write here: the answer counts as empty and is counted as ignored.
    Ignore,
    /// May pass by itself: tried again later.
    Transient,
    /// The system asks for fewer requests: the whole Connection waits.
    RateLimited,
    /// The credential is not accepted: renewed once, then the Sync stalls.
    Authentication,
    /// The request will never be accepted as it is: a dead letter.
    Permanent,
    /// The record isn't there any more.
    Gone,
    /// Somebody else changed the record: it is read again.
    VersionConflict,
    /// A record with this identity stands there already: it is looked up and adopted.
    AlreadyExists,
    /// The same request is being worked on: asked again later.
    InFlight,
    /// It may or may not have taken effect: resolved before anything else is written.
    Ambiguous,
    /// The manifest or the system's set-up is wrong: the Sync stalls.
    Configuration,
}

/// A rule about answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResponseSpec {
    /// CEL over `status`, `headers` (names in lower case), `body`, `request` (`method`, `path`) and, for
    /// each result of a batch, `item`. An error counts as no.
    #[schemars(length(min = 1, max = 4096))]
    pub when: String,
    /// What it means.
    pub class: ResponseClass,
    /// CEL for the time to wait: seconds, or text such as `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub retry_after: Option<String>,
}
