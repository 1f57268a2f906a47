//! Counts requests by route, so that a demo or test can say "ten updates, nothing else".
//! Answers `GET /_stats`, and `POST /_stats/reset` begins at zero.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

/// Requests that were carried out, by the name of what they did.
#[derive(Debug, Default)]
pub struct Stats(Mutex<BTreeMap<&'static str, u64>>);

impl Stats {
    pub fn count(&self, what: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(what).or_default() += 1;
    }

    pub fn reset(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    pub fn as_json(&self) -> Value {
        json!(*self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
