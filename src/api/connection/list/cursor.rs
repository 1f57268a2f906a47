//! How a list reads only what changed since the last scan, and how moments are written.
//! Data only.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api::connection::request::Injection;
use crate::api::reference::DurationText;

/// How only what changed is read: exactly one way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.field) != has(self.token)").message("give exactly one of field, token"))]
pub struct CursorSpec {
    /// A field of the records grows with every change, and the system filters by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<FieldCursor>,
    /// The last page holds a token or URL for the next scan (delta links).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenCursor>,
}

/// A field that grows with every change. Boundaries are inclusive: records that were seen already and
/// have not changed are dropped by their fingerprint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!(has(self.format) && has(self.formats))").message("give format or formats, not both"),
    validation = Rule::new("!has(self.step) || has(self.start)").message("step needs start: where the first window begins"),
    validation = Rule::new("!(has(self.clientSide) && self.clientSide) || !(has(self.step) || has(self.sendAs) || has(self.sendUntilAs))").message("clientSide reads everything: remove step, sendAs and sendUntilAs")
)]
pub struct FieldCursor {
    /// Path in the record.
    #[schemars(length(min = 1, max = 256))]
    pub path: String,
    /// How the field is written, and how it is sent. Default: RFC3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<MomentFormatText>,
    /// Several ways in which the field is written; the first is the one that is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub formats: Option<Vec<MomentFormatText>>,
    /// Where the first scan begins, in the first format. Default: the first scan reads everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub start: Option<String>,
    /// Subtracted from the watermark when asking, for systems that show a change late. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<DurationText>,
    /// Reads the time from the watermark until now in windows of this length. Send both ends, with `sendAs`
    /// and `sendUntilAs` or as `${cursor.since}` and `${cursor.until}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<DurationText>,
    /// The smallest difference that the system's filter sees: the beginning of a window is rounded down
    /// to it, its end up. Default: what the format can say, at least a millisecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<DurationText>,
    /// Where requests carry the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_as: Option<Injection>,
    /// Where requests carry the end: that of the window, or the scan's start without `step`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_until_as: Option<Injection>,
    /// The system cannot filter: everything is read, and records before the watermark are dropped here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_side: Option<bool>,
}

/// A token or URL on the last page with which the next scan begins. A system that refuses it (400, 404, 410
/// or 422), or for which `resetWhen` is true, is read from the beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.nextURL) != has(self.from)").message("give exactly one of nextURL, from"),
    validation = Rule::new("has(self.from) == has(self.sendAs)").message("from and sendAs belong together")
)]
pub struct TokenCursor {
    /// Path of the URL in the last page's answer.
    #[serde(rename = "nextURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub next_url: Option<String>,
    /// Path of the token in the last page's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub from: Option<String>,
    /// Where the next scan's requests carry the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send_as: Option<Injection>,
    /// CEL over `status`, `headers` and `body` of the first answer: the token is worth nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub reset_when: Option<String>,
}

/// Where a record's version stands: orders two versions of one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("!(has(self.format) && has(self.formats))").message("give format or formats, not both"))]
pub struct MomentSpec {
    /// Path in the record.
    #[schemars(length(min = 1, max = 256))]
    pub path: String,
    /// How it is written. Default: RFC3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<MomentFormatText>,
    /// Several ways in which it is written; the first that fits counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8))]
    pub formats: Option<Vec<MomentFormatText>>,
}

/// How a moment is written: `RFC3339`, `UnixSeconds`, `UnixMillis`, `Integer` (a counter), `Text` (ordered
/// byte by byte), or a strftime pattern such as `%Y-%m-%d %H:%M:%S` (UTC when it has no offset).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MomentFormatText(pub String);

impl JsonSchema for MomentFormatText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MomentFormatText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 64,
            "pattern": "^(RFC3339|UnixSeconds|UnixMillis|Integer|Text|.*%.+)$",
            "description": "RFC3339, UnixSeconds, UnixMillis, Integer (a counter), Text (ordered byte by byte), or a strftime pattern such as `%Y-%m-%d %H:%M:%S` (UTC when it has no offset).",
        })
    }
}
