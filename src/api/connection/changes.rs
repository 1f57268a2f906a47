//! A feed of events that say which records of an object changed: the pull twin of a webhook.
//! Data only, as users write it; compiled by `plan::connection::changes`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list::{CursorSpec, ListSpec, MissingRecords, PaginationSpec};
use super::request::{BodySpec, Method, Parameters, parameters_schema};
use crate::api::reference::DurationText;

/// A feed whose entries say which records changed. Once an object has it, `list` is read in the first run, at
/// `trigger.fullRefresh` of a Sync, and when the feed does not know any more where the last run stood; every
/// other run reads the feed from there, and each record that it names once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangesSpec {
    /// HTTP method. Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path of the feed below the base URL, beginning with `/`. Placeholders here, in query, headers and body:
    /// settings, cursor (`since`, `until`).
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters. One that names a cursor value which isn't known yet is left out.
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
    /// Path of the entries in the answer; the whole answer when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub records: Option<String>,
    /// What an answer without anything at `records` means. Default: Error. Null is always an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<MissingRecords>,
    /// How the next page is asked for; one page when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<PaginationSpec>,
    /// Where a run goes on in the feed: a field of the entries, or a token of the last page. A feed that answers
    /// 410 when it is asked from there, refuses the token, or for which `resetWhen` is true, has forgotten, and the
    /// list is read.
    pub cursor: CursorSpec,
    /// How long the feed keeps its entries, such as `720h`: a Sync that has not read it for longer reads the list.
    /// Default: as long as it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<DurationText>,
    /// What an entry says of the object's records. Every route that matches counts; an entry that none matches is
    /// passed over.
    #[schemars(length(min = 1, max = 64))]
    pub routes: Vec<ChangeRouteSpec>,
}

/// What an entry says of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeRouteSpec {
    /// CEL over `entry`: whether the route is about this one, such as `entry.type == "customer.updated"`. An
    /// error counts as no. Default: every entry is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// Where each field of the object's key stands in the entry: `{id: entry.data.id}`.
    #[schemars(schema_with = "parameters_schema")]
    pub key: Parameters,
    /// Where the record stands in the entry, for `use: Payload`: `entry.data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub record: Option<String>,
    /// What the entry is good for. Default: Fetch.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<ChangeUse>,
}

/// What an entry of a feed is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ChangeUse {
    /// A hint: the record is read with the object's `get`. One that isn't there (404, 410) says nothing.
    #[default]
    Fetch,
    /// The entry holds the record, and the object's `modified` tells whether it is the newest version.
    Payload,
    /// The record was deleted: it is read with the object's `get`, and one that isn't there counts as deleted;
    /// what becomes of the target record then says `write.onDelete` of a Sync.
    Deleted,
}

impl ChangesSpec {
    /// The feed as a list of entries.
    pub fn as_list(&self) -> ListSpec {
        ListSpec {
            method: self.method,
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            records: self.records.clone(),
            shape: None,
            on_missing: self.on_missing,
            map_key: None,
            columns: None,
            filter: None,
            pagination: self.pagination.clone(),
            cursor: Some(self.cursor.clone()),
            absent: None,
            for_each: Vec::new(),
            include: Vec::new(),
        }
    }
}
