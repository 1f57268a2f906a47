//! Until when this process may write, as the one that was elected for it. Asked last, after all waiting for
//! limits and credentials, and before anything is begun. Moved on by `controller`, asked by `client` and `worker`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Until when this process may send: as long as it surely holds the lease that makes it the only one.
/// The default always holds, for a process that nobody else can take over from.
#[derive(Clone, Debug, Default)]
pub struct Fence(Option<Arc<Until>>);

/// A moment that is moved on with each renewal, in milliseconds after `base`.
#[derive(Debug)]
struct Until {
    base: Instant,
    millis: AtomicU64,
}

impl Fence {
    /// A fence that is closed until it is first moved on.
    pub fn closed() -> Self {
        Self(Some(Arc::new(Until {
            base: Instant::now(),
            millis: AtomicU64::new(0),
        })))
    }

    /// Lets this process send until `until`; a moment that has passed closes the fence.
    pub fn open_until(&self, until: Instant) {
        if let Some(inner) = &self.0 {
            let millis = until.saturating_duration_since(inner.base).as_millis();
            inner
                .millis
                .store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Release);
        }
    }

    /// Closes it now.
    pub fn close(&self) {
        if let Some(inner) = &self.0 {
            inner.millis.store(0, Ordering::Release);
        }
    }

    /// Whether something may be sent now.
    pub fn holds(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| {
            inner.base.elapsed().as_millis() < u128::from(inner.millis.load(Ordering::Acquire))
        })
    }
}
