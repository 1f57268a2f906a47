//! An operation and its values become one HTTP request: URL, headers and body bytes.
//! No I/O. Used by `client` and `write`.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use url::Url;

use super::transport::add_defaults;
use super::{Fence, body};
use crate::expression::{Scope, TemplateError};
use crate::plan::ConnectionPlan;
use crate::plan::connection::{Encoding, InjectionPlan, Operation, Place};
use crate::record::{Class, Failure, scalar_text};

/// What never changes between the requests of a Connection, prepared once.
pub(super) struct Base {
    pub url: Url,
    text: String,
    /// What stands before an operation's path in the path of its URL; `None`: the base URL has more than a path.
    prefix: Option<String>,
    /// Of a request without a body, and of one with a body of JSON; most requests have these and no others.
    headers: Arc<HeaderMap>,
    json: Arc<HeaderMap>,
}

/// One request, ready but for its credential.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub method: Method,
    pub url: Url,
    /// Below the base URL, for limits and rules.
    pub path: String,
    pub headers: Arc<HeaderMap>,
    pub body: Bytes,
    /// The request is worth nothing, or harmful, when it is sent later.
    pub not_after: Option<Instant>,
    /// It is only sent while this is open.
    pub fence: Option<Fence>,
}

/// What a request is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub operation: &'a Operation,
    pub scope: Scope<'a>,
    /// The mapped record, JSON text.
    pub record: Option<&'a [u8]>,
    /// The body as it is sent, made by the caller (a batch).
    pub body: Option<&'a Bytes>,
    /// Values that go where the manifest says: page tokens, cursors, idempotency keys.
    pub inject: &'a [(&'a InjectionPlan, Value)],
    /// The address itself, from a next link; the operation's path and query are not used then.
    pub url: Option<&'a str>,
}

impl Base {
    pub fn new(plan: &ConnectionPlan) -> Result<Self, Failure> {
        let wrong = |what: String| {
            Failure::new(
                Class::Configuration,
                false,
                format!("{}: {what}", plan.resource()),
            )
        };
        let url =
            Url::parse(&plan.base_url).map_err(|e| wrong(format!("spec.http.baseURL: {e}")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &plan.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|e| wrong(format!("spec.http.headers: {e}")))?;
            let value = HeaderValue::from_str(value)
                .map_err(|e| wrong(format!("spec.http.headers.{name}: {e}")))?;
            headers.insert(name, value);
        }
        // Here, so that the requests' copies have their size from the beginning.
        add_defaults(&mut headers);
        let host = url.host_str().unwrap_or_default();
        let host = url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if url.scheme() == "http"
            && let Ok(host) = HeaderValue::try_from(host)
        {
            // The client would make it anew for each request. HTTP/2, which has none, is spoken over TLS only.
            headers.entry(HOST).or_insert(host);
        }
        let mut json = headers.clone();
        json.entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static("application/json"));
        Ok(Self {
            prefix: prefix(&plan.base_url, &url),
            url,
            text: plan.base_url.clone(),
            headers: Arc::new(headers),
            json: Arc::new(json),
        })
    }

    /// Whether a URL has the origin that credentials are for.
    pub fn same_origin(&self, url: &Url) -> bool {
        self.url.origin() == url.origin()
    }

    /// The path of a URL below the base URL.
    pub fn below(&self, url: &Url) -> String {
        let base = self.url.path().trim_end_matches('/');
        url.path()
            .strip_prefix(base)
            .unwrap_or(url.path())
            .to_owned()
    }

    pub fn prepare(&self, plan: &ConnectionPlan, parts: Parts<'_>) -> Result<Prepared, Failure> {
        let operation = parts.operation;
        let scope = Scope {
            settings: Some(&plan.settings),
            ..parts.scope
        };
        let failed = |error: TemplateError| unrenderable(plan, operation, &error.to_string());
        let mut url = match parts.url {
            Some(link) => self.linked(plan, operation, link)?,
            None => self.rendered(plan, operation, &scope)?,
        };
        let body = match parts.body {
            Some(body) => body.clone(),
            None => body::build(&operation.body, &scope, parts.record, parts.inject)
                .map_err(|what| unrenderable(plan, operation, &what))?,
        };
        let form = operation.body.encoding() == Encoding::Form;
        let mut headers = Arc::clone(match body.is_empty() || form {
            true => &self.headers,
            false => &self.json,
        });
        for (name, template) in &operation.headers {
            let text = template.render(&scope).map_err(failed)?;
            insert(plan, operation, Arc::make_mut(&mut headers), name, &text)?;
        }
        for (injection, value) in parts.inject {
            let (name, text) = (&injection.name, || scalar_text(value).unwrap_or_default());
            match injection.place {
                Place::Header => {
                    insert(plan, operation, Arc::make_mut(&mut headers), name, &text())?;
                }
                Place::Cookie => {
                    add_cookie(plan, operation, Arc::make_mut(&mut headers), name, &text())?;
                }
                Place::Query => set_query(&mut url, name, &text()),
                Place::Body => {}
            }
        }
        if !body.is_empty() && form && !headers.contains_key(CONTENT_TYPE) {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            Arc::make_mut(&mut headers).insert(CONTENT_TYPE, form);
        }
        let method = Method::from_bytes(operation.method.as_bytes())
            .map_err(|_| unrenderable(plan, operation, "the method is none"))?;
        Ok(Prepared {
            method,
            path: self.below(&url),
            url,
            headers,
            body,
            not_after: None,
            fence: None,
        })
    }

    /// The operation's own URL.
    fn rendered(
        &self,
        plan: &ConnectionPlan,
        operation: &Operation,
        scope: &Scope<'_>,
    ) -> Result<Url, Failure> {
        let failed = |error: TemplateError| unrenderable(plan, operation, &error.to_string());
        let path = operation.path.render_url(scope).map_err(failed)?;
        // A value such as `..` would climb out of its place in the path (RFC 3986 section 5.2.4).
        if !operation.path.is_literal() && path.split('/').any(is_dots) {
            return Err(unrenderable(
                plan,
                operation,
                "a value in the path is . or .., which names another path",
            ));
        }
        let mut url = self
            .at(&path)
            .map_err(|error| unrenderable(plan, operation, &error.to_string()))?;
        if !plan.query.is_empty() || !operation.query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in &plan.query {
                pairs.append_pair(name, value);
            }
            for (name, template) in &operation.query {
                pairs.append_pair(name, &template.render(scope).map_err(failed)?);
            }
        }
        Ok(url)
    }

    /// The URL of a path.
    fn at(&self, path: &str) -> Result<Url, url::ParseError> {
        match &self.prefix {
            // Host and port are known: to read them again takes most of the time.
            Some(prefix) if path.starts_with('/') && is_plain(path) => {
                let mut url = self.url.clone();
                url.set_path(&[prefix, path].concat());
                Ok(url)
            }
            _ => Url::parse(&[self.text.as_str(), path].concat()),
        }
    }

    /// A URL that the system sent; only its own origin gets our credentials.
    fn linked(
        &self,
        plan: &ConnectionPlan,
        operation: &Operation,
        link: &str,
    ) -> Result<Url, Failure> {
        let url = self
            .url
            .join(link)
            .map_err(|_| unrenderable(plan, operation, "the link to the next page is not a URL"))?;
        if !self.same_origin(&url) {
            let text = format!(
                "{}: {} {}: the answer links to {}, another origin than baseURL ({}); credentials are not sent there",
                plan.resource(),
                operation.method,
                operation.path.source(),
                url.origin().ascii_serialization(),
                self.url.origin().ascii_serialization(),
            );
            return Err(Failure::new(Class::Configuration, false, text));
        }
        Ok(url)
    }
}

