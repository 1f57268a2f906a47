//! Strings with `${namespace.path}` placeholders, split into segments once and filled for every request.
//! Pure. An error names the placeholder, never a value. Used by `plan` and `connector`.

mod parse;

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Path;
use parse::parse_segments;

/// Every namespace that a placeholder may name.
pub const NAMESPACES: [&str; 9] = [
    "settings", "key", "record", "source", "match", "current", "cursor", "page", "parent",
];
/// Longest text of a template in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 16 * 1024;
/// Most placeholders of a template.
pub const MAX_PLACEHOLDERS: usize = 64;

/// What is wrong with a template, or which value it lacks.
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
    /// The namespace `match`.
    pub matching: Option<&'a Value>,
    pub current: Option<&'a Value>,
    pub cursor: Option<&'a Value>,
    pub page: Option<&'a Value>,
    pub parent: Option<&'a Value>,
}

impl<'a> Scope<'a> {
    /// The value behind one of [`NAMESPACES`].
    fn namespace(&self, name: &str) -> Option<&'a Value> {
        match name {
            "settings" => self.settings,
            "key" => self.key,
            "record" => self.record,
            "source" => self.source,
            "match" => self.matching,
            "current" => self.current,
            "cursor" => self.cursor,
            "page" => self.page,
            "parent" => self.parent,
            _ => None,
        }
    }
}

/// How a value is quoted before it enters text: `${match.Name | backslash}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// `backslash`: a backslash before `\`, `'` and `"`.
    Backslash,
    /// `doubled`: every `'` twice, as SQL and OData literals have it.
    Doubled,
    /// `json`: the value as JSON, text with its quotes; the only way for lists and objects into text.
    Json,
    /// `urlencode`: percent-encoded but for RFC 3986's unreserved characters. URLs do that by themselves.
    Urlencode,
}

const FILTERS: [(&str, Filter); 4] = [
    ("backslash", Filter::Backslash),
    ("doubled", Filter::Doubled),
    ("json", Filter::Json),
    ("urlencode", Filter::Urlencode),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Placeholder(Placeholder),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Placeholder {
    namespace: &'static str,
    path: Path,
    filter: Option<Filter>,
}

/// A parsed template. Serializes as its text.
///
/// `$${` stands for `${`. A filter says how a value is quoted: `backslash`, `doubled`, `json` or
/// `urlencode`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
}

impl Template {
    /// Parses; `namespaces` are those that may stand in this place.
    pub fn parse(text: &str, namespaces: &[&str]) -> Result<Self, TemplateError> {
        parse_segments(text, namespaces)
            .map(|segments| Self {
                text: text.to_owned(),
                segments,
            })
            .map_err(|problem| TemplateError {
                text: text.chars().take(200).collect(),
                problem,
            })
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.text
    }

    /// Whether there is no placeholder.
    pub fn is_literal(&self) -> bool {
        self.placeholders().next().is_none()
    }

    /// The paths that are used of one namespace (`source` → `[id]` for `${source.id}`), each once.
    pub fn paths_of(&self, namespace: &str) -> Vec<Path> {
        let mut paths: Vec<Path> = Vec::new();
        for placeholder in self.placeholders().filter(|p| p.namespace == namespace) {
            if !paths.contains(&placeholder.path) {
                paths.push(placeholder.path.clone());
            }
        }
        paths
    }

    /// Renders to text (headers, form values, query values before their encoding).
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, TemplateError> {
        self.text_with(scope, |placeholder, value, out| {
            write_filtered(placeholder.filter, value, out)
        })
    }

    /// Renders for a URL path: every placeholder's value is percent-encoded (RFC 3986 unreserved kept),
    /// after its filter. An empty value, `.` and `..` are errors, because they name another resource.
    pub fn render_url(&self, scope: &Scope<'_>) -> Result<String, TemplateError> {
        self.text_with(scope, |placeholder, value, out| {
            let filter = placeholder.filter.filter(|f| *f != Filter::Urlencode);
            let mut plain = String::new();
            write_filtered(filter, value, &mut plain)?;
            match plain.as_str() {
                "" => Err("is empty, which would name another URL"),
                "." | ".." => Err("is only dots, which would name another URL"),
                _ => {
                    percent_encode(&plain, out);
                    Ok(())
                }
            }
        })
    }

    /// Renders to JSON: typed when one placeholder is the whole text, else a string.
    pub fn render_value(&self, scope: &Scope<'_>) -> Result<Value, TemplateError> {
        match self.segments.as_slice() {
            [Segment::Placeholder(placeholder)] if placeholder.filter.is_none() => {
                self.value(placeholder, scope).cloned()
            }
            _ => self.render(scope).map(Value::String),
        }
    }

    fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Placeholder(placeholder) => Some(placeholder),
            Segment::Literal(_) => None,
        })
    }

    fn text_with(
        &self,
        scope: &Scope<'_>,
        mut write: impl FnMut(&Placeholder, &Value, &mut String) -> Result<(), &'static str>,
    ) -> Result<String, TemplateError> {
        let mut out = String::with_capacity(self.text.len());
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => out.push_str(literal),
                Segment::Placeholder(placeholder) => {
                    let value = self.value(placeholder, scope)?;
                    write(placeholder, value, &mut out)
                        .map_err(|problem| self.lacks(placeholder, problem))?;
                }
            }
        }
        Ok(out)
    }

    fn value<'a>(
        &self,
        placeholder: &Placeholder,
        scope: &Scope<'a>,
    ) -> Result<&'a Value, TemplateError> {
        scope
            .namespace(placeholder.namespace)
            .ok_or_else(|| {
                let problem = format!(
                    "cannot be filled, there is no {} here",
                    placeholder.namespace
                );
                self.lacks(placeholder, &problem)
            })
            .and_then(|root| {
                placeholder
                    .path
                    .get(root)
                    .ok_or_else(|| self.lacks(placeholder, "has no value"))
            })
    }

    fn lacks(&self, placeholder: &Placeholder, problem: &str) -> TemplateError {
        let separator = match placeholder.path.to_string() {
            path if path.is_empty() || path.starts_with('[') => path,
            path => format!(".{path}"),
        };
        TemplateError {
            text: self.text.chars().take(200).collect(),
            problem: format!("${{{}{separator}}} {problem}", placeholder.namespace),
        }
    }
}

fn write_filtered(
    filter: Option<Filter>,
    value: &Value,
    out: &mut String,
) -> Result<(), &'static str> {
    // Writing to a String cannot fail.
    match (filter, value) {
        (Some(Filter::Json), value) => {
            let _ = write!(out, "{value}");
        }
        (_, Value::Null) => return Err("is null"),
        (_, Value::Array(_) | Value::Object(_)) => {
            return Err("is a list or an object; use the filter json, or a path into it");
        }
        (_, Value::Bool(flag)) => {
            let _ = write!(out, "{flag}");
        }
        (_, Value::Number(number)) => {
            let _ = write!(out, "{number}");
        }
        (None, Value::String(text)) => out.push_str(text),
        (Some(Filter::Urlencode), Value::String(text)) => percent_encode(text, out),
        (Some(Filter::Backslash), Value::String(text)) => {
            for c in text.chars() {
                if matches!(c, '\\' | '\'' | '"') {
                    out.push('\\');
                }
                out.push(c);
            }
        }
        (Some(Filter::Doubled), Value::String(text)) => out.push_str(&text.replace('\'', "''")),
    }
    Ok(())
}

/// Percent-encodes everything but RFC 3986 §2.3's unreserved characters.
pub fn percent_encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
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
        Self::parse(&text, &NAMESPACES).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
