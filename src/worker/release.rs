//! After T3: settled flights go, the versions that waited for them take off, parked ones go on.
//! Called when a commit of outcomes is durable.

use std::collections::BTreeSet;

use tokio::time::Instant;

use crate::state::{Change, Detail, Exception, Known, Trouble, mark};
use crate::trial::{Bug, planted};

use super::crash::{Boundary, pass};
use super::flight::{Base, Doing, Flight, FlightId, Forced, Home};
use super::outcome::{Ending, Outcome, base_link};
use super::settled::Settled;
use super::{Event, Worker, now};

impl Worker {
    /// T1 of a page with records that have no flight is durable.
    pub(super) fn page_filed(&mut self, added: &[(FlightId, Home)]) {
        self.judging = false;
        self.meanwhile.filed(self.asking_due);
        // No page is looked up now, so nobody needs those that were kept; versions behind them go on.
        self.flights.drop_settled();
        self.page_committed(added, 1);
        self.judge_next();
    }

    /// T1 is durable. A flight that a newer version has joined since waits for the commit of that one.
    pub(super) fn page_committed(&mut self, added: &[(FlightId, Home)], pages: usize) {
        pass(Boundary::AfterT1);
        self.pages -= pages;
        for (id, home) in added {
            if !self.flights.is_at(*id, *home) && !planted(Bug::SentBeforeKept) {
                continue;
            }
            self.flights.get_mut(*id).durable = true;
            if self.flights.get(*id).doing == Doing::Held && self.flights.is_head(*id) {
                self.ready_or_block(*id);
            }
        }
    }

    /// Puts the head of a chain into the queue.
    pub(super) fn ready(&mut self, id: FlightId) {
        self.flights.get_mut(id).durable = true;
        self.flights.enqueue(id, false);
    }

    /// T3 is durable.
    pub(super) fn settled(&mut self, outcomes: Vec<Outcome>) {
        pass(Boundary::AfterT3);
        self.settling = false;
        let (mut linked, mut more) = (false, false);
        for outcome in outcomes {
            linked |= matches!(
                outcome.ending,
                Ending::Applied {
                    target: Some(_),
                    ..
                }
            );
            if let Ending::Blocked { behind, .. } = &outcome.ending {
                let behind = *behind;
                self.flights.detach(outcome.id, behind);
            }
            let flight = self.flights.get(outcome.id);
            more |= flight.home == Home::Exception;
            let exception = flight.settled.as_ref().and_then(Settled::exception);
            if exception.is_some_and(|e| e.trouble == Trouble::Held) {
                // Only now the store has it, so that counting earlier would miss it.
                self.guard.note();
            }
            match exception.filter(|e| matches!(e.trouble, Trouble::Retry | Trouble::Unknown)) {
                // Only now the store has it, so that asking for it earlier would find nothing.
                Some(e) => self.due = Some(self.due.map_or(e.next, |due| due.min(e.next))),
                None => self.last_progress = Instant::now(),
            }
            self.release(outcome.id);
        }
        if more {
            // What is due or waits comes in portions, and a record may have waited for one of these.
            self.due = Some(now());
            self.linked.mark_changed();
        }
        if linked {
            self.setup.board.links.send_modify(|version| *version += 1);
        }
    }

    /// A settled flight goes, and the version that waited for it takes off.
    pub(super) fn release(&mut self, id: FlightId) {
        self.flights.give_matching(id);
        if self.asking_due {
            let key = self.flights.get(id).entry.key.clone();
            self.meanwhile.settled.insert(key);
        }
        if self.flights.get(id).next.is_none() {
            if self.judging {
                self.flights.keep_settled(id);
            } else {
                self.flights.remove(id);
            }
            return;
        }
        let flight = self.flights.get(id);
        let perhaps_there = flight.perhaps_there;
        let known = flight.known(self.keeps_fields()).unwrap_or_default();
        let Some(next) = self.flights.remove(id) else {
            return;
        };
        self.flights.get_mut(next).perhaps_there |= perhaps_there;
        self.take_over(next, known);
    }

