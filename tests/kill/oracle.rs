//! Puts source and target on a loopback port, injects faults, and tells the cycle when to kill. Lives
//! in the test's process, on a thread of its own, so that it survives every death of the engine.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::cycle::Event;
use crate::random::Random;
use crate::source::Source;
use crate::target::{self, Answer, Target};

/// A moment in the life of a request at which the engine can be killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// A page was asked for and is not answered.
    Page,
    /// A write has arrived and has not taken effect.
    BeforeCommit,
    /// A write has taken effect and is not answered.
    AfterCommit,
}

/// Both systems and what is to go wrong with them.
pub struct World {
    pub source: Source,
    pub target: Target,
    pub random: Random,
    /// Whether requests fail and the source changes between pages.
    pub trouble: bool,
    /// Kill at the n-th passing of this moment.
    pub kill: Option<(Moment, u64)>,
    /// Requests that were made to fail.
    pub faults: u64,
    /// What happened, in order: runs, pages, writes and what became of them. Of the records that went wrong it is
    /// shown.
    pub journal: Vec<String>,
}

/// What becomes of a request.
enum Fate {
    Answer(Answer),
    /// The connection is closed without a word.
    Drop,
    /// The engine is killed while the request hangs.
    Kill,
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answer((status, _)) => write!(f, "{status}"),
            Self::Drop => write!(f, "no answer"),
            Self::Kill => write!(f, "the engine is killed"),
        }
    }
}

pub struct Oracle {
    pub port: u16,
    world: Arc<Mutex<World>>,
    open: Arc<AtomicUsize>,
    // Dropped with the oracle, which ends the server.
    _runtime: tokio::runtime::Runtime,
}

impl Oracle {
    pub fn start(world: World, events: Sender<Event>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the oracle");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a loopback port");
        let port = listener.local_addr().expect("an address").port();
        let world = Arc::new(Mutex::new(world));
        let open = Arc::new(AtomicUsize::new(0));
        runtime.spawn(serve(listener, world.clone(), open.clone(), events));
        Self {
            port,
            world,
            open,
            _runtime: runtime,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no handler panicked")
    }

    /// Waits until everything that a dead process had sent has been worked off, so that no late request
    /// of it arrives while the next one looks around.
    pub fn settle(&self) {
        // Connections are accepted in order: when this one is answered, all earlier ones were accepted.
        let mut ping = TcpStream::connect(("127.0.0.1", self.port)).expect("the oracle listens");
        ping.write_all(b"GET /_ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .expect("a ping is sent");
        ping.read_to_end(&mut vec![]).expect("a ping is answered");
        drop(ping);
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.open.load(SeqCst) > 0 {
            assert!(
                Instant::now() < deadline,
                "connections of a dead process stay open"
            );
            std::thread::yield_now();
        }
    }
}

async fn serve(
    listener: TcpListener,
    world: Arc<Mutex<World>>,
    open: Arc<AtomicUsize>,
    events: Sender<Event>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        open.fetch_add(1, SeqCst);
        let (world, open, events) = (world.clone(), open.clone(), events.clone());
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &world, &events));
            // A dropped connection is what this test is about, so its error is none.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
            open.fetch_sub(1, SeqCst);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    world: &Mutex<World>,
    events: &Sender<Event>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let fate = world
        .lock()
        .expect("no handler panicked")
        .fate(&head, &body);
    match fate {
        Fate::Answer((status, json)) => {
            let mut response = Response::new(Full::from(json.to_string()));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            response
                .headers_mut()
                .insert("content-type", "application/json".parse().expect("a value"));
            Ok(response)
        }
        Fate::Drop => Err(std::io::Error::other("dropped on purpose")),
        Fate::Kill => {
            events.send(Event::KillNow).map_err(std::io::Error::other)?;
            // Ends when the client's death closes the connection.
            std::future::pending().await
        }
    }
}

