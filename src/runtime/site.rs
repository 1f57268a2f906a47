//! What the workers of one process share: the store, the connectors, the vault and the board of links.
//! Runs nothing by itself. Used by `local` and `tasks`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::connector::{Connector, Guard, SecretSource, TokenStore};
use crate::intake::{Endpoints, Receiver};
use crate::plan::{AuthPlan, ConnectionPlan, Grant, Plan};
use crate::record::{Class, Failure, SyncName};
use crate::state::{Millis, OnMismatch, RunReport, Store, StoreError, Totals};
use crate::telemetry::events::RunEnded;
use crate::telemetry::{Metrics, Standing};
use crate::worker::{
    AllowDeletes, Board, Fence, Mode, News, Progress, RunError, Setup, Target, Witness, Worker,
};

use super::vault::{KeySource, Vault};

/// Why nothing can be run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Vault(String),
    #[error(
        "Connection {0}: the system may give a new refresh token with every answer, which is kept in the store, sealed \
         with a key of the installation: give a file of 32 random bytes with --key-file (`head -c 32 /dev/urandom`)"
    )]
    NoKey(String),
    #[error("{0}")]
    Connection(Failure),
}

/// Namespace and name of a Connection.
pub type ConnectionName = (String, String);

/// Where workers run.
pub struct Site {
    store: Arc<dyn Store>,
    tokens: Arc<dyn TokenStore>,
    /// Nothing can be sealed: a system that replaces its refresh token cannot be used.
    keyless: bool,
    secrets: Arc<dyn SecretSource>,
    guard: Guard,
    fence: Fence,
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    /// The longest that a request waits for a system that asks for fewer, where not the connector's own.
    longest_wait: Option<Duration>,
    connectors: Mutex<HashMap<ConnectionName, Held>>,
}

/// A connector and what it was made of.
struct Held {
    plan: Arc<ConnectionPlan>,
    connector: Connector,
}

/// How one run is done.
#[derive(Clone)]
pub struct Run {
    pub plan: Arc<Plan>,
    pub progress: Arc<Progress>,
    pub mode: Mode,
    /// Begins with a scan.
    pub scan: bool,
    /// Where there is one, nothing is written into the target.
    pub witness: Option<Arc<dyn Witness>>,
    /// Reads everything, whatever the cursor says.
    pub full: bool,
    pub allow_deletes: AllowDeletes,
    pub on: OnMismatch,
    pub stop: watch::Receiver<bool>,
}

impl Site {
    /// Makes a site of a store; `key` seals what is kept of refresh tokens.
    pub fn open(
        store: Arc<dyn Store>,
        key: &KeySource,
        secrets: Arc<dyn SecretSource>,
        guard: Guard,
        fence: Fence,
    ) -> Result<Self, StartError> {
        let vault = Vault::open(key, Arc::clone(&store)).map_err(StartError::Vault)?;
        Ok(Self {
            keyless: !vault.has_key(),
            ..Self::with(store, Arc::new(vault), secrets, guard, fence)
        })
    }

    /// What takes in these webhooks, and wakes the workers that use them.
    pub fn receiver(&self, endpoints: Arc<Endpoints>, secrets: Arc<dyn SecretSource>) -> Receiver {
        let news = self.board.news.clone();
        Receiver::new(endpoints, secrets, Arc::clone(&self.store), news)
    }

    /// Makes a site whose refresh tokens are kept elsewhere.
    pub fn with(
        store: Arc<dyn Store>,
        tokens: Arc<dyn TokenStore>,
        secrets: Arc<dyn SecretSource>,
        guard: Guard,
        fence: Fence,
    ) -> Self {
        Self {
            store,
            tokens,
            keyless: false,
            secrets,
            guard,
            fence,
            board: Arc::default(),
            metrics: Arc::default(),
            longest_wait: None,
            connectors: Mutex::default(),
        }
    }

    /// A Connection whose refresh token could not be kept, for want of a key.
    pub fn unsealed(&self, plans: &[Arc<Plan>]) -> Option<String> {
        let mut all = plans
            .iter()
            .flat_map(|plan| [&plan.source.connection, &plan.target.connection]);
        let found = all.find(|c| self.keyless && keeps_tokens(c))?;
        Some(format!("{}/{}", found.namespace, found.name))
    }

