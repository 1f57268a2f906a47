//! Runs are traced when a collector is named, hold nothing of what they carry, and don't depend on who listens.

use std::path::Path;
use std::process::Output;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::collector::{self, attributes};
use super::systems::{self, CONTENT, RECORDS, SECRET};
use super::watched::{Watched, command, stop};

pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// One run with these variables, between systems of its own.
pub async fn run(variables: &[(&str, &str)]) -> Output {
    let (port, _) = systems::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, systems::manifests(port)).unwrap();
    let mut command = command(folder.path(), &["run", "--once", "--output", "json"]);
    command.args(["--log-format", "json", "-f"]).arg(&file);
    command.envs(variables.iter().copied());
    command.output().await.unwrap()
}

/// The result that a run prints, without how long it took.
pub fn result(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().expect("a result");
    let mut result: Value = serde_json::from_str(last).unwrap();
    result.as_object_mut().unwrap().remove("milliseconds");
    result
}

fn named<'s>(spans: &'s [Span], name: &str) -> Vec<&'s Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_run_is_shown_with_its_requests_and_without_what_they_carry() {
    let (url, collector) = collector::start().await;
    let output = run(&[
        (ENDPOINT, &url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
    ])
    .await;
    assert_eq!(result(&output)["counts"]["read"], RECORDS);
    let spans = collector.spans();

    let [run] = named(&spans, "run")[..] else {
        panic!("one run: {spans:?}");
    };
    let of_run = attributes(&run.attributes);
    let count = |what: &str| of_run[&format!("syncline.records.{what}")].clone();
    assert_eq!(of_run["syncline.sync"], "items");
    assert_eq!(of_run["syncline.namespace"], "default");
    assert_eq!(
        of_run["syncline.outcome"],
        result(&output)["outcome"].as_str().unwrap()
    );
    assert_eq!(count("read"), RECORDS.to_string());
    assert_eq!(count("dead"), (RECORDS / 10).to_string());

    let [page] = named(&spans, "GET /items")[..] else {
        panic!("one page: {spans:?}");
    };
    let of_page = attributes(&page.attributes);
    assert_eq!(of_page["url.template"], "/items");
    assert_eq!(of_page["http.response.status_code"], "200");
    assert_eq!(of_page["server.address"], "127.0.0.1");
    assert_eq!(of_page["syncline.connection"], "source");
    let writes = named(&spans, "PUT /things/${source.id}");
    // The first one was told to come again.
    assert_eq!(writes.len() as u64, RECORDS + 1);
    assert_eq!(spans.len(), writes.len() + 2);
    for request in writes.iter().chain([&page]) {
        assert_eq!(request.parent_span_id, run.span_id, "{request:?}");
        assert_eq!(request.trace_id, run.trace_id);
        assert_eq!(request.kind(), SpanKind::Client);
    }
    let refused: Vec<_> = writes
        .iter()
        .filter(|write| {
            write
                .status
                .as_ref()
                .is_some_and(|s| s.code() == StatusCode::Error)
        })
        .map(|write| attributes(&write.attributes))
        .collect();
    let answered = |answer: &str, kind: &str| {
        let is = |of: &&collector::Attributes| {
            of["syncline.answer"] == answer && of["error.type"] == kind
        };
        refused.iter().filter(is).count() as u64
    };
    assert_eq!(answered("Permanent", "422"), RECORDS / 10);
    assert_eq!(answered("RateLimited", "429"), 1);
    assert_eq!(refused.len() as u64, RECORDS / 10 + 1);

    let resource = collector.resource();
    assert_eq!(resource["service.name"], "syncline");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(
        collector
            .header("x-tenant")
            .iter()
            .all(|tenant| tenant == "blue")
    );
    for bytes in collector.bytes() {
        let text = String::from_utf8_lossy(&bytes);
        for hidden in [SECRET, CONTENT, "token=", "/things/1"] {
            assert!(!text.contains(hidden), "{hidden} was exported:\n{text}");
        }
    }
}

