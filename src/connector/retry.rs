//! How long to wait before a read is sent again, and whether at all.
//! Used by `client`.

use std::sync::Mutex;
use std::time::Duration;

use crate::plan::connection::RetryPlan;

/// Attempts of one read.
pub(super) const ATTEMPTS: u32 = 5;

/// Full jitter: anything from nothing to a bound that doubles (AWS Architecture Blog, "Exponential
/// Backoff And Jitter"). `attempt` counts from 0.
pub(super) fn backoff(plan: &RetryPlan, attempt: u32) -> Duration {
    let bound = plan
        .initial_delay
        .saturating_mul(2_u32.saturating_pow(attempt))
        .min(plan.max_delay);
    bound.mul_f64(random())
}

/// A number from 0 to 1. Without randomness the middle will do.
fn random() -> f64 {
    getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX))
}

/// Retries are a share of the requests, so that a system in trouble isn't given a multiple of its load.
pub(super) struct Budget(Mutex<f64>);

impl Budget {
    const MOST: f64 = 20.0;
    const EARNED: f64 = 0.1;

    pub fn new() -> Self {
        Self(Mutex::new(Self::MOST))
    }

    fn tokens(&self) -> std::sync::MutexGuard<'_, f64> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A request succeeded.
    pub fn earn(&self) {
        let mut tokens = self.tokens();
        *tokens = (*tokens + Self::EARNED).min(Self::MOST);
    }

    /// Takes one retry; false when there is none left.
    pub fn spend(&self) -> bool {
        let mut tokens = self.tokens();
        let left = *tokens >= 1.0;
        if left {
            *tokens -= 1.0;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let plan = RetryPlan {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(300),
        };
        for (attempt, bound) in [(0, 1), (1, 2), (4, 16), (8, 256), (9, 300), (40, 300)] {
            for _ in 0..50 {
                assert!(
                    backoff(&plan, attempt) <= Duration::from_secs(bound),
                    "{attempt}"
                );
            }
        }
    }

    #[test]
    fn retries_end_when_nothing_succeeds() {
        let budget = Budget::new();
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 20);
        for _ in 0..11 {
            budget.earn();
        }
        assert!(budget.spend() && !budget.spend());
    }
}
