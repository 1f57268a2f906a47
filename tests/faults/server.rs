//! Puts a world on a loopback port, and knows which requests are under way. Decides nothing.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::case::Fault;
use crate::target;
use crate::world::{Fate, World};

/// Both systems of one case on a port of their own; gone with this value.
pub struct Server {
    pub port: u16,
    world: Arc<Mutex<World>>,
    under_way: UnderWay,
    task: AbortHandle,
}

/// What the engine has begun.
#[derive(Clone, Default)]
struct UnderWay {
    connections: watch::Sender<usize>,
    requests: watch::Sender<usize>,
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
        let under_way = UnderWay::default();
        let serve = serve(listener, Arc::clone(&world), under_way.clone());
        Self {
            port,
            world,
            under_way,
            task: tokio::spawn(serve).abort_handle(),
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that a dead engine had sent is worked off, so that no late request of it
    /// arrives while the next one looks around.
    pub async fn settle(&self) {
        self.accepts().await;
        let mut open = self.under_way.connections.subscribe();
        let settled = open.wait_for(|open| *open == 0);
        let settled = tokio::time::timeout(Duration::from_secs(30), settled).await;
        // The sender lives as long as `self`.
        let _ = settled.expect("connections of a dead engine end");
    }

    /// Waits until every connection is accepted that was opened before. They are accepted in order: when this one is
    /// answered, all earlier ones were.
    async fn accepts(&self) {
        let asked = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            let request = b"GET /up HTTP/1.1\r\nhost: up\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await?;
            stream.read_to_end(&mut Vec::new()).await
        };
        asked.await.expect("the server answers");
    }

    /// Waits for as long as an engine that was cut off may still be sending: the time that a takeover waits.
    pub async fn quiet(&self) {
        self.accepts().await;
        let requests = self.under_way.requests.subscribe();
        let mut calm = 0;
        while calm < 10 {
            tokio::time::sleep(Duration::from_millis(3)).await;
            calm = if *requests.borrow() == 0 { calm + 1 } else { 0 };
        }
    }
}

async fn serve(listener: TcpListener, world: Arc<Mutex<World>>, under_way: UnderWay) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (world, under_way) = (Arc::clone(&world), under_way.clone());
        let guard = Guard::new(&under_way.connections);
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            let _guard = guard;
            let peer = stream.as_fd().try_clone_to_owned();
            let peer = std::net::TcpStream::from(peer.expect("a descriptor"));
            let service = service_fn(|request| answer(request, &world, &under_way, &peer));
            // A dropped connection is what this test is about, so its error is none.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// One more of something, for as long as it lives.
struct Guard(watch::Sender<usize>);

impl Guard {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

async fn answer(
    request: Request<Incoming>,
    world: &Mutex<World>,
    under_way: &UnderWay,
    peer: &std::net::TcpStream,
) -> Result<Response<Full<Bytes>>, io::Error> {
    if request.uri() == "/up" {
        return Ok(response(200, &serde_json::Value::Null, &[]));
    }
    let _active = Guard::new(&under_way.requests);
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    match decide(&head, &body, world, peer) {
        Fate::Answer((status, json), headers) => Ok(response(status, &json, &headers)),
        Fate::Slow(delay, (status, json)) => {
            tokio::time::sleep(delay).await;
            Ok(response(status, &json, &[]))
        }
        Fate::Drop => Err(io::Error::other("dropped on purpose")),
        // Ends when the engine closes the connection.
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

/// Whether the engine has given up what it sent on this connection.
fn given_up(peer: &std::net::TcpStream) -> bool {
    // It does not wait: the descriptor is the one that tokio reads from.
    !matches!(peer.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn decide(
    head: &http::request::Parts,
    body: &[u8],
    world: &Mutex<World>,
    peer: &std::net::TcpStream,
) -> Fate {
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
    // What a busy machine reads after the timeout is not carried out: the engine has gone on meanwhile, and no
    // target can know that (docs/promise.md, What is not promised).
    if world.case.has(Fault::LateReply) && given_up(peer) {
        return Fate::Drop;
    }
    match path.first().map(String::as_str) {
        Some("login") => world.login(),
        Some("records") => world.read(&path[1..], &query),
        Some("events") => world.tell(&query),
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
