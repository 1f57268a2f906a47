//! Source and target of the measurement in one process of their own, as cheap as they can be: pages are
//! made before the start, writes are counted, not stored. Started by `measure`, asked by `GET /_stats`.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::records::{PAGE, Page, Seed, index_of};

/// Every so-manieth record is kept as it was written and compared field by field.
const SAMPLE: usize = 97;

/// What the target saw; times are nanoseconds since 1970.
#[derive(Serialize, Deserialize, Default, Clone, Debug)]
pub struct Stats {
    pub pages: u64,
    pub requests: u64,
    pub writes: u64,
    /// Records that were written at least once.
    pub distinct: u64,
    /// Sampled records whose content is not what the transformation makes of them.
    pub wrong: u64,
    pub first_page: u64,
    pub first_write: u64,
    pub last_write: u64,
}

#[derive(Default)]
struct Counters {
    pages: AtomicU64,
    requests: AtomicU64,
    writes: AtomicU64,
    first_page: AtomicU64,
    first_write: AtomicU64,
    last_write: AtomicU64,
}

struct Server {
    pages: Vec<Bytes>,
    counters: Counters,
    written: Vec<AtomicU8>,
    samples: Mutex<Vec<(usize, Bytes)>>,
    id_field: Finder<'static>,
}

/// Serves until it is killed. Prints `PORT\n` when it is ready.
pub fn serve(records: usize) -> std::io::Result<()> {
    let server = Arc::new(Server {
        pages: pages(records),
        counters: Counters::default(),
        written: (0..records).map(|_| AtomicU8::new(0)).collect(),
        samples: Mutex::default(),
        id_field: Finder::new(br#""external_id":""#),
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
            let server = server.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let server = server.clone();
                    async move { Ok::<_, Infallible>(server.answer(request).await) }
                });
                // A client that went away is no error here.
                let _ = hyper::server::conn::http1::Builder::new()
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

fn pages(records: usize) -> Vec<Bytes> {
    (0..records.div_ceil(PAGE))
        .map(|page| {
            let end = ((page + 1) * PAGE).min(records);
            let seeds: Vec<Seed> = (page * PAGE..end).map(Seed::new).collect();
            let next = (end < records).then(|| end.to_string());
            let page = Page {
                data: seeds.iter().map(Seed::customer).collect(),
                next_cursor: next.as_deref(),
            };
            serde_json::to_vec(&page).unwrap_or_default().into()
        })
        .collect()
}

impl Server {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::GET, "/records") => self.page(request.uri().query().unwrap_or_default()),
            (&Method::PUT, _) => {
                let Some(index) = path.strip_prefix("/records/").and_then(index_of) else {
                    return plain(StatusCode::NOT_FOUND, "");
                };
                let Ok(body) = request.into_body().collect().await else {
                    return plain(StatusCode::BAD_REQUEST, "");
                };
                self.put(index, body.to_bytes())
            }
            (&Method::POST, "/batch") => match request.into_body().collect().await {
                Ok(body) => self.batch(&body.to_bytes()),
                Err(_) => plain(StatusCode::BAD_REQUEST, ""),
            },
            (&Method::GET, "/_stats") => plain(
                StatusCode::OK,
                serde_json::to_vec(&self.stats()).unwrap_or_default(),
            ),
            (&Method::POST, "/_reset") => {
                self.reset();
                plain(StatusCode::OK, "{}")
            }
            _ => plain(StatusCode::NOT_FOUND, ""),
        }
    }

    fn page(&self, query: &str) -> Response<Full<Bytes>> {
        let cursor = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("cursor="))
            .unwrap_or("0");
        let page = cursor
            .parse::<usize>()
            .ok()
            .filter(|start| start.is_multiple_of(PAGE));
        let Some(body) = page.and_then(|start| self.pages.get(start / PAGE)) else {
            return plain(StatusCode::BAD_REQUEST, r#"{"error":"unknown cursor"}"#);
        };
        self.counters.pages.fetch_add(1, Relaxed);
        first(&self.counters.first_page);
        plain(StatusCode::OK, body.clone())
    }

    fn put(&self, index: usize, body: Bytes) -> Response<Full<Bytes>> {
        if !self.wrote(index) {
            return plain(StatusCode::NOT_FOUND, "");
        }
        self.count(1);
        let answer = format!(r#"{{"id":"c-{index:07}","status":200}}"#);
        if index.is_multiple_of(SAMPLE) {
            self.sample(index, body);
        }
        plain(StatusCode::OK, answer)
    }

    fn batch(&self, body: &Bytes) -> Response<Full<Bytes>> {
        let mut answer = String::with_capacity(40 * PAGE);
        answer.push_str(r#"{"results":["#);
        let mut count = 0;
        let mut sampled = false;
        for at in self.id_field.find_iter(body) {
            let start = at + self.id_field.needle().len();
            let id = body
                .get(start..start + 9)
                .and_then(|id| std::str::from_utf8(id).ok())
                .unwrap_or_default();
            let index = index_of(id).unwrap_or(usize::MAX);
            let status = if self.wrote(index) { "200" } else { "400" };
            sampled |= index.is_multiple_of(SAMPLE);
            count += 1;
            answer.extend([
                if count > 1 { "," } else { "" },
                r#"{"id":""#,
                id,
                r#"","status":"#,
                status,
                "}",
            ]);
        }
        answer.push_str("]}");
        self.count(count);
        if sampled {
            self.sample_batch(body);
        }
        plain(StatusCode::OK, answer)
    }

    fn wrote(&self, index: usize) -> bool {
        self.written
            .get(index)
            .map(|flag| flag.store(1, Relaxed))
            .is_some()
    }

    fn count(&self, records: u64) {
        self.counters.requests.fetch_add(1, Relaxed);
        self.counters.writes.fetch_add(records, Relaxed);
        first(&self.counters.first_write);
        self.counters.last_write.store(now(), Relaxed);
    }

    fn sample(&self, index: usize, body: Bytes) {
        if let Ok(mut samples) = self.samples.lock() {
            samples.push((index, body));
        }
    }

    /// Keeps the whole batch under the number of its first sampled record; it is taken apart in `stats`.
    fn sample_batch(&self, body: &Bytes) {
        self.sample(usize::MAX, body.clone());
    }

    fn stats(&self) -> Stats {
        let c = &self.counters;
        Stats {
            pages: c.pages.load(Relaxed),
            requests: c.requests.load(Relaxed),
            writes: c.writes.load(Relaxed),
            distinct: self
                .written
                .iter()
                .filter(|flag| flag.load(Relaxed) != 0)
                .count() as u64,
            wrong: self.samples.lock().map_or(u64::MAX, |samples| {
                samples
                    .iter()
                    .map(|(index, body)| wrong(*index, body))
                    .sum()
            }),
            first_page: c.first_page.load(Relaxed),
            first_write: c.first_write.load(Relaxed),
            last_write: c.last_write.load(Relaxed),
        }
    }

    fn reset(&self) {
        let c = &self.counters;
        for counter in [
            &c.pages,
            &c.requests,
            &c.writes,
            &c.first_page,
            &c.first_write,
            &c.last_write,
        ] {
            counter.store(0, Relaxed);
        }
        self.written.iter().for_each(|flag| flag.store(0, Relaxed));
        if let Ok(mut samples) = self.samples.lock() {
            samples.clear();
        }
    }
}

/// How many of the sampled records in a body differ from what they should be.
fn wrong(index: usize, body: &[u8]) -> u64 {
    let expected = |index: usize| {
        let seed = Seed::new(index);
        seed.customer()
            .contact()
            .and_then(|contact| serde_json::to_value(contact).ok())
    };
    let Ok(written) = serde_json::from_slice::<Value>(body) else {
        return 1;
    };
    if index != usize::MAX {
        return u64::from(expected(index).as_ref() != Some(&written));
    }
    let Some(items) = written["records"].as_array() else {
        return 1;
    };
    items
        .iter()
        .filter_map(|item| Some((index_of(item["external_id"].as_str()?)?, item)))
        .filter(|(index, item)| {
            index.is_multiple_of(SAMPLE) && expected(*index).as_ref() != Some(*item)
        })
        .count() as u64
}

/// Nanoseconds since 1970: the same clock for all processes of the measurement.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos() as u64)
}

fn first(moment: &AtomicU64) {
    if moment.load(Relaxed) == 0 {
        let _ = moment.compare_exchange(0, now(), Relaxed, Relaxed);
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    response
}
