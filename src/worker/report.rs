//! What a run says of itself when it has ended: how it went, and why work is left.
//! Decides nothing but the words; called once, at the end of `Worker::run`.

use crate::state::RunReport;

use super::{Worker, now};

impl Worker {
    pub(super) fn report(&self) -> RunReport {
        let (outcome, message) = match &self.error {
            Some(error) => ("Failed", Some(error.to_string())),
            None if self.due.is_some() || !self.flights.is_empty() => {
                ("Incomplete", self.unfinished())
            }
            None => ("Succeeded", None),
        };
        RunReport {
            started: self.started,
            ended: now(),
            outcome: outcome.into(),
            message,
            counts: self.counts,
        }
    }

    /// Why work is left for the next run.
    fn unfinished(&self) -> Option<String> {
        let last = self.last_failure.as_ref()?;
        Some(format!(
            "records wait to be tried again; the last failure: {last}"
        ))
    }
}
