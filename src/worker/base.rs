//! What the target has of a key, as far as it is sure. Plain data, part of a `flight`.

use crate::record::{Fingerprint, TargetId};
use crate::state::{Link, Presence};

/// What the target has of this key.
#[derive(Clone, Debug, Default)]
pub struct Base {
    pub target: Option<TargetId>,
    /// Of what the target surely has.
    pub mapped: Fingerprint,
    pub fields: Vec<u8>,
    /// Whether the store has a link row.
    pub exists: bool,
    /// The Sync made the target record.
    pub own: bool,
    pub presence: Presence,
    /// Hash of the match value that it is linked under.
    pub matching: Option<i64>,
}

impl Base {
    pub fn of(link: Option<&Link>) -> Self {
        link.map_or_else(Self::default, |link| Self {
            target: link.target.clone(),
            mapped: link.mapped,
            fields: link.fields.clone(),
            exists: true,
            own: link.own,
            presence: link.presence,
            matching: link.matching,
        })
    }

    /// What the target has of it is not sure any more.
    pub fn forget(&mut self) {
        self.mapped = Fingerprint::UNKNOWN;
        self.fields.clear();
    }

    /// Whether a write makes the target record: there was none, or it was removed.
    pub fn is_new(&self) -> bool {
        !self.exists || (self.presence == Presence::Removed && self.target.is_none())
    }

    /// The target has the record under an id that is not known.
    pub fn untold(&self) -> bool {
        self.target.as_ref().is_some_and(|target| !target.is_told())
    }
}
