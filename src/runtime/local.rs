//! Runs Plans on this machine: one store, one connector for each Connection, one task for each Sync.
//! Used by `syncline run`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connector::{Connector, Guard, SecretSource, TokenStore};
use crate::plan::{AuthPlan, ConnectionPlan, Grant, Plan};
use crate::record::{Failure, SyncName};
use crate::state::{OnMismatch, RunReport, Session, Store, StoreError, Totals};
use crate::worker::{Board, Mode, Progress, RunError, Setup, Target, Witness, Worker, backoff};

use super::vault::{KeySource, Vault};

/// The longest that a single run waits for a system that asks for fewer requests, were its patience less.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Why nothing was run.
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

/// How the Syncs are run.
pub struct Options {
    pub mode: Mode,
    /// Every scan reads everything.
    pub full: bool,
    pub guard: Guard,
    /// Syncs whose state is kept, or forgotten, although their systems have changed.
    pub adopt: Vec<String>,
    pub reset: Vec<String>,
    pub stop: watch::Receiver<bool>,
}

/// What became of one Sync.
pub struct Finished {
    pub sync: SyncName,
    pub report: RunReport,
    pub totals: Totals,
    pub error: Option<RunError>,
}

/// The Syncs of one store, ready to run.
pub struct Local {
    store: Arc<dyn Store>,
    connectors: HashMap<(String, String), Connector>,
    jobs: Vec<Job>,
    options: Options,
    /// Where there is one, nothing is written into the targets.
    witness: Option<Arc<dyn Witness>>,
}

struct Job {
    plan: Arc<Plan>,
    progress: Arc<Progress>,
    done: watch::Sender<bool>,
}

impl Local {
    /// Makes the connectors; nothing is sent yet.
    pub fn open(
        plans: Vec<Arc<Plan>>,
        secrets: &Arc<dyn SecretSource>,
        store: Arc<dyn Store>,
        key: &KeySource,
        options: Options,
    ) -> Result<Self, StartError> {
        let vault = Vault::open(key, Arc::clone(&store)).map_err(StartError::Vault)?;
        let vault = Arc::new(vault);
        check_keys(&plans, &vault)?;
        Self::with(plans, secrets, vault, store, options)
    }

    /// The same, trying out what a run would do: both systems are only read, and `witness` is told what becomes
    /// of each record. `copy` is a copy of the state, which is thrown away; `tokens` keeps what a system
    /// replaces meanwhile.
    pub fn rehearse(
        plans: Vec<Arc<Plan>>,
        secrets: &Arc<dyn SecretSource>,
        tokens: Arc<dyn TokenStore>,
        copy: Arc<dyn Store>,
        options: Options,
        witness: Arc<dyn Witness>,
    ) -> Result<Self, StartError> {
        Ok(Self {
            witness: Some(witness),
            ..Self::with(plans, secrets, tokens, copy, options)?
        })
    }

    fn with(
        plans: Vec<Arc<Plan>>,
        secrets: &Arc<dyn SecretSource>,
        tokens: Arc<dyn TokenStore>,
        store: Arc<dyn Store>,
        options: Options,
    ) -> Result<Self, StartError> {
        let mut connectors = HashMap::new();
        for connection in plans
            .iter()
            .flat_map(|plan| [&plan.source.connection, &plan.target.connection])
        {
            let name = name_of(connection);
            if let Entry::Vacant(vacant) = connectors.entry(name) {
                let connector = Connector::new(
                    Arc::clone(connection),
                    Arc::clone(secrets),
                    Arc::clone(&tokens),
                    options.guard.clone(),
                )
                .map_err(StartError::Connection)?;
                vacant.insert(match options.mode {
                    Mode::Watch => connector,
                    Mode::Once { patience } => {
                        connector.waiting_at_most(patience.max(LONGEST_PAUSE))
                    }
                });
            }
        }
        let job = |plan| Job {
            plan,
            progress: Arc::default(),
            done: watch::Sender::new(false),
        };
        Ok(Self {
            store,
            connectors,
            jobs: plans.into_iter().map(job).collect(),
            options,
            witness: None,
        })
    }

    /// The live figures of each Sync.
    pub fn progress(&self) -> Vec<(SyncName, Arc<Progress>)> {
        self.jobs
            .iter()
            .map(|job| (job.plan.name.clone(), Arc::clone(&job.progress)))
            .collect()
    }

