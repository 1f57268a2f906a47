//! Many records of one run that are rejected for good say more about the Mapping or a Connection than about the
//! records: the Sync pauses before more become dead letters. What is not sent stays where it is. Told by `page`,
//! `settle` and `resolve`; asked by the engine in each turn.

use std::collections::BTreeMap;

use crate::plan::SuspectAt;
use crate::state::{Detail, Trouble};

use super::flight::FlightId;
use super::outcome::{Ending, Outcome};
use super::prepare::Prepared;
use super::{RunError, Target, Worker};

/// Reasons that are counted; what comes beyond is one of its own.
const MOST_REASONS: usize = 32;

/// What became of the records of this run: between the starts of two scans, where the worker goes on.
#[derive(Debug, Default)]
pub struct Suspicion {
    /// What the Mapping made of what was read.
    mapping: Tally,
    /// What the target said to what was sent.
    target: Tally,
    /// What a preview has to say about it.
    pub note: Option<String>,
}

#[derive(Debug, Default)]
struct Tally {
    taken: u64,
    rejected: u64,
    /// Not taken yet, and not rejected either: they wait for the link of another record. An order whose customer
    /// has not come must not make a Sync look bad that starts beside that of the customers.
    waiting: u64,
    reasons: BTreeMap<String, u64>,
}

impl Tally {
    fn reject(&mut self, reason: String) {
        self.rejected += 1;
        let known = self.reasons.len() < MOST_REASONS || self.reasons.contains_key(&reason);
        let reason = if known { reason } else { "others".into() };
        *self.reasons.entry(reason).or_default() += 1;
    }

    fn all(&self) -> u64 {
        self.taken + self.rejected + self.waiting
    }

    fn is_suspect(&self, at: SuspectAt, ended: bool) -> bool {
        at.is_reached(self.rejected, self.all(), ended)
    }

    /// The most frequent reason, and how often it was given.
    fn most_often(&self) -> (String, u64) {
        let most = self.reasons.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(Default::default, |(reason, count)| (reason.clone(), *count))
    }
}

impl Worker {
    /// A record that nothing is under way of went through the Mapping.
    pub(super) fn weigh_mapped(&mut self, prepared: &Prepared) {
        match prepared {
            Prepared::Ready(_) => self.suspicion.mapping.taken += 1,
            Prepared::Trouble(_, Trouble::Dead, detail) => self.weigh_rejected(detail),
            Prepared::Trouble(_, Trouble::Waiting, _) => self.suspicion.mapping.waiting += 1,
            Prepared::Trouble(..) => {}
        }
    }

    /// The Mapping does not take a record, or it is none.
    pub(super) fn weigh_rejected(&mut self, detail: &Detail) {
        let reason = match &detail.field {
            Some(field) => format!("{} in field {field}", detail.reason),
            None => detail.reason.clone(),
        };
        self.suspicion.mapping.reject(reason);
    }

    /// What became of a record that was sent. Removals are not the Mapping's, and of a replay a person knows.
    pub(super) fn weigh(&mut self, outcome: &Outcome) {
        let flight = self.flights.get(outcome.id);
        if flight.entry.removal.is_some() || flight.detail.replayed {
            return;
        }
        match &outcome.ending {
            Ending::Applied { .. } | Ending::Unchanged => self.suspicion.target.taken += 1,
            Ending::Trouble {
                trouble: Trouble::Dead,
                detail,
                ..
            } if detail.reason == "Permanent" => {
                let status = detail.failure.as_ref().and_then(|failure| failure.status);
                let reason = status.map_or_else(|| detail.reason.clone(), |s| s.to_string());
                self.suspicion.target.reject(reason);
            }
            _ => {}
        }
    }

    /// A record went through the Mapping again: one that waited, or that a newer version stood before.
    pub(super) fn weigh_again(&mut self, id: FlightId, prepared: &Prepared) {
        if !self.flights.get(id).detail.replayed {
            let waiting = &mut self.suspicion.mapping.waiting;
            *waiting = waiting.saturating_sub(1);
            self.weigh_mapped(prepared);
        }
    }

    /// A new run begins.
    pub(super) fn trust(&mut self) {
        self.suspicion = Suspicion::default();
    }

    /// Pauses the Sync when too many are rejected. A preview goes on and says so.
    pub(super) fn suspect(&mut self) {
        if self.error.is_some() || self.suspicion.note.is_some() {
            return;
        }
        let ended = !self.scanning && self.pages == 0 && self.flights.is_empty();
        let at = self.plan().failures.suspect_mapping_at;
        let (plan, tallies) = (self.plan(), &self.suspicion);
        let (tally, endpoint, whose) = if tallies.mapping.is_suspect(at, ended) {
            (&tallies.mapping, &plan.source, "the Mapping rejects")
        } else if tallies.target.is_suspect(at, ended) {
            (&tallies.target, &plan.target, "the target refuses")
        } else {
            return;
        };
        let (reason, count) = tally.most_often();
        let error = RunError::MappingSuspect {
            whose,
            sync: plan.name.name.as_str().into(),
            connection: endpoint.connection.name.as_str().into(),
            object: endpoint.object.name.as_str().into(),
            rejected: tally.rejected,
            of: tally.all(),
            reason: reason.into(),
            count,
        };
        match self.setup.target {
            Target::Rehearsal(_) => {
                self.suspicion.note = Some(format!("a run would pause: {error}"));
            }
            Target::Live(_) => self.error = Some(error),
        }
    }
}
