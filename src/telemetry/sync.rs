//! What is counted of one Sync: records, runs, scans, and what stands open.
//! A worker adds to it once for many records, never per record. Written by `worker`, `runtime`, `controller`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::histogram::{Histogram, RUN};

/// What became of records, as many as were seen since this was last told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub superseded: u64,
    pub dead: u64,
}

/// The label of each figure of [`Seen`], in order.
pub(super) const OUTCOMES: [&str; 8] = [
    "read",
    "created",
    "updated",
    "deleted",
    "unchanged",
    "skipped",
    "superseded",
    "dead",
];

impl Seen {
    fn figures(self) -> [u64; OUTCOMES.len()] {
        [
            self.read,
            self.created,
            self.updated,
            self.deleted,
            self.unchanged,
            self.skipped,
            self.superseded,
            self.dead,
        ]
    }
}

/// How runs end, as their reports say it.
pub(super) const RUN_OUTCOMES: [&str; 3] = ["Succeeded", "Incomplete", "Failed"];

/// Reasons of dead letters that are told apart; more are added up as `Other`.
pub const MOST_REASONS: usize = 32;

/// What stands open of a Sync, as the store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The target shows everything up to this moment, in milliseconds since 1970; `None`: no scan has ended yet.
    pub fresh_as_of: Option<i64>,
    pub retrying: u64,
    pub unknown: u64,
    pub waiting: u64,
    pub held: u64,
    /// Open dead letters by reason.
    pub dead: BTreeMap<String, u64>,
}

impl Standing {
    /// Dead letters by reason, within bounds.
    pub(super) fn reasons(&self) -> impl Iterator<Item = (&str, u64)> {
        let named = self.dead.iter().take(MOST_REASONS);
        let other: u64 = self.dead.values().skip(MOST_REASONS).sum();
        let other = (other > 0).then_some(("Other", other));
        named
            .map(|(reason, count)| (reason.as_str(), *count))
            .chain(other)
    }
}

/// What the manifest and its reconciliation say of a Sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// `freshness.maxAge`; `None`: not known, as long as the Sync cannot be planned.
    pub max_age: Option<Duration>,
    pub suspended: bool,
    /// A person is needed.
    pub stalled: bool,
}

/// The figures of one Sync.
#[derive(Debug)]
pub struct SyncMeter {
    records: [AtomicU64; OUTCOMES.len()],
    in_flight: AtomicU64,
    runs: [AtomicU64; RUN_OUTCOMES.len()],
    expired: AtomicU64,
    pub(super) run_seconds: Histogram,
    pub(super) scan_seconds: Histogram,
    standing: Mutex<(Standing, Declared)>,
}

impl Default for SyncMeter {
    fn default() -> Self {
        Self {
            records: Default::default(),
            in_flight: AtomicU64::new(0),
            runs: Default::default(),
            expired: AtomicU64::new(0),
            run_seconds: Histogram::new(RUN),
            scan_seconds: Histogram::new(RUN),
            standing: Mutex::default(),
        }
    }
}

impl SyncMeter {
    /// Records were dealt with; so many are on their way now.
    pub fn records(&self, seen: Seen, in_flight: u64) {
        for (cell, count) in self.records.iter().zip(seen.figures()) {
            if count > 0 {
                cell.fetch_add(count, Ordering::Relaxed);
            }
        }
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }

    /// A run has ended, with this outcome of its report.
    pub fn run(&self, outcome: &str, took: Duration) {
        if let Some(at) = RUN_OUTCOMES.iter().position(|known| *known == outcome) {
            self.runs[at].fetch_add(1, Ordering::Relaxed);
        }
        self.run_seconds.observe(took);
        self.in_flight.store(0, Ordering::Relaxed);
    }

    /// So many dead letters were dropped because they were too old or too many.
    pub fn expired(&self, count: u64) {
        self.expired.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn expired_count(&self) -> u64 {
        self.expired.load(Ordering::Relaxed)
    }

    /// A scan has seen everything that it was to see.
    pub fn scanned(&self, took: Duration) {
        self.scan_seconds.observe(took);
    }

    fn standing_mut(&self) -> MutexGuard<'_, (Standing, Declared)> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the store has of it now.
    pub fn stands(&self, standing: Standing) {
        self.standing_mut().0 = standing;
    }

    /// What its manifest says now.
    pub fn declared(&self, declared: Declared) {
        self.standing_mut().1 = declared;
    }

    pub(super) fn standing(&self) -> (Standing, Declared) {
        self.standing_mut().clone()
    }

    pub(super) fn record_counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        counts(&OUTCOMES, &self.records)
    }

    pub(super) fn run_counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        counts(&RUN_OUTCOMES, &self.runs)
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

fn counts<'a>(
    names: &'static [&'static str],
    cells: &'a [AtomicU64],
) -> impl Iterator<Item = (&'static str, u64)> + 'a {
    let values = cells.iter().map(|cell| cell.load(Ordering::Relaxed));
    names.iter().copied().zip(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_of_dead_letters_are_bounded_and_none_is_lost() {
        let dead = (0..40).map(|n| (format!("Reason{n:02}"), 2)).collect();
        let standing = Standing {
            dead,
            ..Standing::default()
        };
        let reasons: Vec<(&str, u64)> = standing.reasons().collect();
        assert_eq!(reasons.len(), MOST_REASONS + 1);
        assert_eq!(reasons.last(), Some(&("Other", 16)));
        assert_eq!(reasons.iter().map(|r| r.1).sum::<u64>(), 80);
    }
}
