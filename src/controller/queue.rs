//! What is to be reconciled, and when: each resource once, not while it is being reconciled, the earliest
//! moment wins. Bounded by the number of resources. Filled by the watches, emptied by `reconcile`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::index::Target;

/// Delay after the first failure, doubling up to the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// Work to do, by moment.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    order: BTreeSet<(Instant, Target)>,
    moments: HashMap<Target, Instant>,
    running: HashSet<Target>,
}

impl Queue {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reconciles it at `at`, or earlier if that was said before.
    pub fn add(&self, target: Target, at: Instant) {
        let mut inner = self.inner();
        match inner.moments.get(&target).copied() {
            Some(before) if before <= at => return,
            Some(before) => {
                inner.order.remove(&(before, target.clone()));
            }
            None => {}
        }
        inner.moments.insert(target.clone(), at);
        inner.order.insert((at, target));
        drop(inner);
        self.notify.notify_one();
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.inner().order.len()
    }

    /// The next resource that is due; its turn lasts until [`Queue::done`].
    pub async fn next(&self) -> Target {
        loop {
            let wake = match self.take(Instant::now()) {
                Ok(target) => {
                    // There may be more for another.
                    self.notify.notify_one();
                    return target;
                }
                Err(wake) => wake,
            };
            let notified = self.notify.notified();
            match wake {
                Some(at) => {
                    tokio::select! {
                        () = notified => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => notified.await,
            }
        }
    }

    /// What is due now, or when something will be.
    fn take(&self, now: Instant) -> Result<Target, Option<Instant>> {
        let mut inner = self.inner();
        let free = inner
            .order
            .iter()
            .find(|(_, target)| !inner.running.contains(target))
            .cloned();
        let Some((at, target)) = free else {
            return Err(None);
        };
        if at > now {
            return Err(Some(at));
        }
        inner.order.remove(&(at, target.clone()));
        inner.moments.remove(&target);
        inner.running.insert(target.clone());
        Ok(target)
    }

    /// Its turn is over: it may come again.
    pub fn done(&self, target: &Target) {
        self.inner().running.remove(target);
        self.notify.notify_one();
    }
}

/// The delay after so many failures of one object in a row; `chance` spreads those that fail together.
pub fn delay(failures: u32, chance: u64) -> Duration {
    let ceiling = FIRST_DELAY
        .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(20)))
        .min(LONGEST_DELAY);
    let half = ceiling / 2;
    half + Duration::from_millis(chance % u64::try_from(half.as_millis()).unwrap_or(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::index::Kind;
    use crate::plan::ResourceName;

    fn target(name: &str) -> Target {
        Target::new(Kind::Sync, &ResourceName::new("default", name))
    }

    #[test]
    fn the_earliest_moment_wins_and_each_is_there_once() {
        let queue = Queue::default();
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        queue.add(target("a"), after(10));
        queue.add(target("b"), after(5));
        queue.add(target("a"), after(1));
        queue.add(target("a"), after(20));
        assert_eq!(queue.take(now), Err(Some(after(1))));
        assert_eq!(queue.take(after(1)), Ok(target("a")));
        assert_eq!(queue.take(after(1)), Err(Some(after(5))));
        assert_eq!(queue.take(after(5)), Ok(target("b")));
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn one_is_never_reconciled_twice_at_a_time() {
        let queue = Queue::default();
        queue.add(target("a"), Instant::now());
        assert_eq!(queue.next().await, target("a"));
        queue.add(target("a"), Instant::now());
        assert_eq!(queue.take(Instant::now()), Err(None));
        queue.add(target("b"), Instant::now());
        assert_eq!(queue.next().await, target("b"));
        queue.done(&target("a"));
        assert_eq!(queue.next().await, target("a"));
    }

    #[test]
    fn failures_of_one_object_wait_longer_each_time() {
        assert!(
            delay(1, 0) >= Duration::from_millis(500)
                && delay(1, u64::MAX) < Duration::from_secs(1)
        );
        assert!(delay(5, 0) >= Duration::from_secs(8));
        assert!(delay(40, u64::MAX) <= LONGEST_DELAY);
    }
}
