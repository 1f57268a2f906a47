//! The Connection resource: how to talk to one system, and which kinds of records it holds.
//! Data only, as users write it; `plan::connection` checks what a schema cannot.

mod auth;
mod http;
mod list;
mod object;
mod request;
mod rules;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use auth::*;
pub use http::*;
pub use list::*;
pub use object::*;
pub use request::*;
pub use rules::*;
pub use write::*;

/// One system, connected once: where it is, how requests are authenticated, what its answers mean, and
/// which kinds of records it holds. Syncs refer to it by name.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "syncline.dev",
    version = "v1alpha1",
    kind = "Connection",
    plural = "connections",
    shortname = "slconn",
    category = "syncline",
    namespaced,
    status = "ConnectionStatus",
    derive = "PartialEq",
    doc = "How to talk to one system: where it is, how requests are authenticated, what its answers mean and which kinds of records it holds.",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionSpec {
    /// A line for people: what this system is and who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Plain values that `${settings.NAME}` stands for in URLs, paths, queries, headers and bodies: what
    /// an overlay patches. Never secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "request::settings_schema")]
    pub settings: BTreeMap<String, String>,
    /// Where the system is and how requests reach it.
    pub http: HttpSpec,
    /// How requests are authenticated: exactly one of the variants.
    pub auth: AuthSpec,
    /// What Syncs may do here; everything else is refused before it is sent. Default: `[Read]`.
    #[serde(default = "read_only")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub access: Vec<Access>,
    /// How many requests the system takes. All entries that match a request apply. Without any, at most
    /// 16 requests are under way at once, and a rate is learned from 429 answers and rate limit headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub limits: Vec<LimitSpec>,
    /// How temporary failures are tried again.
    #[serde(default)]
    pub retry: RetrySpec,
    /// What the system means where HTTP alone doesn't say it; the first rule that matches wins. Answers
    /// that no rule matches are judged by their status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub responses: Vec<ResponseSpec>,
    /// The kinds of records that the system holds, and the operations on them.
    #[schemars(
        length(min = 1, max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub objects: Vec<ObjectSpec>,
}

fn read_only() -> Vec<Access> {
    vec![Access::Read]
}

/// Something that Syncs may do with a Connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    Read,
    Create,
    Update,
}

/// What was last seen of a Connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The generation that the conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, and what is behind it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}
