//! Workers as supervised tasks of this process: one for each Sync, told what to do by whoever watches
//! the manifests. Used by `controller`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::record::SyncName;
use crate::state::StoreError;
use crate::worker::{Progress, names_of, now};

use super::changes::Changes;
use super::order::{Desired, Snapshot};
use super::site::Site;
use super::supervise::{GRACE, Shared, Supervisor, Told};

/// Workers that run at once; the others wait. Bounds memory, not the number of Syncs.
const MOST_RUNNING: usize = 128;

/// All supervised Syncs of this process.
pub struct Tasks {
    shared: Arc<Shared>,
    syncs: Mutex<HashMap<SyncName, Entry>>,
}

struct Entry {
    told: watch::Sender<Told>,
    shown: watch::Receiver<Snapshot>,
    progress: Arc<Progress>,
    task: JoinHandle<()>,
}

impl Tasks {
    /// `unclean`: another process may have sent something that is still under way.
    pub fn new(site: Arc<Site>, unclean: bool) -> Self {
        let shared = Shared {
            site,
            started: now(),
            taken_over: unclean.then(now),
            permits: Semaphore::new(MOST_RUNNING),
            changes: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
            syncs: Mutex::default(),
        }
    }

    pub fn site(&self) -> &Arc<Site> {
        &self.shared.site
    }

    /// The Syncs whose [`Snapshot`] has changed.
    pub fn changes(&self) -> &Arc<Changes<SyncName>> {
        &self.shared.changes
    }

    fn syncs(&self) -> MutexGuard<'_, HashMap<SyncName, Entry>> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a Sync what to do. The worker that does something else ends first.
    pub fn tell(&self, name: &SyncName, desired: Desired) {
        let gone = matches!(desired, Desired::Gone { .. });
        if gone {
            self.shared.site.metrics().forget_sync(name);
        }
        let mut syncs = self.syncs();
        // A supervisor ends only when its Sync is gone: then the next one takes its place.
        if let Some(entry) = syncs.get(name)
            && !matches!(entry.told.borrow().desired, Desired::Gone { .. })
        {
            // Only what is new wakes it: what it shows comes back here.
            entry.told.send_if_modified(|told| {
                let new = !told.desired.same_as(&desired);
                if new {
                    told.desired = desired;
                }
                new
            });
            return;
        }
        if gone {
            return;
        }
        let before = syncs.remove(name).map(|entry| entry.task);
        let entry = self.start(name, desired, before);
        syncs.insert(name.clone(), entry);
    }

    fn start(&self, name: &SyncName, desired: Desired, before: Option<JoinHandle<()>>) -> Entry {
        let (told, hears) = watch::channel(Told { desired, nudges: 0 });
        let (shows, shown) = watch::channel(Snapshot::default());
        let meter = self.shared.site.metrics().sync(name);
        let progress = Arc::new(Progress::metered(meter));
        let supervisor = Supervisor::new(
            name.clone(),
            Arc::clone(&self.shared),
            hears,
            shows,
            Arc::clone(&progress),
        );
        let task = tokio::spawn(async move {
            if let Some(before) = before {
                // However it ended, it is gone now.
                let _ = before.await;
            }
            supervisor.run().await;
        });
        Entry {
            told,
            shown,
            progress,
            task,
        }
    }

    /// A failure may be over: a Secret has changed, a system answers again.
    pub fn nudge(&self, name: &SyncName) {
        if let Some(entry) = self.syncs().get(name) {
            entry.told.send_modify(|told| told.nudges += 1);
        }
    }

    /// What is known of a Sync; `None`: it is not supervised.
    pub fn snapshot(&self, name: &SyncName) -> Option<Snapshot> {
        self.syncs().get(name).map(|e| e.shown.borrow().clone())
    }

    /// The live figures of all Syncs.
    pub fn progress(&self) -> Vec<(SyncName, Arc<Progress>)> {
        self.syncs()
            .iter()
            .map(|(name, entry)| (name.clone(), Arc::clone(&entry.progress)))
            .collect()
    }

    /// Forgets the supervisors of Syncs that are gone, so that this does not grow for ever.
    pub fn tidy(&self) {
        self.syncs().retain(|_, entry| !entry.task.is_finished());
    }

    /// Begins to count the time of state that no Sync belongs to, and forgets what has expired.
    /// `declared` says of a name whether it is; `None`: that is not known here.
    pub async fn sweep(
        &self,
        retention: Duration,
        declared: impl Fn(&SyncName) -> Option<bool>,
    ) -> Result<(), StoreError> {
        let site = &self.shared.site;
        let retention = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        for (session, state) in site.store().list().await? {
            if declared(&session.sync) != Some(false) {
                continue;
            }
            match state.expires {
                None => {
                    let expires = Some(now().saturating_add(retention));
                    site.store().expire(&session.sync, expires).await?;
                }
                Some(at) if at <= now() => {
                    tracing::info!(sync = %session.sync, "its state has expired and is forgotten");
                    site.store().forget(&session.sync).await?;
                    for name in names_of(&session.sync) {
                        site.store().save_value(&name, None).await?;
                    }
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Stops all workers: they finish what is sent, within `bound`, and then are ended.
    pub async fn stop(&self, bound: Duration) {
        let entries: Vec<Entry> = self.syncs().drain().map(|(_, entry)| entry).collect();
        let deadline = tokio::time::Instant::now() + bound.min(GRACE);
        let mut tasks = Vec::with_capacity(entries.len());
        for entry in entries {
            // Dropping the sender tells the supervisor that the process lets go.
            drop(entry.told);
            tasks.push(entry.task);
        }
        for mut task in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
                let _ = task.await;
            }
        }
    }
}
