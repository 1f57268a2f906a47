//! The delete guard: removals wait until all of a scan are known, and if there are too many, none is carried
//! out. What a person allows is let through once. Called by `removal` for each, and by the engine's turn.

use crate::plan::DeleteGuard;
use crate::record::Fingerprint;
use crate::state::{Change, Detail, GuardTrip, Totals, Trouble};

use super::flight::{Doing, FlightId, Home};
use super::outcome::Outcome;
use super::setup::AllowDeletes;
use super::{Event, RunError, Target, Worker, now};

/// What the worker knows of removals that are held back.
#[derive(Debug, Default)]
pub struct Guard {
    /// Some are held back about which nothing is decided.
    open: bool,
    counting: bool,
    /// There are too many; said when nothing else is left to do.
    tripped: Option<RunError>,
    /// What a preview has to say about it.
    pub note: Option<String>,
}

impl Guard {
    pub fn new(open: bool) -> Self {
        Self {
            open,
            ..Self::default()
        }
    }

    /// A removal is held back.
    pub fn note(&mut self) {
        self.open = true;
    }

    /// Nothing is left to decide.
    pub fn is_quiet(&self) -> bool {
        !self.open && !self.counting && self.tripped.is_none()
    }
}

impl Worker {
    /// Whether a removal may be sent: it was counted and let through, or a person asked for it.
    pub(super) fn is_let_through(&self, id: FlightId) -> bool {
        let flight = self.flights.get(id);
        flight.home == Home::Exception && !flight.detail.uncounted
    }

    /// Decides about the removals that are held back, once all of the scan are known.
    pub(super) fn guard(&mut self) {
        if self.guard.tripped.is_some() && self.flights.is_empty() && !self.scanning {
            self.error = self.error.take().or(self.guard.tripped.take());
        }
        let guard = &self.guard;
        if !guard.open || guard.counting || guard.tripped.is_some() || self.stopping() {
            return;
        }
        // While a scan is interrupted, nobody knows how many more it would find.
        let scans = self.scanning || self.state.scan.is_some() || self.absence.is_busy();
        if scans || self.pages > 0 || self.removals_come() {
            return;
        }
        (self.guard.open, self.guard.counting) = (false, true);
        let (store, session) = (self.setup.store.clone(), self.session.clone());
        self.push(async move { Ok(Event::Counted(store.totals(&session).await?)) });
    }

    /// Whether removals are on their way that are neither held back nor let through.
    fn removals_come(&self) -> bool {
        self.flights.iter().any(|flight| {
            let counted = flight.home == Home::Exception && !flight.detail.uncounted;
            flight.entry.removal.is_some() && flight.doing != Doing::Settled && !counted
        })
    }

    /// How many are held back is known.
    pub(super) fn counted(&mut self, totals: &Totals) {
        self.guard.counting = false;
        if totals.held == 0 {
            self.state.guard = None;
            return;
        }
        let guard = self.plan().write.removals.guard;
        let count = self.state.removals + totals.held;
        let linked = totals.targets + self.state.removals;
        let most = guard.most(linked);
        if count > most && !self.is_allowed(totals.held) {
            let error = self.trip(guard, count, most, linked);
            if !matches!(self.setup.target, Target::Rehearsal(_)) {
                self.guard.tripped = Some(error);
                return;
            }
            self.guard.note = Some(format!("a run would stop before these deletes: {error}"));
        }
        self.state.guard = None;
        self.state.removals = count;
        self.has_exceptions = true;
        let state = Change::State(Box::new(self.state.clone()));
        let commit = self.commit(vec![Change::Release, state]);
        self.push(async move { commit.await.map(|()| Event::Released) });
    }

    /// What was held back may be sent.
    pub(super) fn released(&mut self) {
        self.due = Some(now());
    }

    /// Whether a person allowed what is held back now.
    fn is_allowed(&self, held: u64) -> bool {
        match (&self.setup.allow_deletes, &self.state.guard) {
            (AllowDeletes::All, _) => true,
            (AllowDeletes::These(token), Some(trip)) => *token == trip.token && held <= trip.count,
            _ => false,
        }
    }

    /// Notes that there are too many. As long as there are not more of them, what a person says about them stays true.
    fn trip(&mut self, guard: DeleteGuard, count: u64, most: u64, linked: u64) -> RunError {
        let known = self.state.guard.take().filter(|trip| count <= trip.count);
        let trip = known.unwrap_or_else(|| {
            let named = format!("{} {count} {}", self.session.sync, now());
            let token = format!("{:08x}", Fingerprint::of(named.as_bytes()).0 as u32);
            GuardTrip { count, token }
        });
        let target = &self.plan().target;
        let error = RunError::DeleteGuard {
            connection: target.connection.name.clone(),
            object: target.object.name.clone(),
            count,
            guard,
            most,
            linked,
            token: trip.token.clone(),
        };
        self.state.guard = Some(trip);
        error
    }
}

impl Outcome {
    /// A removal waits until all are counted.
    pub fn held(id: FlightId) -> Self {
        let detail = Detail {
            reason: "Held".into(),
            message:
                "waits until it is known how many records are to be deleted (write.deleteGuard)"
                    .into(),
            ..Detail::default()
        };
        Self::trouble(id, Trouble::Held, Box::new(detail))
    }
}
