//! Dead letters do not pile up for ever: the oldest go when they are too old or too many, and it is told.
//! The store says which; this says when.

use crate::state::Keep;
use crate::telemetry::events::DeadLettersExpired;

use super::{Event, Worker, now};

/// New dead letters after which those that are too many are looked for.
const MANY: u64 = 1_000;

/// Most that go in one transaction.
const PORTION: usize = 500;

/// When dead letters were looked at last.
#[derive(Debug, Default)]
pub struct Expiry {
    busy: bool,
    /// Dead letters of this run by then.
    seen: u64,
    done: bool,
}

impl Expiry {
    /// They are looked at again.
    pub fn is_due(&mut self) {
        self.done = false;
    }
}

impl Worker {
    /// Lets the oldest dead letters go: at the beginning of a run, after each scan, while many come, and when
    /// nothing else is left to do.
    pub(super) fn expire_dead_letters(&mut self) {
        let new = self.counts.dead - self.expiry.seen;
        let idle = !self.scanning && self.flights.is_empty();
        let due = !self.expiry.done || new >= MANY || (idle && new > 0);
        let rehearsal = self.setup.witness.is_some();
        if !due || self.expiry.busy || !self.has_exceptions || rehearsal {
            return;
        }
        self.expiry = Expiry {
            busy: true,
            seen: self.counts.dead,
            done: true,
        };
        let failures = &self.plan().failures;
        let age = i64::try_from(failures.dead_letter_retention.as_millis()).unwrap_or(i64::MAX);
        let at = now();
        let keep = Keep {
            since: at.saturating_sub(age),
            most: failures.dead_letter_limit,
        };
        let (store, session) = (self.setup.store.clone(), self.session.clone());
        self.push(async move {
            let mut all = 0;
            loop {
                let gone = store
                    .expire_dead_letters(&session, keep, at, PORTION)
                    .await?;
                all += gone;
                if gone < PORTION as u64 {
                    return Ok(Event::Expired(all));
                }
            }
        });
    }

    /// So many are gone.
    pub(super) fn expired(&mut self, count: u64) {
        self.expiry.busy = false;
        let gone = DeadLettersExpired {
            sync: &self.session.sync,
            count,
        };
        gone.emit(self.setup.progress.meter());
    }
}
