//! When a Sync's worker is started: by its schedule, after a failure, for records that are due.
//! Pure: now and chance are given. Used by `supervise`.

use std::time::Duration;

use crate::plan::TriggerPlan;
use crate::state::{Millis, SyncState};

/// The longest time until a failed worker is started again.
const LONGEST_DELAY: Duration = Duration::from_secs(3600);
/// The longest time until a system that could not be reached is tried again after its first failure, and ever.
const FIRST_REACH: Duration = Duration::from_secs(5);
const LONGEST_REACH: Duration = Duration::from_secs(300);
/// Runs that are overdue at a start are spread over at most this.
const LONGEST_JITTER: Duration = Duration::from_secs(60);

/// The delay after so many failures in a row: n²+n minutes, at most 60.
pub fn restart_delay(failures: u32) -> Duration {
    let n = u64::from(failures.min(60));
    Duration::from_secs((n * n + n) * 60).min(LONGEST_DELAY)
}

/// The delay until a system that could not be reached is tried again, after so many failures in a row: it may be
/// back in seconds, or away for hours. `chance` spreads those that failed together.
pub fn reach_delay(failures: u32, chance: u64) -> Duration {
    let ceiling = FIRST_REACH
        .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)))
        .min(LONGEST_REACH);
    let half = ceiling / 2;
    half + Duration::from_millis(chance % u64::try_from(half.as_millis()).unwrap_or(1).max(1))
}

/// A moment within the time that overdue runs are spread over: at most a tenth of the time between two.
pub fn jitter(trigger: &TriggerPlan, now: Millis, chance: u64) -> Millis {
    let spread = (trigger.runs.period(now) / 10).min(LONGEST_JITTER);
    let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
    i64::try_from(chance % spread.max(1)).unwrap_or(0)
}

/// When the next scan is due. One that was interrupted goes on now, and runs that were missed are one.
pub fn next_scan(trigger: &TriggerPlan, state: Option<&SyncState>, now: Millis) -> Millis {
    let Some(state) = state else { return now };
    if state.scan.is_some() {
        return now;
    }
    let last = state.last_run.as_ref().map(|run| run.started);
    let Some(last) = last.max(state.scanned) else {
        return now;
    };
    let run = trigger.runs.next(last);
    let full = trigger
        .full_refresh
        .as_ref()
        .map(|full| state.refreshed.map_or(now, |at| full.next(at)));
    // A full refresh that failed is not begun again before the next run.
    let full = full.filter(|full| *full > last);
    full.map_or(run, |full| full.min(run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Schedule;
    use crate::state::{RunReport, Scan};

    fn every(seconds: u64) -> TriggerPlan {
        TriggerPlan {
            runs: Schedule::Every(Duration::from_secs(seconds)),
            full_refresh: None,
        }
    }

    fn ran(started: Millis) -> SyncState {
        SyncState {
            scanned: Some(started),
            refreshed: Some(started),
            last_run: Some(RunReport {
                started,
                ..RunReport::default()
            }),
            ..SyncState::default()
        }
    }

    #[test]
    fn a_failed_worker_waits_n_squared_plus_n_minutes_up_to_an_hour() {
        let minutes: Vec<u64> = (0..10).map(|n| restart_delay(n).as_secs() / 60).collect();
        assert_eq!(minutes, [0, 2, 6, 12, 20, 30, 42, 56, 60, 60]);
    }

    #[test]
    fn a_system_that_is_away_is_tried_in_seconds_first_and_within_five_minutes_for_ever() {
        let most = |failures| reach_delay(failures, 149_999).as_secs_f64();
        assert!((2.5..=5.0).contains(&reach_delay(1, 0).as_secs_f64()) && most(1) < 5.0);
        assert!(reach_delay(4, 0) >= Duration::from_secs(20));
        for failures in [7, 100, u32::MAX] {
            assert!(reach_delay(failures, 0) >= Duration::from_secs(150));
            assert!(most(failures) <= 300.0);
        }
    }

    #[test]
    fn a_scan_is_due_an_interval_after_the_last_one_began() {
        assert_eq!(next_scan(&every(60), None, 7), 7, "never ran");
        assert_eq!(next_scan(&every(60), Some(&ran(1_000)), 2_000), 61_000);
        let overdue = next_scan(&every(60), Some(&ran(1_000)), 999_000);
        assert!(overdue <= 999_000, "many missed runs are one");
        let mut interrupted = ran(1_000);
        interrupted.scan = Some(Scan {
            started: 5,
            full: false,
            first: false,
            feed: None,
            max_seen: None,
            position: None,
        });
        assert_eq!(next_scan(&every(60), Some(&interrupted), 2_000), 2_000);
    }

    #[test]
    fn a_full_refresh_comes_at_its_own_time_and_not_twice_after_a_failure() {
        let trigger = TriggerPlan {
            full_refresh: Some(Schedule::Every(Duration::from_secs(90))),
            ..every(60)
        };
        let mut state = ran(0);
        assert_eq!(next_scan(&trigger, Some(&state), 1), 60_000);
        state.last_run.as_mut().unwrap().started = 60_000;
        state.scanned = Some(60_000);
        assert_eq!(next_scan(&trigger, Some(&state), 61_000), 90_000);
        // The run at 90 s failed: the next try is the next run's.
        state.last_run.as_mut().unwrap().started = 90_000;
        assert_eq!(next_scan(&trigger, Some(&state), 91_000), 150_000);
    }

    #[test]
    fn overdue_runs_are_spread_over_a_tenth_of_their_interval_and_at_most_a_minute() {
        for chance in [0, 1, 12_345, u64::MAX] {
            assert!((0..6_000).contains(&jitter(&every(60), 0, chance)));
            assert!((0..60_000).contains(&jitter(&every(86_400), 0, chance)));
        }
    }
}
