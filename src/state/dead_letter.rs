//! What is kept of attempts, how long dead letters are kept, and what is remembered of those that are gone.
//! Plain data; written by `worker` and by people through `cli`.

use serde::{Deserialize, Serialize};

use super::{Detail, Entry, Exception, Millis, Trouble};
use crate::record::{Class, Failure, Key};

/// Attempts that are kept of a record: the first, and the last ones.
const MOST_TRIED: usize = 10;

/// Dead letters that are gone and remembered, for each Sync; older ones are forgotten.
pub const MOST_CLOSED: u64 = 10_000;

/// One attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub at: Millis,
    /// HTTP status, when there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub class: Class,
}

impl Detail {
    /// Notes an attempt that failed.
    pub fn note(&mut self, at: Millis, failure: &Failure) {
        if self.tried.len() >= MOST_TRIED {
            self.tried.remove(1);
        }
        self.tried.push(Tried {
            at,
            status: failure.status,
            class: failure.class,
        });
    }

    /// What stands in it when a person wants the record to be sent again: it is due at once, through the
    /// Mapping, and its attempts are counted anew.
    #[must_use]
    pub fn replay(self) -> Self {
        Self {
            remap: true,
            replayed: true,
            attempts: 0,
            since: 0,
            first_sent: None,
            negative_reads: 0,
            ..self
        }
    }
}

impl Exception {
    /// A version that waited behind a dead letter that is gone, due at once.
    pub fn promoted(entry: Entry) -> Self {
        let detail = Detail {
            reason: "Promoted".into(),
            ..Detail::default()
        };
        Self {
            entry,
            trouble: Trouble::Retry,
            next: 0,
            detail: detail.replay(),
            behind: None,
        }
    }

    /// When it became a dead letter, as far as is known; `None`: it is none.
    pub fn died(&self) -> Option<Millis> {
        let last = self.detail.tried.last().map_or(0, |tried| tried.at);
        self.trouble
            .is_dead_letter()
            .then_some(self.detail.since.max(last))
    }
}

/// How long dead letters are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Those that became one before this moment go.
    pub since: Millis,
    /// Beyond so many, the oldest go.
    pub most: u64,
}

/// Why a dead letter is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// A person dropped it.
    Discarded,
    /// It was too old, or there were too many.
    Expired,
}

/// What is noted of dead letters that are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    pub how: How,
    /// What the person said.
    pub note: Option<String>,
    pub at: Millis,
}

impl Closing {
    pub fn discard(note: Option<String>, at: Millis) -> Self {
        Self {
            how: How::Discarded,
            note,
            at,
        }
    }
}

/// A dead letter that is gone. Nothing of its record is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Closed {
    pub key: Key,
    pub reason: String,
    /// The target field that rejected the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// First failure of that version.
    pub since: Millis,
    pub how: How,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was dropped.
    pub at: Millis,
}

impl Closed {
    pub fn of(key: Key, detail: Detail, closing: &Closing) -> Self {
        Self {
            key,
            reason: detail.reason,
            field: detail.field,
            since: detail.since,
            how: closing.how,
            note: closing.note.clone(),
            at: closing.at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_and_the_last_ones_are_kept() {
        let mut detail = Detail::default();
        let failure = Failure::new(Class::Transient, true, "no");
        (1..=40).for_each(|at| detail.note(at, &failure));
        let times: Vec<Millis> = detail.tried.iter().map(|tried| tried.at).collect();
        assert_eq!(times, [1, 32, 33, 34, 35, 36, 37, 38, 39, 40]);
    }
}
