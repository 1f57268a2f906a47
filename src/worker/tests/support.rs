//! Two systems on one port, told by closures what to answer, and workers that run against them.
//! Used by the worker's tests alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::IntoResponse;
use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::connector::{Connector, Guard, NoSecret, SecretSource, TokenStore};
use crate::plan::{Plan, ResourceName, Resources, compile};
use crate::record::SyncName;
use crate::state::sqlite::SqliteStore;
use crate::state::{Exception, OnMismatch, Pick, RunReport, Session, Store, Totals};
use crate::worker::{AllowDeletes, Board, Mode, Progress, RunError, Setup, Target, Worker};

/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// A request to one of the systems.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: HashMap<String, String>,
    pub body: Value,
}

impl Asked {
    /// `POST /contacts`, without the query.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the target holds, and what it does next.
#[derive(Default)]
pub struct World {
    /// The pages of the source.
    pub pages: Vec<Vec<Value>>,
    /// Records that the source has and does not list.
    pub hidden: Vec<Value>,
    /// The target's records; the id is the index.
    pub records: Vec<Value>,
    pub asked: Vec<Asked>,
    /// Requests are carried out and never answered.
    pub silent: bool,
}

/// An answer; what stands in `$headers` of the body goes into its headers.
fn answer(status: u16, mut body: Value) -> axum::response::Response {
    let headers = body
        .as_object_mut()
        .and_then(|body| body.remove("$headers"));
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let mut response = (status, axum::Json(body)).into_response();
    for (name, value) in headers
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let name: axum::http::HeaderName = name.parse().unwrap();
        let value = value.as_str().unwrap().parse().unwrap();
        response.headers_mut().insert(name, value);
    }
    response
}

type Rule = dyn Fn(&mut World, &Asked) -> Option<(u16, Value)> + Send + Sync;

/// Both systems, the manifests, and the state folder.
pub struct Bench {
    world: Arc<Mutex<World>>,
    pub spec: Value,
    /// Whether runs read everything, whatever the cursor says.
    pub full: bool,
    pub allow_deletes: AllowDeletes,
    folder: tempfile::TempDir,
    /// Told after every request, with how many there were.
    pub requests: watch::Receiver<usize>,
}

