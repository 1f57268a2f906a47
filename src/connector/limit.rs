//! The limits of one Connection, shared by all its senders: requests under way, configured rates, and
//! a rate learned from refusals. Used by `client`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::adaptive::{Adaptive, Slot};
use crate::plan::ConnectionPlan;
use crate::plan::connection::LimitPlan;

/// How far a pace may catch up when a timer came late.
const CATCH_UP: Duration = Duration::from_millis(5);

pub(super) struct Limiter {
    concurrency: Arc<Semaphore>,
    limits: Vec<Limit>,
    adaptive: std::sync::Mutex<Adaptive>,
    /// Whether `adaptive` holds anybody back; spares the queue below on the usual path.
    adapting: AtomicBool,
    /// Who holds this is next to send: a queue in order of arrival.
    turn: Mutex<()>,
}

struct Limit {
    plan: LimitPlan,
    concurrency: Option<Arc<Semaphore>>,
    /// When the next request may be sent.
    pace: Option<(Duration, Mutex<Instant>)>,
}

/// The right to have one request under way.
pub(super) struct Permit {
    _held: OwnedSemaphorePermit,
    _more: Vec<OwnedSemaphorePermit>,
    /// When the request was let go, and its place among all of them.
    pub slot: Slot,
}

impl Limiter {
    pub fn new(plan: &ConnectionPlan) -> Self {
        let limits = plan.limits.iter().map(|limit| Limit {
            plan: limit.clone(),
            concurrency: limit.concurrency.map(|c| Arc::new(Semaphore::new(c))),
            pace: limit
                .rate
                .map(|(count, per)| (per / count.max(1), Mutex::new(Instant::now()))),
        });
        Self {
            concurrency: Arc::new(Semaphore::new(plan.concurrency.max(1))),
            limits: limits.collect(),
            adaptive: std::sync::Mutex::new(Adaptive::new(Instant::now())),
            adapting: AtomicBool::new(false),
            turn: Mutex::new(()),
        }
    }

    /// Waits until a request with this method and path may be sent. The error: the system has asked for
    /// more than `longest` from now.
    pub async fn acquire(
        &self,
        method: &str,
        path: &str,
        longest: Duration,
    ) -> Result<Permit, Duration> {
        let mut more = Vec::new();
        let applies = |limit: &&Limit| limit.plan.applies_to(method, path);
        for limit in self.limits.iter().filter(applies) {
            if let Some(semaphore) = &limit.concurrency {
                more.push(take(semaphore).await);
            }
        }
        // Who waits for the pace of a few paths takes no place from the others.
        let few = |limit: &&Limit| limit.plan.method.is_some() || limit.plan.path.is_some();
        for limit in self.limits.iter().filter(applies).filter(few) {
            limit.wait_for_pace().await;
        }
        let held = take(&self.concurrency).await;
        for limit in self.limits.iter().filter(|limit| !few(limit)) {
            limit.wait_for_pace().await;
        }
        let slot = if self.adapting.load(Ordering::Acquire) {
            self.wait_for_turn(longest).await?
        } else {
            self.adaptive().sent(Instant::now())
        };
        Ok(Permit {
            _held: held,
            _more: more,
            slot,
        })
    }

    fn adaptive(&self) -> std::sync::MutexGuard<'_, Adaptive> {
        self.adaptive
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for the pause and the learned rate, one after the other.
    async fn wait_for_turn(&self, longest: Duration) -> Result<Slot, Duration> {
        let _turn = self.turn.lock().await;
        loop {
            let now = Instant::now();
            let turn = self.adaptive().next(now);
            match turn {
                Ok(slot) => return Ok(slot),
                Err(until) if until - now > longest => return Err(until - now),
                Err(until) => tokio::time::sleep_until(until).await,
            }
        }
    }

    /// The system refused the request of this slot: everybody waits for `wait`, or for a time of our own
    /// choice, and what is sent afterwards keeps to a pace.
    pub fn refused(&self, slot: Slot, wait: Option<Duration>) {
        self.adaptive().refused(slot, wait, Instant::now());
        self.adapting.store(true, Ordering::Release);
    }

    /// The system took a request.
    pub fn taken(&self) {
        if self.adapting.load(Ordering::Acquire) && self.adaptive().taken(Instant::now()) {
            self.adapting.store(false, Ordering::Release);
        }
    }
}

async fn take(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        // Semaphores of a limiter are never closed, and this one cannot be dropped while it is borrowed.
        Err(_) => std::future::pending().await,
    }
}

impl Limit {
    /// Waits for the next slot of an even pace; those who wait come in order.
    async fn wait_for_pace(&self) {
        let Some((interval, next)) = &self.pace else {
            return;
        };
        let mut next = next.lock().await;
        tokio::time::sleep_until(*next).await;
        let earliest = Instant::now()
            .checked_sub(CATCH_UP.min(*interval))
            .unwrap_or(*next);
        *next = (*next).max(earliest) + *interval;
    }
}
