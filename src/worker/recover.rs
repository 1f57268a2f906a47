//! What was left or comes back: the outbox at start, and exceptions that are due or can go on.
//! Fills the flights of `worker`; what happens to them is decided elsewhere.

use std::collections::HashSet;

use bytes::Bytes;
use tokio::time::Instant;

use crate::plan::Plan;
use crate::record::{Fingerprint, Key};
use crate::state::{Change, Entry, Exception, Known, Millis, Pick, StoreError, Trouble, mark};

use super::flight::{Base, Doing, Flight, Forced, Home};
use super::pace::MOST_FLIGHTS;
use super::removal::perhaps_sent;
use super::{Event, LOOK_EVERY, MOST_DUE, Mode, Worker, now};

/// Milliseconds until more exceptions are asked for when there were more than fit.
const SOON: Millis = 20;

/// Keys whose exceptions are written beside a question to the store, whose answer may be older then.
#[derive(Default)]
pub struct Meanwhile {
    /// Durable since the question.
    pub settled: HashSet<Key>,
    /// On their way with the page that was judged last.
    pub filing: HashSet<Key>,
}

impl Meanwhile {
    /// What was on its way is durable; a question may have been asked before.
    pub fn filed(&mut self, asking: bool) {
        if asking {
            self.settled.extend(self.filing.drain());
        }
        self.filing.clear();
    }
}

impl Worker {
    /// Takes the outbox up again as the last worker left it.
    pub(super) async fn recover(&mut self) -> Result<(), StoreError> {
        let mut changes = Vec::new();
        for stored in self.setup.store.outbox(&self.session).await? {
            let number = stored.number;
            self.state.next_segment = self.state.next_segment.max(number + 1);
            let bytes = stored.entries.iter().map(|e| e.source.len()).sum();
            self.flights
                .add_segment(number, stored.states.clone(), bytes);
            self.dirty_segments.insert(number);
            let open: Vec<_> = stored
                .entries
                .into_iter()
                .zip(stored.states)
                .enumerate()
                .filter(|(_, (_, s))| *s != mark::DONE)
                .collect();
            let keys = open
                .iter()
                .map(|(_, (entry, _))| entry.key.clone())
                .collect();
            let known = self.setup.store.known(&self.session, keys, true).await?;
            for ((index, (entry, state)), known) in open.into_iter().zip(known) {
                let home = Home::Segment { number, index };
                let mut flight = Flight::new(entry, home, Base::of(known.link.as_ref()));
                flight.durable = true;
                // It may have been sent: the next version is compared with nothing, also one that is as
                // the link says.
                flight.base.forget();
                let upserts = self.setup.plan.target.object.upsert.is_some();
                flight.perhaps_there =
                    upserts && flight.base.target.is_none() && !flight.entry.untried;
                if state == mark::CREATING && flight.base.target.is_none() {
                    flight.forced = Some(Forced::Resolve);
                    flight.detail.first_sent = Some(flight.entry.seen);
                } else if self.is_of_another_plan(&flight.entry) {
                    // Without a body it goes through the Mapping as it is now.
                    flight.entry.body = Bytes::new();
                }
                match known.exception {
                    Some(mut exception) if goes_first(self.plan(), &exception, &flight) => {
                        exception.behind = Some(*flight.entry);
                        changes.push(Change::Exception(exception));
                        self.flights.set_mark(home, mark::DONE);
                        continue;
                    }
                    Some(exception) => changes.push(Change::Resolved(exception.entry.key)),
                    None => {}
                }
                let (matching, in_doubt) = (flight.entry.matching, flight.forced.is_some());
                let id = self.flights.add(flight);
                if in_doubt && let Some(value) = matching {
                    // Nobody else may create a record with this match value before this one's fate is known.
                    self.flights.claim_matching(value, id);
                }
            }
        }
        let segments = std::mem::take(&mut self.dirty_segments);
        changes.extend(self.flights.marks(&segments));
        if !changes.is_empty() {
            self.commit(changes).await?;
        }
        for id in self.flights.heads() {
            self.ready(id);
        }
        Ok(())
    }

    /// Whether an entry was mapped under a Plan that has changed since.
    fn is_of_another_plan(&self, entry: &Entry) -> bool {
        entry.removal.is_none()
            && entry.raw != Fingerprint::of(&entry.source).under(self.setup.plan.hash)
    }

    /// Asks for exceptions that are due.
    pub(super) fn ask_due(&mut self) {
        let at = now();
        let waits = |due: Millis| due > at && due <= at.saturating_add(self.longest_delay());
        if self.asking_due || self.due.is_none_or(waits) || !self.takes_exceptions() {
            return;
        }
        self.due = None;
        self.ask(Pick::Due(at), at);
    }

