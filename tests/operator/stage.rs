//! A namespace with two systems behind it: what a row applies, waits for and looks at. Most rows share one
//! operator, which watches a namespace for each of them.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::Api;
use super::cluster::ApiServer;
use super::manifests;
use super::operator::Operator;
use super::world::World;

/// How long anything is waited for.
pub const BOUND: Duration = Duration::from_secs(60);

/// The namespaces that the shared operator watches; each row takes its own.
const WATCHED: [&str; 21] = [
    "kstatus",
    "drift",
    "rotated",
    "wrong-secret",
    "missing-secret",
    "deleted-secret",
    "webhook-key",
    "no-mapping",
    "broken-mapping",
    "down",
    "lender",
    "borrower",
    "stranger",
    "order-a",
    "order-b",
    "doomed",
    "reapplied",
    "mismatch",
    "requested",
    "suspended",
    "changed",
];
/// Where the shared operator itself is.
const HOME: &str = "operator";

/// The operator that most rows share. It never ends before the test process does.
pub fn shared() -> &'static Operator {
    static SHARED: OnceLock<Operator> = OnceLock::new();
    SHARED.get_or_init(|| {
        let server = ApiServer::shared();
        let namespace = |name: &&str| {
            format!("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}}}\n")
        };
        let all: String = WATCHED.iter().chain(&[HOME]).map(namespace).collect();
        server.apply("default", &all).unwrap();
        let watched = WATCHED.join(",");
        let roles = server.install_roles(HOME, &[&format!("watchNamespaces={{{watched}}}")]);
        let args = ["--watch-namespace", &watched, "--log", "syncline=debug"];
        let operator = Operator::start(&roles, &args);
        operator.until_leading();
        operator
    })
}

/// A namespace and what is behind it.
pub struct Stage<'a> {
    pub server: &'a ApiServer,
    pub api: Api,
    pub namespace: String,
    pub world: World,
    /// The logs of the operators that only this row has.
    pub logs: RefCell<Vec<PathBuf>>,
}