impl Bench {
    /// Systems that answer what `rule` says; where it says nothing, as well-behaved ones.
    pub async fn new(
        rule: impl Fn(&mut World, &Asked) -> Option<(u16, Value)> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let world: Arc<Mutex<World>> = Arc::default();
        let (count, requests) = watch::channel(0);
        let (all, rule): (_, Arc<Rule>) = (Arc::clone(&world), Arc::new(rule));
        let app = Router::new().fallback(move |request: Request| {
            let (world, rule) = (Arc::clone(&all), Arc::clone(&rule));
            let count = count.clone();
            async move {
                let asked = read(request).await;
                let (status, body, silent) = {
                    let mut world = world.lock().unwrap();
                    world.asked.push(asked.clone());
                    let (status, body) =
                        rule(&mut world, &asked).unwrap_or_else(|| world.behave(&asked));
                    (status, body, world.silent)
                };
                count.send_modify(|count| *count += 1);
                if silent {
                    std::future::pending::<()>().await;
                }
                answer(status, body)
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            world,
            spec: spec(port),
            full: true,
            allow_deletes: AllowDeletes::No,
            folder: tempfile::tempdir().unwrap(),
            requests,
        }
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// One page of the source's records.
    pub fn source(&self, records: Vec<Value>) {
        self.world().pages = vec![records];
    }

    pub fn plan(&self) -> Plan {
        let name = |name: &str| ResourceName::new("default", name);
        let of = |name: &str| serde_json::from_value(self.spec[name].clone()).unwrap();
        let resources = Resources {
            connections: [(name("shop"), of("shop")), (name("crm"), of("crm"))].into(),
            mappings: [(
                name("map"),
                serde_json::from_value(self.spec["map"].clone()).unwrap(),
            )]
            .into(),
            syncs: [(
                name("sync"),
                serde_json::from_value(self.spec["sync"].clone()).unwrap(),
            )]
            .into(),
            ..Resources::default()
        };
        compile(&resources, &sync_name()).unwrap()
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(self.folder.path()).unwrap())
    }

    /// A store beside the one that runs.
    pub fn beside(&self) -> SqliteStore {
        SqliteStore::attach(self.folder.path()).unwrap().unwrap()
    }

    pub fn setup(&self, store: &Arc<dyn Store>, mode: Mode) -> (Setup, watch::Sender<bool>) {
        let plan = Arc::new(self.plan());
        let (stop, stopped) = watch::channel(false);
        let connector = |connection| {
            Connector::new(
                connection,
                Arc::new(Nothing),
                Arc::new(Nothing),
                Guard::default(),
            )
            .unwrap()
        };
        let setup = Setup {
            source: connector(Arc::clone(&plan.source.connection)),
            target: Target::Live(connector(Arc::clone(&plan.target.connection))),
            witness: None,
            plan,
            store: Arc::clone(store),
            board: Arc::new(Board::default()),
            progress: Arc::new(Progress::default()),
            mode,
            scan: true,
            full: self.full,
            allow_deletes: self.allow_deletes.clone(),
            stop: stopped,
            fence: crate::worker::Fence::default(),
        };
        (setup, stop)
    }

    /// One run with little patience; everything is read.
    pub async fn run(&self) -> (RunReport, Option<RunError>) {
        let store = self.store();
        let patience = Duration::from_millis(300);
        let (setup, _stop) = self.setup(&store, Mode::Once { patience });
        let worker = Worker::open(setup, OnMismatch::Refuse).await.unwrap();
        tokio::time::timeout(LONGEST, worker.run())
            .await
            .expect("the run ends")
    }

    /// A run that is ended as by a crash once so many requests like this were carried out.
    pub async fn crash(&self, line: &str, times: usize) {
        let store = self.store();
        let patience = Duration::from_secs(30);
        let (setup, _stop) = self.setup(&store, Mode::Once { patience });
        let worker = Worker::open(setup, OnMismatch::Refuse).await.unwrap();
        let before = self.world().asked.len();
        let like = |asked: &&Asked| asked.line().starts_with(line);
        let mut made = self.requests.clone();
        let reached =
            made.wait_for(|_| self.world().asked[before..].iter().filter(like).count() >= times);
        tokio::select! {
            biased;
            reached = reached => assert!(reached.is_ok()),
            _ = worker.run() => panic!("the run ended before its crash"),
            () = tokio::time::sleep(LONGEST) => panic!("the crash never came"),
        }
    }

    pub async fn session(&self, store: &dyn Store) -> Session {
        store.list().await.unwrap().remove(0).0
    }

    pub async fn totals(&self) -> Totals {
        let store = self.beside();
        store.totals(&self.session(&store).await).await.unwrap()
    }

    pub async fn dead_letters(&self) -> Vec<Exception> {
        let store = self.beside();
        let session = self.session(&store).await;
        let pick = Pick::DeadLetters { after: None };
        store.exceptions(&session, pick, 100).await.unwrap()
    }
}

fn sync_name() -> SyncName {
    SyncName {
        namespace: "default".into(),
        name: "sync".into(),
    }
}

async fn read(request: Request) -> Asked {
    let (head, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let query = head.uri.query().unwrap_or_default();
    Asked {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

impl World {
    /// How often a request with this method and path was made.
    pub fn count(&self, line: &str) -> usize {
        self.asked
            .iter()
            .filter(|asked| asked.line() == line)
            .count()
    }

    /// A source of pages and a target that keeps what it is given.
    pub fn behave(&mut self, asked: &Asked) -> (u16, Value) {
        let number = |name: &str| asked.query.get(name).and_then(|v| v.parse::<usize>().ok());
        if asked.path == "/customers" {
            let page = number("page").unwrap_or(1);
            return (
                200,
                json!(self.pages.get(page - 1).cloned().unwrap_or_default()),
            );
        }
        if let Some(id) = asked.path.strip_prefix("/customers/") {
            let mut all = self.pages.iter().flatten().chain(&self.hidden);
            let found = all.find(|record| record["id"] == id);
            return found.map_or((404, json!({})), |record| (200, record.clone()));
        }
        match (asked.method.as_str(), asked.path.strip_prefix("/contacts/")) {
            ("GET", None) => {
                let wanted = asked.query.get("email").cloned().unwrap_or_default();
                let found: Vec<Value> = (0..)
                    .zip(&self.records)
                    .filter(|(_, record)| record["email"] == wanted)
                    .map(|(id, record)| {
                        let mut record = record.clone();
                        record["id"] = json!(id);
                        record
                    })
                    .collect();
                (200, json!({ "data": found }))
            }
            ("POST", _) => {
                self.records.push(asked.body.clone());
                (201, json!({"id": self.records.len() - 1}))
            }
            ("DELETE", Some(id)) => match self.records.get_mut(id.parse::<usize>().unwrap()) {
                Some(Value::Null) | None => (404, json!({"error": "gone"})),
                Some(record) => {
                    *record = Value::Null;
                    (204, json!({}))
                }
            },
            (_, Some(id)) => match self.records.get_mut(id.parse::<usize>().unwrap()) {
                Some(Value::Null) | None => (404, json!({"error": "gone"})),
                Some(record) => {
                    *record = asked.body.clone();
                    (200, json!({}))
                }
            },
            _ => (405, json!({})),
        }
    }
}

/// No credentials are needed here.
struct Nothing;

impl SecretSource for Nothing {
    fn read(&self, _: &str, _: &str, _: &str) -> BoxFuture<'_, Result<SecretString, NoSecret>> {
        async { Err(NoSecret::Missing("there is none".to_owned())) }.boxed()
    }
}

impl TokenStore for Nothing {
    fn load(&self, _: &str) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>> {
        async { Ok(None) }.boxed()
    }
    fn save(&self, _: &str, _: String, _: SecretString) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }
}

/// Customers become contacts, recognized by their email.
fn spec(port: u16) -> Value {
    let http = json!({"baseURL": format!("http://127.0.0.1:{port}"), "allowPlaintext": true});
    json!({
        "shop": {
            "http": http, "auth": {"none": {}}, "access": ["Read"],
            "objects": [{"name": "customers", "key": ["id"], "list": {
                "path": "/customers",
                "pagination": {"page": {"sendAs": {"in": "Query", "name": "page"}}},
            }}],
        },
        "crm": {
            "http": http, "auth": {"none": {}}, "access": ["Read", "Create", "Update", "Delete"],
            "limits": [{"concurrency": 4}],
            "retry": {"initialDelay": "10ms", "maxDelay": "20ms"},
            "objects": [{
                "name": "contacts",
                "key": ["id"],
                "find": {"path": "/contacts", "query": {"email": "${match.email}"}, "records": "data", "indexLag": "10ms"},
                "create": {"path": "/contacts"},
                "update": {"method": "PUT", "path": "/contacts/${key.id}"},
                "delete": {"path": "/contacts/${key.id}"},
            }],
        },
        "map": {"fields": [{"to": "email", "from": "email"}, {"to": "name", "from": "name"}]},
        "sync": {
            "source": {"connectionRef": {"name": "shop"}, "object": "customers", "backfill": "All"},
            "target": {"connectionRef": {"name": "crm"}, "object": "contacts"},
            "mappingRef": {"name": "map"},
            "match": {"fields": [{"source": "email", "target": "email"}]},
            "trigger": {"interval": "1h"},
        },
    })
}
