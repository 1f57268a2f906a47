//! Rules of reading an object page by page, against systems that are a function of the request.
//! No network: requests are rendered as the connector renders them.

mod cursors;
mod feeds;
mod pages;
mod parents;
mod positions;
mod splitting;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{Ask, PageReader, Reply};
use crate::connector::build::{Base, Parts};
use crate::connector::client::Request;
use crate::connector::{Page, ScanStart};
use crate::plan::ConnectionPlan;
use crate::plan::connection::{ConnectionWithObjects, compile};
use crate::record::{Class, Failure};

/// What a system was asked.
#[derive(Clone, Debug)]
struct Asked {
    /// Below the base URL.
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Value,
}

impl Asked {
    fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The number in a parameter, or `default`.
    fn number(&self, name: &str, default: usize) -> usize {
        self.query(name)
            .map_or(default, |text| text.parse().unwrap())
    }
}

/// What a system answers.
struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
    ignored: bool,
}

impl From<Value> for Answered {
    fn from(body: Value) -> Self {
        Self {
            status: 200,
            headers: HeaderMap::new(),
            body: body.to_string().into(),
            ignored: false,
        }
    }
}

fn refused(status: u16) -> Answered {
    Answered {
        status,
        ..Answered::from(json!({"error": "refused"}))
    }
}

type Answering = Box<dyn Fn(&Asked) -> Answered + Send + Sync>;

/// A system in a test.
struct System {
    plans: ConnectionWithObjects,
    base: Base,
    answer: Mutex<Answering>,
    asked: Mutex<Vec<Asked>>,
}

impl System {
    /// A system with one object `things` that is listed like this.
    fn new(list: Value, answer: impl Fn(&Asked) -> Answered + Send + Sync + 'static) -> Arc<Self> {
        Self::with(
            json!([{"name": "things", "key": ["id"], "list": list}]),
            answer,
        )
    }

    fn with(
        objects: Value,
        answer: impl Fn(&Asked) -> Answered + Send + Sync + 'static,
    ) -> Arc<Self> {
        let plans = compiled(objects).unwrap();
        let base = Base::new(&plans.connection).unwrap();
        Arc::new(Self {
            base,
            plans,
            answer: Mutex::new(Box::new(answer)),
            asked: Mutex::default(),
        })
    }

    /// From now on it answers like this.
    fn becomes(&self, answer: impl Fn(&Asked) -> Answered + Send + Sync + 'static) {
        *self.answer.lock().unwrap() = Box::new(answer);
        self.asked.lock().unwrap().clear();
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What was asked for in a parameter, in order; `-` where it was not sent.
    fn sent(&self, name: &str) -> Vec<String> {
        self.asked()
            .iter()
            .map(|asked| asked.query(name).unwrap_or("-").to_owned())
            .collect()
    }

    fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    fn read(self: &Arc<Self>, object: &str, start: ScanStart) -> PageReader {
        PageReader::over(self.clone(), &self.plans.objects[object], start, NOW)
    }

    /// All pages of `things`.
    async fn pages(self: &Arc<Self>, start: ScanStart) -> Result<Vec<Page>, Failure> {
        let mut reader = self.read("things", start);
        let mut pages = Vec::new();
        while let Some(page) = reader.next().await? {
            assert!(pages.len() < 1000, "the scan does not end");
            pages.push(page);
        }
        let last = pages.iter().filter(|p| p.last).count();
        assert!(
            last == 1 && pages.last().unwrap().last,
            "exactly the last page is the last"
        );
        Ok(pages)
    }

    /// The ids of all records of a scan from the beginning.
    async fn ids(self: &Arc<Self>) -> Vec<i64> {
        ids(&self.pages(ScanStart::default()).await.unwrap())
    }

    /// Why a scan from the beginning fails.
    async fn failure(self: &Arc<Self>) -> Failure {
        self.pages(ScanStart::default()).await.unwrap_err()
    }
}

impl Ask for System {
    fn ask<'a>(&'a self, request: Request<'a>) -> BoxFuture<'a, Result<Reply, Failure>> {
        Box::pin(async move {
            let parts = Parts {
                operation: request.operation,
                scope: request.scope,
                record: None,
                body: None,
                inject: request.inject,
                url: request.url,
            };
            let prepared = self.base.prepare(&self.plans.connection, parts)?;
            let asked = Asked {
                path: prepared.path.clone(),
                query: prepared.url.query_pairs().into_owned().collect(),
                headers: http::HeaderMap::clone(&prepared.headers),
                body: serde_json::from_slice(&prepared.body).unwrap_or_default(),
            };
            self.asked.lock().unwrap().push(asked.clone());
            let answered = (self.answer.lock().unwrap())(&asked);
            if answered.status >= 400 {
                let mut failure = Failure::new(
                    Class::Permanent,
                    true,
                    format!("answered {}", answered.status),
                );
                failure.status = Some(answered.status);
                failure.excerpt = Some(String::from_utf8(answered.body.to_vec()).unwrap().into());
                return Err(failure);
            }
            Ok(Reply {
                status: StatusCode::from_u16(answered.status).unwrap(),
                headers: answered.headers,
                body: answered.body,
                ignored: answered.ignored,
            })
        })
    }

    fn connection(&self) -> &ConnectionPlan {
        &self.plans.connection
    }
}

/// 2024-06-01T00:00:00Z
const NOW: i128 = 1_717_200_000 * 1_000_000_000;

fn compiled(objects: Value) -> Result<ConnectionWithObjects, Vec<crate::plan::Problem>> {
    let spec = json!({
        "settings": {"team": "blue"},
        "http": {"baseURL": "https://shop.example.com/api/v2"},
        "auth": {"none": {}},
        "objects": objects,
    });
    compile("team", "shop", &serde_json::from_value(spec).unwrap())
}

fn record(id: usize) -> Value {
    json!({"id": id, "name": "é\"\\ \u{1F600}"})
}

fn records(ids: std::ops::Range<usize>) -> Vec<Value> {
    ids.map(record).collect()
}

fn ids(pages: &[Page]) -> Vec<i64> {
    pages
        .iter()
        .flat_map(|page| &page.records)
        .map(|r| value(r)["id"].as_i64().unwrap())
        .collect()
}

fn value(record: &[u8]) -> Value {
    serde_json::from_slice(record).unwrap()
}

fn query(name: &str) -> Value {
    json!({"in": "Query", "name": name})
}

fn link(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(http::header::LINK, HeaderValue::from_str(value).unwrap())])
}

fn resume(page: &Page) -> ScanStart {
    // A position goes through the store as text.
    let text = page.position.to_string();
    ScanStart {
        resume: Some(serde_json::from_str(&text).unwrap()),
        ..ScanStart::default()
    }
}
