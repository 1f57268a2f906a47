//! After T3: settled flights go, the versions that waited for them take off, parked ones go on.
//! Called when a commit of outcomes is durable.

use std::collections::HashSet;

use crate::state::{Change, Exception, Known, Trouble, mark};

use super::crash::{Boundary, pass};
use super::flight::{Base, FlightId};
use super::outcome::{Ending, Outcome};
use super::{Event, Worker};

impl Worker {
    /// T3 is durable.
    pub(super) fn settled(&mut self, outcomes: Vec<Outcome>) {
        pass(Boundary::AfterT3);
        self.settling = false;
        let mut linked = false;
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
            self.release(outcome.id);
        }
        if linked {
            self.setup.board.links.send_modify(|version| *version += 1);
        }
    }

    /// A settled flight goes, and the version that waited for it takes off.
    fn release(&mut self, id: FlightId) {
        let flight = self.flights.get_mut(id);
        let known = flight.settled.take().unwrap_or_default();
        if std::mem::take(&mut flight.holding)
            && let Some(value) = flight.entry.matching
        {
            self.flights.give_matching(value);
        }
        if self.flights.get(id).next.is_none() {
            if self.judging {
                self.flights.keep_settled(id, known);
            } else {
                self.flights.remove(id);
            }
            return;
        }
        let Some(next) = self.flights.remove(id) else {
            return;
        };
        self.take_over(next, *known);
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
                exception.behind = Some(flight.entry.clone());
                self.block(id, exception);
            }
            Some(exception) => {
                self.push_commit(vec![Change::Resolved(exception.entry.key)], vec![id]);
            }
            None => self.ready(id),
        }
    }

    fn block(&mut self, id: FlightId, exception: Box<Exception>) {
        let home = self.flights.get(id).home;
        let segments: HashSet<u64> = self
            .flights
            .set_mark(home, mark::DONE)
            .into_iter()
            .collect();
        let mut changes = self.flights.marks(&segments);
        changes.push(Change::Exception(exception));
        self.flights.remove(id);
        self.push_commit(changes, Vec::new());
    }

    pub(super) fn push_commit(&mut self, changes: Vec<Change>, then: Vec<FlightId>) {
        let commit = self.commit(changes);
        self.push(async move { commit.await.map(|()| Event::Committed(then, 0)) });
    }
}
