//! What the reconcilers share: the index, the queue, the statuses, the workers.
//! Made by `lead` for as long as this process leads.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::health::Health;
use super::index::{Effects, Index, Kind, Target};
use super::kept::Kept;
use super::queue::Queue;
use super::reconcile::Failures;
use super::secrets::ClusterSecrets;
use super::status::Statuses;
use super::streams::Sighting;
use super::sync::Cached;
use crate::intake::Endpoints;
use crate::plan::ResourceName;
use crate::record::SyncName;
use crate::runtime::probe::Probes;
use crate::runtime::site::{ConnectionName, Site};
use crate::runtime::tasks::Tasks;

/// What becomes of a Connection's Secrets, as the last look showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// They are all there.
    Present,
    /// One that requests need is not, in words for a person: nothing can be read or written.
    Missing(String),
    /// One that a webhook is verified with is not: deliveries that it signs are refused, the rest works.
    WebhookMissing { webhook: String, what: String },
}

/// Where webhooks are received, and which.
#[derive(Clone, Default)]
pub struct Hooks {
    pub endpoints: Arc<Endpoints>,
    /// What stands before a webhook's path; `None`: none are received.
    pub base: Option<String>,
}

/// Shared by all reconcilers.
pub struct Context {
    index: RwLock<Index>,
    pub queue: Queue,
    pub statuses: Arc<Statuses>,
    pub tasks: Tasks,
    pub probes: Probes,
    pub secrets: ClusterSecrets,
    pub health: Arc<Health>,
    pub failures: Failures,
    pub hooks: Hooks,
    pub kept: Kept,
    /// To the task that writes the index.
    sightings: mpsc::Sender<Sighting>,
    /// Of each Connection that was looked at.
    credentials: Mutex<HashMap<ResourceName, Credentials>>,
    /// Connections whose Secrets have changed since the last look.
    rotated: Mutex<HashSet<ResourceName>>,
    /// What was computed of each Sync.
    pub(super) plans: Mutex<HashMap<ResourceName, Cached>>,
}

/// How long changes of a worker are gathered before they are shown.
const GATHER: Duration = Duration::from_millis(200);

impl Context {
    pub fn new(
        site: Arc<Site>,
        statuses: Arc<Statuses>,
        secrets: ClusterSecrets,
        health: Arc<Health>,
        tasks: Tasks,
        hooks: Hooks,
        sightings: mpsc::Sender<Sighting>,
    ) -> Self {
        Self {
            index: RwLock::default(),
            queue: Queue::default(),
            statuses,
            tasks,
            kept: Kept::new(Arc::clone(site.store())),
            sightings,
            probes: Probes::new(site),
            secrets,
            health,
            failures: Failures::default(),
            hooks,
            credentials: Mutex::default(),
            rotated: Mutex::default(),
            plans: Mutex::default(),
        }
    }

    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the task that reads the watches, and for nobody else.
    pub(super) fn write_index(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the index changed by the task that may.
    pub async fn see(&self, sighting: Sighting) {
        // Nobody takes it any more: this process does not lead any more.
        let _ = self.sightings.send(sighting).await;
    }

    /// Sets to work what a change of the index means.
    pub fn follow(&self, effects: Effects) {
        let now = Instant::now();
        self.rotated().extend(effects.rotated);
        for target in effects.gone.into_iter().chain(effects.reconcile) {
            self.queue.add(target, now);
        }
    }

    fn rotated(&self) -> MutexGuard<'_, HashSet<ResourceName>> {
        self.rotated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a Secret of this Connection has changed since this was last asked.
    pub fn take_rotation(&self, name: &ResourceName) -> bool {
        self.rotated().remove(name)
    }

    fn all_credentials(&self) -> MutexGuard<'_, HashMap<ResourceName, Credentials>> {
        self.credentials
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last look at a Connection's Secrets showed; `None`: it was not looked at yet.
    pub fn credentials(&self, name: &ResourceName) -> Option<Credentials> {
        self.all_credentials().get(name).cloned()
    }

    /// Notes what a look showed; the Syncs that use the Connection hear of a change.
    pub fn set_credentials(&self, name: &ResourceName, found: Option<Credentials>) {
        let before = match found.clone() {
            Some(found) => self.all_credentials().insert(name.clone(), found),
            None => self.all_credentials().remove(name),
        };
        if before != found {
            self.wake_users(name);
        }
    }

    /// Reconciles the Syncs that use a Connection.
    pub fn wake_users(&self, name: &ResourceName) {
        let now = Instant::now();
        for sync in self.users(name) {
            self.queue.add(Target::new(Kind::Sync, &sync), now);
        }
    }

    /// The Syncs that use a Connection.
    pub fn users(&self, name: &ResourceName) -> BTreeSet<ResourceName> {
        self.index().users_of_connection(name)
    }

    /// Passes on what the workers have to show, for ever.
    pub async fn hear_workers(&self) {
        let changes = Arc::clone(self.tasks.changes());
        loop {
            let at = Instant::now() + GATHER;
            for name in changes.take().await {
                let name = ResourceName::new(name.namespace, name.name);
                self.queue.add(
                    Target::new(Kind::Sync, &name),
                    at.max(Instant::now() + GATHER),
                );
            }
        }
    }

    /// Passes on what the probes have to show, for ever.
    pub async fn hear_probes(&self) {
        let changes = Arc::clone(self.probes.changes());
        loop {
            for (namespace, name) in changes.take().await {
                let name = ResourceName::new(namespace, name);
                self.queue
                    .add(Target::new(Kind::Connection, &name), Instant::now());
            }
        }
    }
}

/// The name of a Sync as the store has it.
pub fn sync_name(name: &ResourceName) -> SyncName {
    SyncName {
        namespace: name.namespace.clone(),
        name: name.name.clone(),
    }
}

/// The name of a Connection as the runtime has it.
pub fn connection_name(name: &ResourceName) -> ConnectionName {
    (name.namespace.clone(), name.name.clone())
}
