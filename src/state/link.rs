//! What is kept of a source record that was dealt with, and how its row is encoded. Data only.

use crate::record::{Fingerprint, Key, Moment, TargetId};

/// What is known of a source record that was dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub key: Key,
    /// The target record; `None`: seen (backfill: None, discarded, or an upsert without id).
    pub target: Option<TargetId>,
    /// Of the source record, under the Plan.
    pub raw: Fingerprint,
    /// Of the mapped record that the target surely has; unknown after a write whose fate isn't known.
    pub mapped: Fingerprint,
    /// Version of the source record.
    pub moment: Option<Moment>,
    /// Hash of the match value; kept only for Syncs with `match`.
    pub matching: Option<i64>,
    /// One hash for each field sent, for `sends: ChangedFields`; empty otherwise.
    pub fields: Vec<u8>,
    /// The Sync made the target record; it did not find it there.
    pub own: bool,
    /// Whether the source record is there.
    pub presence: Presence,
}

/// Whether a linked source record is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    #[default]
    Here,
    /// It is gone or has left, and what was to be done about it in the target is done.
    Removed,
    /// The last scan that could tell did not have it, and nothing was done about it: the next such scan decides.
    Missed,
}

/// A link by which the target has, or may have, a record whose source record is not known to be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    pub key: Key,
    /// See [`Presence::Missed`].
    pub missed: bool,
}

impl Link {
    /// `own` and `presence` as one number: the lowest bit says `own`, the rest 0 for here, 1 for removed and 2 for
    /// missed. What older tables don't say is 0.
    pub(crate) fn standing(&self) -> i64 {
        let presence = match self.presence {
            Presence::Here => 0,
            Presence::Removed => 1,
            Presence::Missed => 2,
        };
        presence << 1 | i64::from(self.own)
    }

    /// The reverse of [`Link::standing`].
    pub(crate) fn read_standing(standing: Option<i64>) -> (bool, Presence) {
        let standing = standing.unwrap_or_default();
        let presence = match standing >> 1 {
            0 => Presence::Here,
            2 => Presence::Missed,
            _ => Presence::Removed,
        };
        (standing & 1 == 1, presence)
    }
}
