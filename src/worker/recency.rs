//! Which observation of a source record is the newer one, where its versions don't say so themselves.
//! Plain data of the engine's task, only kept for Syncs that are told of changes while they scan.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::record::Key;

/// When records were last seen. An observation is surely newer than another one only if its request
/// began after the other's answer had come.
#[derive(Debug, Default)]
pub struct Recency {
    answered: HashMap<Key, Instant>,
    /// When each request that is not judged yet began.
    observing: Vec<Instant>,
}

impl Recency {
    /// A request to the source begins.
    pub fn begin(&mut self) -> Instant {
        let began = Instant::now();
        self.observing.push(began);
        began
    }

    /// The request that began then is judged, or will never be.
    pub fn end(&mut self, began: Instant) {
        if let Some(at) = self.observing.iter().position(|b| *b == began) {
            self.observing.swap_remove(at);
        }
        match self.observing.iter().min() {
            Some(oldest) => self.answered.retain(|_, answered| *answered > *oldest),
            None => self.answered.clear(),
        }
    }

    /// A record was judged whose answer came then.
    pub fn note(&mut self, key: &Key, answered: Instant) {
        self.answered.insert(key.clone(), answered);
    }

    /// Whether a request that began then may have seen less than is known of this key.
    pub fn is_doubtful(&self, key: &Key, began: Instant) -> bool {
        self.answered
            .get(key)
            .is_some_and(|answered| *answered > began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_doubted_when_it_began_before_the_known_answer_came() {
        let mut recency = Recency::default();
        let key = Key::from_text("a");
        let page = recency.begin();
        let told = recency.begin();
        recency.note(&key, Instant::now());
        recency.end(told);
        assert!(recency.is_doubtful(&key, page));
        assert!(!recency.is_doubtful(&Key::from_text("b"), page));
        assert!(!recency.is_doubtful(&key, Instant::now()));
        recency.end(page);
        assert!(recency.answered.is_empty(), "nobody can ask any more");
    }
}
