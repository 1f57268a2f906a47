//! What an answer of the target means for the records that were sent: an outcome, another step, or that
//! everybody waits. The decision itself is pure, in `pipeline::decide`; the outcomes go to `settle`.

use std::time::Duration;

use crate::connector::{Answer, Done};
use crate::pipeline::decide::{Attempt, Next, decide};
use crate::record::{Class, Failure, Verb};
use crate::state::{Detail, Trouble, mark};
use crate::trial::{Bug, planted};

use super::flight::{FlightId, Forced};
use super::outcome::{Ending, Outcome};
use super::prepare::token;
use super::{RunError, Worker, backoff, now};

impl Worker {
    /// The target answered a write.
    pub(super) fn answered(&mut self, ids: &[FlightId], verb: Verb, answer: Answer) {
        self.busy -= 1;
        self.note_answer(ids, &answer);
        match answer {
            Answer::Items(results) => {
                for (id, result) in ids.iter().zip(results) {
                    match result {
                        Ok(done) => self.applied(*id, verb, done),
                        Err(failure) => self.failed(*id, verb, &failure, false),
                    }
                }
            }
            Answer::Whole(failure) => {
                for id in ids {
                    self.failed(*id, verb, &failure, ids.len() > 1);
                }
            }
        }
    }

    fn applied(&mut self, id: FlightId, verb: Verb, done: Done) {
        let flight = self.flights.get(id);
        if flight.entry.removal.is_some() {
            return self.removed(id, verb, done.before);
        }
        let created = verb == Verb::Create || (verb == Verb::Upsert && flight.base.is_new());
        let target = done.id.or_else(|| flight.base.target.clone());
        self.note_echo(id);
        self.conclude(Outcome {
            id,
            ending: Ending::Applied {
                target,
                created,
                before: done.before,
            },
        });
    }

    fn failed(&mut self, id: FlightId, verb: Verb, failure: &Failure, batched: bool) {
        let flight = self.flights.get_mut(id);
        if flight.entry.removal.is_some() && failure.class == Class::Gone {
            return self.gone_already(id, verb, failure);
        }
        let unsure = matches!(
            failure.class,
            Class::Transient | Class::Ambiguous | Class::InFlight
        );
        flight.perhaps_there |= unsure && failure.sent && flight.base.target.is_none();
        let flight = self.flights.get(id);
        let at = now();
        let mut before = flight.detail.detail();
        self.stamp(&mut before);
        let attempt = Attempt {
            verb,
            attempts: flight.detail.attempts,
            age_ms: self.age(&before),
            batched,
            sent_ms: at - flight.detail.first_sent.unwrap_or(flight.entry.seen),
            searchable: flight.entry.matching.is_some(),
            in_doubt: flight.forced == Some(Forced::Resolve),
        };
        let next = decide(self.plan(), attempt, failure);
        self.last_failure = Some(failure.message.clone());
        let retry = self.plan().target.connection.retry;
        let delay = backoff(retry.initial_delay, retry.max_delay, attempt.attempts);
        let detail = |reason: &str| {
            let mut detail = Detail {
                reason: reason.into(),
                message: failure.message.clone(),
                attempts: attempt.attempts + 1,
                failure: Some(failure.clone()),
                ..before.clone()
            };
            detail.note(at, failure);
            Box::new(detail)
        };
        let at_next = at + i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let trouble = |trouble, next, detail, in_doubt| Outcome {
            id,
            ending: Ending::Trouble {
                trouble,
                next,
                detail,
                in_doubt,
            },
        };
        let outcome = match next {
            Next::Hold => {
                self.not_carried_out(id);
                return self.hold(id, failure, delay);
            }
            Next::Stall => {
                let error = self.target_error(failure.clone());
                self.error.get_or_insert(error);
                self.not_carried_out(id);
                return self.requeue(id);
            }
            Next::Split => {
                self.flights.get_mut(id).alone = true;
                return self.requeue(id);
            }
            Next::Adopt => {
                self.flights.get_mut(id).forced = Some(Forced::Adopt);
                return self.requeue(id);
            }
            Next::Recreate => return self.recreate(id, detail("Gone")),
            Next::Skip => Outcome::skipped(id),
            Next::Retry { in_doubt } => {
                trouble(Trouble::Retry, at_next, detail("Transient"), in_doubt)
            }
            Next::Resend => trouble(Trouble::Unknown, at_next, detail("Unanswered"), true),
            Next::Resolve => {
                // Soon at first; a target that answers no create properly is asked less and less often.
                let soon = match attempt.attempts {
                    0 => at + self.index_lag().min(at_next - at),
                    _ => at_next,
                };
                trouble(Trouble::Unknown, soon, detail("Unanswered"), true)
            }
            Next::Ambiguous if planted(Bug::AmbiguousRetried) => {
                trouble(Trouble::Retry, at_next, detail("Transient"), false)
            }
            Next::Ambiguous => {
                let mut outcome = Outcome::ambiguous(id, attempt.sent_ms);
                if let Ending::Trouble { detail: held, .. } = &mut outcome.ending {
                    let message = format!("{}; {}", failure.message, held.message);
                    **held = Detail {
                        reason: held.reason.clone(),
                        message,
                        ..*detail("")
                    };
                }
                outcome
            }
            Next::Dead(reason) => {
                self.count_forbidden(failure);
                trouble(
                    Trouble::Dead,
                    0,
                    detail(reason),
                    matches!(
                        failure.class,
                        Class::Transient | Class::Ambiguous | Class::InFlight
                    ),
                )
            }
        };
        self.conclude(outcome);
    }

