//! Outcomes are committed in groups as T3: links, exceptions and marks, and what a flight knows then.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::record::Fingerprint;
use crate::state::{Change, Entry, Exception, Known, Trouble, mark};
use tokio::time::Instant;

use super::crash::{Boundary, pass};
use super::flight::{Doing, Flight, Home};
use super::outcome::{Ending, Outcome, Way, applied_link, base_link, complete, number};
use super::prepare::touched;
use super::redact::redact;
use super::removal::removed_link;
use super::resolve::promoted;
use super::settled::Settled;
use super::{Event, Worker};

/// Outcomes that are committed without waiting for more, as long as answers come in.
const WORTH_A_COMMIT: usize = 256;
/// How long they gather otherwise.
pub(super) const GATHER: Duration = Duration::from_millis(4);

impl Worker {
    /// Takes an outcome into the next T3.
    pub(super) fn conclude(&mut self, outcome: Outcome) {
        self.weigh(&outcome);
        self.flights.get_mut(outcome.id).doing = Doing::Settling;
        self.outcomes.push(outcome);
    }

    /// Commits the outcomes that have come together, one group at a time.
    pub(super) fn settle(&mut self) {
        if self.settling || self.outcomes.is_empty() {
            return;
        }
        // Where a disk is quick, a commit for every few answers would cost more than the answers.
        let few = self.outcomes.len() < WORTH_A_COMMIT && self.busy > 0;
        if few && self.settled_at.elapsed() < GATHER {
            return;
        }
        self.settled_at = Instant::now();
        let mut outcomes = std::mem::take(&mut self.outcomes);
        let mut changes = Vec::with_capacity(outcomes.len() + 4);
        let mut segments = std::mem::take(&mut self.dirty_segments);
        for outcome in &mut outcomes {
            self.record(outcome, &mut changes, &mut segments);
        }
        changes.extend(self.flights.marks(&segments));
        self.settling = true;
        pass(Boundary::BeforeT3);
        let commit = self.commit_when(self.busy > 0, changes);
        self.push(async move { commit.await.map(|()| Event::Settled(outcomes)) });
    }

