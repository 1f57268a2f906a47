//! What the store knows of a Sync, and for how long it keeps it.
//! Used by `supervise`.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use crate::runtime::site::{fresh_as_of, standing};
use crate::state::StoreError;
use crate::worker::now;

impl Supervisor {
    /// Reads what the store knows.
    pub(super) async fn load(&mut self) {
        if let Err(error) = self.read().await {
            tracing::warn!(sync = %self.name, "its state cannot be read: {error}");
            self.show(|s| s.running = false);
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        let store = Arc::clone(self.shared.site.store());
        let Some((session, state)) = store.find(&self.name).await? else {
            self.state = None;
            self.due = None;
            self.show(|s| {
                s.loaded = true;
                s.running = false;
            });
            return Ok(());
        };
        let totals = store.totals(&session).await?;
        let oldest = store.oldest_open(&session).await?;
        self.due = match totals.retrying + totals.unknown {
            // What a worker left that was told to stop, or that was killed, is not left until the next scan.
            _ if totals.outbox > 0 => Some(0),
            0 => None,
            _ => store.next_due(&session, -1).await?,
        };
        let fresh = fresh_as_of(state.scanned, oldest);
        self.progress.meter().stands(standing(&totals, fresh));
        self.show(|s| {
            s.loaded = true;
            s.running = false;
            s.last_run.clone_from(&state.last_run);
            s.scanned = state.scanned;
            s.watermark.clone_from(&state.watermark);
            s.totals = totals;
            s.fresh_as_of = fresh;
        });
        self.state = Some(state);
        Ok(())
    }

    /// The Sync is not declared any more: its state is forgotten after a while.
    pub(super) async fn retire(&mut self, retention: Duration) {
        let expires =
            now().saturating_add(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        if let Err(error) = self
            .shared
            .site
            .store()
            .expire(&self.name, Some(expires))
            .await
        {
            tracing::warn!(sync = %self.name, "when its state is to be forgotten cannot be kept: {error}");
        }
    }

    /// The Sync is declared again: its state stays.
    pub(super) async fn unretire(&mut self) {
        if self.state.as_ref().is_none_or(|s| s.expires.is_none()) {
            return;
        }
        match self.shared.site.store().expire(&self.name, None).await {
            Ok(()) => self.load().await,
            Err(error) => {
                tracing::warn!(sync = %self.name, "its state cannot be taken up again: {error}")
            }
        }
    }
}
