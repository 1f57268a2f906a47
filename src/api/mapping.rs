//! The Mapping resource: how a record of one system becomes a record of another, field by field.
//! Data only, as users write it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a record of one system becomes a record of another.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "syncline.dev",
    version = "v1alpha1",
    kind = "Mapping",
    plural = "mappings",
    shortname = "slmap",
    category = "syncline",
    namespaced,
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingSpec {
    #[schemars(length(min = 1, max = 256))]
    pub fields: Vec<FieldSpec>,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldSpec {
    #[schemars(length(min = 1, max = 256))]
    pub to: String,
    #[schemars(length(min = 1, max = 256))]
    pub from: String,
}

impl FieldSpec {
    pub fn must_wait_for(&self, _lookup: &str) -> bool {
        false
    }
}
