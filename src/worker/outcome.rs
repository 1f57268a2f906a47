//! What became of a flight, and the links and details that are kept of it.
//! No state of the worker; used by `settle`, `send` and `resolve`.

use serde_json::{Map, Value};

use crate::pipeline::diff::field_hashes;
use crate::record::{Fingerprint, Key, TargetId};
use crate::state::{Detail, Entry, Exception, Link, Presence, Trouble};

use super::flight::{Flight, FlightId, Home};
use super::now;

/// What became of a flight.
pub struct Outcome {
    pub id: FlightId,
    pub ending: Ending,
}

/// How a removal was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It was deleted, or is gone already.
    Deleted,
    /// The fields of `set` were written.
    Set,
    /// It is only linked no more, if it ever was.
    Unlinked,
}

pub enum Ending {
    /// The target has this version now.
    Applied {
        target: Option<TargetId>,
        created: bool,
        /// What the target had, where a rehearsal read it.
        before: Option<Value>,
    },
    /// The record is not in the target any more, or not as it was, because its source record is gone.
    Removed {
        way: Way,
        /// What the target had, where a rehearsal read it.
        before: Option<Value>,
    },
    /// The target had it already.
    Unchanged,
    /// Nothing may be written.
    Skipped,
    Trouble {
        trouble: Trouble,
        next: i64,
        detail: Box<Detail>,
        in_doubt: bool,
    },
    /// A newer version took its place while its failure was being decided.
    Superseded { in_doubt: bool },
    /// Decided in [`Worker::settle`]: an exception with the newer version behind it.
    Blocked {
        exception: Box<Exception>,
        behind: FlightId,
    },
}

impl Outcome {
    pub fn unchanged(id: FlightId) -> Self {
        Self {
            id,
            ending: Ending::Unchanged,
        }
    }

    pub fn skipped(id: FlightId) -> Self {
        Self {
            id,
            ending: Ending::Skipped,
        }
    }

    pub fn dead(id: FlightId, reason: &str, message: String) -> Self {
        let detail = Detail {
            reason: reason.into(),
            message,
            ..Detail::default()
        };
        Self::trouble(id, Trouble::Dead, Box::new(detail))
    }

    /// It was not sent, and is not tried again by time alone.
    pub fn trouble(id: FlightId, trouble: Trouble, detail: Box<Detail>) -> Self {
        let ending = Ending::Trouble {
            trouble,
            next: 0,
            detail,
            in_doubt: false,
        };
        Self { id, ending }
    }

    /// Another record with the same match value may have been created.
    pub fn behind_match(id: FlightId, holder: &Key) -> Self {
        let detail = Detail {
            reason: "MatchInDoubt".into(),
            message: format!(
                "waits until it is known whether record {holder}, which has the same match value, was created"
            ),
            ..Detail::default()
        };
        Self::trouble(id, Trouble::Waiting, Box::new(detail))
    }

    pub fn ambiguous(id: FlightId, sent_ms: i64) -> Self {
        let message = format!(
            "the create was sent {} s ago and no answer is known; look in the target: is it there, discard this \
             dead letter, is it not, replay it",
            sent_ms / 1000
        );
        let detail = Detail {
            reason: "AmbiguousCreate".into(),
            message,
            ..Detail::default()
        };
        let ending = Ending::Trouble {
            trouble: Trouble::Ambiguous,
            next: 0,
            detail: Box::new(detail),
            in_doubt: true,
        };
        Self { id, ending }
    }
}

pub fn number(home: Home) -> Option<u64> {
    match home {
        Home::Segment { number, .. } => Some(number),
        Home::Exception => None,
    }
}

/// The detail of an exception with what the flight knows beside it.
pub fn complete(detail: &Detail, flight: &Flight) -> Detail {
    Detail {
        since: if detail.since == 0 {
            now()
        } else {
            detail.since
        },
        target: flight.base.target.clone(),
        first_sent: detail.first_sent.or(flight.detail.first_sent),
        uncounted: false,
        perhaps_there: flight.perhaps_there && flight.base.target.is_none(),
        replayed: false,
        remap: detail.awaits.is_some() || detail.redacted,
        ..detail.clone()
    }
}

pub fn applied_link(
    flight: &Flight,
    target: Option<TargetId>,
    own: bool,
    keeps_fields: bool,
) -> Link {
    let Entry {
        key,
        raw,
        mapped,
        moment,
        matching,
        body,
        ..
    } = &*flight.entry;
    let fields = if keeps_fields {
        serde_json::from_slice::<Map<String, Value>>(body)
            .map(|mapped| field_hashes(&mapped))
            .unwrap_or_default()
    } else {
        Vec::new()
    };
    Link {
        key: key.clone(),
        target,
        raw: *raw,
        mapped: *mapped,
        moment: moment.clone(),
        matching: *matching,
        fields,
        own,
        presence: Presence::Here,
    }
}

/// The link as the store has it after an outcome that applied nothing.
pub fn base_link(flight: &Flight, in_doubt: bool) -> Option<Link> {
    flight.base.exists.then(|| Link {
        key: flight.entry.key.clone(),
        target: flight.base.target.clone(),
        raw: Fingerprint::UNKNOWN,
        mapped: if in_doubt {
            Fingerprint::UNKNOWN
        } else {
            flight.base.mapped
        },
        moment: None,
        matching: flight.entry.matching.or(flight.base.matching),
        fields: Vec::new(),
        own: flight.base.own,
        presence: flight.base.presence,
    })
}
