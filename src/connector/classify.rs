//! What an answer means: the Connection's own rules first, then the table of the design.
//! Pure but for the clock of HTTP dates. Used by `client` and `batch`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::retry_after;
use crate::plan::connection::{ResponseClass, ResponseRule};
use crate::record::Class;

/// What a request is for: the same answer means different things for different requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A page of a list.
    List,
    /// One record by its key.
    Get,
    /// A search.
    Find,
    Create,
    Update,
    Upsert,
    Delete,
}

impl Purpose {
    pub fn reads(self) -> bool {
        matches!(self, Self::List | Self::Get | Self::Find)
    }
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Success,
    /// There is nothing to read or write here.
    Ignored,
    Failed {
        class: Class,
        wait: Option<Duration>,
    },
}

/// The request of an answer, as rules see it.
pub(super) struct Asked<'a> {
    pub method: &'a str,
    /// Below the base URL.
    pub path: &'a str,
}

/// Judges a whole answer.
pub(super) fn judge(
    rules: &[ResponseRule],
    purpose: Purpose,
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &Bytes,
) -> Verdict {
    if rules.iter().any(|rule| !rule.per_item) {
        let needs_body = rules.iter().any(|rule| !rule.per_item && rule.needs_body);
        let body = if needs_body {
            body_value(body)
        } else {
            Value::Null
        };
        if let Some(verdict) = by_rules(rules, false, asked, status, headers, &body, &Value::Null) {
            return verdict;
        }
    }
    by_status(purpose, status, headers)
}

/// Judges one result of a batch; `None`: no rule is about it.
pub(super) fn judge_item(
    rules: &[ResponseRule],
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &Value,
    item: &Value,
) -> Option<Verdict> {
    by_rules(rules, true, asked, status, headers, body, item)
}

fn by_rules(
    rules: &[ResponseRule],
    items: bool,
    asked: &Asked<'_>,
    status: StatusCode,
    headers: &HeaderMap,
    body: &Value,
    item: &Value,
) -> Option<Verdict> {
    if !rules.iter().any(|rule| rule.per_item == items) {
        return None;
    }
    let status_value = Value::from(status.as_u16());
    let header_values = header_values(headers);
    let request = json!({"method": asked.method, "path": asked.path});
    let variables = [
        ("status", &status_value),
        ("headers", &header_values),
        ("body", body),
        ("request", &request),
        ("item", item),
    ];
    // An expression that fails says no: most rules look into a body that only some answers have.
    let rule = rules
        .iter()
        .find(|r| r.per_item == items && r.when.test(&variables).unwrap_or(false))?;
    let wait = rule
        .retry_after
        .as_ref()
        .and_then(|expression| expression.evaluate(&variables).ok())
        .and_then(|value| wait_of(&value))
        .or_else(|| retry_after::wait(headers, Timestamp::now()));
    Some(match class_of(rule.class) {
        Some(class) => Verdict::Failed { class, wait },
        None if rule.class == ResponseClass::Ignore => Verdict::Ignored,
        None => Verdict::Success,
    })
}

/// Seconds, or a text such as `30s` or `1.5s`.
fn wait_of(value: &Value) -> Option<Duration> {
    let wait = match value {
        Value::Number(number) => Duration::try_from_secs_f64(number.as_f64()?).ok(),
        Value::String(text) => text
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|d| Duration::try_from(d).ok())
            .or_else(|| retry_after::retry_after(text, Timestamp::now())),
        _ => None,
    };
    wait.map(|wait| wait.min(retry_after::LONGEST))
}

fn class_of(class: ResponseClass) -> Option<Class> {
    Some(match class {
        ResponseClass::Success | ResponseClass::Ignore => return None,
        ResponseClass::Transient => Class::Transient,
        ResponseClass::RateLimited => Class::RateLimited,
        ResponseClass::Authentication => Class::Authentication,
        ResponseClass::Permanent => Class::Permanent,
        ResponseClass::Gone => Class::Gone,
        ResponseClass::VersionConflict => Class::VersionConflict,
        ResponseClass::AlreadyExists => Class::AlreadyExists,
        ResponseClass::InFlight => Class::InFlight,
        ResponseClass::Ambiguous => Class::Ambiguous,
        ResponseClass::Configuration => Class::Configuration,
    })
}

/// The table of the design ("Classification of answers").
pub(super) fn by_status(purpose: Purpose, status: StatusCode, headers: &HeaderMap) -> Verdict {
    if status.is_success() {
        return Verdict::Success;
    }
    let wait = || retry_after::wait(headers, Timestamp::now());
    let class = match status.as_u16() {
        429 => {
            return Verdict::Failed {
                class: Class::RateLimited,
                wait: wait(),
            };
        }
        503 if headers.contains_key("retry-after") => {
            return Verdict::Failed {
                class: Class::RateLimited,
                wait: wait(),
            };
        }
        403 if retry_after::quota_used_up(headers) => {
            return Verdict::Failed {
                class: Class::RateLimited,
                wait: wait(),
            };
        }
        401 => Class::Authentication,
        403 => Class::Forbidden,
        404 | 410 => match purpose {
            Purpose::Get | Purpose::Update | Purpose::Delete => Class::Gone,
            // Nothing is found at all at the path of a list or a search: the path is wrong.
            Purpose::List | Purpose::Find => Class::Configuration,
            Purpose::Create | Purpose::Upsert => Class::Permanent,
        },
        409 if purpose == Purpose::Create => Class::AlreadyExists,
        409 | 412 => Class::VersionConflict,
        408 | 425 | 500.. => unsure(purpose),
        423 => Class::Transient,
        400..=499 => Class::Permanent,
        // 1xx never arrives here; 3xx only where it is not followed.
        _ => Class::Configuration,
    };
    Verdict::Failed { class, wait: None }
}

