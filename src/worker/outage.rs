//! The target is down or is back: said once, kept in the state, and taken out of the age of records. When only a
//! few records fail, the target is asked after something else, because it may be them. Called where requests end.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::connector::{Answer, Question};
use crate::pipeline::matching::match_value;
use crate::record::{Class, Failure, Key};
use crate::state::{Change, Detail, Millis};
use crate::telemetry::events::TargetDown;

use super::flight::FlightId;
use super::{Event, MOST_OUTAGES, Mode, Worker, backoff, now};

/// So many records that fail, and none that is taken: it is the target, whatever it answers to reads.
const MANY: usize = 10;

/// What speaks for one record being at fault, and what for the target.
#[derive(Debug, Default)]
pub struct Outage {
    /// Records that failed in a way that may pass, since the target took or refused one for its own sake; at most
    /// [`MANY`].
    failing: HashSet<Key>,
    /// So many were being tried again when the worker began.
    many: bool,
    /// What was answered to the last of them; `None`: nothing was.
    status: Option<u16>,
    /// It was a search that failed.
    searching: bool,
    /// A question is under way.
    asking: bool,
}

impl Outage {
    /// So many records are being tried again.
    pub fn new(retrying: u64) -> Self {
        Self {
            many: retrying >= MANY as u64,
            ..Self::default()
        }
    }

    /// Whether so many fail that no single one of them can be to blame.
    fn is_the_targets(&self) -> bool {
        self.many || self.failing.len() >= MANY
    }
}

impl Worker {
    /// Nothing reaches the target, or it asks everybody to wait.
    pub(super) fn target_is_down(&mut self, failure: &Failure) {
        if self.state.down.begin(now()) {
            self.tell_outage(Some(&failure.message), 0);
        }
    }

    /// The target took a request, or refused it for its own sake.
    pub(super) fn target_is_up(&mut self) {
        self.outages = 0;
        if let Some(lasted) = self.state.down.end(now()) {
            self.tell_outage(None, lasted);
        }
    }

    /// The target answered a read. Where it takes no write of many records, that says nothing.
    pub(super) fn target_is_read(&mut self) {
        if !self.outage.is_the_targets() {
            self.target_is_up();
        }
    }

    /// Says it, and keeps it: a run that begins while the target is down must know since when.
    fn tell_outage(&mut self, problem: Option<&str>, lasted: Millis) {
        let down = TargetDown {
            sync: &self.session.sync,
            problem,
            lasted,
            waiting: self.flights.len(),
        };
        down.emit();
        let state = Change::State(Box::new(self.state.clone()));
        self.push_commit(vec![state], Vec::new());
    }

    /// What an answer says about the target as a whole.
    pub(super) fn note_answer(&mut self, ids: &[FlightId], answer: &Answer) {
        let up = match answer {
            Answer::Items(results) => results.iter().any(|result| match result {
                Ok(_) => true,
                Err(failure) => shows_life(failure),
            }),
            Answer::Whole(failure) => shows_life(failure),
        };
        if up {
            self.outage.failing.clear();
            self.outage.many = false;
            return self.target_is_up();
        }
        match answer {
            Answer::Whole(failure) => {
                for id in ids {
                    self.note_failing(*id, failure, false);
                }
            }
            Answer::Items(results) => {
                for (id, result) in ids.iter().zip(results) {
                    if let Err(failure) = result {
                        self.note_failing(*id, failure, false);
                    }
                }
            }
        }
    }

    /// A request of a record failed in a way that may pass; `searching`: it was its search.
    pub(super) fn note_failing(&mut self, id: FlightId, failure: &Failure, searching: bool) {
        if !failure.sent {
            return;
        }
        self.outages = 0;
        if !is_passing(failure.class) {
            return;
        }
        let outage = &mut self.outage;
        (outage.status, outage.searching) = (failure.status, searching);
        if outage.failing.len() < MANY {
            outage
                .failing
                .insert(self.flights.get(id).entry.key.clone());
        }
        if self.state.down.since.is_none() {
            return;
        }
        if self.is_one_bad_record(id) {
            self.target_is_up();
        } else {
            self.ask_after(id);
        }
    }

    /// Nothing was sent for a record, and why: the target is down, or is asked whether it is.
    pub(super) fn hold(&mut self, id: FlightId, failure: &Failure, delay: Duration) {
        self.requeue(id);
        // Only an open circuit names its rest: anything else says that the target cannot be reached.
        let circuit = failure.class == Class::Transient && failure.retry_after_ms.is_some();
        if circuit && self.ask_after(id) {
            return;
        }
        if !circuit {
            self.outage.status = None;
        }
        if !circuit || !self.is_one_bad_record(id) {
            self.target_is_down(failure);
        }
        self.pause(failure, delay);
    }

