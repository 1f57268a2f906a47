//! The Sync resource: what flows from where to where, when, and what happens when it cannot.
//! Data only, as users write it; `plan::sync` checks what a schema cannot.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::failures::*;
use super::reference::{ConnectionRef, DurationText, LocalRef};
use super::removal::guard_schema;
pub use super::removal::*;
pub use super::status::*;

/// One flow of records from an object of one Connection to an object of another.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "syncline.dev",
    version = "v1alpha1",
    kind = "Sync",
    plural = "syncs",
    shortname = "slsync",
    category = "syncline",
    namespaced,
    status = "SyncStatus",
    derive = "PartialEq",
    doc = "What flows from where to where, when, and what happens when it cannot.",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name": "Source", "type": "string", "jsonPath": ".spec.source.connectionRef.name"}"#,
    printcolumn = r#"{"name": "Target", "type": "string", "jsonPath": ".spec.target.connectionRef.name"}"#,
    printcolumn = r#"{"name": "Fresh", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Fresh\")].status"}"#,
    printcolumn = r#"{"name": "Last success", "type": "date", "jsonPath": ".status.lastSuccessTime"}"#,
    printcolumn = r#"{"name": "Dead", "type": "integer", "jsonPath": ".status.deadLettersOpen"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncSpec {
    /// Where records come from. Connection and object cannot be changed later: the state of the Sync is
    /// about them.
    pub source: SyncSource,
    /// Where records go. Connection and object cannot be changed later.
    pub target: SyncTarget,
    /// The Mapping that makes a target record of a source record.
    pub mapping_ref: LocalRef,
    /// Other Syncs whose links the Mapping's lookups are answered from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub lookups: Vec<LookupSpec>,
    /// When the Sync runs.
    #[serde(default)]
    pub trigger: TriggerSpec,
    /// How a source record that has no link yet is recognized in the target. Without it, every such
    /// record is created, or upserted where the target object has `upsert`.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matching: Option<MatchSpec>,
    /// What is written and how.
    #[serde(default)]
    pub write: WriteSpec,
    /// When failures are given up.
    #[serde(default)]
    pub failures: FailureSpec,
    /// How fresh the target has to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<FreshnessSpec>,
    /// How long the state of this Sync (links, dead letters) is kept after it was deleted, so that a
    /// Sync that is applied again goes on where it was. Default: 720h (30 days).
    #[serde(default = "thirty_days")]
    pub state_retention: DurationText,
    /// Stops after the run that is under way; nothing is read or written until it is false again.
    #[serde(default)]
    pub suspend: bool,
}

/// Where records come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.connectionRef == oldSelf.connectionRef && self.object == oldSelf.object").message("connectionRef and object cannot be changed: the links of this Sync are about them; make a new Sync"),
    validation = Rule::new("has(self.since) == (has(self.backfill) && self.backfill == 'Since')").message("backfill: Since and since belong together")
)]
pub struct SyncSource {
    /// The Connection to read from; its `access` must allow Read.
    pub connection_ref: ConnectionRef,
    /// Name of one of its objects; the object must have `list`.
    #[schemars(length(min = 1, max = 63))]
    pub object: String,
    /// CEL over `record`: which records take part; all when absent. An error counts as no.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub filter: Option<String>,
    /// What the first run does with the records that exist already. Default: All. Required where a create
    /// whose answer is lost cannot be resolved (guarantee Blind).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<Backfill>,
    /// With `backfill: Since`, the moment that the first run begins at, RFC 3339: `2026-01-31T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = 64), extend("format" = "date-time"))]
    pub since: Option<String>,
    /// A webhook of the Connection whose events flow too, beside the scans. Scans still find what a webhook
    /// missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookRef>,
}

/// A webhook of the source's Connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRef {
    /// Name of the webhook.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// What the first run does with the records that exist already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Backfill {
    /// Every record flows.
    All,
    /// Records that exist at the first scan are noted as seen and not written.
    None,
    /// Records changed since `since` flow.
    Since,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("connectionRef and object cannot be changed: the links of this Sync are about them; make a new Sync")
)]
pub struct SyncTarget {
    /// The Connection to write to; its `access` must allow what `write.mode` needs.
    pub connection_ref: ConnectionRef,
    /// Name of one of its objects.
    #[schemars(length(min = 1, max = 63))]
    pub object: String,
}

/// A name that the Mapping's fields use in `lookup`, and the Sync that answers it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LookupSpec {
    /// Name that the Mapping uses.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The Sync whose links answer: from its source's keys to its target's ids. It may be this one, for
    /// records that refer to others of their kind.
    pub sync_ref: LocalRef,
}

