//! The Mapping resource: how a record of one system becomes a record of another, field by field.
//! Data only, as users write it; `mapping::compile` checks what a schema cannot.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

mod transform;

pub use transform::*;

/// Any JSON value.
fn any(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

/// Any JSON object.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// How a record of one system becomes a record of another.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "syncline.dev",
    version = "v1alpha1",
    kind = "Mapping",
    plural = "mappings",
    shortname = "slmap",
    category = "syncline",
    namespaced,
    status = "MappingStatus",
    derive = "PartialEq",
    doc = "How a record of one system becomes a record of another, field by field, with tests.",
    printcolumn = r#"{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name": "Status", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].message"}"#,
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingSpec {
    /// The fields of the target record.
    #[schemars(length(min = 1, max = 256))]
    pub fields: Vec<FieldSpec>,
    /// Examples that must come out as written; a Mapping with a failing one is not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tests: Vec<MappingTest>,
}

/// What was last seen of a Mapping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MappingStatus {
    /// The generation that the conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` and `TestsPassed`; `Stalled` while it is True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub conditions: Vec<Condition>,
}

/// An example of a record and what becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingTest {
    /// What the example shows.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The source record.
    #[schemars(schema_with = "any_object")]
    pub given: Map<String, Value>,
    /// The target record, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub expect: Option<Map<String, Value>>,
    /// The target field by which the record is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub rejects: Option<String>,
    /// Links that exist in this example.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub links: Vec<TestLink>,
}

/// A link of an example.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestLink {
    /// Name of the lookup.
    #[schemars(length(min = 1, max = 63))]
    pub lookup: String,
    /// Key of the source record that is linked.
    #[schemars(length(min = 1, max = 1024))]
    pub key: String,
    /// Id of the target record.
    #[schemars(schema_with = "any")]
    pub id: Value,
}

/// The options that every field has, at any depth.
macro_rules! field_spec {
    ($(#[$doc:meta])* $name:ident $(, $inner:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            /// Path of the target field. Not with `split`, which names its own.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 256))]
            pub to: Option<String>,
            /// Path of the source value. One of `from`, `value`, `expr` and `join` stands in each field.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(max = 256))]
            pub from: Option<String>,
            /// A fixed value.
            #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
            #[schemars(schema_with = "any")]
            pub value: Option<Value>,
            /// A CEL expression over `record`; an error in it rejects the record.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 4096))]
            pub expr: Option<String>,
            /// Several source values become one text.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub join: Option<JoinSpec>,
            /// Small changes to a text, before anything else.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub text: Option<TextSpec>,
            /// One text becomes several target fields.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub split: Option<SplitSpec>,
            /// Values and what they become.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 512))]
            pub translate: Option<Vec<Translation>>,
            /// A date or time in one notation becomes another.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub date: Option<DateSpec>,
            /// A number in one notation becomes another.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub number: Option<NumberSpec>,
            /// The value is the key of a record of another Sync, and becomes the id that it is linked to.
            /// Names an entry of the Sync's `lookups`. A list becomes a list of ids.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 63))]
            pub lookup: Option<String>,
            $(
            /// The value is a list, and each item is mapped by these fields.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(length(min = 1, max = 64))]
            pub each: Option<Vec<$inner>>,
            )?
            /// What happens when the source has no value, or null. Omit unless said otherwise.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub on_missing: Option<OnMissing>,
            /// What happens to a value that `translate` doesn't list. Reject unless said otherwise.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub on_unmapped: Option<OnUnmapped>,
            /// What happens when a looked-up record isn't linked yet. Wait unless said otherwise.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub on_unlinked: Option<OnUnlinked>,
            /// The value for `onMissing: Default` and `onUnmapped: Default`.
            #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
            #[schemars(schema_with = "any")]
            pub default: Option<Value>,
        }

        impl $name {
            /// The same field as the outermost kind, with the fields of `each` likewise.
            pub fn general(&self) -> FieldSpec {
                let mut field = FieldSpec {
                    to: self.to.clone(),
                    from: self.from.clone(),
                    value: self.value.clone(),
                    expr: self.expr.clone(),
                    join: self.join.clone(),
                    text: self.text.clone(),
                    split: self.split.clone(),
                    translate: self.translate.clone(),
                    date: self.date.clone(),
                    number: self.number.clone(),
                    lookup: self.lookup.clone(),
                    each: None,
                    on_missing: self.on_missing,
                    on_unmapped: self.on_unmapped,
                    on_unlinked: self.on_unlinked,
                    default: self.default.clone(),
                };
                field.each = None;
                field
            }

            /// The fields of `each`, as the outermost kind.
            pub fn inner(&self) -> Option<Vec<FieldWithInner>> {
                None $( .or_else(|| self.each.as_ref().map(|each: &Vec<$inner>| {
                    each.iter().map(|f| FieldWithInner { field: f.general(), inner: f.inner() }).collect()
                })) )?
            }
        }
    };
}

/// A field of any depth with the fields of its `each`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldWithInner {
    pub field: FieldSpec,
    pub inner: Option<Vec<FieldWithInner>>,
}

field_spec!(
    /// One field of the target record, or several by `split`.
    FieldSpec, ItemFieldSpec
);
field_spec!(
    /// One field of a list's items.
    ItemFieldSpec, InnerFieldSpec
);
field_spec!(
    /// One field of a list's items within a list's items.
    InnerFieldSpec
);

impl FieldSpec {
    /// Whether this field waits for links of this lookup.
    pub fn must_wait_for(&self, lookup: &str) -> bool {
        waits(
            &FieldWithInner {
                field: self.general(),
                inner: self.inner(),
            },
            lookup,
        )
    }
}

fn waits(field: &FieldWithInner, lookup: &str) -> bool {
    let spec = &field.field;
    (spec.lookup.as_deref() == Some(lookup)
        && spec.on_unlinked.unwrap_or_default() == OnUnlinked::Wait)
        || field
            .inner
            .iter()
            .flatten()
            .any(|inner| waits(inner, lookup))
}

/// Keeps `null` apart from an absent field.
fn present<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(d).map(Some)
}