/// A failure that may pass, of a request that reached the system: a create may have taken effect.
pub(super) fn unsure(purpose: Purpose) -> Class {
    if purpose == Purpose::Create {
        Class::Ambiguous
    } else {
        Class::Transient
    }
}

/// Whether an answer is a page for people where data is expected.
pub(super) fn is_html(headers: &HeaderMap, body: &Bytes) -> bool {
    !body.is_empty()
        && headers.get(http::header::CONTENT_TYPE).is_some_and(|v| {
            v.as_bytes()
                .get(..9)
                .is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"))
        })
}

/// The body as rules see it: JSON, else text, else null.
pub(super) fn body_value(body: &Bytes) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

/// Headers by lower-case name; several of one name are joined by a comma (RFC 9110 section 5.3).
pub(super) fn header_values(headers: &HeaderMap) -> Value {
    let mut map = Map::with_capacity(headers.len());
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        match map.get_mut(name.as_str()) {
            Some(Value::String(all)) => {
                all.push_str(", ");
                all.push_str(&text);
            }
            _ => {
                map.insert(name.as_str().to_owned(), Value::String(text.into_owned()));
            }
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn every_status_has_the_class_of_the_designs_table() {
        use Class::*;
        use Purpose::*;
        let none: &[(&'static str, &'static str)] = &[];
        let retry: &[(&'static str, &'static str)] = &[("retry-after", "3")];
        let quota: &[(&'static str, &'static str)] = &[("x-ratelimit-remaining", "0")];
        type Row<'a> = (
            &'a [u16],
            &'a [Purpose],
            &'a [(&'static str, &'static str)],
            Class,
        );
        let table: &[Row<'_>] = &[
            (
                &[408, 425, 500, 502, 503, 504, 599],
                &[List, Get, Find, Update, Upsert, Delete],
                none,
                Transient,
            ),
            (
                &[408, 425, 500, 502, 503, 504, 599],
                &[Create],
                none,
                Ambiguous,
            ),
            (
                &[429],
                &[List, Get, Find, Create, Update, Upsert],
                none,
                RateLimited,
            ),
            (
                &[503, 403, 429],
                &[List, Create, Update],
                retry,
                RateLimited,
            ),
            (&[403], &[List, Create, Update], quota, RateLimited),
            (&[403], &[List, Get, Create, Update], none, Forbidden),
            (&[401], &[List, Get, Create, Update], none, Authentication),
            (
                &[400, 413, 415, 422, 405, 402],
                &[List, Create, Update, Upsert, Delete],
                none,
                Permanent,
            ),
            (&[404, 410], &[Get, Update, Delete], none, Gone),
            (&[404, 410], &[List, Find], none, Configuration),
            (&[404], &[Create, Upsert], none, Permanent),
            (&[409], &[Update, Upsert, Delete], none, VersionConflict),
            (&[412], &[Update, Upsert, Create], none, VersionConflict),
            (&[409], &[Create], none, AlreadyExists),
            (
                &[301, 302, 307, 304],
                &[Create, Update, List],
                none,
                Configuration,
            ),
        ];
        for (statuses, purposes, headers, expected) in table {
            let headers: HeaderMap = headers
                .iter()
                .map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v)))
                .collect();
            for status in *statuses {
                for purpose in *purposes {
                    let verdict =
                        by_status(*purpose, StatusCode::from_u16(*status).unwrap(), &headers);
                    let Verdict::Failed { class, .. } = verdict else {
                        panic!("{status} {purpose:?}: {verdict:?}")
                    };
                    assert_eq!(class, *expected, "{status} {purpose:?}");
                }
            }
        }
        for status in [200, 201, 202, 204, 207] {
            let verdict = by_status(
                Create,
                StatusCode::from_u16(status).unwrap(),
                &HeaderMap::new(),
            );
            assert_eq!(verdict, Verdict::Success, "{status}");
        }
    }

    #[test]
    fn a_rules_wait_is_seconds_or_a_text() {
        assert_eq!(wait_of(&json!(2.5)), Some(Duration::from_millis(2500)));
        assert_eq!(wait_of(&json!("30s")), Some(Duration::from_secs(30)));
        assert_eq!(wait_of(&json!("12")), Some(Duration::from_secs(12)));
        assert_eq!(wait_of(&json!(-1)), None);
        assert_eq!(wait_of(&json!(null)), None);
    }
}