    /// Whether one record alone fails, by an error of the application and not of what stands before it, where there
    /// is nothing else that the target could be asked after.
    fn is_one_bad_record(&self, id: FlightId) -> bool {
        let own = matches!(self.outage.status, Some(500..=599))
            && !matches!(self.outage.status, Some(502..=504));
        let alone = self.outage.failing.len() == 1 && !self.outage.many;
        own && alone && self.question(id).is_none()
    }

    /// Asks whether the target answers, where only a few records fail; `true`: it is being asked.
    pub(super) fn ask_after(&mut self, id: FlightId) -> bool {
        let outage = &self.outage;
        if outage.asking || outage.failing.is_empty() || outage.is_the_targets() {
            return outage.asking;
        }
        let Some(question) = self.question(id) else {
            return false;
        };
        self.outage.asking = true;
        let (target, plan) = (self.setup.target.clone(), self.setup.plan.clone());
        self.push(async move {
            let answer = target.ask_after(&plan.target.object, question).await;
            Ok(Event::AskedAfter(answer))
        });
        true
    }

    /// Whether nothing is sent before the target has answered.
    pub(super) fn asks_first(&mut self) -> bool {
        let down = self.state.down.since.is_some();
        self.outage.asking
            || (down
                && self
                    .flights
                    .front()
                    .is_some_and(|front| self.ask_after(front)))
    }

    /// What the target can be asked that has least to do with this record.
    fn question(&self, id: FlightId) -> Option<Question> {
        let plan = self.plan();
        let (connection, object) = (&plan.target.connection, &plan.target.object);
        if connection.probe.is_some() {
            return Some(Question::Probe);
        }
        if !connection.access.read {
            return None;
        }
        if object.list.is_some() {
            return Some(Question::List);
        }
        let flight = self.flights.get(id);
        if object.get.is_some()
            && let Some(target) = flight
                .base
                .target
                .as_ref()
                .filter(|target| target.is_told())
        {
            return Some(Question::Get(target.clone()));
        }
        if object.find.is_none() || self.outage.searching {
            return None;
        }
        let value = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let (source, mapped) = (value(&flight.entry.source), value(&flight.entry.body));
        let wanted = match_value(plan.matching.as_ref()?, &source, &mapped)?;
        Some(Question::Find {
            matching: wanted.values,
            source: value(&flight.entry.params),
        })
    }

    /// The target was asked after.
    pub(super) fn asked_after(&mut self, answer: Result<(), Failure>) {
        self.outage.asking = false;
        match answer {
            Err(failure) if !shows_life(&failure) => {
                self.target_is_down(&failure);
                let retry = self.plan().target.connection.retry;
                let delay = backoff(retry.initial_delay, retry.max_delay, self.outages);
                self.pause(&failure, delay);
            }
            _ => {
                self.held_until = None;
                self.target_is_up();
            }
        }
    }

    /// Sends nothing for a while, and gives up the run when that lasts.
    pub(super) fn pause(&mut self, failure: &Failure, delay: Duration) {
        let asked = failure.retry_after_ms.map(Duration::from_millis);
        let delay = self.setup.target.blocked_for().unwrap_or(delay);
        let delay = delay.max(asked.unwrap_or_default());
        let until = Instant::now() + delay;
        if self.held_until.is_none_or(|held| held <= Instant::now()) {
            self.outages += 1;
        }
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
        let too_long = match self.setup.mode {
            Mode::Watch => false,
            Mode::Once { patience } => self.outages >= MOST_OUTAGES || delay > patience,
        };
        if too_long {
            let error = self.target_error(failure.clone());
            self.error.get_or_insert(error);
        }
    }

    /// Notes when a version first failed, before anything is counted from then on.
    pub(super) fn stamp(&self, detail: &mut Detail) {
        if detail.since == 0 {
            detail.since = now();
            detail.down = self.state.down.until(detail.since);
        }
    }

    /// How long a version has been failing while the target was up.
    pub(super) fn age(&self, detail: &Detail) -> Millis {
        let at = now();
        if detail.since == 0 {
            return 0;
        }
        let down = self.state.down.until(at).saturating_sub(detail.down).max(0);
        at.saturating_sub(detail.since).saturating_sub(down)
    }
}

/// Whether a failure may pass, so that it says nothing of the record alone.
fn is_passing(class: Class) -> bool {
    matches!(class, Class::Transient | Class::Ambiguous)
}

/// Whether a failure is about one request: the target itself is well.
fn shows_life(failure: &Failure) -> bool {
    failure.sent && !is_passing(failure.class) && failure.class != Class::RateLimited
}
