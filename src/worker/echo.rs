//! Holds records that are written back and forth between the same two contents, and keeps from run to run how
//! often that was. What counts as an echo is pure, in `pipeline::echo`. Called by `send` and `answer`.

use crate::record::SyncName;
use crate::state::StoreError;

use super::flight::{Flight, FlightId};
use super::outcome::Outcome;
use super::{Worker, now};

/// The name under which the store keeps what a Sync counted.
pub(super) fn echoes_name(sync: &SyncName) -> String {
    format!("echoes/{sync}")
}

impl Worker {
    fn echoes_name(&self) -> String {
        echoes_name(&self.session.sync)
    }

    /// Whether this version is not to be written by itself any more.
    pub(super) fn is_echo(&self, flight: &Flight) -> bool {
        let entry = &flight.entry;
        !flight.detail.replayed
            && !flight.base.is_new()
            && self.echoes.is_echo(&entry.key, entry.mapped, now())
    }

    /// The newest version waits for a person instead of being written for ever.
    pub(super) fn hold_echo(&mut self, id: FlightId) {
        let (writes, minutes) = self.echoes.bounds();
        let message = format!(
            "it was written {writes} times within {minutes} min, each time in place of the other one of the same two \
             contents: somebody changes it back. If a Sync flows from this target into the source, let one of both \
             decide, or let both Mappings come to the same result; then replay this. Another content is written as usual"
        );
        self.conclude(Outcome::dead(id, "Echo", message));
    }

    /// The target has other content of a record than before.
    pub(super) fn note_echo(&mut self, id: FlightId) {
        let flight = self.flights.get(id);
        if flight.base.is_new() {
            return;
        }
        let (key, before, after) = (&flight.entry.key, flight.base.mapped, flight.entry.mapped);
        if flight.detail.replayed {
            self.echoes.forgive(key);
        }
        self.echoes.wrote(key, before, after, now());
    }

    /// What earlier runs counted.
    pub(super) async fn load_echoes(&mut self) -> Result<(), StoreError> {
        if self.links_at_start > 0
            && let Some(kept) = self.setup.store.load_value(&self.echoes_name()).await?
        {
            self.echoes.take_up(&kept);
        }
        Ok(())
    }

    /// Keeps what was counted for the next run. A crash forgets what its run counted, and an echo comes back.
    pub(super) async fn keep_echoes(&mut self) -> Result<(), StoreError> {
        match self.echoes.to_keep(now()) {
            Some(bytes) => {
                let store = &self.setup.store;
                store.save_value(&self.echoes_name(), Some(bytes)).await
            }
            None => Ok(()),
        }
    }
}
