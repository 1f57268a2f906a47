//! What happens, by name: one type for a log line and the metric that belongs to it, so that neither is
//! forgotten. Names and figures only: no secret, no record, no URL. Emitted by `connector`, `worker`, `controller`.

use std::time::Duration;

use super::{ConnectionMeter, Metrics, SyncMeter};
use crate::record::SyncName;

/// A run of a Sync has ended.
#[derive(Debug)]
pub struct RunEnded<'a> {
    pub sync: &'a SyncName,
    /// As the report says it: `Succeeded`, `Incomplete` or `Failed`.
    pub outcome: &'a str,
    pub took: Duration,
    /// What stopped it and what to do.
    pub message: Option<&'a str>,
}

impl RunEnded<'_> {
    pub fn emit(&self, meter: &SyncMeter) {
        meter.run(self.outcome, self.took);
        let (sync, outcome, message) = (self.sync, self.outcome, self.message);
        let milliseconds = millis(self.took);
        tracing::info!(%sync, outcome, milliseconds, reason = message, "run ended");
    }
}

/// A scan has seen everything that it was to see.
#[derive(Debug)]
pub struct ScanCompleted<'a> {
    pub sync: &'a SyncName,
    pub took: Duration,
    /// It read everything, whatever the cursor says.
    pub full: bool,
}

impl ScanCompleted<'_> {
    pub fn emit(&self, meter: &SyncMeter) {
        meter.scanned(self.took);
        let (sync, full, milliseconds) = (self.sync, self.full, millis(self.took));
        tracing::info!(%sync, full, milliseconds, "scan completed");
    }
}

/// Dead letters were dropped because they were too old or too many.
#[derive(Debug)]
pub struct DeadLettersExpired<'a> {
    pub sync: &'a SyncName,
    pub count: u64,
}

impl DeadLettersExpired<'_> {
    /// Says nothing where there are none.
    pub fn emit(&self, meter: &SyncMeter) {
        let (sync, count) = (self.sync, self.count);
        if count > 0 {
            meter.expired(count);
            tracing::warn!(
                %sync,
                count,
                "dead letters dropped: older than failures.deadLetterRetention, or more than failures.deadLetterLimit"
            );
        }
    }
}

/// Nothing reaches the target of a Sync, or it answers again.
#[derive(Debug)]
pub struct TargetDown<'a> {
    pub sync: &'a SyncName,
    /// What the last request met; `None`: it answers again.
    pub problem: Option<&'a str>,
    /// For how long it did not, in milliseconds.
    pub lasted: i64,
    /// Records that are on their way.
    pub waiting: usize,
}

impl TargetDown<'_> {
    pub fn emit(&self) {
        let (sync, waiting) = (self.sync, self.waiting);
        match self.problem {
            Some(problem) => tracing::warn!(
                %sync,
                waiting,
                "the target takes nothing now; records wait, and go on by themselves: {problem}"
            ),
            None => tracing::warn!(%sync, milliseconds = self.lasted, "the target answers again"),
        }
    }
}

/// The circuit of a Connection has opened or closed.
#[derive(Debug)]
pub struct CircuitChanged<'a> {
    pub namespace: &'a str,
    pub connection: &'a str,
    /// For how long nothing is sent; `None`: it has closed.
    pub open: Option<Duration>,
}

impl CircuitChanged<'_> {
    /// Says it once for each change.
    pub fn emit(&self, meter: &ConnectionMeter) {
        let (namespace, connection) = (self.namespace, self.connection);
        if !meter.circuit(self.open.is_some()) {
            return;
        }
        match self.open {
            Some(rest) => tracing::warn!(
                namespace,
                connection,
                seconds = rest.as_secs(),
                "circuit opened: too many requests failed, nothing is sent for a while"
            ),
            None => tracing::info!(namespace, connection, "circuit closed"),
        }
    }
}

/// A resource was looked at.
#[derive(Debug)]
pub struct Reconciled<'a> {
    /// Kind, namespace and name.
    pub resource: &'a str,
    pub took: Duration,
    /// Failures of this resource in a row, and what went wrong now.
    pub problem: Option<(u32, &'a str)>,
}

impl Reconciled<'_> {
    pub fn emit(&self, metrics: &Metrics) {
        metrics.reconciles.inc();
        metrics.reconciled(self.took);
        let (resource, milliseconds) = (self.resource, millis(self.took));
        match self.problem {
            None => tracing::debug!(resource, milliseconds, "reconciled"),
            Some((failures, problem)) => {
                metrics.reconcile_errors.inc();
                tracing::warn!(resource, failures, "not reconciled: {problem}");
            }
        }
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