    /// A version that waited becomes the one under way, with what is known now.
    fn take_over(&mut self, id: FlightId, known: Known) {
        let flight = self.flights.get_mut(id);
        flight.base = Base::of(known.link.as_ref());
        if known.exception.is_some() {
            // Only a page that came while the exception was being committed can stand here; the
            // exception is taken up from the store when it is due, and this version goes behind it.
            flight.stored = known.exception;
        }
        if flight.durable {
            self.ready_or_block(id);
        }
    }

    /// Sends a version on, or puts it behind an exception that was committed meanwhile.
    pub(super) fn ready_or_block(&mut self, id: FlightId) {
        let flight = self.flights.get_mut(id);
        match flight.stored.take() {
            Some(mut exception)
                if matches!(exception.trouble, Trouble::Unknown | Trouble::Ambiguous) =>
            {
                exception.behind = Some((*flight.entry).clone());
                self.block(id, exception);
            }
            Some(exception) => {
                let entered = (id, self.flights.get(id).home);
                self.push_commit(vec![Change::Resolved(exception.entry.key)], vec![entered]);
            }
            None => self.ready(id),
        }
    }

    /// A version is durable behind one in doubt, whose turn may have come meanwhile.
    pub(super) fn blocked(&mut self, id: FlightId) {
        self.release(id);
        self.due = Some(now());
    }

    /// What the store must know of the flights that are left when a run ends: those that are noted down
    /// as sent, and surely were not, go back to waiting.
    pub(super) fn give_up(&mut self) -> Vec<Change> {
        self.take_back();
        let segments = std::mem::take(&mut self.dirty_segments);
        let mut changes = self.flights.marks(&segments);
        for flight in self.flights.iter() {
            let settled = matches!(flight.doing, Doing::Settling | Doing::Settled);
            if flight.home == Home::Exception && flight.noted && !settled {
                let detail = Detail {
                    reason: "NotSent".into(),
                    message: "the target could not be reached".into(),
                    ..flight.detail.detail()
                };
                changes.push(Change::Exception(Box::new(Exception {
                    entry: (*flight.entry).clone(),
                    trouble: Trouble::Retry,
                    next: 0,
                    detail,
                    behind: flight.behind.as_deref().cloned(),
                })));
            }
        }
        changes
    }

    /// Keyed creates that were noted down with their page and were not begun did surely not arrive.
    fn take_back(&mut self) {
        let unsent = |flight: &&Flight| {
            flight.forced != Some(Forced::Resolve)
                && flight.detail.first_sent.is_none()
                && self.flights.mark(flight.home) == Some(mark::CREATING)
        };
        let homes: Vec<Home> = self.flights.iter().filter(unsent).map(|f| f.home).collect();
        for home in homes {
            self.dirty_segments
                .extend(self.flights.set_mark(home, mark::PENDING));
        }
    }

    fn block(&mut self, id: FlightId, exception: Box<Exception>) {
        let flight = self.flights.get_mut(id);
        let home = flight.home;
        // Pages that are judged before this is durable must know of it: the flight stays until then.
        flight.doing = Doing::Settling;
        flight.settled = Some(Settled::Known(Box::new(Known {
            link: base_link(flight, true),
            exception: Some(exception.clone()),
        })));
        let segments: BTreeSet<u64> = self
            .flights
            .set_mark(home, mark::DONE)
            .into_iter()
            .collect();
        let mut changes = self.flights.marks(&segments);
        changes.push(Change::Exception(exception));
        let commit = self.commit(changes);
        self.push(async move { commit.await.map(|()| Event::Blocked(id)) });
    }

    pub(super) fn push_commit(&mut self, changes: Vec<Change>, then: Vec<(FlightId, Home)>) {
        let commit = self.commit(changes);
        self.push(async move { commit.await.map(|()| Event::Committed(then, 0)) });
    }
}
