//! How records are created, updated and upserted, alone or in batches, and deleted.
//! Data only.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::request::{BodySpec, Method, Parameters, Place, parameters_schema};
use crate::api::reference::DurationText;

/// Makes a new record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateSpec {
    /// HTTP method. Default: POST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL. Placeholders: settings, record, source.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Headers.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Body. Default: the mapped record as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// Path of the created record in the answer. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub record: Option<String>,
    /// Where the new record's key stands in the answer: key field → path, `{id: contact.id}`. Default: the
    /// key fields of the record in the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "id_schema")]
    pub id: BTreeMap<String, String>,
    /// How the system is told that two requests are the same one: it drops the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKeySpec>,
    /// Several records in one request. When its answer is lost, its records are looked for one by one (or
    /// held, where there is no `find` and `match`); so a batch takes no `idempotencyKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSpec>,
}

/// Changes a record by its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateSpec {
    /// HTTP method. Default: PATCH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL: `/contacts/${key.id}`. Placeholders: settings, key, record, source, current.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Headers, such as `{If-Match: "${current.etag}"}`. `${current.…}` reads the record with `get` first.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Body. Default: the mapped record as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// Whether fields that did not change since the last write are sent too. Default: AllFields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sends: Option<Sends>,
    /// Several records in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSpec>,
}

/// Makes or changes a record under an identity that comes from the source, so that sending it twice
/// changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpsertSpec {
    /// HTTP method. Default: PUT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL: `/contacts/by-external-id/${source.id}`. Placeholders: settings, record,
    /// source.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Headers.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Body. Default: the mapped record as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// Path of the record in the answer. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub record: Option<String>,
    /// Where the record's key stands in the answer: key field → path. Default: the key fields of the
    /// record in the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "id_schema")]
    pub id: BTreeMap<String, String>,
    /// Several records in one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchSpec>,
}

/// Deletes a record by its id. Sending it twice changes nothing: 404 and 410 say that it is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeleteSpec {
    /// HTTP method. Default: DELETE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL: `/contacts/${key.id}`. Placeholders: settings, key, current.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Headers, such as `{If-Match: "${current.etag}"}`. `${current.…}` reads the record with `get` first.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Body; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
}

/// What an update sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Sends {
    /// The whole mapped record.
    AllFields,
    /// Only fields that differ from what was sent last.
    ChangedFields,
}

/// How the system is told that two requests are the same one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdempotencyKeySpec {
    /// Where the key goes.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the header, query parameter, body field or cookie.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// How long the system remembers a key. Default: 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<DurationText>,
}

/// Several records in one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchSpec {
    /// Most records in one request.
    #[schemars(range(min = 1, max = 10_000))]
    pub max: u32,
    /// Path in the body where the list of records stands. Default: the body is the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub at: Option<String>,
    /// Path in each item under which its record stands. Default: the item is the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub item: Option<String>,
    /// Path in each item where the target record's id is put, for updates: `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub key: Option<String>,
    /// Path of the list of results in the answer. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub results: Option<String>,
    /// Path of a second list in the answer that holds the failed items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub errors: Option<String>,
    /// Path of an item's own HTTP status in its result. Without it an item in `errors`, or one that a rule
    /// of `responses` says so of, failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub status: Option<String>,
    /// Path of the record in a result. Default: the result is the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub record: Option<String>,
    /// How a result finds its record. Default: by index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlate: Option<CorrelateSpec>,
}

/// How a result finds its record: exactly one of the variants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.index) != has(self.byKey)").message("give exactly one of index, byKey")
)]
pub struct CorrelateSpec {
    /// The first result is the first record's, and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<super::auth::NoAuth>,
    /// A value of the sent item stands in its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_key: Option<ByKeySpec>,
}

/// A value of the sent item that stands in its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ByKeySpec {
    /// Path in the sent item.
    #[schemars(length(min = 1, max = 256))]
    pub sent: String,
    /// Path in the result.
    #[schemars(length(min = 1, max = 256))]
    pub answered: String,
}

/// Key field → path in the answer, at most 8.
fn id_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": {"type": "string", "maxLength": 256},
    })
}
