//! A histogram of durations: fixed buckets, one atomic addition for each observation.
//! Read by `metrics`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in seconds of requests.
pub const REQUEST: &[f64] = &[0.005, 0.02, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];
/// Upper bounds in seconds of runs and scans.
pub const RUN: &[f64] = &[0.1, 0.5, 2.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0];
/// Upper bounds in seconds of reconciliations.
pub const RECONCILE: &[f64] = &[0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];

/// Most buckets of any of these, with the one without a bound.
const MOST: usize = 10;

/// Counts durations by size.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: [AtomicU64; MOST],
    micros: AtomicU64,
}

impl Histogram {
    pub const fn new(bounds: &'static [f64]) -> Self {
        assert!(bounds.len() < MOST);
        Self {
            bounds,
            counts: [const { AtomicU64::new(0) }; MOST],
            micros: AtomicU64::new(0),
        }
    }

    pub fn observe(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let bucket = self.bounds.iter().position(|bound| seconds <= *bound);
        self.counts[bucket.unwrap_or(self.bounds.len())].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// The sum in seconds, the number of observations, and how many are in each bucket (not added up).
    pub fn read(&self) -> (f64, u64, Vec<(f64, u64)>) {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|c| c.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = self.micros.load(Ordering::Relaxed) as f64 / 1e6;
        (sum, count, buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_in_the_smallest_bucket_that_holds_it() {
        let histogram = Histogram::new(RECONCILE);
        for millis in [1, 2, 70_000] {
            histogram.observe(Duration::from_millis(millis));
        }
        let (sum, count, buckets) = histogram.read();
        assert_eq!((sum, count), (70.003, 3));
        let full: Vec<f64> = buckets.iter().filter(|b| b.1 == 1).map(|b| b.0).collect();
        assert_eq!(full, [0.001, 0.005, f64::INFINITY]);
    }
}
