//! When a run has nothing left to do, when its engine wakes by itself, and what may wait for more to come. Only looks
//! at the worker's state.

use std::time::Duration;

use tokio::time::Instant;

use super::flight::FlightId;
use super::{Mode, Worker, inbox, now, settle};
use crate::pipeline::route::{Step, route};
use crate::record::Verb;

/// Flights that are ready, for each request that may be under way, while pages can wait for others to share
/// their transaction.
const ENOUGH: usize = 16;

/// New records on their way for each that a request may hold, so that the target has enough to do while others are
/// being committed; and their bounds, over all segments and exceptions. More of them would only leave the processor's
/// cache before it is their turn.
const FOR_EACH: usize = 2 * ENOUGH;
const LEAST_FLIGHTS: usize = 512;
pub(super) const MOST_FLIGHTS: usize = 2_048;

/// Segments on their way at once, and pages before they become one. Many small pages are needed to
/// keep a fast target busy while others are committed.
const MOST_SEGMENTS: usize = 20;

/// Bytes of source records in all segments before the next page is asked for; bounds memory where
/// records or pages are large.
const MOST_BYTES: usize = 8 * 1024 * 1024;

impl Worker {
    /// Whether the next page of records may come in, beside so many that are being read.
    pub(super) fn has_room(&self, pages: usize) -> bool {
        // Those that are tried again have a bound of their own: they must not keep new ones out.
        let new: usize = self.flights.segments.values().map(|s| s.left).sum();
        self.flights.segments.len() + pages < MOST_SEGMENTS
            && new < self.wanted_flights()
            && self.flights.len() < MOST_FLIGHTS
            && self.flights.bytes() < MOST_BYTES
    }

    fn wanted_flights(&self) -> usize {
        let batch = [Verb::Create, Verb::Update, Verb::Upsert]
            .into_iter()
            .filter_map(|verb| self.batch_of(verb));
        let records = batch.map(|batch| batch.max).max().unwrap_or(1);
        let at_once = self.setup.target.concurrency().saturating_mul(records);
        at_once
            .saturating_mul(FOR_EACH)
            .clamp(LEAST_FLIGHTS, MOST_FLIGHTS)
    }

    /// How many requests of this flight's kind may wait in front of the target's limits, so that a place that
    /// becomes free is taken at once and not when this task comes to it. A create is noted as sent before, and
    /// waits for its place here; so does what can still be gathered into a batch.
    pub(super) fn ahead(&self, id: FlightId) -> usize {
        let flight = self.flights.get(id);
        if flight.forced.is_some() || flight.entry.removal.is_some() {
            return 0;
        }
        let verb = match route(self.plan(), flight.base.target.is_some()) {
            Step::Update => Verb::Update,
            Step::Upsert => Verb::Upsert,
            Step::Create | Step::Find | Step::Skip => return 0,
        };
        match self.outages == 0 && self.batch_of(verb).is_none() {
            true => self.setup.target.concurrency(),
            false => 0,
        }
    }

    /// Whether the target has enough to do until the next transaction of the store.
    pub(super) fn has_enough(&self) -> bool {
        self.flights.queued() >= ENOUGH * self.setup.target.concurrency()
    }

    /// A single run has waited long enough for records that fail again and again.
    pub(super) fn out_of_patience(&self) -> bool {
        match self.setup.mode {
            Mode::Watch => false,
            Mode::Once { patience } => !self.scanning && self.last_progress.elapsed() > patience,
        }
    }

    pub(super) fn finished(&self) -> bool {
        if !self.work.is_empty() || self.settling || !self.outcomes.is_empty() {
            return false;
        }
        if self.stopping() {
            return true;
        }
        match self.setup.mode {
            Mode::Watch => false,
            Mode::Once { .. } => {
                // Links that were made since waiting records were last looked at may set one free.
                let told = self.has_waiting && self.linked.has_changed().unwrap_or(false);
                let inbox =
                    self.inbox.as_ref().is_none_or(inbox::Inbox::is_idle) && self.guard.is_quiet();
                let idle = !self.scanning
                    && !self.absence.is_busy()
                    && self.flights.is_empty()
                    && !told
                    && inbox;
                idle && (self.due.is_none() || self.out_of_patience())
            }
        }
    }

    pub(super) fn wake_at(&self) -> Instant {
        let mut wake = Instant::now() + Duration::from_secs(1);
        if !self.settling && !self.outcomes.is_empty() {
            wake = wake.min(self.settled_at + settle::GATHER);
        }
        if self.stopping() {
            // Nothing is begun any more, however long it is due.
            return wake;
        }
        if let Some(held) = self.held_until {
            wake = wake.min(held);
        }
        if let Some(inbox) = &self.inbox {
            wake = wake.min(inbox.wake_at());
        }
        if let Some(due) = self
            .due
            .filter(|_| !self.asking_due && self.takes_exceptions())
        {
            wake = wake.min(
                Instant::now() + Duration::from_millis(due.saturating_sub(now()).max(1) as u64),
            );
        }
        wake
    }
}
