//! A shop with a feed of events and a CRM that takes contacts, both in this process, and the real binary that
//! stands between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest wait for anything.
const LONGEST: Duration = Duration::from_secs(120);

/// Entries on a page of the feed.
const PAGE: usize = 10;

/// What both systems hold.
#[derive(Default)]
pub struct Held {
    /// Names by id.
    pub customers: BTreeMap<String, String>,
    pub contacts: BTreeMap<String, String>,
    pub events: Vec<Value>,
    /// Requests for the list, for pages of the feed, and for single records.
    pub lists: usize,
    pub feeds: usize,
    pub gets: usize,
    /// Names that were written, by contact.
    pub writes: BTreeMap<String, Vec<String>>,
    /// The feed says 410 to whoever knows where it was, once.
    pub forgets: bool,
}

impl Held {
    /// How often anything was written.
    pub fn written(&self) -> usize {
        self.writes.values().map(Vec::len).sum()
    }

    fn tell(&mut self, kind: &str, id: &str) {
        let seq = self.events.len() + 1;
        let event = json!({"seq": seq, "type": format!("customer.{kind}"), "data": {"id": id}});
        self.events.push(event);
    }
}

#[derive(Clone, Default)]
pub struct World {
    held: Arc<Mutex<Held>>,
}

impl World {
    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A customer comes or changes, and the feed says so.
    pub fn change(&self, id: &str, name: &str) {
        let mut held = self.held();
        held.customers.insert(id.into(), name.into());
        held.tell("changed", id);
    }

    pub fn delete(&self, id: &str) {
        let mut held = self.held();
        held.customers.remove(id);
        held.tell("deleted", id);
    }

    pub async fn serve(&self) -> SocketAddr {
        let app = Router::new()
            .route("/customers", get(list))
            .route("/customers/{id}", get(customer))
            .route("/events", get(events))
            .route("/contacts/{id}", put(write).delete(remove))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        address
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Held) -> bool) {
        let end = Instant::now() + LONGEST;
        while !holds(&self.held()) {
            assert!(Instant::now() < end, "never came: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the CRM has what the shop has.
    pub async fn until_equal(&self) {
        let end = Instant::now() + LONGEST;
        loop {
            {
                let held = self.held();
                if held.customers == held.contacts {
                    return;
                }
                assert!(
                    Instant::now() < end,
                    "never the same: {:?} and {:?}",
                    held.customers,
                    held.contacts
                );
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn list(State(world): State<World>) -> Json<Value> {
    let mut held = world.held();
    held.lists += 1;
    let record = |(id, name): (&String, &String)| json!({"id": id, "name": name});
    let records: Vec<Value> = held.customers.iter().map(record).collect();
    Json(json!({ "data": records }))
}

async fn customer(
    State(world): State<World>,
    Path(id): Path<String>,
) -> Result<Json<Value>, StatusCode> {
    let mut held = world.held();
    held.gets += 1;
    let name = held.customers.get(&id).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({"id": id, "name": name})))
}

/// Oldest first, from `since` on; `page` is the entry after which the page begins.
async fn events(
    State(world): State<World>,
    Query(query): Query<BTreeMap<String, u64>>,
) -> Result<Json<Value>, StatusCode> {
    let mut held = world.held();
    held.feeds += 1;
    if query.contains_key("since") && std::mem::take(&mut held.forgets) {
        return Err(StatusCode::GONE);
    }
    let number = |name: &str| query.get(name).copied().unwrap_or(0);
    let (since, after) = (number("since"), number("page"));
    let seq = |event: &Value| event["seq"].as_u64().unwrap_or(0);
    let rest = held
        .events
        .iter()
        .filter(|e| seq(e) >= since && seq(e) > after);
    let mut page: Vec<Value> = rest.take(PAGE + 1).cloned().collect();
    let more = page.len() > PAGE;
    page.truncate(PAGE);
    let next = page.last().map(seq).filter(|_| more);
    Ok(Json(json!({"data": page, "next": next})))
}

async fn write(
    State(world): State<World>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    let mut held = world.held();
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    held.writes
        .entry(id.clone())
        .or_default()
        .push(name.clone());
    held.contacts.insert(id.clone(), name);
    Json(json!({ "id": id }))
}

async fn remove(State(world): State<World>, Path(id): Path<String>) -> StatusCode {
    match world.held().contacts.remove(&id) {
        Some(_) => StatusCode::NO_CONTENT,
        None => StatusCode::NOT_FOUND,
    }
}

/// Manifests and state.
pub struct Folder {
    folder: TempDir,
    /// A folder, or the URL of a database.
    state: String,
}

/// `syncline run --watch`; killed with this value.
pub struct Engine(Child);

impl Engine {
    /// Waits until it has ended itself.
    pub async fn ended(&mut self) {
        let end = Instant::now() + LONGEST;
        while self.0.try_wait().expect("a child").is_none() {
            assert!(Instant::now() < end, "it goes on");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Folder {
    pub fn new(systems: SocketAddr, state: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = include_str!("manifests.yaml").replace("SYSTEMS", &systems.to_string());
        std::fs::write(folder.path().join("all.yaml"), text).expect("a file");
        let own = folder.path().join("state").display().to_string();
        let state = state.map_or(own, str::to_owned);
        Self { folder, state }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        let manifests: PathBuf = self.folder.path().join("all.yaml");
        command.arg(name).arg("-f").arg(manifests);
        command.stdin(Stdio::null());
        command
    }

    pub fn start(&self) -> Engine {
        self.start_until(None)
    }

    /// A debug build ends itself, as by `kill -9`, at the n-th passing of a boundary: `before-t1:3`.
    pub fn start_until(&self, boundary: Option<&str>) -> Engine {
        let mut command = self.command("run");
        if let Some(boundary) = boundary {
            command.env("SYNCLINE_CRASH_AT", boundary);
        }
        command.arg("--watch").arg("--state").arg(&self.state);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Engine(command.spawn().expect("the binary starts"))
    }

    /// What `syncline preview` says.
    pub fn preview(&self) -> Output {
        let mut command = self.command("preview");
        command.arg("--state").arg(&self.state);
        command.output().expect("the binary runs")
    }
}
