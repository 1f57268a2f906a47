//! A server that answers as a test says and remembers what it was asked; Secrets and tokens in memory.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use axum::response::IntoResponse;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::api::connection::ConnectionSpec;
use crate::connector::{Answer, Done};
use crate::connector::{Connector, Guard, Item, NoSecret, SecretSource, TokenStore, Verb, Write};
use crate::plan::ObjectPlan;
use crate::plan::connection::{ConnectionWithObjects, compile};
use crate::record::{Failure, TargetId};

/// A text that stands for a secret and must never be seen.
pub const CANARY: &str = "canary-s3cr3t";

/// What the server was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
    pub body: String,
    /// How many requests came before this one.
    pub index: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A server on a port of its own.
pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

pub type Reply = Response<Body>;

/// An answer with a status and JSON.
pub fn reply(status: u16, body: Value) -> Reply {
    (
        axum::http::StatusCode::from_u16(status).unwrap(),
        axum::Json(body),
    )
        .into_response()
}

/// An answer with a header more.
pub fn with(mut reply: Reply, name: &'static str, value: &str) -> Reply {
    reply.headers_mut().insert(name, value.parse().unwrap());
    reply
}

impl Server {
    pub async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (all, answer) = (Arc::clone(&seen), Arc::new(answer));
        let app = Router::new().fallback(move |request: Request| {
            let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let mut one = Seen {
                    method: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    query: head.uri.query().unwrap_or_default().to_owned(),
                    headers: head.headers,
                    body: String::from_utf8(body.to_vec()).unwrap(),
                    index: 0,
                };
                {
                    let mut all = all.lock().unwrap();
                    one.index = all.len();
                    all.push(one.clone());
                }
                answer(&one)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self, path: &str) -> usize {
        self.seen().iter().filter(|s| s.path == path).count()
    }

    pub fn url(&self) -> String {
        format!("http://{}/api", self.address)
    }
}

/// Secrets by `name/key`.
#[derive(Default)]
pub struct Memory {
    pub secrets: Mutex<HashMap<String, String>>,
    pub tokens: Mutex<Option<(String, String)>>,
    /// What happened in order: `save TOKEN`.
    pub log: Mutex<Vec<String>>,
    pub broken: Mutex<bool>,
}

impl Memory {
    pub fn set(&self, name: &str, value: &str) {
        self.secrets
            .lock()
            .unwrap()
            .insert(name.to_owned(), value.to_owned());
    }
}

impl SecretSource for Memory {
    fn read(
        &self,
        _: &str,
        name: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<SecretString, NoSecret>> {
        let found = self
            .secrets
            .lock()
            .unwrap()
            .get(&format!("{name}/{key}"))
            .cloned();
        Box::pin(async move {
            found
                .map(Into::into)
                .ok_or_else(|| NoSecret::Missing("there is none".to_owned()))
        })
    }
}

impl TokenStore for Memory {
    fn load(&self, _: &str) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>> {
        let found = self.tokens.lock().unwrap().clone();
        Box::pin(async move { Ok(found.map(|(origin, token)| (origin, token.into()))) })
    }

    fn save(
        &self,
        _: &str,
        origin: String,
        token: SecretString,
    ) -> BoxFuture<'_, Result<(), String>> {
        if *self.broken.lock().unwrap() {
            return Box::pin(async { Err("the disk is full".to_owned()) });
        }
        self.log
            .lock()
            .unwrap()
            .push(format!("save {}", token.expose_secret()));
        *self.tokens.lock().unwrap() = Some((origin, token.expose_secret().to_owned()));
        Box::pin(async { Ok(()) })
    }
}

/// A connector and what it was made of.
pub struct Setup {
    pub connector: Connector,
    pub memory: Arc<Memory>,
    pub objects: ConnectionWithObjects,
}

impl Setup {
    pub fn object(&self) -> &ObjectPlan {
        self.objects.objects.values().next().unwrap()
    }

    pub async fn write(
        &self,
        verb: Verb,
        id: Option<&TargetId>,
        body: &Value,
    ) -> Result<Done, Failure> {
        let body = body.to_string();
        let items = [Item {
            id,
            body: body.as_bytes(),
            source: br#"{"id": "s/1"}"#,
        }];
        match self
            .connector
            .write(
                self.object(),
                Write {
                    verb,
                    items: &items,
                    idempotency_key: Some("key-1"),
                    not_after: None,
                    fence: None,
                },
            )
            .await
        {
            Answer::Items(mut results) => results.pop().unwrap(),
            Answer::Whole(failure) => Err(failure),
        }
    }

    pub async fn create(&self) -> Result<Done, Failure> {
        self.write(Verb::Create, None, &json!({"a": 1})).await
    }

    pub async fn get(&self) -> Result<Option<crate::connector::Found>, Failure> {
        self.connector
            .get(self.object(), &TargetId::from_json("7"))
            .await
    }
}

/// A spec for a server; `change` is merged into it, object by object.
pub fn spec(base: &str, change: Value) -> ConnectionSpec {
    let mut spec = json!({
        "http": {"baseURL": base, "allowPlaintext": true, "timeout": "5s"},
        "auth": {"none": {}},
        "access": ["Read", "Create", "Update"],
        "retry": {"initialDelay": "1ms", "maxDelay": "2ms"},
        "objects": [{
            "name": "contacts",
            "key": ["id"],
            "get": {"path": "/contacts/${key.id}"},
            "find": {"path": "/contacts", "query": {"email": "${match.email}"}, "records": "data"},
            "create": {"path": "/contacts"},
            "update": {"path": "/contacts/${key.id}"},
            "upsert": {"path": "/contacts/by/${source.id}"},
        }],
    });
    merge(&mut spec, change);
    serde_json::from_value(spec).unwrap()
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (name, value) in change {
                match name.as_str() {
                    // One variant replaces the other.
                    "auth" => drop(into.insert(name, value)),
                    _ => merge(into.entry(name).or_insert(Value::Null), value),
                }
            }
        }
        (Value::Array(into), Value::Object(change)) => merge(&mut into[0], Value::Object(change)),
        (into, change) => *into = change,
    }
}

pub fn setup_at(base: &str, change: Value) -> Setup {
    setup_guarded(base, change, Guard::default())
}

pub fn setup_guarded(base: &str, change: Value, guard: Guard) -> Setup {
    let objects = compile("team", "crm", &spec(base, change)).unwrap();
    let memory = Arc::new(Memory::default());
    for key in [
        "apiKey",
        "user",
        "password",
        "clientID",
        "clientSecret",
        "refresh",
    ] {
        memory.set(&format!("creds/{key}"), &format!("{CANARY}-{key}"));
    }
    let plan = Arc::clone(&objects.connection);
    let connector = Connector::new(plan, memory.clone(), memory.clone(), guard).unwrap();
    Setup {
        connector,
        memory,
        objects,
    }
}

pub fn setup(server: &Server, change: Value) -> Setup {
    setup_at(&server.url(), change)
}

pub fn secret(key: &str) -> Value {
    json!({"name": "creds", "key": key})
}
