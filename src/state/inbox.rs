//! What a system told through a webhook, until every Sync has taken it.
//! Plain data; written by `intake`, read by `worker`.

use bytes::Bytes;

use super::Millis;
use crate::record::{Fingerprint, Key};

/// How long an event's id is remembered, in milliseconds: 7 days, the longest that vendors repeat a delivery.
pub const REMEMBERED: Millis = 7 * 24 * 3_600_000;

/// Most notices that may wait in a store. More are refused, so that the sender keeps them and comes again.
pub const MOST: u64 = 1_000_000;

/// One event of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Of webhook and event id.
    pub event: Fingerprint,
    pub notices: Vec<Notice>,
}

/// That something happened to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The source object.
    pub object: String,
    pub key: Key,
    /// The record as it is now; `None`: it is to be fetched.
    pub record: Option<Bytes>,
    /// Why it cannot be told which record is meant; `record` is then the event.
    pub problem: Option<String>,
}
