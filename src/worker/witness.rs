//! Tells somebody what becomes of each version of a record, in the moment in which it is decided. A worker
//! without a witness pays nothing for it. Previews are made of this; knows no I/O.

use serde_json::Value;

use crate::plan::Plan;
use crate::record::{Key, TargetId};
use crate::state::{Detail, Exception, Trouble};

use super::Worker;
use super::outcome::{Ending, Outcome, Way};
use super::redact::told;

/// Is told what becomes of each version of a record. Called on the worker's task: while it takes its
/// time, the worker waits.
pub trait Witness: Send + Sync {
    fn see(&self, plan: &Plan, key: &Key, fate: Fate<'_>);
}

/// What becomes of one version of a record. A key has several fates in one run when a version
/// waits or is tried again first, and when its source changes meanwhile.
#[derive(Clone, Copy, Debug)]
pub enum Fate<'a> {
    Written(Written<'a>),
    /// The source record is gone or has left.
    Removed {
        way: Way,
        target: Option<&'a TargetId>,
        /// What was written, where the plan says `set`; empty otherwise.
        mapped: &'a [u8],
        /// What the target had, where that was read.
        before: Option<&'a Value>,
    },
    /// Nothing is to be done; `open`: because it is in trouble already and a person or another record
    /// has to move first.
    Unchanged {
        target: Option<&'a TargetId>,
        open: Option<&'a Exception>,
    },
    Skipped(Skip),
    /// A newer version is known already.
    Superseded,
    /// It waits behind an older version whose fate is not known.
    Behind,
    Trouble(Trouble, &'a Detail),
}

/// A version that the target has now.
#[derive(Clone, Copy, Debug)]
pub struct Written<'a> {
    pub created: bool,
    pub target: Option<&'a TargetId>,
    /// The source record, JSON object text.
    pub source: &'a [u8],
    /// The mapped record, JSON object text.
    pub mapped: &'a [u8],
    /// One hash for each field that was sent the last time; empty where that is not kept.
    pub sent: &'a [u8],
    /// What the target had before, where that was read.
    pub before: Option<&'a Value>,
}

/// Why nothing is written for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// `source.where` excludes it.
    Where,
    /// It is deleted, and `write.onDelete` says ignore.
    Deleted,
    /// It is deleted or has left, and the target never had it.
    NotThere,
    /// `source.backfill: None`: it was there before the first scan.
    Backfill,
    /// `write` and `match` allow nothing that could be done with it.
    Write,
}

impl Worker {
    pub(super) fn tell(&self, key: &Key, fate: Fate<'_>) {
        if let Some(witness) = &self.setup.witness {
            witness.see(&self.setup.plan, key, fate);
        }
    }

    pub(super) fn tell_unchanged(
        &self,
        key: &Key,
        target: Option<&TargetId>,
        open: Option<&Exception>,
    ) {
        self.tell(key, Fate::Unchanged { target, open });
    }

    pub(super) fn tell_outcome(&self, outcome: &Outcome) {
        if self.setup.witness.is_none() {
            return;
        }
        let flight = self.flights.get(outcome.id);
        let safe;
        let fate = match &outcome.ending {
            Ending::Applied {
                target,
                created,
                before,
            } => Fate::Written(Written {
                created: *created,
                target: target.as_ref(),
                source: &flight.entry.source,
                mapped: &flight.entry.body,
                sent: &flight.base.fields,
                before: before.as_ref(),
            }),
            Ending::Removed { way, before } => Fate::Removed {
                way: *way,
                target: flight.base.target.as_ref(),
                mapped: &flight.entry.body,
                before: before.as_ref(),
            },
            Ending::Unchanged => Fate::Unchanged {
                target: flight.base.target.as_ref(),
                open: None,
            },
            Ending::Skipped => Fate::Skipped(Skip::Write),
            Ending::Superseded { .. } => Fate::Superseded,
            Ending::Trouble {
                trouble, detail, ..
            } => {
                safe = told(&self.setup.plan, &flight.entry, detail);
                Fate::Trouble(*trouble, &safe)
            }
            Ending::Blocked { exception, .. } => {
                safe = told(&self.setup.plan, &flight.entry, &exception.detail);
                Fate::Trouble(exception.trouble, &safe)
            }
        };
        // What becomes of a removal that is held back is told when it is let through.
        if !matches!(fate, Fate::Trouble(Trouble::Held, _)) {
            self.tell(&flight.entry.key, fate);
        }
    }
}
