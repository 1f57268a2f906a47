//! After a credential was rejected (401) nothing is sent with it but one request now and then, until it
//! changes: nobody hammers at a closed door, and no account is locked. Used by `client`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::record::{Class, Failure};

/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(3600);

/// Whether the credential of one Connection is known to be rejected.
pub(super) struct Stall {
    first: Duration,
    state: Mutex<Option<State>>,
}

struct State {
    failure: Failure,
    next: Instant,
    delay: Duration,
}

impl Stall {
    /// `first` is the time to the first try after a rejection.
    pub fn new(first: Duration) -> Self {
        Self {
            first,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until a request is let through; `None`: now.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        let rest = self.state().as_ref()?.next.saturating_duration_since(now);
        (!rest.is_zero()).then_some(rest)
    }

    /// Lets a request through, or answers with the rejection. Of all who come when it is time, the first
    /// goes, and the others wait for the next time.
    pub fn enter(&self, now: Instant) -> Result<(), Failure> {
        let mut state = self.state();
        let Some(stalled) = state.as_mut() else {
            return Ok(());
        };
        let rest = stalled.next.saturating_duration_since(now);
        if rest.is_zero() {
            stalled.delay = stalled.delay.saturating_mul(2).min(LONGEST);
            stalled.next = now + stalled.delay;
            return Ok(());
        }
        let mut failure = stalled.failure.clone();
        failure.sent = false;
        failure.retry_after_ms = Some(rest.as_millis() as u64);
        Err(failure)
    }

    /// What became of a request that was let through.
    pub fn tell<T>(&self, result: &Result<T, Failure>, now: Instant) {
        match result {
            Err(failure) if failure.class == Class::Authentication => {
                let mut state = self.state();
                match state.as_mut() {
                    Some(stalled) => stalled.failure = failure.clone(),
                    None => {
                        *state = Some(State {
                            failure: failure.clone(),
                            next: now + self.first,
                            delay: self.first,
                        });
                    }
                }
            }
            // Any other answer to the request itself says that the credential is good.
            Err(failure) if !failure.sent || failure.status.is_none() => {}
            Err(failure) if matches!(failure.class, Class::Transient | Class::RateLimited) => {}
            _ => self.clear(),
        }
    }

    /// The credential may be another one now.
    pub fn clear(&self) {
        *self.state() = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected() -> Result<(), Failure> {
        Err(Failure::new(
            Class::Authentication,
            true,
            "not accepted (401)",
        ))
    }

    #[test]
    fn a_rejected_credential_is_tried_once_an_interval_that_doubles_to_an_hour() {
        let minute = Duration::from_secs(60);
        let stall = Stall::new(5 * minute);
        let mut now = Instant::now();
        stall.tell(&rejected(), now);
        for wait in [5, 10, 20, 40, 60, 60] {
            assert!(
                stall
                    .enter(now + wait * minute - Duration::from_secs(1))
                    .is_err()
            );
            now += wait * minute;
            assert!(stall.enter(now).is_ok(), "{wait}");
            assert!(
                stall.enter(now).is_err(),
                "the second of two who come at once"
            );
            stall.tell(&rejected(), now);
        }
        stall.clear();
        assert!(stall.enter(now).is_ok() && stall.rest(now).is_none());
    }

    #[test]
    fn an_answer_that_is_no_rejection_ends_it_and_silence_does_not() {
        let stall = Stall::new(Duration::from_secs(1));
        let now = Instant::now();
        stall.tell(&rejected(), now);
        stall.tell::<()>(&Err(Failure::new(Class::Transient, false, "refused")), now);
        assert!(stall.enter(now).is_err());
        stall.tell(&Ok(()), now);
        assert!(stall.enter(now).is_ok());
    }
}
