//! The Connection resource: how to talk to one system, and which kinds of records it holds.
//! Data only, as users write it; `plan::connection` checks what a schema cannot.

mod auth;
mod changes;
mod http;
mod list;
mod object;
mod probe;
mod request;
mod rules;
#[cfg(test)]
mod tests;
mod webhook;
mod write;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use auth::*;
pub use changes::*;
pub use http::*;
pub use list::*;
pub use object::*;
pub use probe::*;
pub use request::*;
pub use rules::*;
pub use webhook::*;
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
    #[schemars(length(max = 4), extend("x-kubernetes-list-type" = "set"))]
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
    /// How the controller tries the system out; without it, only Syncs show whether it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeSpec>,
    /// Which namespaces' Syncs may use this Connection, and with it the credentials it names. Default:
    /// its own.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,
    /// The kinds of records that the system holds, and the operations on them.
    #[schemars(
        length(min = 1, max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub objects: Vec<ObjectSpec>,
    /// Endpoints of ours that the system calls when something happens. Syncs use them by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub webhooks: Vec<WebhookSpec>,
}

fn read_only() -> Vec<Access> {
    vec![Access::Read]
}

/// Which namespaces may refer to a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.names) == (self.from == 'Names')").message("from: Names and names belong together")
)]
pub struct AllowedNamespaces {
    /// Same: only its own. All: every namespace. Names: its own and those in `names`. Default: Same.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// The namespaces, with `from: Names`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = 64),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub names: Vec<String>,
}

impl AllowedNamespaces {
    /// Whether resources of `namespace` may refer to a resource of `own`.
    pub fn allow(&self, own: &str, namespace: &str) -> bool {
        namespace == own
            || match self.from {
                NamespacesFrom::Same => false,
                NamespacesFrom::All => true,
                NamespacesFrom::Names => self.names.iter().any(|name| name == namespace),
            }
    }
}

/// Where those who refer may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    #[default]
    Same,
    All,
    Names,
}

/// Something that Syncs may do with a Connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    Read,
    Create,
    Update,
    Delete,
}

/// What was last seen of a Connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The generation that the conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`; with a probe `Reachable` and `Authenticated`; `Reconciling` and `Stalled` while they are True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// Where the Connection's webhooks are received: what is given to the system that calls them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub webhooks: Vec<WebhookStatus>,
}