/// A value that cannot be put into the request: this record's fault, and it will stay so.
pub(super) fn unrenderable(plan: &ConnectionPlan, operation: &Operation, what: &str) -> Failure {
    let text = format!(
        "{}: {} {}: {what}",
        plan.resource(),
        operation.method,
        operation.path.source()
    );
    Failure::new(Class::Permanent, false, text)
}

/// What a base URL has after its host, when that is only a path.
fn prefix(text: &str, url: &Url) -> Option<String> {
    let rest = text.split_once("://")?.1;
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    let plain = url.query().is_none() && url.fragment().is_none() && is_plain(path);
    plain.then(|| path.to_owned())
}

/// Whether a text has only what stands in a path as it is (RFC 3986 section 3.3).
fn is_plain(path: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:@".contains(&b);
    path.bytes().all(plain)
}

/// `.` and `..`, also percent-encoded (the URL standard reads them the same).
fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
        || (segment.len() <= 6
            && segment.contains('%')
            && matches!(
                segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
                "." | ".."
            ))
}

fn insert(
    plan: &ConnectionPlan,
    operation: &Operation,
    headers: &mut HeaderMap,
    name: &str,
    text: &str,
) -> Result<(), Failure> {
    let wrong = || {
        unrenderable(
            plan,
            operation,
            &format!("the value of header {name} holds a character that no header may hold"),
        )
    };
    let value = HeaderValue::from_str(text).map_err(|_| wrong())?;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
    headers.insert(name, value);
    Ok(())
}

fn add_cookie(
    plan: &ConnectionPlan,
    operation: &Operation,
    headers: &mut HeaderMap,
    name: &str,
    text: &str,
) -> Result<(), Failure> {
    let both = match headers.get(COOKIE).and_then(|v| v.to_str().ok()) {
        Some(others) => format!("{others}; {name}={text}"),
        None => format!("{name}={text}"),
    };
    insert(plan, operation, headers, COOKIE.as_str(), &both)
}

/// Sets a query parameter, in place of one that is there.
pub(super) fn set_query(url: &mut Url, name: &str, value: &str) {
    if url.query().is_some() {
        let others: Vec<(String, String)> = url
            .query_pairs()
            .filter(|(n, _)| n != name)
            .map(|(n, v)| (n.into_owned(), v.into_owned()))
            .collect();
        url.set_query(None);
        let mut pairs = url.query_pairs_mut();
        pairs.extend_pairs(others);
        pairs.append_pair(name, value);
    } else {
        url.query_pairs_mut().append_pair(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_the_url_that_the_whole_text_gives() {
        let bases = [
            "http://host",
            "https://HOST:443/",
            "http://127.0.0.1:8080/api",
            "http://[::1]:1/v1/",
            "https://h/a%20b/../c",
            "https://h/api?x=1",
            "https://h#x",
            "https://h/a b",
            "https://h?y",
            "https://ü.example/p",
        ];
        let paths = [
            "/records/1",
            "",
            "/",
            "//x",
            "/a/../b",
            "/%2e%2E/b",
            "/a;b=1/@:,",
            "/q?x=1",
            "/q#f",
            "/a b ",
            "/\\b",
            "/ü\t",
            "x",
            ".evil.example/",
            "@evil.example/",
            "/a%2Fb",
            "/.",
        ];
        for text in bases {
            let url = Url::parse(text).unwrap();
            let base = Base {
                prefix: prefix(text, &url),
                url,
                text: text.to_owned(),
                headers: Arc::default(),
                json: Arc::default(),
            };
            for path in paths {
                let whole = Url::parse(&[text, path].concat());
                assert_eq!(base.at(path), whole, "{text} {path}");
            }
        }
    }
}
