//! Tries Connections out at their interval, so that a system that is down or a credential that is
//! rejected is known before records flow. One task for each Connection with a probe. Used by `controller`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::plan::ConnectionPlan;
use crate::record::Class;
use crate::state::Millis;
use crate::worker::now;

use super::changes::Changes;
use super::site::{ConnectionName, Site};

/// What the last probe showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    pub health: Health,
    /// What happened and what to do, in one line; empty when all is well.
    pub message: String,
    /// Since when it is so.
    pub since: Millis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers and takes the credential.
    Good,
    /// It does not answer, or with errors.
    Unreachable,
    /// It does not take the credential.
    Rejected,
    /// Its certificate or its answers are not what the Connection says, or no credential can be read.
    Misconfigured,
}

/// All Connections with a probe.
pub struct Probes {
    site: Arc<Site>,
    changes: Arc<Changes<ConnectionName>>,
    connections: Mutex<HashMap<ConnectionName, Entry>>,
}

struct Entry {
    plan: Arc<ConnectionPlan>,
    nudges: watch::Sender<u64>,
    shown: watch::Receiver<Option<Probed>>,
    task: JoinHandle<()>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Probes {
    pub fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            changes: Arc::default(),
            connections: Mutex::default(),
        }
    }

    /// The Connections whose result has changed.
    pub fn changes(&self) -> &Arc<Changes<ConnectionName>> {
        &self.changes
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<ConnectionName, Entry>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Probes this Connection from now on, if it says how; another Plan begins anew.
    pub fn watch(&self, plan: &Arc<ConnectionPlan>) {
        let name = (plan.namespace.clone(), plan.name.clone());
        let mut connections = self.connections();
        if plan.probe.is_none() {
            connections.remove(&name);
            return;
        }
        if connections
            .get(&name)
            .is_some_and(|entry| Arc::ptr_eq(&entry.plan, plan))
        {
            return;
        }
        let (nudges, nudged) = watch::channel(0);
        let (shows, shown) = watch::channel(None);
        let probing = Probing {
            site: Arc::clone(&self.site),
            plan: Arc::clone(plan),
            changes: Arc::clone(&self.changes),
            name: name.clone(),
            nudged,
            shows,
        };
        let entry = Entry {
            plan: Arc::clone(plan),
            nudges,
            shown,
            task: tokio::spawn(probing.run()),
        };
        connections.insert(name, entry);
    }

    /// Probes it no more.
    pub fn forget(&self, name: &ConnectionName) {
        self.connections().remove(name);
    }

    /// Probes it now: its Secret has changed.
    pub fn nudge(&self, name: &ConnectionName) {
        if let Some(entry) = self.connections().get(name) {
            entry.nudges.send_modify(|n| *n += 1);
        }
    }

    /// What the last probe showed; `None`: none has been answered yet.
    pub fn result(&self, name: &ConnectionName) -> Option<Probed> {
        self.connections().get(name)?.shown.borrow().clone()
    }
}

struct Probing {
    site: Arc<Site>,
    plan: Arc<ConnectionPlan>,
    changes: Arc<Changes<ConnectionName>>,
    name: ConnectionName,
    nudged: watch::Receiver<u64>,
    shows: watch::Sender<Option<Probed>>,
}

impl Probing {
    async fn run(mut self) {
        let interval = self
            .plan
            .probe
            .as_ref()
            .map_or(Duration::MAX, |p| p.interval);
        loop {
            let rest = match self.once().await {
                // Those that fail together must not come again together.
                Some(rest) => rest,
                None => interval - interval / 10 + spread(interval / 10),
            };
            tokio::select! {
                changed = self.nudged.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// Probes once; says how long to wait when that is not for the interval.
    async fn once(&self) -> Option<Duration> {
        let connector = self.site.connector(&self.plan);
        let result = match &connector {
            Ok(connector) => connector.probe().await,
            Err(failure) => Err(failure.clone()),
        };
        let held_back = result
            .as_ref()
            .is_err_and(|failure| !failure.sent && failure.retry_after_ms.is_some());
        let (health, message) = match result {
            Ok(()) => (Health::Good, String::new()),
            Err(failure) => {
                let health = match failure.class {
                    Class::Authentication => Health::Rejected,
                    Class::Configuration => Health::Misconfigured,
                    _ => Health::Unreachable,
                };
                (health, failure.message)
            }
        };
        let changed = self.shows.send_if_modified(|shown| {
            // Where nothing was sent because of what was known, nothing is new: how long it is still waited
            // for would be another message each time.
            let same = |p: &Probed| p.health == health && (held_back || p.message == message);
            if shown.as_ref().is_some_and(same) {
                return false;
            }
            let since = match shown {
                Some(before) if before.health == health => before.since,
                _ => now(),
            };
            *shown = Some(Probed {
                health,
                message,
                since,
            });
            true
        });
        if changed {
            self.changes.add(self.name.clone());
        }
        connector.ok()?.stalled_for()
    }
}

fn spread(most: Duration) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(getrandom::u64().unwrap_or(0) % most)
}
