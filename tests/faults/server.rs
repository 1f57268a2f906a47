//! Puts a world on a loopback port, and knows which requests are under way. Decides nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::target;
use crate::world::{Fate, World};

/// Both systems of one case on a port of their own; gone with this value.
pub struct Server {
    pub port: u16,
    world: Arc<Mutex<World>>,
    open: Arc<AtomicUsize>,
    active: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(world: World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let world = Arc::new(Mutex::new(world));
        let (open, active) = (Arc::default(), Arc::default());
        let serve = serve(
            listener,
            Arc::clone(&world),
            Arc::clone(&open),
            Arc::clone(&active),
        );
        Self {
            port,
            world,
            open,
            active,
            task: tokio::spawn(serve).abort_handle(),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that a dead engine had sent is worked off, so that no late request of it
    /// arrives while the next one looks around.
    pub async fn settle(&self) {
        // Connections are accepted in order: when this one is, all earlier ones were.
        let before = TcpStream::connect(("127.0.0.1", self.port)).await;
        drop(before.expect("the server listens"));
        let all = async {
            while self.open.load(SeqCst) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let settled = tokio::time::timeout(Duration::from_secs(30), all).await;
        settled.expect("connections of a dead engine end");
    }

    /// Waits for as long as an engine that was cut off may still be sending: the time that a takeover waits.
    pub async fn quiet(&self) {
        let mut calm = 0;
        while calm < 10 {
            tokio::time::sleep(Duration::from_millis(3)).await;
            calm = if self.active.load(SeqCst) == 0 {
                calm + 1
            } else {
                0
            };
        }
    }
}

async fn serve(
    listener: TcpListener,
    world: Arc<Mutex<World>>,
    open: Arc<AtomicUsize>,
    active: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (world, guard, active) = (world.clone(), Guard::new(&open), active.clone());
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let _guard = guard;
            let service = service_fn(|request| answer(request, &world, &active));
            // A dropped connection is what this test is about, so its error is none.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// One more of something, for as long as it lives.
struct Guard(Arc<AtomicUsize>);

impl Guard {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

async fn answer(
    request: Request<Incoming>,
    world: &Mutex<World>,
    active: &Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let _active = Guard::new(active);
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let fate = decide(&head, &body, world);
    match fate {
        Fate::Answer((status, json), headers) => Ok(response(status, &json, &headers)),
        Fate::Late(delay, (status, json)) => {
            tokio::time::sleep(delay).await;
            Ok(response(status, &json, &[]))
        }
        Fate::Drop => Err(std::io::Error::other("dropped on purpose")),
        // Ends when the engine's end closes the connection.
        Fate::Hang => std::future::pending().await,
    }
}

fn response(
    status: u16,
    json: &serde_json::Value,
    headers: &[(&str, &str)],
) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    response = response.header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response
        .body(Full::from(json.to_string()))
        .expect("a response")
}

fn decide(head: &http::request::Parts, body: &[u8], world: &Mutex<World>) -> Fate {
    let path: Vec<String> = head
        .uri
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let query: HashMap<String, String> =
        url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned)
    };
    let mut world = world.lock().unwrap_or_else(PoisonError::into_inner);
    match path.first().map(String::as_str) {
        Some("login") => world.login(),
        Some("records") => world.read(&path[1..], &query),
        _ if world.expired(&header("x-token").unwrap_or_default()) => Fate::Answer(
            (401, serde_json::json!({"error": "the token has expired"})),
            vec![],
        ),
        _ => world.write(&target::Request {
            method: head.method.to_string(),
            rest: path[1..].to_vec(),
            query,
            idempotency_key: header("idempotency-key"),
            body: serde_json::from_slice(body).unwrap_or_default(),
        }),
    }
}
