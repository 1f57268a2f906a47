//! Runs Plans on this machine: one store, one connector for each Connection, one task for each Sync.
//! Used by `syncline run`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::connector::{Guard, SecretSource, TokenStore};
use crate::intake::{Endpoint, Endpoints, Receiver};
use crate::plan::Plan;
use crate::record::SyncName;
use crate::state::{OnMismatch, RunReport, Session, Store, StoreError, Totals};
use crate::worker::{AllowDeletes, Fence, Mode, Progress, RunError, Witness, backoff};

use super::outlook::Outlook;
pub use super::site::StartError;
use super::site::{Run, Site};
use super::vault::KeySource;
use crate::telemetry::{Declared, Metrics};

/// The longest that a single run waits for a system that asks for fewer requests, were its patience less.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// How the Syncs are run.
pub struct Options {
    pub mode: Mode,
    /// Every scan reads everything.
    pub full: bool,
    pub guard: Guard,
    /// Syncs whose state is kept, or forgotten, although their systems have changed.
    pub adopt: Vec<String>,
    pub reset: Vec<String>,
    /// Syncs that may delete more than their guards allow.
    pub allow_deletes: Vec<String>,
    pub stop: watch::Receiver<bool>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
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
    site: Arc<Site>,
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
        let (secrets, guard) = (Arc::clone(secrets), options.guard.clone());
        let site = Site::open(store, key, secrets, guard, Fence::default())?;
        if let Some(name) = site.unsealed(&plans) {
            return Err(StartError::NoKey(name));
        }
        Self::with(plans, site, options)
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
        let (secrets, guard) = (Arc::clone(secrets), options.guard.clone());
        let site = Site::with(copy, tokens, secrets, guard, Fence::default());
        Ok(Self {
            witness: Some(witness),
            ..Self::with(plans, site, options)?
        })
    }

    fn with(plans: Vec<Arc<Plan>>, site: Site, options: Options) -> Result<Self, StartError> {
        let mut site = site.metered(Arc::clone(&options.metrics));
        if let Mode::Once { patience } = options.mode {
            site = site.waiting_at_most(patience.max(LONGEST_PAUSE));
        }
        for connection in plans
            .iter()
            .flat_map(|plan| [&plan.source.connection, &plan.target.connection])
        {
            site.connector(connection).map_err(StartError::Connection)?;
        }
        let job = |plan: Arc<Plan>| {
            let meter = options.metrics.sync(&plan.name);
            meter.declared(Declared {
                max_age: Some(plan.max_age),
                ..Declared::default()
            });
            Job {
                plan,
                progress: Arc::new(Progress::metered(meter)),
                done: watch::Sender::new(false),
            }
        };
        Ok(Self {
            site: Arc::new(site),
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

    /// What those see who ask how this process is doing.
    pub fn outlook(&self) -> Outlook {
        let syncs = self.jobs.iter().map(|job| job.plan.name.clone()).collect();
        Outlook::new(Arc::clone(&self.site), syncs)
    }

    /// What takes in the webhooks that these Syncs use, and the paths of their URLs.
    pub fn receiver(&self, secrets: &Arc<dyn SecretSource>) -> (Receiver, Vec<String>) {
        let served = Arc::new(Endpoints::new(Arc::clone(&self.options.metrics)));
        let mut paths = Vec::new();
        for plan in self.jobs.iter().map(|job| &job.plan) {
            let source = &plan.source.connection;
            if let Some(webhook) = &plan.webhook {
                let webhook = Arc::clone(webhook);
                let endpoint = Endpoint::new(&source.namespace, &source.name, webhook);
                paths.push(endpoint.path());
                served.serve(&plan.name, endpoint);
            }
        }
        paths.sort();
        paths.dedup();
        let receiver = self.site.receiver(served, Arc::clone(secrets));
        (receiver, paths)
    }

    /// Runs all Syncs. In a single run a Sync begins when those that its lookups need have ended.
    pub async fn run(self, mut each: impl FnMut(&Finished)) -> Vec<Finished> {
        let mut tasks = JoinSet::new();
        for job in &self.jobs {
            let name = job.plan.name.name.as_str();
            let on = if self.options.reset.iter().any(|n| n == name) {
                OnMismatch::Reset
            } else if self.options.adopt.iter().any(|n| n == name) {
                OnMismatch::Adopt
            } else {
                OnMismatch::Refuse
            };
            let run = Run {
                plan: Arc::clone(&job.plan),
                progress: Arc::clone(&job.progress),
                mode: self.options.mode.clone(),
                scan: true,
                witness: self.witness.clone(),
                full: self.options.full,
                allow_deletes: match self.options.allow_deletes.iter().any(|n| n == name) {
                    true => AllowDeletes::All,
                    false => AllowDeletes::No,
                },
                on,
                stop: self.options.stop.clone(),
            };
            let site = Arc::clone(&self.site);
            let first = self.needed_first(&job.plan);
            let done = job.done.clone();
            tasks.spawn(async move {
                for mut needed in first {
                    // An error means that the other's task has ended, which is what is waited for.
                    let _ = needed.wait_for(|done| *done).await;
                }
                let finished = run_one(&site, run).await;
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

/// Delay before a Sync that lost its store is opened again; doubles, with jitter, up to [`LONGEST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

async fn run_one(site: &Site, run: Run) -> Finished {
    let mut stop = run.stop.clone();
    let mut attempts = 0;
    loop {
        let finished = attempt(site, run.clone()).await;
        let passing = matches!(&finished.error, Some(RunError::Store(e)) if e.is_passing());
        if !passing || !matches!(run.mode, Mode::Watch) || *stop.borrow() {
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

async fn attempt(site: &Site, run: Run) -> Finished {
    let sync = run.plan.name.clone();
    let (report, error) = site.run(run).await;
    let totals = totals_of(site.store().as_ref(), &sync)
        .await
        .unwrap_or_default();
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
    Ok(store.find(sync).await?.map(|(session, _)| session))
}
