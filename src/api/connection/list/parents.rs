//! For what a list is read again and again: values, or the records of another object.
//! Data only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For what the list is read: exactly one of values and object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("has(self.values) != has(self.object)").message("give exactly one of values, object"))]
pub struct ForEachSpec {
    /// Fixed values: `${parent.value}` is the one that the list is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), inner(length(max = 256)))]
    pub values: Option<Vec<String>>,
    /// The records of another object of this Connection: `${parent.id}` is a field of the one that the
    /// list is at. They are all read in every scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ParentObject>,
}

/// Another object's records. Its own `forEach` makes several levels; what its `include` adds to its records
/// is there for this list as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ParentObject {
    /// Name of an object of this Connection that has a `list`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// A field that is added to every record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IncludeSpec {
    /// Name of the field in the record; one that is there already is replaced.
    #[schemars(length(min = 1, max = 256))]
    pub field: String,
    /// Path in the parent: `id`, or `value` where `forEach` has values.
    #[schemars(length(min = 1, max = 256))]
    pub from: String,
}
