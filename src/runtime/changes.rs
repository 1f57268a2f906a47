//! Who has something new to show: names, each once, until somebody asks. Bounded by the number of
//! names. Filled by `supervise` and `probe`, emptied by `controller`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Names that have changed.
#[derive(Debug)]
pub struct Changes<N> {
    names: Mutex<BTreeSet<N>>,
    notify: Notify,
}

impl<N: Ord> Default for Changes<N> {
    fn default() -> Self {
        Self {
            names: Mutex::default(),
            notify: Notify::new(),
        }
    }
}

impl<N: Ord> Changes<N> {
    pub fn add(&self, name: N) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name);
        self.notify.notify_one();
    }

    /// Waits until there are some and takes them all. For one caller.
    pub async fn take(&self) -> BTreeSet<N> {
        loop {
            let names =
                std::mem::take(&mut *self.names.lock().unwrap_or_else(PoisonError::into_inner));
            if !names.is_empty() {
                return names;
            }
            self.notify.notified().await;
        }
    }
}
