//! What Syncline remembers: links, the outbox, exceptions and scans, behind one [`Store`] trait that
//! takes groups of changes. Knows nothing of HTTP and Kubernetes. Used by `worker`, `runtime`, `cli`.

#[cfg(test)]
pub(crate) mod contract;
mod dead_letter;
mod downtime;
mod error;
pub mod inbox;
mod link;
mod location;
pub mod postgres;
pub mod segment;
pub mod sqlite;
mod store;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::{Failure, Key, LookupKey, Moment, SyncName, TargetId};
pub use dead_letter::{Closed, Closing, How, Keep, MOST_CLOSED, Tried};
pub use downtime::Downtime;
pub use error::{OnMismatch, StoreError};
pub use inbox::{Delivered, Notice};
pub use link::{Link, Presence, Present};
pub use location::{Location, LocationError};
pub use segment::Entry;
pub use store::{Holder, Pick, Store, Takeover, Which};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// The right to change one Sync's state, until somebody else opens it.
#[derive(Clone, Debug)]
pub struct Session {
    pub sync: SyncName,
    /// The store's own number for the Sync.
    pub id: i64,
    /// Raised by every [`Store::open`]; checked in every transaction.
    pub epoch: i64,
}

/// What a Sync remembers beside its records.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SyncState {
    /// Field cursor: everything up to here was seen by a completed scan.
    pub watermark: Option<Moment>,
    /// Token cursor: what the next scan begins with.
    pub token: Option<String>,
    /// The scan under way.
    pub scan: Option<Scan>,
    /// Start of the last completed scan.
    pub scanned: Option<Millis>,
    /// Start of the last completed scan that read everything.
    pub refreshed: Option<Millis>,
    /// How far the notices of the source's webhook have been taken.
    pub inbox: Option<InboxPosition>,
    /// How far the source's feed of changes has been taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedPosition>,
    /// Number of the next segment.
    pub next_segment: u64,
    pub last_run: Option<RunReport>,
    /// Outages of the target.
    pub down: Downtime,
    /// Removals that were let through since the last scan began.
    #[serde(skip_serializing_if = "is_zero")]
    pub removals: u64,
    /// More removals are held back than the delete guard allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardTrip>,
    /// The Sync is not declared any more, and its state is forgotten at this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Millis>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Removals that are held back until a person allows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardTrip {
    pub count: u64,
    /// What the person says who allows exactly these.
    pub token: String,
}

/// How far a Sync has come in the inbox of its source's Connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxPosition {
    /// `NAMESPACE/NAME` of the Connection.
    pub connection: String,
    /// Number of the last notice that was taken.
    pub after: u64,
}

/// How far a Sync has come in its source's feed of changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeedPosition {
    /// Fingerprint of the feed that this is about.
    pub feed: String,
    /// Field cursor: every entry up to here was taken.
    #[serde(default)]
    pub watermark: Option<Moment>,
    /// Token cursor: what the next scan begins with.
    #[serde(default)]
    pub token: Option<String>,
    /// Start of the last scan that read the feed to its end.
    pub read: Millis,
}

/// A scan that is not finished; survives a crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scan {
    pub started: Millis,
    /// Reads everything, whatever the cursor says.
    pub full: bool,
    /// First scan ever of this Sync: `backfill` applies.
    pub first: bool,
    /// It reads the source's feed of changes that has this fingerprint, and not the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<String>,
    /// The largest cursor value seen so far.
    pub max_seen: Option<Moment>,
    /// Where to go on after the last committed page.
    pub position: Option<Value>,
}

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Counts {
    pub read: u64,
    pub created: u64,
    pub updated: u64,
    /// Records that were deleted in the target.
    pub deleted: u64,
    pub unchanged: u64,
    pub skipped: u64,
    pub superseded: u64,
    /// Dead letters made in this run.
    pub dead: u64,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RunReport {
    pub started: Millis,
    pub ended: Millis,
    /// `Succeeded`, `Incomplete` (work is left for the next run) or `Failed`.
    pub outcome: String,
    /// What stopped it and what to do.
    pub message: Option<String>,
    pub counts: Counts,
}

/// The state of a record that is neither applied nor simply in the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Trouble {
    /// Failed for a passing reason; tried again at `next`.
    Retry,
    /// A create was, or may have been, sent and no answer is known.
    Unknown,
    /// A lookup isn't linked yet, or another record with the same match value is in doubt.
    Waiting,
    /// Dead letter: will not be tried again by itself.
    Dead,
    /// Dead letter that blocks its key: a create that may have taken effect.
    Ambiguous,
    /// A removal that waits until it is known whether there are too many.
    Held,
}

impl Trouble {
    pub fn code(self) -> i64 {
        match self {
            Self::Retry => 0,
            Self::Unknown => 1,
            Self::Waiting => 2,
            Self::Dead => 3,
            Self::Ambiguous => 4,
            Self::Held => 5,
        }
    }