    /// Counts here from now on.
    #[must_use]
    pub fn metered(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Lets no request wait longer than this for a system that asks for fewer.
    #[must_use]
    pub fn waiting_at_most(mut self, longest: Duration) -> Self {
        self.longest_wait = Some(longest);
        self
    }

    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Raised by every link that is made.
    pub fn links(&self) -> watch::Receiver<u64> {
        self.board.subscribe()
    }

    /// How often something was received, by Connection.
    pub fn news(&self) -> watch::Receiver<News> {
        self.board.news.subscribe()
    }

    /// Until when this process may send.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ConnectionName, Held>> {
        self.connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The one connector of a Connection: its limits, circuit and credential are shared by all who use
    /// it. Another Plan of the same Connection makes a new one.
    pub fn connector(&self, plan: &Arc<ConnectionPlan>) -> Result<Connector, Failure> {
        let name = (plan.namespace.clone(), plan.name.clone());
        let mut held = self.held();
        if let Some(held) = held.get(&name).filter(|held| Arc::ptr_eq(&held.plan, plan)) {
            return Ok(held.connector.clone());
        }
        if self.keyless && keeps_tokens(plan) {
            let name = format!("{}/{}", plan.namespace, plan.name);
            let text = StartError::NoKey(name).to_string();
            return Err(Failure::new(Class::Configuration, false, text));
        }
        let connector = Connector::metered(
            Arc::clone(plan),
            Arc::clone(&self.secrets),
            Arc::clone(&self.tokens),
            self.guard.clone(),
            self.metrics.connection(&plan.namespace, &plan.name),
        )?;
        let connector = match self.longest_wait {
            Some(longest) => connector.waiting_at_most(longest),
            None => connector,
        };
        let new = Held {
            plan: Arc::clone(plan),
            connector: connector.clone(),
        };
        held.insert(name, new);
        Ok(connector)
    }

    /// A Secret of the Connection has changed: its credential is read afresh at the next request.
    pub async fn forget_credential(&self, name: &ConnectionName) {
        let connector = self.held().get(name).map(|held| held.connector.clone());
        if let Some(connector) = connector {
            connector.forget_credential().await;
        }
    }

    /// The Connection is gone, or must not be used any more.
    pub fn release(&self, name: &ConnectionName) {
        self.held().remove(name);
        self.metrics.forget_connection(&name.0, &name.1);
    }

    /// Runs a worker to its end.
    pub async fn run(&self, run: Run) -> (RunReport, Option<RunError>) {
        let error = match self.setup(&run) {
            Ok(setup) => match Worker::open(setup, run.on).await {
                Ok(worker) => return worker.run().await,
                Err(error) => RunError::Store(error),
            },
            Err(error) => error,
        };
        let (report, error) = failed(error);
        let ended = RunEnded {
            sync: &run.plan.name,
            outcome: &report.outcome,
            took: Duration::ZERO,
            message: report.message.as_deref(),
        };
        ended.emit(run.progress.meter());
        (report, error)
    }

    /// Reads what stands open of a Sync.
    pub async fn standing(&self, name: &SyncName) -> Result<Standing, StoreError> {
        let Some((session, state)) = self.store.find(name).await? else {
            return Ok(Standing::default());
        };
        let totals = self.store.totals(&session).await?;
        let oldest = self.store.oldest_open(&session).await?;
        Ok(standing(&totals, fresh_as_of(state.scanned, oldest)))
    }

    fn setup(&self, run: &Run) -> Result<Setup, RunError> {
        let plan = &run.plan;
        let source =
            self.connector(&plan.source.connection)
                .map_err(|failure| RunError::Source {
                    connection: plan.source.connection.name.clone(),
                    object: plan.source.object.name.clone(),
                    failure,
                })?;
        let target =
            self.connector(&plan.target.connection)
                .map_err(|failure| RunError::Target {
                    connection: plan.target.connection.name.clone(),
                    object: plan.target.object.name.clone(),
                    failure,
                })?;
        Ok(Setup {
            plan: Arc::clone(plan),
            source,
            target: match &run.witness {
                Some(_) => Target::rehearsal(target),
                None => Target::Live(target),
            },
            witness: run.witness.clone(),
            store: Arc::clone(&self.store),
            board: Arc::clone(&self.board),
            progress: Arc::clone(&run.progress),
            mode: run.mode.clone(),
            scan: run.scan,
            full: run.full,
            allow_deletes: run.allow_deletes.clone(),
            stop: run.stop.clone(),
            fence: self.fence.clone(),
        })
    }
}

/// Whether the system may give a new refresh token, which must not be lost.
fn keeps_tokens(connection: &ConnectionPlan) -> bool {
    matches!(&connection.auth, AuthPlan::OAuth2(oauth) if oauth.grant == Grant::RefreshToken)
}

/// The target shows everything up to this moment: the start of the last completed scan, or the time at
/// which the oldest record that is open was first seen. Never the watermark: a quiet source is fresh.
pub fn fresh_as_of(scanned: Option<Millis>, oldest: Option<Millis>) -> Option<Millis> {
    scanned.map(|at| oldest.map_or(at, |oldest| oldest.min(at)))
}

/// As metrics have it.
pub fn standing(totals: &Totals, fresh_as_of: Option<Millis>) -> Standing {
    Standing {
        fresh_as_of,
        retrying: totals.retrying,
        unknown: totals.unknown,
        waiting: totals.waiting,
        held: totals.held,
        dead: totals.dead.clone(),
    }
}

/// The report of a run that did not begin.
fn failed(error: RunError) -> (RunReport, Option<RunError>) {
    let now = crate::worker::now();
    let report = RunReport {
        started: now,
        ended: now,
        outcome: "Failed".into(),
        message: Some(error.to_string()),
        ..RunReport::default()
    };
    (report, Some(error))
}