    /// The longest time for which a record is put off. What seems to be due later was put off by a clock that was
    /// ahead and has gone back since.
    fn longest_delay(&self) -> Millis {
        let delay = self.plan().target.connection.retry.max_delay.as_millis();
        i64::try_from(delay)
            .unwrap_or(i64::MAX)
            .max(self.index_lag())
    }

    /// Whether there is room for more exceptions, and time.
    pub(super) fn takes_exceptions(&self) -> bool {
        self.flights.len() + MOST_DUE <= MOST_FLIGHTS && !self.out_of_patience()
    }

    /// A command beside this process may have replayed or discarded dead letters.
    pub(super) fn look_around(&mut self) {
        if self.has_exceptions
            && matches!(self.setup.mode, Mode::Watch)
            && self.last_look.elapsed() > LOOK_EVERY
        {
            self.last_look = Instant::now();
            self.due = Some(now());
            self.linked.mark_changed();
        }
    }

    /// Asks for waiting records that can go on.
    pub(super) fn ask_linked(&mut self) {
        self.ask(Pick::Awaited, now());
    }

    fn ask(&mut self, pick: Pick, at: Millis) {
        self.asking_due = true;
        let (store, session) = (self.setup.store.clone(), self.session.clone());
        let timed = matches!(pick, Pick::Due(_));
        let latest = at.saturating_add(self.longest_delay());
        self.push(async move {
            let mut found = store.exceptions(&session, pick, MOST_DUE).await?;
            let mut next = store.next_due(&session, at).await?;
            while let Some(ahead) = next.filter(|next| timed && *next > latest)
                && found.len() < MOST_DUE
            {
                found = store
                    .exceptions(&session, Pick::Due(ahead), MOST_DUE)
                    .await?;
                next = store.next_due(&session, ahead).await?;
            }
            let keys = found.iter().map(|e| e.entry.key.clone()).collect();
            let known = store.known(&session, keys, false).await?;
            Ok(Event::Due(found.into_iter().zip(known).collect(), next))
        });
    }

    pub(super) fn take_due(&mut self, found: Vec<(Exception, Known)>, next: Option<Millis>) {
        self.asking_due = false;
        let full = found.len() == MOST_DUE;
        let (mut taken, mut again) = (0, false);
        let settled = std::mem::take(&mut self.meanwhile.settled);
        for (exception, known) in found {
            let key = &exception.entry.key;
            if settled.contains(key) || self.meanwhile.filing.contains(key) {
                // What was read of it may be older than what was committed since.
                again = true;
                continue;
            }
            if let Some(newest) = self.flights.newest(key) {
                // One that is settled is only kept for the page that is being judged, and asks for nothing any more.
                again |= self.flights.get(newest).doing == Doing::Settled;
                continue;
            }
            taken += 1;
            let perhaps_there = perhaps_sent(self.plan(), &exception);
            let mut flight = Flight::new(
                exception.entry,
                Home::Exception,
                Base::of(known.link.as_ref()),
            );
            flight.durable = true;
            flight.perhaps_there = perhaps_there;
            if exception.trouble != Trouble::Waiting {
                // A worker that died may have sent it once more: a newer version that is as the link says is
                // no reason to send nothing.
                flight.base.forget();
                flight.detail = exception.detail.into();
            } else if exception.detail.awaits.is_some() {
                flight.detail.remap = true;
            }
            flight.behind = exception.behind.map(Box::new);
            if exception.trouble == Trouble::Unknown {
                flight.forced = Some(Forced::Resolve);
            } else if flight.detail.remap {
                flight.entry.body = Bytes::new();
            }
            let id = self.flights.add(flight);
            self.ready(id);
        }
        let more = (full && taken > 0) || again;
        let soon = more.then(|| now() + SOON);
        self.due = [self.due, next, soon].into_iter().flatten().min();
        if more && self.has_waiting {
            self.linked.mark_changed();
        }
    }
}

/// Whether a newer version that was found in the outbox goes behind an exception of its key: the fate of that is
/// not known, or it may have made the record that the newer one removes.
fn goes_first(plan: &Plan, exception: &Exception, newer: &Flight) -> bool {
    match exception.trouble {
        Trouble::Unknown | Trouble::Ambiguous => true,
        Trouble::Retry | Trouble::Waiting => {
            let lost = newer.perhaps_there || perhaps_sent(plan, exception);
            newer.entry.removal.is_some() && newer.base.target.is_none() && lost
        }
        Trouble::Dead | Trouble::Held => false,
    }
}
