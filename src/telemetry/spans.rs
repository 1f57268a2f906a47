//! The spans that a collector of OpenTelemetry is shown: a run, a request, a reconciliation, a delivery. Names,
//! numbers and outcomes only: no URL, no query, no key or value of a record. Opened by `worker`, `connector`,
//! `controller` and `intake`; `cli::traces` exports them. Where nobody does, each is an empty handle.

use tracing::field::Empty;
use tracing::{Span, info_span};
use url::Url;

use super::{Answered, Seen};
use crate::record::{Class, SyncName};

/// The target of all of them, by which they are told from spans of the log and of other crates.
pub const TARGET: &str = "syncline::spans";

/// A run of a Sync.
pub fn run(sync: &SyncName, number: i64) -> Span {
    info_span!(
        target: TARGET,
        "run",
        syncline.namespace = sync.namespace,
        syncline.sync = sync.name,
        syncline.run = number,
        syncline.outcome = Empty,
        syncline.records.read = Empty,
        syncline.records.created = Empty,
        syncline.records.updated = Empty,
        syncline.records.deleted = Empty,
        syncline.records.unchanged = Empty,
        syncline.records.skipped = Empty,
        syncline.records.superseded = Empty,
        syncline.records.dead = Empty,
        otel.status_code = Empty,
    )
}

/// A run has ended so, after this many records.
pub fn run_ended(span: &Span, outcome: &str, seen: Seen) {
    if span.is_disabled() {
        return;
    }
    span.record("syncline.outcome", outcome);
    for (field, count) in [
        ("syncline.records.read", seen.read),
        ("syncline.records.created", seen.created),
        ("syncline.records.updated", seen.updated),
        ("syncline.records.deleted", seen.deleted),
        ("syncline.records.unchanged", seen.unchanged),
        ("syncline.records.skipped", seen.skipped),
        ("syncline.records.superseded", seen.superseded),
        ("syncline.records.dead", seen.dead),
    ] {
        span.record(field, signed(count));
    }
    if outcome == "Failed" {
        failed(span);
    }
}

/// One request to a system, from sending it to the end of its answer: each attempt and each hop is one. `template`
/// is the path as the manifest writes it, `None` for one to a token endpoint.
///
/// The attributes are those of the semantic conventions for HTTP client spans, without `url.full`, which may hold
/// what is nobody's business.
pub fn request(
    namespace: &str,
    connection: &str,
    method: &str,
    template: Option<&str>,
    url: &Url,
) -> Span {
    info_span!(
        target: TARGET,
        "request",
        otel.name = request_name(method, template),
        otel.kind = "client",
        syncline.namespace = namespace,
        syncline.connection = connection,
        http.request.method = method,
        url.template = template.map(without_query),
        server.address = url.host_str(),
        server.port = url.port_or_known_default().map(i64::from),
        http.response.status_code = Empty,
        syncline.answer = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// The answer to a request, and what it meant.
pub fn answered(span: &Span, status: u16, meaning: Answered) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", i64::from(status));
    let name = meaning.name();
    span.record("syncline.answer", name.as_str());
    if matches!(meaning, Answered::Failed(_)) {
        let kind = if status >= 400 {
            status.to_string()
        } else {
            name
        };
        span.record("error.type", kind.as_str());
        failed(span);
    }
}

/// There is no whole answer to a request.
pub fn unanswered(span: &Span, status: Option<u16>, class: Class) {
    if span.is_disabled() {
        return;
    }
    if let Some(status) = status {
        span.record("http.response.status_code", i64::from(status));
    }
    let name = Answered::Failed(class).name();
    span.record("syncline.answer", name.as_str());
    span.record("error.type", name.as_str());
    failed(span);
}

/// A reconciliation of one resource.
pub fn reconcile(kind: &'static str, namespace: &str, name: &str) -> Span {
    info_span!(
        target: TARGET,
        "reconcile",
        otel.name = format!("reconcile {kind}"),
        syncline.kind = kind,
        syncline.namespace = namespace,
        syncline.name = name,
        syncline.outcome = Empty,
        otel.status_code = Empty,
    )
}

/// A reconciliation has ended.
pub fn reconciled(span: &Span, ok: bool) {
    span.record("syncline.outcome", if ok { "Succeeded" } else { "Failed" });
    if !ok {
        failed(span);
    }
}

/// A delivery for a webhook that there is, until it is answered.
pub fn delivery(namespace: &str, connection: &str, webhook: &str) -> Span {
    info_span!(
        target: TARGET,
        "delivery",
        otel.name = "POST /hooks/{namespace}/{connection}/{webhook}",
        otel.kind = "server",
        http.request.method = "POST",
        http.route = "/hooks/{namespace}/{connection}/{webhook}",
        syncline.namespace = namespace,
        syncline.connection = connection,
        syncline.webhook = webhook,
        http.response.status_code = Empty,
        syncline.refusal = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// A delivery was answered; `refusal`: why it was not taken. Only what the server failed at is an error
/// (semantic conventions for HTTP server spans).
pub fn delivered(span: &Span, status: u16, refusal: Option<&str>) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", i64::from(status));
    if let Some(refusal) = refusal {
        span.record("syncline.refusal", refusal);
    }
    if status >= 500 {
        span.record("error.type", status.to_string().as_str());
        failed(span);
    }
}

fn failed(span: &Span) {
    span.record("otel.status_code", "ERROR");
}

/// Method and template: as few names as the manifest has operations.
fn request_name(method: &str, template: Option<&str>) -> String {
    match template {
        Some(template) => format!("{method} {}", without_query(template)),
        None => method.to_owned(),
    }
}

fn without_query(template: &str) -> &str {
    let end = template.find(['?', '#']).unwrap_or(template.len());
    &template[..end]
}

/// OpenTelemetry knows signed numbers only.
fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_nobody_exports_is_an_empty_handle() {
        let sync = SyncName {
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
        };
        let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN);
        tracing::subscriber::with_default(lines.finish(), || {
            assert!(run(&sync, 1).is_disabled());
            assert!(delivery("shop", "crm", "events").is_disabled());
        });
    }

    #[test]
    fn a_request_is_named_without_a_query() {
        assert_eq!(
            request_name("GET", Some("/a/${key.id}?token=x")),
            "GET /a/${key.id}"
        );
        assert_eq!(without_query("/a#b?c"), "/a");
        assert_eq!(request_name("POST", None), "POST");
    }
}
