//! What was left or comes back: recovery at start, exceptions that are due, search results, and
//! records that go through the Mapping again.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::connector::Found;
use crate::mapping::Links;
use crate::pipeline::diff::changes;
use crate::pipeline::route::{Step, route, route_unmatched};
use crate::plan::{OnMany, OnNone, OnShared};
use crate::record::{Class, Failure, Fingerprint};
use crate::state::{
    Change, Detail, Exception, Known, Link, Millis, Pick, StoreError, Trouble, mark,
};

use super::flight::{Base, Flight, FlightId, Forced, Home};
use super::outcome::{Ending, Outcome};
use super::prepare::{Prepared, prepare};
use super::seen::see;
use super::{Event, MOST_DUE, MOST_FLIGHTS, Searched, Worker, backoff, now};

/// Milliseconds until more exceptions are asked for when there were more than fit.
const SOON: Millis = 20;

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
                if state == mark::CREATING && flight.base.target.is_none() {
                    flight.forced = Some(Forced::Resolve);
                    flight.detail.first_sent = Some(flight.entry.seen);
                }
                match known.exception {
                    Some(mut exception)
                        if matches!(exception.trouble, Trouble::Unknown | Trouble::Ambiguous) =>
                    {
                        exception.behind = Some(flight.entry);
                        changes.push(Change::Exception(exception));
                        self.flights.set_mark(home, mark::DONE);
                        continue;
                    }
                    Some(exception) => changes.push(Change::Resolved(exception.entry.key)),
                    None => {}
                }
                self.flights.add(flight);
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

    /// Asks for exceptions that are due.
    pub(super) fn ask_due(&mut self) {
        let at = now();
        if self.asking_due
            || self.due.is_none_or(|due| due > at)
            || self.flights.len() + MOST_DUE > MOST_FLIGHTS
        {
            return;
        }
        self.due = None;
        self.ask(Pick::Due(at), at);
    }

    /// Asks for waiting records whose link is there now.
    pub(super) fn ask_linked(&mut self) {
        self.ask(Pick::Linked, now());
    }

    fn ask(&mut self, pick: Pick, at: Millis) {
        self.asking_due = true;
        let (store, session) = (self.setup.store.clone(), self.session.clone());
        self.push(async move {
            let found = store.exceptions(&session, pick, MOST_DUE).await?;
            let keys = found.iter().map(|e| e.entry.key.clone()).collect();
            let known = store.known(&session, keys, false).await?;
            let next = store.next_due(&session, at).await?;
            Ok(Event::Due(found.into_iter().zip(known).collect(), next))
        });
    }

    pub(super) fn take_due(&mut self, found: Vec<(Exception, Known)>, next: Option<Millis>) {
        self.asking_due = false;
        let full = found.len() == MOST_DUE;
        let mut taken = 0;
        for (exception, known) in found {
            if self.flights.has(&exception.entry.key) {
                continue;
            }
            taken += 1;
            let mut flight = Flight::new(
                exception.entry,
                Home::Exception,
                Base::of(known.link.as_ref()),
            );
            flight.durable = true;
            flight.detail = exception.detail;
            flight.behind = exception.behind;
            if exception.trouble == Trouble::Unknown {
                flight.forced = Some(Forced::Resolve);
            } else if flight.detail.remap {
                flight.entry.body = Bytes::new();
            }
            let id = self.flights.add(flight);
            self.ready(id);
        }
        let soon = (full && taken > 0).then(|| now() + SOON);
        self.due = [self.due, next, soon].into_iter().flatten().min();
        if full && taken > 0 && self.has_waiting {
            self.linked.mark_changed();
        }
    }

    /// A search ended.
    pub(super) fn searched(&mut self, id: FlightId, searched: Searched) {
        self.busy -= 1;
        match searched {
            Searched::Linked(link) => self.shared(id, link),
            Searched::Target(Err(failure)) => self.search_failed(id, &failure),
            Searched::Target(Ok((found, owner))) => {
                self.outages = 0;
                if self.flights.get(id).forced == Some(Forced::Resolve) {
                    self.resolved(id, found, owner);
                } else {
                    self.matched(id, found, owner);
                }
            }
        }
    }

    /// Another source record has the target record already.
    fn shared(&mut self, id: FlightId, link: Link) {
        let share = self
            .plan()
            .matching
            .as_ref()
            .is_some_and(|m| m.on_shared == OnShared::Share);
        if share {
            let flight = self.flights.get_mut(id);
            flight.base.target = link.target;
            flight.forced = None;
            return self.requeue(id);
        }
        let target = link.target.map(|t| t.to_string()).unwrap_or_default();
        let message = format!(
            "target record {target} belongs to source record {} already, which has the same match value; merge the \
             two in the source, or set match.onShared: Share",
            link.key
        );
        self.conclude(Outcome::dead(id, "DuplicateMatch", message));
    }

    fn matched(&mut self, id: FlightId, mut found: Vec<Found>, owner: Option<Link>) {
        let first_of_many = self
            .plan()
            .matching
            .as_ref()
            .is_some_and(|m| m.on_many == OnMany::First);
        if found.is_empty() {
            return self.unmatched(id);
        }
        if found.len() > 1 && !first_of_many {
            let message = several(&found);
            return self.conclude(Outcome::dead(id, "SeveralMatches", message));
        }
        if let Some(owner) = owner {
            return self.shared(id, owner);
        }
        let first = found.swap_remove(0);
        let flight = self.flights.get_mut(id);
        let mapped: Map<String, Value> =
            serde_json::from_slice(&flight.entry.body).unwrap_or_default();
        flight.base.target = Some(first.id);
        flight.forced = None;
        if changes(Some(&first.record), &mapped).is_empty() {
            flight.base.mapped = flight.entry.mapped;
            return self.conclude(Outcome::unchanged(id));
        }
        flight.base.mapped = Fingerprint::UNKNOWN;
        self.requeue(id);
    }

    /// A create that may have arrived was looked for. A find never marks it applied: what is there is
    /// linked and gets this version as an update.
    fn resolved(&mut self, id: FlightId, mut found: Vec<Found>, owner: Option<Link>) {
        match found.len() {
            0 => {
                let lag = self.index_lag();
                let flight = self.flights.get_mut(id);
                flight.detail.negative_reads += 1;
                if flight.detail.negative_reads >= 2 {
                    flight.detail.negative_reads = 0;
                    flight.forced = Some(Forced::Create);
                    return self.requeue(id);
                }
                let detail = Box::new(flight.detail.clone());
                let ending = Ending::Trouble {
                    trouble: Trouble::Unknown,
                    next: now() + lag,
                    detail,
                    in_doubt: true,
                };
                self.conclude(Outcome { id, ending });
            }
            1 if owner.is_none() => {
                let target = Some(found.swap_remove(0).id);
                let flight = self.flights.get_mut(id);
                flight.base.target.clone_from(&target);
                flight.base.mapped = Fingerprint::UNKNOWN;
                flight.forced = None;
                if route(&self.setup.plan, true) == Step::Skip {
                    return self.conclude(Outcome {
                        id,
                        ending: Ending::Applied {
                            target,
                            created: true,
                        },
                    });
                }
                self.requeue(id);
            }
            1 => {
                if let Some(owner) = owner {
                    self.shared(id, owner);
                }
            }
            _ => {
                let mut outcome = Outcome::ambiguous(id, 0);
                if let Ending::Trouble { detail, .. } = &mut outcome.ending {
                    detail.reason = "SeveralMatches".into();
                    detail.message = several(&found);
                }
                self.conclude(outcome);
            }
        }
    }

    /// The target has no such record.
    pub(super) fn unmatched(&mut self, id: FlightId) {
        let on_none = self
            .plan()
            .matching
            .as_ref()
            .map_or(OnNone::Create, |m| m.on_none);
        match (on_none, route_unmatched(self.plan())) {
            (OnNone::Create, Step::Create) => {
                self.flights.get_mut(id).forced = Some(Forced::Create);
                self.requeue(id);
            }
            (OnNone::DeadLetter, _) => {
                let message = "no target record has this match value; create it there, or set match.onNone: Create";
                self.conclude(Outcome::dead(id, "NoMatch", message.into()));
            }
            _ => self.conclude(Outcome::skipped(id)),
        }
    }

    fn search_failed(&mut self, id: FlightId, failure: &Failure) {
        let retry = self.plan().target.connection.retry;
        let flight = self.flights.get(id);
        let delay = backoff(retry.initial_delay, retry.max_delay, flight.detail.attempts);
        let in_doubt = flight.forced == Some(Forced::Resolve);
        match failure.class {
            Class::Authentication | Class::Configuration | Class::Forbidden => {
                let error = self.target_error(failure.clone());
                self.error.get_or_insert(error);
                self.requeue(id);
            }
            Class::Permanent | Class::Gone if !in_doubt => {
                self.conclude(Outcome::dead(id, "Permanent", format!("find: {failure}")));
            }
            _ if !failure.sent => self.hold(id, failure, delay),
            _ => {
                let mut detail = Box::new(flight.detail.clone());
                detail.reason = "Transient".into();
                detail.message = format!("find: {failure}");
                detail.attempts += 1;
                detail.failure = Some(failure.clone());
                let trouble = if in_doubt {
                    Trouble::Unknown
                } else {
                    Trouble::Retry
                };
                let next = now() + i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                self.conclude(Outcome {
                    id,
                    ending: Ending::Trouble {
                        trouble,
                        next,
                        detail,
                        in_doubt,
                    },
                });
            }
        }
    }

    /// The links for a record that goes through the Mapping again are there.
    pub(super) fn remapped(&mut self, id: FlightId, links: &Links) {
        self.busy -= 1;
        let plan = self.setup.plan.clone();
        let source = self.flights.get(id).entry.source.clone();
        let outcome = match see(&plan, source, true) {
            Err((_, problem)) => Outcome::dead(id, "InvalidRecord", problem),
            Ok((seen, _)) => match prepare(&plan, &seen, links, now()) {
                Prepared::Ready(entry) => {
                    self.flights.get_mut(id).entry = entry;
                    return self.requeue(id);
                }
                Prepared::Trouble(entry, trouble, detail) => {
                    self.flights.get_mut(id).entry = entry;
                    Outcome {
                        id,
                        ending: Ending::Trouble {
                            trouble,
                            next: 0,
                            detail,
                            in_doubt: false,
                        },
                    }
                }
            },
        };
        self.conclude(outcome);
    }
}

fn several(found: &[Found]) -> String {
    let ids: Vec<String> = found.iter().take(5).map(|f| f.id.to_string()).collect();
    format!(
        "{} target records have this match value ({}); merge them in the target, then replay",
        found.len(),
        ids.join(", ")
    )
}

/// A version that waited behind another goes to work by itself.
pub fn promoted(entry: crate::state::Entry) -> Exception {
    let detail = Detail {
        reason: "Promoted".into(),
        remap: true,
        since: now(),
        ..Detail::default()
    };
    Exception {
        entry,
        trouble: Trouble::Retry,
        next: 0,
        detail,
        behind: None,
    }
}