    /// Runs all Syncs. In a single run a Sync begins when those that its lookups need have ended.
    pub async fn run(self, mut each: impl FnMut(&Finished)) -> Vec<Finished> {
        let board = Arc::new(Board::default());
        let mut tasks = JoinSet::new();
        for job in &self.jobs {
            let target = self.connectors[&name_of(&job.plan.target.connection)].clone();
            let setup = Setup {
                plan: Arc::clone(&job.plan),
                source: self.connectors[&name_of(&job.plan.source.connection)].clone(),
                target: match &self.witness {
                    Some(_) => Target::rehearsal(target),
                    None => Target::Live(target),
                },
                witness: self.witness.clone(),
                store: Arc::clone(&self.store),
                board: Arc::clone(&board),
                progress: Arc::clone(&job.progress),
                mode: self.options.mode.clone(),
                full: self.options.full,
                stop: self.options.stop.clone(),
            };
            let name = job.plan.name.name.as_str();
            let on = if self.options.reset.iter().any(|n| n == name) {
                OnMismatch::Reset
            } else if self.options.adopt.iter().any(|n| n == name) {
                OnMismatch::Adopt
            } else {
                OnMismatch::Refuse
            };
            let first = self.needed_first(&job.plan);
            let done = job.done.clone();
            tasks.spawn(async move {
                for mut needed in first {
                    // An error means that the other's task has ended, which is what is waited for.
                    let _ = needed.wait_for(|done| *done).await;
                }
                let finished = run_one(setup, on).await;
                done.send_replace(true);
                finished
            });
        }
        let mut all = Vec::new();
        while let Some(result) = tasks.join_next().await {
            match result {
                Ok(finished) => {
                    each(&finished);
                    all.push(finished);
                }
                Err(e) => tracing::error!("a worker ended without a result: {e}"),
            }
        }
        all.sort_by(|a, b| a.sync.cmp(&b.sync));
        all
    }

    /// The Syncs that must have ended before this one begins; none when it watches, or where two wait
    /// for each other.
    fn needed_first(&self, plan: &Plan) -> Vec<watch::Receiver<bool>> {
        if matches!(self.options.mode, Mode::Watch) {
            return Vec::new();
        }
        self.jobs
            .iter()
            .filter(|other| other.plan.name != plan.name)
            .filter(|other| {
                self.reaches(&plan.name, &other.plan.name)
                    && !self.reaches(&other.plan.name, &plan.name)
            })
            .map(|other| other.done.subscribe())
            .collect()
    }

    /// Whether `from` needs links of `to`, directly or through others.
    fn reaches(&self, from: &SyncName, to: &SyncName) -> bool {
        let mut open = vec![from.clone()];
        let mut seen = Vec::new();
        while let Some(name) = open.pop() {
            let Some(job) = self.jobs.iter().find(|job| job.plan.name == name) else {
                continue;
            };
            for lookup in &job.plan.lookups {
                if lookup.sync == *to {
                    return true;
                }
                if !seen.contains(&lookup.sync) {
                    seen.push(lookup.sync.clone());
                    open.push(lookup.sync.clone());
                }
            }
        }
        false
    }
}

/// Where a system may replace its refresh token, there must be a key to keep the new one.
fn check_keys(plans: &[Arc<Plan>], vault: &Vault) -> Result<(), StartError> {
    let all = |plan: &'_ Arc<Plan>| {
        [
            Arc::clone(&plan.source.connection),
            Arc::clone(&plan.target.connection),
        ]
    };
    match plans.iter().flat_map(all).find(|c| keeps_tokens(c)) {
        Some(connection) if !vault.has_key() => {
            let (namespace, name) = name_of(&connection);
            Err(StartError::NoKey(format!("{namespace}/{name}")))
        }
        _ => Ok(()),
    }
}

fn name_of(connection: &ConnectionPlan) -> (String, String) {
    (connection.namespace.clone(), connection.name.clone())
}

/// Whether the system may give a new refresh token, which must not be lost.
fn keeps_tokens(connection: &ConnectionPlan) -> bool {
    matches!(&connection.auth, AuthPlan::OAuth2(oauth) if oauth.grant == Grant::RefreshToken)
}

/// Delay before a Sync that lost its store is opened again; doubles, with jitter, up to [`LONGEST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

async fn run_one(setup: Setup, on: OnMismatch) -> Finished {
    let mut stop = setup.stop.clone();
    let mut attempts = 0;
    loop {
        let finished = attempt(setup.clone(), on).await;
        let passing = matches!(&finished.error, Some(RunError::Store(e)) if e.is_passing());
        if !passing || !matches!(setup.mode, Mode::Watch) || *stop.borrow() {
            return finished;
        }
        if finished.report.ended - finished.report.started > LONGEST_DELAY.as_millis() as i64 {
            attempts = 0;
        }
        let delay = backoff(FIRST_DELAY, LONGEST_DELAY, attempts);
        attempts += 1;
        let message = finished.report.message.unwrap_or_default();
        tracing::warn!(sync = %finished.sync, "{message}; goes on in {} ms", delay.as_millis());
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

async fn attempt(setup: Setup, on: OnMismatch) -> Finished {
    let (store, sync) = (Arc::clone(&setup.store), setup.plan.name.clone());
    let (report, error) = match Worker::open(setup, on).await {
        Ok(worker) => worker.run().await,
        Err(error) => {
            let error = RunError::Store(error);
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
    };
    let totals = totals_of(store.as_ref(), &sync).await.unwrap_or_default();
    Finished {
        sync,
        report,
        totals,
        error,
    }
}

/// What the store has of a Sync.
pub async fn totals_of(store: &dyn Store, sync: &SyncName) -> Result<Totals, StoreError> {
    match session_of(store, sync).await? {
        Some(session) => store.totals(&session).await,
        None => Ok(Totals::default()),
    }
}

/// The session of a Sync that has state, for looking and marking; it takes nothing over.
pub async fn session_of(store: &dyn Store, sync: &SyncName) -> Result<Option<Session>, StoreError> {
    Ok(store
        .list()
        .await?
        .into_iter()
        .map(|(session, _)| session)
        .find(|session| session.sync == *sync))
}
