//! The target is down or is back: said once, kept in the state, and taken out of the age of records.
//! Called where requests end.

use crate::connector::Answer;
use crate::record::{Class, Failure};
use crate::state::{Change, Detail, Millis};
use crate::telemetry::events::TargetDown;

use super::{Worker, now};

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
    pub(super) fn note_answer(&mut self, answer: &Answer) {
        let up = match answer {
            Answer::Items(results) => results.iter().any(|result| match result {
                Ok(_) => true,
                Err(failure) => shows_life(failure),
            }),
            Answer::Whole(failure) => shows_life(failure),
        };
        match answer {
            _ if up => self.target_is_up(),
            Answer::Whole(failure) if failure.sent => self.outages = 0,
            Answer::Items(_) => self.outages = 0,
            Answer::Whole(_) => {}
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

/// Whether a failure is about one request: the target itself is well.
fn shows_life(failure: &Failure) -> bool {
    let passing = matches!(
        failure.class,
        Class::Transient | Class::Ambiguous | Class::RateLimited
    );
    failure.sent && !passing
}
