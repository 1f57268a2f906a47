//! The one request shape that every operation has, and the one way to put a value into a request.
//! Data only.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An HTTP method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// `GET`, `POST`, …
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Where a value goes in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Place {
    Header,
    Query,
    /// A field of a JSON or form body; the name is a path in a JSON body.
    Body,
    Cookie,
}

/// Puts a value into a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Injection {
    /// Where the value goes.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the header, query parameter, body field or cookie.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
}

/// Names and values of query parameters or headers; values may hold `${…}` placeholders.
pub type Parameters = BTreeMap<String, String>;

/// One request, where nothing else is to be said about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestSpec {
    /// HTTP method; the operation says which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Path below the base URL, beginning with `/`.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Headers, beside those of `spec.http.headers`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// The request's body; none when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
}

/// How a request's body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Encoding {
    /// `application/json`
    #[serde(rename = "JSON")]
    Json,
    /// `application/x-www-form-urlencoded`; nested fields as `a[b]=…`, lists as `a[0]=…`.
    Form,
    /// No body.
    None,
}

/// What stands in a request's body. The mapped record itself when neither `wrap` nor `template` is
/// given and the operation writes a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!(has(self.wrap) && has(self.template))").message("give wrap or template, not both"),
    validation = Rule::new("!has(self.record) || has(self.template)").message("record says where the record stands in the template: give a template")
)]
pub struct BodySpec {
    /// JSON (default), Form or None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The path under which the record stands: `contact` sends `{"contact": {…}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub wrap: Option<String>,
    /// The body as it is sent; strings may hold `${…}` placeholders, which keep the value's type when
    /// they are the whole string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object_schema")]
    pub template: Option<Value>,
    /// Path in the template where the mapped record is put; without it, the template is all that is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub record: Option<String>,
}

/// At most 64 parameters of at most 2 KiB.
pub(super) fn parameters_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 2048},
    })
}

/// At most 64 settings of at most 1 KiB.
pub(super) fn settings_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 1024},
    })
}

/// An object with fields of any kind.
fn any_object_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
