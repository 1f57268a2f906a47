//! How an object's records are listed: request, pages, cursor.
//! Data only; compiled by `plan::connection::list`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists an object's records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListSpec {
    /// Path below the base URL.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
}

/// Where a record's version stands: orders two versions of one record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MomentSpec {
    /// Path in the record.
    #[schemars(length(min = 1, max = 512))]
    pub path: String,
}
