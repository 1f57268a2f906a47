//! What the cluster shows of the Syncs while the controller works: read from a watch, as any user could.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::{StreamExt, pin_mut};
use kube::api::DynamicObject;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::world::resource;

/// By name.
pub type Seen = BTreeMap<String, Shown>;

/// What one Sync shows.
#[derive(Default)]
pub struct Shown {
    ready: bool,
    /// Reason of its condition Ready.
    pub reason: String,
    /// It has been run.
    pub ran: bool,
}

impl Shown {
    fn new(object: &DynamicObject) -> Self {
        let status = &object.data["status"];
        let current = status["observedGeneration"].as_i64() == object.metadata.generation;
        let mut conditions = status["conditions"].as_array().into_iter().flatten();
        let ready = conditions.find(|c| c["type"] == "Ready");
        let Some(ready) = ready.filter(|_| current) else {
            return Self::default();
        };
        Self {
            ready: ready["status"] == "True",
            reason: ready["reason"].as_str().unwrap_or_default().to_owned(),
            ran: status["lastRun"]["ended"].is_string(),
        }
    }

    pub fn is_ready(&self) -> bool {
        self.ready
    }
}

/// Watches until it is dropped.
pub struct Observer {
    seen: watch::Receiver<Seen>,
    /// Changes of any of the three kinds.
    writes: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Observer {
    pub fn start(client: Client, namespace: &str) -> Self {
        let (shows, seen) = watch::channel(Seen::new());
        let writes = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for kind in ["Connection", "Mapping", "Sync"] {
            let api =
                Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource(kind));
            let (shows, writes) = (shows.clone(), Arc::clone(&writes));
            tasks.spawn(async move {
                let events = watcher(api, Config::default());
                pin_mut!(events);
                while let Some(event) = events.next().await {
                    let object = match event {
                        Ok(Event::Apply(object)) => {
                            writes.fetch_add(1, Ordering::Relaxed);
                            object
                        }
                        Ok(Event::InitApply(object)) => object,
                        _ => continue,
                    };
                    if kind == "Sync" {
                        let shown = Shown::new(&object);
                        shows.send_modify(|seen| drop(seen.insert(object.name_any(), shown)));
                    }
                }
            });
        }
        Self {
            seen,
            writes,
            _tasks: tasks,
        }
    }

    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Waits until what is shown is so.
    pub async fn until(&self, bound: Duration, holds: impl Fn(&Seen) -> bool) -> Result<()> {
        let mut seen = self.seen.clone();
        let end = Instant::now() + bound;
        // Not at each of thousands of changes: looking takes time too.
        while !holds(&seen.borrow_and_update()) {
            if Instant::now() > end {
                let seen = self.seen.borrow();
                let ready = seen.values().filter(|one| one.ready).count();
                let ran = seen.values().filter(|one| one.ran).count();
                bail!(
                    "not within {bound:?}: of {} Syncs {ready} are ready, {ran} ran",
                    seen.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until nothing has been written for a while.
    pub async fn until_quiet(&self, rest: Duration, bound: Duration) -> Result<()> {
        let end = Instant::now() + bound;
        loop {
            let before = self.writes();
            tokio::time::sleep(rest).await;
            if self.writes() == before {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("something is written all the time");
            }
        }
    }
}
