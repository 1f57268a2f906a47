//! Bad deliveries, as a table: each gets the status that tells its sender what is wrong, is counted once and in
//! one place, and leaves nothing in the store.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use syncline::state::Store;
use syncline::state::sqlite::SqliteStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::signer::Signer;
use crate::world::{Folder, STANDARD, World};
use crate::{client, event, now};

/// What is sent.
struct Delivery {
    path: &'static str,
    method: reqwest::Method,
    headers: Vec<(String, String)>,
    body: String,
    /// Its length is not announced.
    chunked: bool,
}

/// The status, what it is counted as, and how many events are kept.
type Expected = (u16, &'static str, u64);

/// The counters of webhooks, by webhook and outcome; a webhook that there is not has no name.
async fn counted(client: &reqwest::Client, url: &str) -> BTreeMap<(String, String), u64> {
    let text = client.get(url).send().await.expect("metrics");
    let text = text.text().await.expect("text");
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        Some(rest.split('"').next()?.to_owned())
    };
    text.lines()
        .filter(|line| line.starts_with("syncline_webhook_deliveries_total{"))
        .map(|line| {
            let hook = label(line, "webhook").unwrap_or_default();
            let outcome = label(line, "outcome").expect("an outcome");
            let (_, count) = line.rsplit_once(' ').expect("a value");
            ((hook, outcome), count.parse().expect("a number"))
        })
        .collect()
}

async fn send(client: &reqwest::Client, base: &str, delivery: &Delivery) -> u16 {
    if delivery.chunked {
        return in_chunks(base, delivery).await;
    }
    let url = format!("{base}/{}", delivery.path);
    let mut request = client.request(delivery.method.clone(), url);
    request = request.body(delivery.body.clone());
    for (name, value) in &delivery.headers {
        request = request.header(name, value);
    }
    request.send().await.expect("an answer").status().as_u16()
}

