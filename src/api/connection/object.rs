//! The kinds of records of a system and how they are read.
//! Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::changes::ChangesSpec;
use super::list::{ListSpec, MomentSpec};
use super::request::{BodySpec, Method, Parameters, parameters_schema};
use super::write::{CreateSpec, DeleteSpec, UpdateSpec, UpsertSpec};
use crate::api::reference::DurationText;

/// One kind of record, and the operations on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectSpec {
    /// Name that Syncs use.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// Paths of the fields that identify a record, in order: `[id]`.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 256)))]
    pub key: Vec<String>,
    /// Paths of fields whose values nobody is to see: they are taken out of dead letters and previews, and
    /// hidden in messages and answers that repeat them, on whichever side of a Sync the object stands. A dead
    /// letter without them is read again with `get` before it is replayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub redact: Vec<String>,
    /// Where a record's version stands; orders two versions of one record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<MomentSpec>,
    /// CEL over `record`: whether the record is a tombstone, the last word about one that was deleted, such as
    /// `record.deleted_at != null`. A tombstone skips the Sync's `where` and its Mapping; what becomes of it says
    /// `write.onDelete`. An error counts as no. Default: no record is. For systems that show no tombstones there is
    /// `list.absent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub deleted: Option<String>,
    /// Lists the records: what a source needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListSpec>,
    /// A feed of events that say which records changed, such as `/events`: read instead of the list, as long as
    /// it is known where the last run stood in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<ChangesSpec>,
    /// Reads one record by its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub get: Option<GetSpec>,
    /// Searches for records by the fields that a Sync matches on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub find: Option<FindSpec>,
    /// Makes a new record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create: Option<CreateSpec>,
    /// Changes a record by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateSpec>,
    /// Makes or changes a record under an identity that comes from the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upsert: Option<UpsertSpec>,
    /// Deletes a record by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<DeleteSpec>,
}

/// Reads one record by its key. 404 and 410 say that it isn't there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetSpec {
    /// HTTP method. Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL: `/contacts/${key.id}`. Placeholders: settings, key.
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
    /// Body; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// Path of the record in the answer. Default: the whole answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub record: Option<String>,
}

/// Searches for records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FindSpec {
    /// HTTP method. Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL. Placeholders: settings, match (`${match.email}` is the value that the
    /// target's field `email` must have), source.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters: `{email: "${match.email}"}`.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Headers.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Body; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// Path of the list of records in the answer. Default: the whole answer. A single record there counts
    /// as a list of one, null or nothing as an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub records: Option<String>,
    /// How long a created record may stay invisible to this search. Default: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_lag: Option<DurationText>,
}
