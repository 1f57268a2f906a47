//! What is counted of one Connection: requests by what their answers meant, their time, waits, the circuit.
//! Atomics only, because every request passes here. Written by `connector`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Histogram, REQUEST};
use crate::record::Class;

/// What the answer to a request meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    Success,
    /// A rule of `responses` says that there is nothing here.
    Ignored,
    /// No answer, or one that is no success.
    Failed(Class),
}

/// All of them, in the order of their cells.
const ALL: [Answered; 13] = [
    Answered::Success,
    Answered::Ignored,
    Answered::Failed(Class::Transient),
    Answered::Failed(Class::RateLimited),
    Answered::Failed(Class::Authentication),
    Answered::Failed(Class::Permanent),
    Answered::Failed(Class::Forbidden),
    Answered::Failed(Class::Gone),
    Answered::Failed(Class::VersionConflict),
    Answered::Failed(Class::AlreadyExists),
    Answered::Failed(Class::InFlight),
    Answered::Failed(Class::Ambiguous),
    Answered::Failed(Class::Configuration),
];

impl Answered {
    const fn cell(self) -> usize {
        match self {
            Self::Success => 0,
            Self::Ignored => 1,
            Self::Failed(class) => match class {
                Class::Transient => 2,
                Class::RateLimited => 3,
                Class::Authentication => 4,
                Class::Permanent => 5,
                Class::Forbidden => 6,
                Class::Gone => 7,
                Class::VersionConflict => 8,
                Class::AlreadyExists => 9,
                Class::InFlight => 10,
                Class::Ambiguous => 11,
                Class::Configuration => 12,
            },
        }
    }

    /// As the label says it.
    pub fn name(self) -> String {
        match self {
            Self::Success => "Success".to_owned(),
            Self::Ignored => "Ignored".to_owned(),
            Self::Failed(class) => format!("{class:?}"),
        }
    }
}

/// The figures of one Connection.
#[derive(Debug)]
pub struct ConnectionMeter {
    answers: [AtomicU64; ALL.len()],
    pub(super) seconds: Histogram,
    waited: AtomicU64,
    open: AtomicBool,
}

impl Default for ConnectionMeter {
    fn default() -> Self {
        Self {
            answers: Default::default(),
            seconds: Histogram::new(REQUEST),
            waited: AtomicU64::new(0),
            open: AtomicBool::new(false),
        }
    }
}

impl ConnectionMeter {
    /// A request was sent; its answer is known, or that there is none.
    pub fn answered(&self, answer: Answered) {
        self.answers[answer.cell()].fetch_add(1, Ordering::Relaxed);
    }

    /// How long a request took, from sending it to the end of its answer.
    pub fn took(&self, took: Duration) {
        self.seconds.observe(took);
    }

    /// How long a request waited for the limits.
    pub fn waited(&self, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.waited.fetch_add(micros, Ordering::Relaxed);
    }

    /// The circuit has opened, or closed; answers whether that is new.
    pub fn circuit(&self, open: bool) -> bool {
        self.open.swap(open, Ordering::Relaxed) != open
    }

    pub(super) fn answers(&self) -> impl Iterator<Item = (Answered, u64)> + '_ {
        let count = |a: Answered| self.answers[a.cell()].load(Ordering::Relaxed);
        ALL.into_iter().map(move |answer| (answer, count(answer)))
    }

    pub(super) fn wait_seconds(&self) -> f64 {
        self.waited.load(Ordering::Relaxed) as f64 / 1e6
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_cell_of_its_own() {
        for (index, answer) in ALL.into_iter().enumerate() {
            assert_eq!(answer.cell(), index, "{answer:?}");
        }
    }
}