    pub fn from_code(code: i64) -> Option<Self> {
        [
            Self::Retry,
            Self::Unknown,
            Self::Waiting,
            Self::Dead,
            Self::Ambiguous,
            Self::Held,
        ]
        .into_iter()
        .find(|t| t.code() == code)
    }

    /// Whether a person has to look at it.
    pub fn is_dead_letter(self) -> bool {
        matches!(self, Self::Dead | Self::Ambiguous)
    }
}

/// A record in trouble: the newest version of its key, and what happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Exception {
    pub entry: Entry,
    pub trouble: Trouble,
    /// When it is due, for `Retry` and `Unknown`.
    pub next: Millis,
    pub detail: Detail,
    /// A newer version that waits until the fate of this one is known.
    pub behind: Option<Entry>,
}

/// What happened to a record in trouble, for the engine and for people.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Detail {
    /// PascalCase, such as `Missing`, `Permanent`, `DuplicateMatch`.
    pub reason: String,
    /// What happened and what to do, in one line.
    pub message: String,
    /// The target field that rejected the record.
    pub field: Option<String>,
    pub attempts: u32,
    /// First failure of this version.
    pub since: Millis,
    /// Outages of the target before that, in milliseconds: the time since then without them is its age.
    pub down: Millis,
    /// When a create of this version was first sent.
    pub first_sent: Option<Millis>,
    /// `find` calls since that found nothing.
    pub negative_reads: u32,
    /// It must go through the Mapping again before it is sent (waiting records, replays).
    pub remap: bool,
    /// A person asked for it: newest version, current Mapping, even if nothing has changed.
    pub replayed: bool,
    /// The target record it is linked to.
    pub target: Option<TargetId>,
    /// A write of an unlinked record may have arrived, so that the target may have it under an id that is not
    /// known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub perhaps_there: bool,
    /// A removal that was not counted yet against the Sync's `deleteGuard`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uncounted: bool,
    /// The link that it waits for, and the Sync that makes it. A waiting record without it waits
    /// until no other record with its match value is in doubt.
    pub awaits: Option<Awaited>,
    pub failure: Option<Failure>,
    /// The first attempt and the last ones, also those before a replay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<Tried>,
    /// Values were taken out of the record: it has to be read again before it is sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

/// A link of another Sync.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Awaited {
    pub sync: SyncName,
    pub lookup: LookupKey,
}

/// What is known of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    pub link: Option<Link>,
    /// Seldom there, and large.
    pub exception: Option<Box<Exception>>,
}

/// One change of a group.
#[derive(Clone, Debug)]
pub enum Change {
    /// T1: a page's records into the outbox. `states` has a byte for each entry.
    Segment {
        number: u64,
        body: Vec<u8>,
        states: Vec<u8>,
    },
    /// T2 and T3: new states of a segment's entries; the segment goes when all are done.
    Marks {
        number: u64,
        states: Vec<u8>,
    },
    Link(Link),
    /// The link's target is gone, or what it has is not known: forget that it is applied.
    Forget {
        key: Key,
        target_gone: bool,
    },
    /// A link that is [`Presence::Here`] is [`Presence::Missed`]; does nothing to another.
    Missed(Key),
    /// A link that is [`Presence::Missed`] is [`Presence::Here`] again; does nothing to another.
    Seen(Key),
    Exception(Box<Exception>),
    /// The exception of this key is over.
    Resolved(Key),
    State(Box<SyncState>),
    /// Every `Held` exception there is becomes a `Retry` that is due.
    Release,
}

/// A segment as it was found at start.
#[derive(Clone, Debug)]
pub struct Stored {
    pub number: u64,
    pub entries: Vec<Entry>,
    pub states: Vec<u8>,
}

/// State of an entry in a segment.
pub mod mark {
    /// Not sent, or sent by an operation that may be repeated.
    pub const PENDING: u8 = 0;
    /// A create was, or may have been, sent.
    pub const CREATING: u8 = 1;
    /// Applied, superseded, or moved to an exception.
    pub const DONE: u8 = 2;
}

/// How much there is of a Sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    pub links: u64,
    /// Of these, those that name a target record.
    pub targets: u64,
    /// Links of records that are gone or have left, kept so that older versions are told from newer ones.
    pub removed: u64,
    pub retrying: u64,
    pub unknown: u64,
    pub waiting: u64,
    /// Removals that wait for the delete guard.
    pub held: u64,
    /// Pages with records that are on their way.
    pub outbox: u64,
    /// Dead letters by reason.
    pub dead: BTreeMap<String, u64>,
}

impl Totals {
    pub fn dead_letters(&self) -> u64 {
        self.dead.values().sum()
    }

    pub fn exceptions(&self) -> u64 {
        self.retrying + self.unknown + self.waiting + self.held + self.dead_letters()
    }
}