impl<'a> Stage<'a> {
    /// One of the shared operator's namespaces.
    pub fn shared(name: &str) -> Stage<'static> {
        assert!(WATCHED.contains(&name), "nobody watches {name}");
        shared();
        Stage::in_namespace(ApiServer::shared(), name.to_owned(), World::start(3))
    }

    /// A namespace that no operator watches yet.
    pub fn alone(server: &'a ApiServer, hint: &str, people: usize) -> Self {
        let namespace = server.namespace(hint);
        Self::in_namespace(server, namespace, World::start(people))
    }

    /// An operator for this namespace alone, as the chart's account; it does not wait until it leads.
    pub fn operator(&self, args: &[&str]) -> Operator {
        let operator = Operator::start(&self.roles(), args);
        self.logs.borrow_mut().push(operator.log_file.clone());
        operator
    }

    /// The same, with traces for this collector.
    pub fn operator_traced(&self, collector: &str) -> Operator {
        let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector)];
        let operator = Operator::start_with_variables(&self.roles(), &[], &endpoint);
        self.logs.borrow_mut().push(operator.log_file.clone());
        operator
    }

    /// The same, with its state elsewhere.
    pub fn operator_with_state(&self, state: &str) -> Operator {
        let operator = Operator::start_with_state(&self.roles(), state, &[]);
        self.logs.borrow_mut().push(operator.log_file.clone());
        operator
    }

    /// The kubeconfig of the chart's account for this namespace.
    fn roles(&self) -> std::path::PathBuf {
        self.server.install_roles(&self.namespace, &[])
    }

    fn in_namespace(server: &'a ApiServer, namespace: String, world: World) -> Self {
        let api = Api::new(&server.kubeconfig());
        Self {
            server,
            api,
            namespace,
            world,
            logs: RefCell::default(),
        }
    }

    /// Applies manifests, server side.
    pub fn apply(&self, manifests: &str) {
        self.server
            .apply(&self.namespace, manifests)
            .unwrap_or_else(|refused| panic!("{refused}\n{manifests}"));
    }

    /// Applies one Sync with all that it needs.
    pub fn apply_all(&self) {
        self.apply(&manifests::all(self.world.port));
    }

    /// The object; the row fails when it isn't there.
    pub fn get(&self, kind: &str, name: &str) -> Value {
        self.api
            .get(&self.namespace, kind, name)
            .unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    pub fn patch(&self, kind: &str, name: &str, change: Value) -> Value {
        self.api.patch(&self.namespace, kind, name, &change)
    }

    pub fn delete(&self, kind: &str, name: &str) {
        self.api.delete(&self.namespace, kind, name);
    }

    /// Gives a Secret another value.
    pub fn set_secret(&self, name: &str, value: &str) {
        self.patch("Secret", name, json!({"stringData": {"value": value}}));
    }

    /// Waits until an object is as it should be; gives it.
    pub fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + BOUND;
        loop {
            let object = self.get(kind, name);
            if holds(&object) {
                return object;
            }
            let status = &object["status"];
            assert!(
                Instant::now() < end,
                "{kind} {}/{name} never was {what}: {status:#}\n{}",
                self.namespace,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a condition has this status and reason, about the newest generation; gives its message.
    pub fn until_condition(
        &self,
        kind: &str,
        name: &str,
        condition: &str,
        status: &str,
        reason: &str,
    ) -> String {
        let what = format!("{condition}={status} for {reason}");
        let object = self.until(kind, name, &what, |object| {
            is_observed(object)
                && find(object, condition)
                    .is_some_and(|c| c["status"] == status && c["reason"] == reason)
        });
        let condition = find(&object, condition).unwrap();
        condition["message"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a Sync has run once with success.
    pub fn until_synced(&self, sync: &str) -> Value {
        self.until("Sync", sync, "synced", |object| {
            is_observed(object) && object["status"]["lastRun"]["outcome"] == "Succeeded"
        })
    }

    /// Asks for a run now, and waits until it has ended; gives the Sync.
    pub fn run(&self, sync: &str) -> Value {
        let request = self.request(sync);
        self.until("Sync", sync, "run as was asked", |object| {
            object["status"]["lastHandledReconcileAt"] == *request
        })
    }

    /// Asks for a run now.
    pub fn request(&self, sync: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let request = format!("request-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let annotation = json!({"syncline.dev/requestedAt": request});
        self.patch(
            "Sync",
            sync,
            json!({"metadata": {"annotations": annotation}}),
        );
        request
    }

    /// Waits until the systems are as they should be.
    pub fn until_world(
        &self,
        what: &str,
        holds: impl Fn(&super::world::Held) -> Result<(), String>,
    ) {
        let end = Instant::now() + BOUND;
        loop {
            let seen = holds(&self.world.held());
            let Err(seen) = seen else { return };
            assert!(
                Instant::now() < end,
                "never came: {what}; {seen}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the shop was probed so often, once a second: time in which what must not happen could have.
    pub fn let_pass(&self, probes: usize) {
        let seen = |held: &super::world::Held| {
            let probe = |asked: &&super::world::Asked| asked.line == "GET /me";
            held.asked.iter().filter(probe).count()
        };
        let before = seen(&self.world.held());
        self.until_world("probes", |held| match seen(held) - before {
            now if now >= probes => Ok(()),
            now => Err(format!("{now} of {probes} probes")),
        });
    }

    /// The conditions of all Connections, Mappings and Syncs, a line each.
    pub fn told(&self) -> String {
        let mut lines = String::new();
        for kind in ["Connection", "Mapping", "Sync"] {
            for object in self.api.list(&self.namespace, kind) {
                let name = &object["metadata"]["name"];
                for condition in object["status"]["conditions"]
                    .as_array()
                    .into_iter()
                    .flatten()
                {
                    lines += &format!("{kind} {name}: {condition}\n");
                }
            }
        }
        lines
    }

    /// What operators logged of this namespace.
    fn log(&self) -> String {
        let mut files = self.logs.borrow().clone();
        if WATCHED.contains(&self.namespace.as_str()) {
            files.push(shared().log_file.clone());
        }
        let own = format!("{}/", self.namespace);
        let mut text = String::new();
        for file in files {
            let log = std::fs::read_to_string(&file).unwrap_or_default();
            let of_ours = |line: &&str| line.contains(&own) || !line.contains("DEBUG");
            let lines: Vec<&str> = log.lines().filter(of_ours).collect();
            let last = &lines[lines.len().saturating_sub(60)..];
            text += &format!("{}:\n{}\n", file.display(), last.join("\n"));
        }
        text
    }
}

/// A condition of an object.
pub fn find<'a>(object: &'a Value, condition: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|c| c["type"] == condition)
}

/// The status of a condition; empty when there is none.
pub fn status_of(object: &Value, condition: &str) -> String {
    let status = find(object, condition).and_then(|c| c["status"].as_str());
    status.unwrap_or_default().to_owned()
}

/// Whether the status is about the newest generation.
pub fn is_observed(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}
