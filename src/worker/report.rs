//! What a run says of itself: live figures, those that are added up over all runs, and its report with
//! why work is left. Called by the engine once for many records.

use std::time::Duration;

use tracing::Span;

use crate::state::{Counts, RunReport};
use crate::telemetry::Seen;
use crate::telemetry::events::RunEnded;
use crate::telemetry::spans;

use super::{Worker, now};

impl Worker {
    /// Shows the live figures, and adds what is new to those of the Sync.
    pub(super) fn show(&mut self) {
        let counts = self.counts;
        let progress = &self.setup.progress;
        progress.show(&counts, self.flights.len());
        let seen = since(&counts, &self.metered);
        progress.meter().records(seen, self.flights.len() as u64);
        self.metered = counts;
    }

    pub(super) fn report(&self) -> RunReport {
        let (outcome, message) = match &self.error {
            Some(error) => ("Failed", Some(error.to_string())),
            None if self.due.is_some() || self.scanning || !self.flights.is_empty() => {
                ("Incomplete", self.unfinished())
            }
            None => ("Succeeded", self.notes()),
        };
        RunReport {
            started: self.started,
            ended: now(),
            outcome: outcome.into(),
            message,
            counts: self.counts,
        }
    }

    /// What a preview has to say beside what it shows.
    fn notes(&self) -> Option<String> {
        let notes = [&self.guard.note, &self.absence.note, &self.suspicion.note];
        let notes: Vec<&str> = notes.into_iter().flatten().map(String::as_str).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    }

    /// The run is over.
    pub(super) fn ended(&mut self, report: &RunReport, span: &Span) {
        self.show();
        let took = report.ended.saturating_sub(report.started).max(0);
        let outcome = if self.error.is_some() {
            "Failed"
        } else {
            &report.outcome
        };
        let all = since(&self.counts, &Counts::default());
        spans::run_ended(span, outcome, all);
        let ended = RunEnded {
            sync: &self.session.sync,
            outcome,
            took: Duration::from_millis(took.unsigned_abs()),
            message: report.message.as_deref(),
        };
        ended.emit(self.setup.progress.meter());
    }

    /// Why work is left for the next run.
    fn unfinished(&self) -> Option<String> {
        let last = self.last_failure.as_ref()?;
        Some(format!(
            "records wait to be tried again; the last failure: {last}"
        ))
    }
}

/// What was counted after `before`.
fn since(counts: &Counts, before: &Counts) -> Seen {
    Seen {
        read: counts.read - before.read,
        created: counts.created - before.created,
        updated: counts.updated - before.updated,
        deleted: counts.deleted - before.deleted,
        unchanged: counts.unchanged - before.unchanged,
        skipped: counts.skipped - before.skipped,
        superseded: counts.superseded - before.superseded,
        dead: counts.dead - before.dead,
    }
}
