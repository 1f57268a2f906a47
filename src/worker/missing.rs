//! Creates in doubt that a search did not find: whether they arrived is known only after the target's index had its
//! time. Called by `send` and `resolve`.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::pipeline::decide::lasted_too_long;
use crate::record::Key;
use crate::state::Trouble;

use super::flight::FlightId;
use super::outcome::{Ending, Outcome};
use super::{Worker, now};

/// When each of them was first looked for in vain, by the time of this process, which nobody sets.
#[derive(Default)]
pub struct Missing(HashMap<Key, Instant>);

impl Missing {
    /// It was found, or is created once more.
    pub fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

impl Worker {
    /// Looks for a create in doubt, unless the last search in vain is so near that the index may not show it yet. A
    /// clock that was set must not make that time shorter, so it is taken from this process, not from the store.
    pub(super) fn look_for(&mut self, id: FlightId) {
        let lag = u64::try_from(self.index_lag()).unwrap_or_default();
        let missing = self.missing.0.get(&self.flights.get(id).entry.key);
        let left = missing
            .map(|since| Duration::from_millis(lag).saturating_sub(since.elapsed()))
            .filter(|left| !left.is_zero());
        match left {
            None => self.search(id),
            Some(left) => self.look_later(id, left),
        }
    }

    /// A lookup found nothing: the second one, after the index had its time, says that the create did
    /// not arrive.
    pub(super) fn not_there(&mut self, id: FlightId) {
        let flight = self.flights.get_mut(id);
        flight.detail.negative_reads += 1;
        let before = self.missing.0.remove(&flight.entry.key);
        if flight.detail.negative_reads >= 2 && before.is_some() {
            flight.detail.negative_reads = 0;
            let detail = flight.detail.detail();
            if lasted_too_long(self.plan(), detail.attempts, self.age(&detail)) {
                return self.give_up_create(id, detail);
            }
            let flight = self.flights.get_mut(id);
            // It is a record like any other again; who else has its match value is asked first.
            flight.forced = None;
            return self.requeue(id);
        }
        let key = flight.entry.key.clone();
        self.missing.0.insert(key, Instant::now());
        let lag = u64::try_from(self.index_lag()).unwrap_or_default();
        self.look_later(id, Duration::from_millis(lag));
    }

    fn look_later(&mut self, id: FlightId, left: Duration) {
        let left = left.as_micros().div_ceil(1_000);
        let ending = Ending::Trouble {
            trouble: Trouble::Unknown,
            next: now().saturating_add(i64::try_from(left).unwrap_or(i64::MAX)),
            detail: Box::new(self.flights.get(id).detail.detail()),
            in_doubt: true,
        };
        self.conclude(Outcome { id, ending });
    }
}
