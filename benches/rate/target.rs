//! The system in a process of its own: a source that is never limited and a target with a limit, 503s and replies
//! that are lost after the commit. Started by `measure`, asked by `GET /_stats`.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::limiter::System;
use crate::{Case, LIMIT, RECORDS};

const PAGE: u64 = 100;
/// Of a thousand requests, and of a thousand commits.
const UNAVAILABLE: u64 = 20;
const DROPPED: u64 = 10;

/// What the target saw.
#[derive(Serialize, Deserialize, Default)]
pub struct Stats {
    pub requests: u64,
    pub refused: u64,
    pub unavailable: u64,
    pub dropped: u64,
    /// Records that were made more than once.
    pub twice: u64,
    /// The records that are there.
    pub there: Vec<String>,
}

struct Target {
    limiter: System,
    stats: Stats,
    /// How often each record was made.
    made: HashMap<String, u64>,
    /// The answers by idempotency key.
    answers: HashMap<String, Value>,
    /// A sequence that looks random and is the same in every run.
    random: u64,
}

struct Server {
    case: &'static Case,
    start: Instant,
    target: Mutex<Target>,
}

/// The reply does not arrive.
#[derive(Debug, thiserror::Error)]
#[error("the reply is lost")]
struct Lost;

type Reply = Result<Response<Full<Bytes>>, Lost>;

/// Serves until it is killed. Prints `PORT\n` when it is ready.
pub fn serve(case: &'static Case) -> std::io::Result<()> {
    let target = Target {
        limiter: System::new(case.shape, LIMIT, 1.0),
        stats: Stats::default(),
        made: HashMap::new(),
        answers: HashMap::new(),
        random: 0x9e37_79b9_7f4a_7c15,
    };
    let server = Arc::new(Server {
        case,
        start: Instant::now(),
        target: Mutex::new(target),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        std::io::stdout().flush()?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let server = Arc::clone(&server);
                    async move { server.answer(request).await }
                });
                // A client that went away, and a reply that is lost, are no errors here.
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        match path.as_str() {
            "/customers" => return Ok(page(&query)),
            "/_stats" => return Ok(self.stats()),
            _ => {}
        }
        let method = request.method().clone();
        let key = request.headers().get("idempotency-key");
        let key = key.and_then(|key| key.to_str().ok()).map(str::to_owned);
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(|_| Lost)?
            .to_bytes();
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        target.stats.requests += 1;
        if let Err(rest) = target.limiter.ask(self.start.elapsed().as_secs_f64()) {
            target.stats.refused += 1;
            return Ok(self.refusal(rest));
        }
        if self.case.faults && target.once_in_a_thousand(UNAVAILABLE) {
            target.stats.unavailable += 1;
            return Ok(reply(503, &json!({"error": "unavailable"})));
        }
        if method == Method::GET {
            let number = query.strip_prefix("number=").unwrap_or_default();
            return Ok(reply(200, &target.search(number)));
        }
        let answer = match method {
            Method::PUT => target.put(path.trim_start_matches("/contacts/")),
            Method::POST => target.post(&body, key),
            _ => json!({"id": path.trim_start_matches("/contacts/")}),
        };
        if self.case.faults && target.once_in_a_thousand(DROPPED) {
            target.stats.dropped += 1;
            return Err(Lost);
        }
        Ok(reply(200, &answer))
    }

    fn refusal(&self, rest: f64) -> Response<Full<Bytes>> {
        let mut response = reply(429, &json!({"error": "too many requests"}));
        if let Some(wait) = self.case.hint.wait(rest) {
            let seconds = match wait.subsec_nanos() {
                0 => wait.as_secs().to_string(),
                _ => format!("{:.3}", wait.as_secs_f64() + 0.0005),
            };
            let name = if self.case.reset {
                "ratelimit-reset"
            } else {
                "retry-after"
            };
            if let Ok(value) = seconds.parse() {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    fn stats(&self) -> Response<Full<Bytes>> {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        target.stats.twice = target.made.values().filter(|made| **made > 1).count() as u64;
        target.stats.there = target.made.keys().cloned().collect();
        reply(200, &json!(target.stats))
    }
}

impl Target {
    /// xorshift64.
    fn once_in_a_thousand(&mut self, share: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % 1000 < share
    }

    fn search(&self, number: &str) -> Value {
        let made = self.made.get(number).copied().unwrap_or(0);
        let found: Vec<Value> = (0..made)
            .map(|copy| json!({"id": format!("{number}-{copy}"), "number": number}))
            .collect();
        json!({"data": found})
    }

    fn put(&mut self, id: &str) -> Value {
        self.made.entry(id.to_owned()).or_insert(1);
        json!({"id": id})
    }

    fn post(&mut self, body: &[u8], key: Option<String>) -> Value {
        if let Some(answer) = key.as_ref().and_then(|key| self.answers.get(key)) {
            return answer.clone();
        }
        let record: Value = serde_json::from_slice(body).unwrap_or_default();
        let number = record["number"].as_str().unwrap_or_default().to_owned();
        let made = self.made.entry(number.clone()).or_default();
        let answer = json!({"id": format!("{number}-{made}")});
        *made += 1;
        if let Some(key) = key {
            self.answers.insert(key, answer.clone());
        }
        answer
    }
}

fn page(query: &str) -> Response<Full<Bytes>> {
    let from = query
        .strip_prefix("cursor=")
        .and_then(|from| from.parse().ok());
    let from: u64 = from.unwrap_or(0);
    let end = (from + PAGE).min(RECORDS);
    let data: Vec<Value> = (from..end)
        .map(|n| json!({"id": format!("c-{n:05}"), "name": format!("Customer {n}")}))
        .collect();
    let next = (end < RECORDS).then(|| end.to_string());
    reply(200, &json!({"data": data, "next_cursor": next}))
}

fn reply(status: u16, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status.try_into().unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    response
}
