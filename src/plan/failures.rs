//! When failures are given up, and when there are so many that the Mapping or a Connection is to blame.
//! Pure. Called by `plan::sync`; carried out by `worker`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Amount;
use super::validate::SyncChecker;
use crate::api::sync::FailureSpec;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailurePlan {
    /// How long a temporary failure is retried before it becomes a dead letter.
    pub dead_letter_after: Duration,
    /// How long dead letters are kept, and how many.
    pub dead_letter_retention: Duration,
    pub dead_letter_limit: u64,
    pub suspect_mapping_at: SuspectAt,
    /// Writes between the same two contents of a record after which the next one is held; 0: never.
    pub echo_at: u32,
}

/// How many records of one run may be rejected for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspectAt(pub Amount);

/// A share says something of so many records, while more of the run are to come.
const SAMPLE: u64 = 100;
/// The same once the run has nothing left to do.
const LEAST: u64 = 20;

/// Fewer writes back and forth are no echo yet.
const FEWEST_ECHOES: u32 = 4;

impl Default for SuspectAt {
    fn default() -> Self {
        Self(Amount::Percent(50))
    }
}

impl SuspectAt {
    /// Whether `rejected` of `all` records are too many; `ended`: no more are to come in this run.
    pub fn is_reached(self, rejected: u64, all: u64, ended: bool) -> bool {
        match self.0 {
            Amount::Records(most) => rejected >= most,
            Amount::Percent(share) => {
                let enough = if ended { LEAST } else { SAMPLE };
                all >= enough && rejected.saturating_mul(100) >= all.saturating_mul(share)
            }
        }
    }
}

impl fmt::Display for SuspectAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pub(super) fn compile_failures(spec: &FailureSpec, checker: &mut SyncChecker) -> FailurePlan {
    let suspect = spec.suspect_mapping_at.as_ref().map(Amount::parse);
    if matches!(
        suspect,
        Some(None | Some(Amount::Records(0) | Amount::Percent(0)))
    ) {
        checker.error(
            "spec.failures.suspectMappingAt",
            "write a number of records, such as 500, or a share of them, such as 50%; none of them 0",
        );
    }
    if (1..FEWEST_ECHOES).contains(&spec.echo_at) {
        checker.error(
            "spec.failures.echoAt",
            format!("write at least {FEWEST_ECHOES}, since a record may well be changed and changed back; or 0 for never"),
        );
    }
    FailurePlan {
        dead_letter_after: spec.dead_letter_after.to_std(),
        dead_letter_retention: spec.dead_letter_retention.to_std(),
        dead_letter_limit: spec.dead_letter_limit.into(),
        echo_at: spec.echo_at,
        suspect_mapping_at: suspect.flatten().map(SuspectAt).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_needs_records_to_say_anything_of() {
        let half = SuspectAt::default();
        assert!(!half.is_reached(99, 99, false), "more are to come");
        assert!(half.is_reached(50, 100, false));
        assert!(!half.is_reached(49, 100, false));
        assert!(half.is_reached(20, 20, true));
        assert!(!half.is_reached(19, 19, true), "too few to say anything");
        assert!(!half.is_reached(0, 0, true));
    }

    #[test]
    fn a_number_counts_whatever_the_share() {
        let five = SuspectAt(Amount::Records(5));
        assert!(!five.is_reached(4, 4, true));
        assert!(five.is_reached(5, 1_000_000, false));
    }
}