    pub(super) fn index_lag(&self) -> i64 {
        let lag = self
            .plan()
            .target
            .object
            .find
            .as_ref()
            .map_or(Duration::ZERO, |find| find.index_lag);
        i64::try_from(lag.as_millis()).unwrap_or(i64::MAX)
    }

    /// A create that the target surely did not carry out is noted down no more: after this run it must
    /// not count as one that may have arrived.
    fn not_carried_out(&mut self, id: FlightId) {
        let flight = self.flights.get_mut(id);
        if flight.forced == Some(Forced::Resolve) {
            return;
        }
        if flight.detail.first_sent.is_some() {
            flight.detail.first_sent = None;
        }
        flight.noted = true;
        let home = flight.home;
        if self.flights.mark(home) == Some(mark::CREATING) {
            self.dirty_segments
                .extend(self.flights.set_mark(home, mark::PENDING));
        }
    }

    /// The target record is gone: begin again without its link, within bounds.
    fn recreate(&mut self, id: FlightId, detail: Box<Detail>) {
        let most = (self.links_at_start / 100).max(20);
        self.recreated += 1;
        if self.recreated > most {
            let target = &self.plan().target;
            let error = RunError::TargetSuspect {
                connection: target.connection.name.clone(),
                object: target.object.name.clone(),
                count: self.recreated,
            };
            self.error.get_or_insert(error);
            return self.requeue(id);
        }
        let plan = self.setup.plan.clone();
        let flight = self.flights.get_mut(id);
        flight.base.target = None;
        flight.base.forget();
        flight.perhaps_there = false;
        // Under the idempotency key of the create that made it, the target would only repeat what it answered then.
        flight.entry.token = token(&plan);
        flight.detail.first_sent = None;
        let detail = Detail {
            first_sent: None,
            negative_reads: 0,
            ..*detail
        };
        // The store knows all of that before anything is sent: after a crash, the new record must not be looked for
        // under the old one's id.
        self.conclude(Outcome::trouble(id, Trouble::Retry, Box::new(detail)));
    }

    /// A credential that may write nothing at all is not a matter of single records.
    fn count_forbidden(&mut self, failure: &Failure) {
        if failure.class != Class::Forbidden {
            return;
        }
        self.forbidden += 1;
        self.last_forbidden = Some(failure.clone());
        if self.forbidden >= 20 {
            self.judge_forbidden();
        }
    }

    /// Ends the run where most of it was forbidden; at its end, whatever the number.
    pub(super) fn judge_forbidden(&mut self) {
        let written = self.counts.created + self.counts.updated;
        if let Some(failure) = self.last_forbidden.take_if(|_| self.forbidden > written) {
            let error = self.target_error(failure);
            self.error.get_or_insert(error);
        }
    }
}
