//! What becomes of a target record whose source record is gone, or does not take part any more.
//! Data only, as users write it in a Sync's `write`.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What becomes of the target record: at most one of the variants; `ignore` without any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.ignore), has(self.delete), has(self.set)].filter(x, x).size() <= 1").message("give one of ignore, delete, set")
)]
pub struct RemovalSpec {
    /// Nothing: it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignore: Option<IgnoreSpec>,
    /// It is deleted with the target object's `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<DeletePolicySpec>,
    /// These fields are written with the target object's `update`: `{active: false}`. When the source record
    /// comes back, the target record gets what the Mapping says; let it say what is set here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fields_schema")]
    pub set: Option<Map<String, Value>>,
}

/// Nothing is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = without_additional)]
pub struct IgnoreSpec {}

/// A structural schema may not say `additionalProperties: false`; without properties nothing fits anyway.
fn without_additional(schema: &mut Schema) {
    schema.remove("additionalProperties");
}

/// Which records are deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeletePolicySpec {
    /// What happens to a target record that this Sync did not create but found with `match`. Default: Keep.
    #[serde(default)]
    pub adopted: Adopted,
}

/// What happens to a target record that was there before the Sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adopted {
    /// It stays as it is, and is not linked any more.
    #[default]
    Keep,
    /// It is deleted as well.
    Delete,
}

/// Target field → any value, at most 32.
fn fields_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 32,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// A number or a text, as Kubernetes has it for `maxUnavailable`.
pub(super) fn guard_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true })
}