/// Sends a body whose length is not announced.
async fn in_chunks(base: &str, delivery: &Delivery) -> u16 {
    let (address, path) = parts(base);
    let mut head = format!(
        "POST /{path}/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n",
        delivery.path
    );
    for (name, value) in &delivery.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = &delivery.body;
    head.push_str(&format!(
        "transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    ));
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("all of it");
    let mut answer = String::new();
    // What is refused early may be cut off.
    let _ = stream.read_to_string(&mut answer).await;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    status.unwrap_or_else(|| panic!("no status: {answer:?}"))
}

/// Address and path of a URL.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.trim_start_matches("http://");
    rest.split_once('/').expect("a path")
}

/// A delivery with these headers, as JSON where they say nothing else.
fn delivery(headers: &[(String, String)], body: &str) -> Delivery {
    let mut headers = headers.to_vec();
    if !headers.iter().any(|(name, _)| name == "content-type") {
        headers.push(("content-type".into(), "application/json".into()));
    }
    Delivery {
        path: "standard",
        method: reqwest::Method::POST,
        headers,
        body: body.to_owned(),
        chunked: false,
    }
}

fn typed(headers: &[(String, String)], media: &str) -> Vec<(String, String)> {
    let media = ("content-type".to_owned(), media.to_owned());
    headers.iter().cloned().chain([media]).collect()
}

/// All that is bad, and three that are good, so that the table could fail.
fn table(signer: &mut Signer) -> Vec<(&'static str, Delivery, Expected)> {
    let body = event("a");
    let mut number = 0;
    let mut sign = |secret: &str, body: &str, at: i64| {
        number += 1;
        signer.sign("standard", secret, &format!("msg_{number}"), body, at)
    };
    let good = sign(STANDARD, &body, now());
    let large = json!({"type": "customer.changed", "pad": "x".repeat(3_000)}).to_string();
    let huge = sign(STANDARD, &large, now());
    let deep = format!("{}{}", "[".repeat(900), "]".repeat(900));
    let unknown = json!({"type": "invoice.paid", "data": {"id": "a"}}).to_string();
    let nameless = json!({"type": "customer.changed", "data": {}}).to_string();
    let mut tampered = good.clone();
    for (name, value) in &mut tampered {
        if name == "webhook-timestamp" {
            *value = (now() - 10).to_string();
        }
    }
    let mut signature_only = good.clone();
    signature_only.retain(|(name, _)| name != "webhook-timestamp");
    let to = |path, delivery| Delivery { path, ..delivery };
    let by = |method, delivery| Delivery { method, ..delivery };
    let chunked = |delivery| Delivery {
        chunked: true,
        ..delivery
    };
    let one = |headers: &[(String, String)], body: &str| delivery(headers, body);
    vec![
        ("unsigned", one(&[], &body), (401, "Unsigned", 0)),
        ("no time", one(&signature_only, &body), (401, "Unsigned", 0)),
        (
            "another key",
            one(&sign("whsec_d3Jvbmc=", &body, now()), &body),
            (401, "Forged", 0),
        ),
        ("another body", one(&good, &event("b")), (401, "Forged", 0)),
        ("another time", one(&tampered, &body), (401, "Forged", 0)),
        (
            "replayed too late",
            one(&sign(STANDARD, &body, now() - 400), &body),
            (401, "Stale", 0),
        ),
        (
            "from the future",
            one(&sign(STANDARD, &body, now() + 400), &body),
            (401, "Stale", 0),
        ),
        ("oversized", one(&huge, &large), (413, "TooLarge", 0)),
        (
            "oversized, without saying so",
            chunked(one(&huge, &large)),
            (413, "TooLarge", 0),
        ),
        (
            "a form",
            one(&typed(&good, "application/x-www-form-urlencoded"), &body),
            (415, "WrongContentType", 0),
        ),
        (
            "text",
            one(&typed(&good, "text/plain; charset=utf-8"), &body),
            (415, "WrongContentType", 0),
        ),
        (
            "not JSON",
            one(&sign(STANDARD, "{", now()), "{"),
            (400, "NotJSON", 0),
        ),
        (
            "nothing",
            one(&sign(STANDARD, "", now()), ""),
            (400, "NotJSON", 0),
        ),
        (
            "too deep",
            one(&sign(STANDARD, &deep, now()), &deep),
            (400, "NotJSON", 0),
        ),
        (
            "a read",
            by(reqwest::Method::GET, one(&good, "")),
            (405, "NotPost", 0),
        ),
        (
            "another webhook",
            to("other", one(&good, &body)),
            (404, "UnknownWebhook", 0),
        ),
        (
            "one that no Sync uses",
            to("stripe", one(&good, &body)),
            (404, "UnknownWebhook", 0),
        ),
        (
            "another path",
            to("standard/more", one(&good, &body)),
            (404, "UnknownWebhook", 0),
        ),
        (
            "an unknown event",
            one(&sign(STANDARD, &unknown, now()), &unknown),
            (200, "Unrouted", 0),
        ),
        ("good", one(&good, &body), (200, "Kept", 1)),
        ("replayed at once", one(&good, &body), (200, "Repeated", 0)),
        // For a person: it becomes a dead letter of the Sync.
        (
            "good, of no record",
            one(&sign(STANDARD, &nameless, now()), &nameless),
            (200, "Kept", 1),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_delivery_has_its_status_one_count_and_leaves_nothing() {
    let world = World::default();
    world.customer("a", "Ada");
    let folder = Folder::new(world.serve().await, "1h");
    let engine = folder.start();
    world
        .until("the first scan", |held| held.contacts.contains_key("a"))
        .await;
    let store = SqliteStore::attach(&folder.state())
        .expect("a store")
        .expect("a store");
    let (client, mut signer) = (client(), Signer::start());
    let base = engine.url.clone();
    for (what, delivery, (status, outcome, kept)) in table(&mut signer) {
        let before = counted(&client, &engine.metrics).await;
        let end = store.inbox_end().await.expect("the inbox");
        assert_eq!(send(&client, &base, &delivery).await, status, "{what}");
        let after = counted(&client, &engine.metrics).await;
        let grown: Vec<_> = after
            .iter()
            .map(|(series, count)| (series, count - before.get(series).unwrap_or(&0)))
            .filter(|(_, more)| *more > 0)
            .collect();
        let hook = if outcome == "UnknownWebhook" {
            ""
        } else {
            "standard"
        };
        let wanted = (hook.to_owned(), outcome.to_owned());
        assert_eq!(grown, [(&wanted, 1)], "{what}");
        let stored = store.inbox_end().await.expect("the inbox") - end;
        assert_eq!(stored, kept, "{what}: kept in the store");
    }
    interrupted(&client, &engine.metrics, &base).await;
    let now: Value = world.held().contacts["a"].clone();
    assert_eq!(now, json!({"name": "Ada"}), "nothing bad was applied");
}

/// A sender that goes away in the middle of a body.
async fn interrupted(client: &reqwest::Client, metrics: &str, base: &str) {
    let (address, path) = parts(base);
    let head = format!(
        "POST /{path}/standard HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n{{"
    );
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("half of it");
    stream.shutdown().await.expect("an end");
    drop(stream);
    let series = ("standard".to_owned(), "Interrupted".to_owned());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while counted(client, metrics).await[&series] == 0 {
        assert!(std::time::Instant::now() < end, "it is never counted");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