/// When the Sync runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!(has(self.interval) && has(self.cron))").message("interval and cron exclude each other"),
    validation = Rule::new("has(self.cron) || !has(self.timeZone)").message("timeZone belongs to cron")
)]
pub struct TriggerSpec {
    /// Time from the start of one run to the start of the next, at least 1s. Without `cron`, 15m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<DurationText>,
    /// When runs start, as five fields of cron: minute, hour, day of month, month, day of week
    /// (`30 6 * * MON-FRI`). Runs that were missed are made up for by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 128))]
    pub cron: Option<String>,
    /// The time zone of `cron`, an IANA name such as `Europe/Berlin`. Without it, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Reads everything now and then, whatever the cursor says; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_refresh: Option<FullRefreshSpec>,
}

fn thirty_days() -> DurationText {
    DurationText::literal("720h")
}

/// How fresh the target has to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FreshnessSpec {
    /// The oldest that the target may be before the condition `Fresh` becomes False. Without it, three
    /// times the time between two runs, at least 15m.
    pub max_age: DurationText,
}

/// When everything is read, whatever the cursor says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.interval) != has(self.cron)").message("one of interval and cron"),
    validation = Rule::new("has(self.cron) || !has(self.timeZone)").message("timeZone belongs to cron")
)]
pub struct FullRefreshSpec {
    /// Time between two full refreshes, at least `trigger.interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<DurationText>,
    /// When full refreshes start, as five fields of cron: `0 3 * * *`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 9, max = 128))]
    pub cron: Option<String>,
    /// The time zone of `cron`, an IANA name such as `Europe/Berlin`. Without it, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
}

/// How a source record that has no link yet is recognized in the target, with the target's `find`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchSpec {
    /// Fields that must all be equal.
    #[schemars(length(min = 1, max = 8))]
    pub fields: Vec<MatchFieldSpec>,
    /// What happens when the target has no such record. Default: Create.
    #[serde(default)]
    pub on_none: OnNone,
    /// What happens when the target has several. Default: DeadLetter.
    #[serde(default)]
    pub on_many: OnMany,
    /// What happens when the one that the target has is linked to another source record already.
    /// Default: DeadLetter.
    #[serde(default)]
    pub on_shared: OnShared,
}

/// Two fields that must be equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchFieldSpec {
    /// Path in the source record. Default: the value that the Mapping writes at `target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub source: Option<String>,
    /// Path in the target record; `${match.TARGET}` in the target's `find` stands for the value.
    #[schemars(length(min = 1, max = 256))]
    pub target: String,
    /// Compares without regard to upper and lower case. Default: false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
}

/// What happens to a source record that has no match in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnNone {
    /// It is created.
    #[default]
    Create,
    /// It is left out, and looked for again when it changes.
    Skip,
    /// It becomes a dead letter.
    DeadLetter,
}

/// What happens to a source record that matches several target records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnMany {
    /// It becomes a dead letter.
    #[default]
    DeadLetter,
    /// The first in the target's order is taken.
    First,
}

/// What happens to a source record whose match is linked to another source record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnShared {
    /// It becomes a dead letter.
    #[default]
    DeadLetter,
    /// Both are linked to it; whoever changes last is what the target shows.
    Share,
}

/// What is written and how.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteSpec {
    /// Which writes are made. Default: Upsert.
    #[serde(default)]
    pub mode: WriteMode,
    /// What happens when an update finds its record gone (404, 410). Default: Recreate.
    #[serde(default)]
    pub on_gone: OnGone,
    /// What happens to a create that may or may not have arrived and cannot be looked up. Default: Hold.
    #[serde(default)]
    pub on_ambiguous: OnAmbiguous,
    /// What becomes of a target record whose source record was deleted. Default: ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<RemovalSpec>,
    /// What becomes of a target record whose source record `source.where` does not admit any more. Default:
    /// ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_leave: Option<RemovalSpec>,
    /// The most records that `onDelete` and `onLeave` may delete or set between the starts of two scans: a number, or a
    /// share of the linked records such as `10%`, which is at least 5. When there are more, none is, and the Sync
    /// stalls until somebody allows it or the source shows them again. Default: 10%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "guard_schema")]
    pub delete_guard: Option<serde_json::Value>,
}

/// Which writes are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WriteMode {
    /// New records are created; later changes are not written.
    CreateOnly,
    /// Records that the target has are updated; none is created.
    UpdateOnly,
    /// Both.
    #[default]
    Upsert,
}

/// What happens when an update finds its record gone (404, 410).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnGone {
    /// Forget the link and write the record again, after `find` where there is one.
    #[default]
    Recreate,
    /// It becomes a dead letter.
    DeadLetter,
    /// It is left out, and tried again when it changes.
    Skip,
}

/// What happens to a create that may or may not have arrived and cannot be looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnAmbiguous {
    /// It waits in dead letters for a person; newer versions of its key wait behind it.
    #[default]
    Hold,
    /// It is sent again: duplicates are possible.
    Retry,
}
