//! What the controller writes into the status of a Sync.
//! Data only. Never holds a secret, a record or a query string; moments are RFC 3339 in UTC.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was last seen of a Sync. Written at the end of a run and when something changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// The generation that the conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, `Fresh`, `DeadLettersEmpty`; `Reconciling` and `Stalled` while they are True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
    /// The last run that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// Start of the last scan that was completed: everything up to here was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub last_success_time: Option<String>,
    /// How far the source's cursor has come: a moment, a number or a text of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub watermark: Option<String>,
    /// Dead letters that wait for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub dead_letters_open: Option<i64>,
    /// Records on their way: those to be tried again, of unknown fate, or waiting for a link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub records_open: Option<i64>,
    /// What can be promised about each operation after a lost answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarantees: Option<GuaranteeStatus>,
    /// When the next run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub next_run: Option<String>,
    /// After a failure: when the worker is started again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub next_attempt_time: Option<String>,
    /// The value of the annotation `syncline.dev/requestedAt` that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// The value of the annotation `syncline.dev/requestedAt` while it is seen and no run can start: the Sync is
    /// suspended, or `Ready` says what it lacks. The run starts when that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub pending_reconcile_at: Option<String>,
}

/// A run that ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub started: Option<String>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), extend("format" = "date-time"))]
    pub ended: Option<String>,
    /// `Succeeded`, `Incomplete` (some records are tried again later) or `Failed`.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub outcome: String,
    /// What stopped it and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub message: Option<String>,
    /// How many records it read, and what became of them.
    #[serde(default)]
    pub counts: RunCounts,
}

/// What became of the records of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunCounts {
    /// Records read from the source.
    pub read: i64,
    /// Records created in the target.
    pub created: i64,
    /// Records updated in the target.
    pub updated: i64,
    /// Records deleted in the target.
    pub deleted: i64,
    /// Records that the target had already.
    pub unchanged: i64,
    /// Records left out by `where`, `write.mode` or `match`.
    pub skipped: i64,
    /// Records that became dead letters.
    pub dead: i64,
}

/// What can be promised about each operation: `Repeatable`, `IdempotencyKey`, `Searchable` or `Blind`;
/// absent where the Sync never uses the operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuaranteeStatus {
    /// Of creates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub create: Option<String>,
    /// Of updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub update: Option<String>,
    /// Of upserts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub upsert: Option<String>,
    /// Of deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub delete: Option<String>,
}