    /// Turns one outcome into changes, and notes in the flight what the store will know then.
    fn record(
        &mut self,
        outcome: &mut Outcome,
        changes: &mut Vec<Change>,
        segments: &mut BTreeSet<u64>,
    ) {
        let id = outcome.id;
        let keeps_fields = self.keeps_fields();
        self.supersede(outcome);
        self.tell_outcome(outcome);
        let flight = self.flights.get(id);
        let mut known = Known::default();
        let mut now_there = None;
        match &mut outcome.ending {
            Ending::Applied {
                target, created, ..
            } => {
                let own = *created || flight.base.own;
                let link = applied_link(flight, target.clone(), own, keeps_fields);
                changes.push(Change::Link(link));
                now_there = Some((target.clone(), own));
                if *created {
                    self.counts.created += 1
                } else {
                    self.counts.updated += 1
                }
            }
            Ending::Removed { way, .. } => {
                let link = removed_link(flight, *way);
                changes.push(Change::Link(link.clone()));
                known.link = Some(link);
                match way {
                    Way::Deleted => self.counts.deleted += 1,
                    Way::Set => self.counts.updated += 1,
                    Way::Unlinked => self.counts.skipped += 1,
                }
            }
            Ending::Unchanged => {
                let link = touched(&flight.base, &flight.entry);
                changes.push(Change::Link(link.clone()));
                known.link = Some(link);
                self.counts.unchanged += 1;
            }
            Ending::Skipped => {
                known.link = base_link(flight, false);
                self.counts.skipped += 1;
            }
            Ending::Superseded { in_doubt } => {
                known.link = base_link(flight, *in_doubt);
                if *in_doubt && flight.base.exists {
                    changes.push(Change::Forget {
                        key: flight.entry.key.clone(),
                        target_gone: false,
                    });
                }
                self.counts.superseded += 1;
            }
            Ending::Trouble {
                trouble,
                next,
                detail,
                in_doubt,
            } => {
                known.link = base_link(flight, *in_doubt);
                // Also what an earlier life may have sent before this failure: the link still says what was before.
                let unsure = *in_doubt || flight.base.mapped == Fingerprint::UNKNOWN;
                if flight.base.exists && (unsure || flight.base.target.is_none()) {
                    let target_gone = flight.base.target.is_none();
                    changes.push(Change::Forget {
                        key: flight.entry.key.clone(),
                        target_gone,
                    });
                }
                let behind = flight.behind.as_deref();
                let blocks = behind.is_some_and(|behind| holds_back(flight, *trouble, behind));
                let exception = match behind {
                    Some(behind) if !blocks => promoted(behind.clone(), lost(flight)),
                    behind => Exception {
                        entry: (*flight.entry).clone(),
                        trouble: *trouble,
                        next: *next,
                        detail: complete(detail, flight),
                        behind: behind.cloned(),
                    },
                };
                let mut exception = Box::new(exception);
                redact(&self.setup.plan, &mut exception);
                known.exception = Some(exception.clone());
                changes.push(Change::Exception(exception));
            }
            Ending::Blocked { exception, behind } => {
                redact(&self.setup.plan, exception);
                let behind = self.flights.get(*behind);
                segments.extend(number(behind.home));
                known.link = base_link(flight, true);
                known.exception = Some(exception.clone());
                changes.push(Change::Exception(exception.clone()));
            }
        }
        if flight.home == Home::Exception && known.exception.is_none() {
            match flight.behind.as_deref() {
                Some(behind) => {
                    let exception = Box::new(promoted(behind.clone(), lost(flight)));
                    changes.push(Change::Exception(exception.clone()));
                    known.exception = Some(exception);
                }
                None => changes.push(Change::Resolved(flight.entry.key.clone())),
            }
        }
        let home = flight.home;
        if let Some(exception) = &known.exception {
            let trouble = exception.trouble;
            self.note_trouble(trouble);
        }
        if let Ending::Blocked { behind, .. } = &outcome.ending {
            let behind = self.flights.get_mut(*behind);
            behind.doing = Doing::Settling;
            let home = behind.home;
            self.flights.set_mark(home, mark::DONE);
        }
        segments.extend(self.flights.set_mark(home, mark::DONE));
        let flight = self.flights.get_mut(id);
        flight.settled = Some(match now_there {
            Some((target, own)) if known.exception.is_none() => Settled::Applied { target, own },
            Some((target, own)) => {
                known.link = Some(applied_link(flight, target, own, keeps_fields));
                Settled::Known(Box::new(known))
            }
            None => Settled::Known(Box::new(known)),
        });
    }

    /// Whether links keep a hash of each field that was sent.
    pub(super) fn keeps_fields(&self) -> bool {
        let update = self.plan().target.object.update.as_ref();
        update.is_some_and(|update| update.changed_fields)
    }

    /// Where a newer version waits: a definite failure gives way to it, one in doubt holds it back.
    fn supersede(&mut self, outcome: &mut Outcome) {
        let flight = self.flights.get(outcome.id);
        let Some(next) = flight.next.filter(|next| self.flights.get(*next).durable) else {
            return;
        };
        let Ending::Trouble {
            trouble,
            next: at,
            detail,
            in_doubt,
        } = &outcome.ending
        else {
            return;
        };
        outcome.ending = if holds_back(flight, *trouble, &self.flights.get(next).entry) {
            let exception = Exception {
                entry: (*flight.entry).clone(),
                trouble: *trouble,
                next: *at,
                detail: complete(detail, flight),
                behind: Some((*self.flights.get(next).entry).clone()),
            };
            Ending::Blocked {
                exception: Box::new(exception),
                behind: next,
            }
        } else {
            Ending::Superseded {
                in_doubt: *in_doubt,
            }
        };
    }
}

/// Whether the target may have its record under an id that is not known.
fn lost(flight: &Flight) -> bool {
    flight.perhaps_there && flight.base.target.is_none()
}

/// Whether a version that is not applied keeps the newer one behind it: its fate is not known, or it may
/// have made a record whose id must be known before that can be removed.
fn holds_back(flight: &Flight, trouble: Trouble, newer: &Entry) -> bool {
    match trouble {
        Trouble::Unknown | Trouble::Ambiguous => true,
        Trouble::Retry | Trouble::Waiting => newer.removal.is_some() && lost(flight),
        Trouble::Dead | Trouble::Held => false,
    }
}