#[tokio::test]
async fn a_collector_that_takes_nothing_changes_nothing() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    // Connections are taken by the system, and never answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silence = format!("http://{}", silent.local_addr().unwrap());
    let (refused, unheard) = ([(ENDPOINT, &*refusing)], [(ENDPOINT, &*silence)]);
    let (alone, refused, unheard) = tokio::join!(run(&[]), run(&refused), run(&unheard));

    for output in [&refused, &unheard] {
        assert_eq!(output.status, alone.status);
        assert_eq!(result(output), result(&alone));
    }
    let said = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.matches("traces are not taken").count()
    };
    assert_eq!((said(&alone), said(&refused)), (0, 1), "{refused:?}");
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_said_and_the_run_goes_on() {
    let grpc = [
        (ENDPOINT, "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ];
    let output = run(&grpc).await;
    assert_eq!(result(&output)["counts"]["read"], RECORDS);
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(
        log.contains("no traces are exported: OTEL_EXPORTER_OTLP_PROTOCOL"),
        "{log}"
    );
}

/// Whether the process has a thread that exports.
fn exports(pid: u32) -> bool {
    let tasks = std::fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"));
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    let names: Vec<String> = tasks.unwrap().flatten().flat_map(name).collect();
    assert!(!names.is_empty());
    names.iter().any(|name| name.starts_with("OpenTelemetry"))
}

#[tokio::test]
async fn a_watching_run_exports_only_when_asked_and_its_run_when_it_ends() {
    let (port, _) = systems::start().await;
    let (url, collector) = collector::start().await;
    for variables in [&[][..], &[(ENDPOINT, &*url)]] {
        let folder = tempfile::tempdir().unwrap();
        let manifests = systems::manifests(port);
        std::fs::write(folder.path().join("manifests.yaml"), manifests).unwrap();
        let mut watched = Watched::start(folder.path(), &[], variables).await;
        assert_eq!(exports(watched.pid()), !variables.is_empty());
        watched.line_with("scan completed").await;
        stop(&mut watched).await;
    }
    assert_eq!(named(&collector.spans(), "run").len(), 1);
}

/// The manifests of [`systems`], with a webhook of the source that the Sync hears.
fn with_webhook(port: u16) -> String {
    let webhook = r#"      get: {path: "/items/${key.id}", record: data}
  webhooks:
    - name: events
      verify: {bearer: {secretRef: {name: credentials, key: apiKey}}}
      routes: [{object: items, key: {id: body.id}}]
"#;
    let manifests = systems::manifests(port);
    let declared = manifests.replacen(
        "records: data}\n",
        &format!("records: data}}\n{webhook}"),
        1,
    );
    declared.replacen("backfill: All", "backfill: All, webhook: {name: events}", 1)
}

/// Posts an event to a webhook; answers the status line.
async fn deliver(address: &str, path: &str, token: &str) -> String {
    let body = format!(r#"{{"id": "{CONTENT}"}}"#);
    let request = format!(
        "POST {path}?token={CONTENT} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_delivery_is_shown_by_its_webhook_and_answer_and_nothing_it_brings() {
    let (port, _) = systems::start().await;
    let (url, collector) = collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("manifests.yaml"), with_webhook(port)).unwrap();
    let webhooks = ["--webhooks", "127.0.0.1:0"];
    let mut watched = Watched::start(folder.path(), &webhooks, &[(ENDPOINT, &*url)]).await;
    let line = watched
        .seen
        .iter()
        .find_map(|line| line.split_once("receiving webhooks at http://"));
    let (address, _) = line
        .and_then(|(_, url)| url.split_once('/'))
        .expect("where");
    let path = "/hooks/default/source/events";
    let good = deliver(address, path, SECRET).await;
    let forged = deliver(address, path, CONTENT).await;
    let nowhere = deliver(address, &format!("/hooks/default/source/{CONTENT}"), SECRET).await;
    assert!(good.contains(" 200 ") && forged.contains(" 401 ") && nowhere.contains(" 404 "));
    stop(&mut watched).await;

    let spans = collector.spans();
    let deliveries = named(&spans, "POST /hooks/{namespace}/{connection}/{webhook}");
    let told: Vec<_> = deliveries
        .iter()
        .map(|delivery| {
            assert_eq!(delivery.kind(), SpanKind::Server);
            let of = attributes(&delivery.attributes);
            assert_eq!(of["syncline.webhook"], "events");
            (
                of["http.response.status_code"].clone(),
                of.get("syncline.refusal").cloned(),
            )
        })
        .collect();
    let refused = ("401".to_owned(), Some("Forged".to_owned()));
    assert_eq!(told, [("200".to_owned(), None), refused]);
    for bytes in collector.bytes() {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET) && !text.contains(CONTENT), "{text}");
    }
}
