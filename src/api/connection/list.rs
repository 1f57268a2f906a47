//! How an object's records are listed: request, records in the answer, pages, cursor, parents.
//! Data only, as users write it; compiled by `plan::connection::list`, run by `connector::pages`.

mod cursor;
mod pagination;
mod parents;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{BodySpec, Method, Parameters, parameters_schema};

pub use cursor::*;
pub use pagination::*;
pub use parents::*;

/// Lists an object's records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!has(self.mapKey) || (has(self.shape) && self.shape == 'Map')").message("mapKey belongs to shape: Map"),
    validation = Rule::new("!has(self.columns) || (has(self.shape) && self.shape == 'Columns')").message("columns belongs to shape: Columns")
)]
pub struct ListSpec {
    /// HTTP method. Default: GET.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL, beginning with `/`. Placeholders here, in query, headers and body:
    /// settings, cursor (`since`, `until`) and parent (the fields of the record that `forEach` is at).
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters. One that names a cursor value which isn't known yet (the first scan) is left out.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Headers.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Body; none when absent. A field of the template that names a cursor value which isn't known yet is
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// Path of the records in the answer; the whole answer when absent. `[*]` stands for every item of a
    /// list: `edges[*].node`, `groups[*].members`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub records: Option<String>,
    /// What stands at `records`. Default: List.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<RecordShape>,
    /// What an answer without anything at `records` means. Default: Error. Null is always an empty list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_missing: Option<MissingRecords>,
    /// Shape Map: the field of the record that gets its key. Default: `_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub map_key: Option<String>,
    /// Shape Columns: where the names of the columns stand. Absent: the first row of each answer holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnsSpec>,
    /// CEL over `record`: only records for which it is true take part. Records are counted, for pages,
    /// before it. An error counts as no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub filter: Option<String>,
    /// How the next page is asked for; one page when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<PaginationSpec>,
    /// How only what changed since the last scan is read; every scan reads everything when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<CursorSpec>,
    /// What it means that a record which was synced does not stand in the list any more. Deleted: of a list that
    /// shows every record there is, whatever its state; what becomes of the target record then says `write.onDelete`
    /// of a Sync. Only scans count that read the list from end to end and left nothing out, and the object's `get`
    /// is asked first; without `get`, the next such scan must not have the record either. Default: Ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<AbsentRecords>,
    /// Reads the list once for each of some values or of another object's records, in order. All
    /// entries are read, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub for_each: Vec<ForEachSpec>,
    /// Fields that are added to every record: name and path in the parent, such as
    /// `{field: order_id, from: id}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub include: Vec<IncludeSpec>,
}

/// What stands at `records`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RecordShape {
    /// A list of records. With `[*]` in the path, a single record is fine as well.
    #[default]
    List,
    /// An object that holds each record under its key: `{"17": {…}, "18": {…}}`.
    Map,
    /// The value itself is the only record.
    Single,
    /// A list of rows, each a list of values in the order of the columns.
    Columns,
}

/// What an answer without records means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MissingRecords {
    /// The path is wrong, or this is not the answer that was expected: the scan fails.
    #[default]
    Error,
    /// There are no records: some systems leave out an empty list.
    Empty,
}

/// What it means that a record does not stand in its list any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum AbsentRecords {
    /// Nothing: the list need not show every record.
    #[default]
    Ignore,
    /// The record was deleted.
    Deleted,
}

/// Where the names of the columns stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ColumnsSpec {
    /// Path of their list in the answer.
    #[schemars(length(min = 1, max = 256))]
    pub from: String,
    /// Path of the name in each item; the item itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<String>,
}

impl ListSpec {
    /// The paths that the list reads from its answers, each with its field, for checks against an API
    /// description.
    pub fn answer_paths(&self) -> Vec<(&'static str, &str)> {
        let mut paths: Vec<(&'static str, &str)> = Vec::new();
        paths.extend(self.records.as_deref().map(|p| ("records", p)));
        paths.extend(
            self.columns
                .as_ref()
                .map(|c| ("columns.from", c.from.as_str())),
        );
        if let Some(pages) = &self.pagination {
            pages.answer_paths(&mut paths);
        }
        if let Some(token) = self.cursor.as_ref().and_then(|c| c.token.as_ref()) {
            paths.extend(
                token
                    .next_url
                    .as_deref()
                    .map(|p| ("cursor.token.nextURL", p)),
            );
            paths.extend(token.from.as_deref().map(|p| ("cursor.token.from", p)));
        }
        paths
    }

    /// The paths that the list reads from its records, each with its field.
    pub fn record_paths(&self) -> Vec<(&'static str, &str)> {
        let cursor = self.cursor.as_ref().and_then(|c| c.field.as_ref());
        let last = self.pagination.as_ref().and_then(|p| p.last_key.as_ref());
        let cursor = cursor.map(|f| ("cursor.field.path", f.path.as_str()));
        cursor
            .into_iter()
            .chain(last.map(|l| ("pagination.lastKey.from", l.from.as_str())))
            .collect()
    }
}
