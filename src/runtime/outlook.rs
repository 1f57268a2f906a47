//! How a process that runs the Syncs of a set of manifests is doing, for those who ask over HTTP.
//! Reads the store, never writes. Made by `local`, served by `runtime::serve`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::site::Site;
use crate::record::SyncName;
use crate::runtime::serve::Subject;
use crate::telemetry::Metrics;

/// What the store said so recently is not asked again: many who ask at once cost as much as one.
const RECENT: Duration = Duration::from_secs(1);

/// A process that runs Syncs.
pub struct Outlook {
    site: Arc<Site>,
    syncs: Vec<SyncName>,
    looked: Mutex<Option<Instant>>,
}

impl Outlook {
    pub fn new(site: Arc<Site>, syncs: Vec<SyncName>) -> Self {
        Self {
            site,
            syncs,
            looked: Mutex::default(),
        }
    }

    async fn ask_store(&self) {
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|at| at.elapsed() < RECENT) {
            return;
        }
        for sync in &self.syncs {
            match self.site.standing(sync).await {
                Ok(standing) => self.site.metrics().sync(sync).stands(standing),
                Err(error) => tracing::warn!(%sync, "its state cannot be read: {error}"),
            }
        }
        *looked = Some(Instant::now());
    }
}

impl Subject for Outlook {
    fn metrics(&self) -> &Metrics {
        self.site.metrics()
    }

    fn alive(&self) -> Result<(), String> {
        Ok(())
    }

    fn ready(&self) -> Result<String, String> {
        Ok("running".to_owned())
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        self.ask_store().boxed()
    }
}
