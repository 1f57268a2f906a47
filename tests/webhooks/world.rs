//! A shop that tells of its customers and a CRM that takes contacts, both in this process, and the real binary
//! that stands between them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

pub const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const STRIPE: &str = "whsec_canary-stripe";
pub const GITHUB: &str = "canary-github";

/// Longest wait for anything.
const LONGEST: Duration = Duration::from_secs(60);

/// What both systems hold.
#[derive(Default)]
pub struct Held {
    pub customers: BTreeMap<String, Value>,
    pub contacts: BTreeMap<String, Value>,
    /// Writes of each contact.
    pub writes: BTreeMap<String, Vec<Value>>,
    /// The next list is answered with what there is when it is asked for, but only after a signal.
    pub hold_list: Option<Arc<Notify>>,
    pub lists: usize,
    /// Lists are empty: what arrives was told.
    pub unlisted: bool,
}

#[derive(Clone, Default)]
pub struct World {
    held: Arc<Mutex<Held>>,
}

impl World {
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn customer(&self, id: &str, name: &str) {
        let record = json!({"id": id, "name": name});
        self.held().customers.insert(id.into(), record);
    }

    pub async fn serve(&self) -> SocketAddr {
        let app = Router::new()
            .route("/customers", get(list))
            .route("/customers/{id}", get(customer))
            .route("/contacts/{id}", put(contact))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Held) -> bool) {
        let end = Instant::now() + LONGEST;
        while !holds(&self.held()) {
            assert!(
                Instant::now() < end,
                "never came: {what}; contacts {:?}",
                self.held().contacts
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn list(State(world): State<World>) -> Json<Value> {
    let (records, hold) = {
        let mut held = world.held();
        held.lists += 1;
        let listed = held.customers.values().filter(|_| !held.unlisted);
        let records: Vec<Value> = listed.cloned().collect();
        (records, held.hold_list.take())
    };
    if let Some(hold) = hold {
        hold.notified().await;
    }
    Json(json!({"data": records}))
}

async fn customer(
    State(world): State<World>,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    world
        .held()
        .customers
        .get(&id)
        .cloned()
        .map(Json)
        .ok_or(StatusCode::NOT_FOUND)
}

async fn contact(
    State(world): State<World>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    let mut held = world.held();
    held.writes
        .entry(id.clone())
        .or_default()
        .push(body.clone());
    held.contacts.insert(id.clone(), body);
    Json(json!({"id": id}))
}

/// `syncline run --watch --webhooks`; killed with this value.
pub struct Engine {
    child: Child,
    pub url: String,
    /// Where it shows its metrics.
    pub metrics: String,
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Sync from the shop to the CRM that a webhook feeds.
pub fn manifests(systems: SocketAddr, interval: &str) -> String {
    include_str!("manifests.yaml")
        .replace("SYSTEMS", &systems.to_string())
        .replace("INTERVAL", interval)
}

/// Manifests and state.
pub struct Folder {
    folder: TempDir,
    state: OsString,
}

impl Folder {
    /// State is kept in the folder.
    pub fn new(systems: SocketAddr, interval: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = manifests(systems, interval);
        std::fs::write(folder.path().join("all.yaml"), text).expect("a file");
        let state = folder.path().join("state").into();
        Self { folder, state }
    }

    /// State is kept here: a folder or the URL of a database.
    pub fn keep_state_in(mut self, place: &str) -> Self {
        self.state = place.into();
        self
    }

    /// The Sync uses this webhook.
    pub fn use_webhook(&self, name: &str) {
        let file = self.folder.path().join("all.yaml");
        let text = std::fs::read_to_string(&file).expect("the manifests");
        let text = text.replace(
            "webhook: {name: standard}",
            &format!("webhook: {{name: {name}}}"),
        );
        std::fs::write(file, text).expect("a file");
    }

    pub fn state(&self) -> PathBuf {
        PathBuf::from(&self.state)
    }

    /// Starts the binary and waits until it says where it listens.
    pub fn start(&self) -> Engine {
        let mut child = Command::new(env!("CARGO_BIN_EXE_syncline"))
            .args(["run", "--watch", "--webhooks", "127.0.0.1:0"])
            .args(["--metrics-address", "127.0.0.1:0"])
            .args(["--log", "syncline=info", "--log-format", "json", "-f"])
            .arg(self.folder.path().join("all.yaml"))
            .arg("--state")
            .arg(&self.state)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut said = Vec::new();
        let mut url = String::new();
        let metrics = loop {
            let line = lines
                .next()
                .unwrap_or_else(|| panic!("it ended: {said:?}"))
                .expect("text");
            if let Some((_, all)) = line.split_once("receiving webhooks at ") {
                url = all.rsplit_once('/').expect("a path").0.to_owned();
            } else if line.contains("serving /healthz") {
                let line: Value = serde_json::from_str(&line).expect("a line of the log");
                break line["address"].as_str().expect("an address").to_owned();
            }
            said.push(line);
        };
        std::thread::spawn(move || lines.for_each(drop));
        Engine {
            child,
            url,
            metrics: format!("http://{metrics}/metrics"),
        }
    }
}

impl Engine {
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}