impl World {
    fn fate(&mut self, head: &http::request::Parts, body: &[u8]) -> Fate {
        let path: Vec<&str> = head
            .uri
            .path()
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let parameter = |name: &str| {
            query
                .iter()
                .find(|(given, _)| given == name)
                .map(|(_, value)| value.as_str())
        };
        match path.as_slice() {
            ["_ping"] => Fate::Answer((200, serde_json::Value::Null)),
            ["records", rest @ ..] => {
                self.read(rest, parameter("cursor"), parameter("updated_since"))
            }
            _ => self.write(&target::Request {
                method: head.method.as_str(),
                path: &path,
                wanted: ["external_ref", "email"]
                    .into_iter()
                    .find_map(|field| Some((field, parameter(field)?))),
                idempotency_key: head
                    .headers
                    .get("idempotency-key")
                    .and_then(|key| key.to_str().ok()),
                body,
            }),
        }
    }

    fn read(&mut self, path: &[&str], cursor: Option<&str>, since: Option<&str>) -> Fate {
        if self.passes(Moment::Page) {
            return Fate::Kill;
        }
        if let Some(fault) = self.read_fault() {
            return fault;
        }
        if let [id] = path {
            let record = self.source.get(id);
            self.journal.push(format!("get {id}: {record:?}"));
            return Fate::Answer(
                record.map_or((404, serde_json::Value::Null), |record| (200, record)),
            );
        }
        let since = match since.map(str::parse::<jiff::Timestamp>) {
            None => None,
            Some(Ok(time)) => Some(time.as_millisecond()),
            Some(Err(_)) => return Fate::Answer((400, "updated_since is not a time".into())),
        };
        let (page, ids) = self.source.page(cursor, since);
        for record in page["data"].as_array().into_iter().flatten() {
            self.journal.push(format!("read {record}"));
        }
        if self.trouble && self.random.percent(30) {
            self.source.stir(&ids, &mut self.random);
        }
        Fate::Answer((200, page))
    }

    fn read_fault(&mut self) -> Option<Fate> {
        if !self.trouble || !self.random.percent(7) {
            return None;
        }
        self.faults += 1;
        Some(if self.random.percent(70) {
            unavailable()
        } else {
            Fate::Drop
        })
    }

    fn write(&mut self, request: &target::Request<'_>) -> Fate {
        if request.method == "GET" {
            return self
                .read_fault()
                .unwrap_or_else(|| Fate::Answer(self.target.handle(request)));
        }
        let asked = format!(
            "{} {} ({}) {}",
            request.method,
            request.path.join("/"),
            self.target.external(request.path).unwrap_or_default(),
            String::from_utf8_lossy(request.body)
        );
        let fate = self.write_or_fail(request);
        self.journal.push(format!("{asked}: {fate}"));
        fate
    }

    fn write_or_fail(&mut self, request: &target::Request<'_>) -> Fate {
        if self.passes(Moment::BeforeCommit) {
            return Fate::Kill;
        }
        let chance = if self.trouble {
            self.random.below(100)
        } else {
            100
        };
        self.faults += u64::from(chance < 15);
        match chance {
            0..5 => return unavailable(),
            5..8 => return Fate::Drop,
            _ => {}
        }
        let answer = self.target.handle(request);
        if self.passes(Moment::AfterCommit) {
            return Fate::Kill;
        }
        match chance {
            8..13 => Fate::Drop,
            13..15 => Fate::Answer((500, serde_json::json!({"error": "failed after the write"}))),
            _ => Fate::Answer(answer),
        }
    }

    /// Whether this is the passing of the moment at which the engine is to die.
    fn passes(&mut self, moment: Moment) -> bool {
        match &mut self.kill {
            Some((wanted, left)) if *wanted == moment => {
                *left -= 1;
                let now = *left == 0;
                if now {
                    self.kill = None;
                }
                now
            }
            _ => false,
        }
    }
}

fn unavailable() -> Fate {
    Fate::Answer((503, serde_json::json!({"error": "try again"})))
}
