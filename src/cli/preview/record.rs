//! What would become of one record: made from what the engine's rehearsal decided, shown by `text` or as
//! a line of JSON. Pure.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::pipeline::diff::{FieldChange, changed_fields, changes};
use crate::pipeline::redact::{Hidden, hidden};
use crate::plan::Plan;
use crate::record::{Key, SyncName};
use crate::state::{Detail, Exception, Trouble};
use crate::worker::{Fate, Skip, Way, Written, known_after_run};

/// What a run would do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Action {
    Create,
    Update,
    /// Its source record is gone or has left.
    Delete,
    /// The target has it already, or it is in trouble already and nothing has changed.
    Unchanged,
    /// Nothing may be written for it.
    Skip,
    /// A newer version of it was read as well.
    Superseded,
    /// Until another record is linked.
    Wait,
    /// It cannot be delivered as it is; a person has to look at it.
    DeadLetter,
    /// The target could not be asked.
    Undecided,
}

impl Action {
    pub fn of(fate: &Fate<'_>) -> Self {
        match fate {
            Fate::Written(written) if written.created => Self::Create,
            Fate::Written(_) => Self::Update,
            Fate::Removed { way, .. } => match way {
                Way::Deleted => Self::Delete,
                Way::Set => Self::Update,
                Way::Unlinked => Self::Skip,
            },
            Fate::Unchanged { .. } => Self::Unchanged,
            Fate::Skipped(_) => Self::Skip,
            Fate::Superseded => Self::Superseded,
            Fate::Behind | Fate::Trouble(Trouble::Waiting | Trouble::Held, _) => Self::Wait,
            Fate::Trouble(Trouble::Dead | Trouble::Ambiguous, _) => Self::DeadLetter,
            Fate::Trouble(Trouble::Retry | Trouble::Unknown, _) => Self::Undecided,
        }
    }

    /// Whether a person may want to see each of these records.
    pub fn is_shown(self) -> bool {
        !matches!(self, Self::Unchanged | Self::Skip | Self::Superseded)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Unchanged => "unchanged",
            Self::Skip => "skip",
            Self::Superseded => "superseded",
            Self::Wait => "wait",
            Self::DeadLetter => "dead letter",
            Self::Undecided => "undecided",
        })
    }
}

/// The reason that is counted in the summary; empty where the action says it all.
pub fn reason(fate: &Fate<'_>) -> String {
    match fate {
        Fate::Trouble(_, detail) => detail.reason.clone(),
        Fate::Unchanged {
            open: Some(open), ..
        } => standing(open).to_owned(),
        Fate::Skipped(skip) => skipped(*skip).0.to_owned(),
        Fate::Behind => "Behind".to_owned(),
        Fate::Removed {
            way: Way::Unlinked, ..
        } => "Unlinked".to_owned(),
        Fate::Removed { .. } | Fate::Written(_) | Fate::Unchanged { .. } | Fate::Superseded => {
            String::new()
        }
    }
}

/// What would become of one record.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub sync: SyncName,
    pub key: Key,
    pub action: Action,
    /// The target record, where it is there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
    /// Whether `changes` were held against what the target has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared: Option<bool>,
    /// PascalCase.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The target field that rejected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The record whose link it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub awaits: Option<Awaited>,
}

/// A field that would be written.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    #[serde(flatten)]
    pub change: FieldChange,
    /// `to` stands for an id that the target will choose.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub known_after_run: bool,
}

/// A record of another Sync.
#[derive(Clone, Debug, Serialize)]
pub struct Awaited {
    pub sync: SyncName,
    pub key: Key,
}

impl Record {
    pub fn new(plan: &Plan, key: &Key, fate: &Fate<'_>) -> Self {
        let mut record = Self {
            sync: plan.name.clone(),
            key: key.clone(),
            action: Action::of(fate),
            target: None,
            changes: None,
            compared: None,
            reason: reason(fate),
            field: None,
            message: None,
            awaits: None,
        };
        match fate {
            Fate::Written(written) => {
                let hidden = hidden(plan, written.source, written.mapped);
                record.write(written, hidden.as_ref());
            }
            Fate::Removed {
                way: Way::Set,
                target,
                mapped,
                before,
            } => {
                let written = Written {
                    created: false,
                    target: *target,
                    source: &[],
                    mapped,
                    sent: &[],
                    before: *before,
                };
                record.write(&written, hidden(plan, &[], mapped).as_ref());
            }
            Fate::Removed { way, target, .. } => {
                record.target = target.map(crate::record::TargetId::to_value);
                record.message = (*way == Way::Unlinked).then(|| {
                    "its source record is gone; its target record stays, and is not linked any more"
                        .to_owned()
                });
            }
            Fate::Unchanged { target, open } => {
                record.target = target.map(crate::record::TargetId::to_value);
                record.message = open.map(still);
            }
            Fate::Skipped(skip) => record.message = Some(skipped(*skip).1.to_owned()),
            Fate::Superseded => {}
            Fate::Behind => {
                let message =
                    "waits until the fate of an older version, which may have been sent, is known";
                record.message = Some(message.to_owned());
            }
            Fate::Trouble(_, detail) => record.trouble(detail),
        }
        record
    }

    /// `hidden`: what nobody is to see.
    fn write(&mut self, written: &Written<'_>, hidden: Option<&Hidden<'_>>) {
        let mapped: Map<String, Value> = serde_json::from_slice(written.mapped).unwrap_or_default();
        let known = written.target.map(crate::record::TargetId::to_value);
        self.target = known.filter(|id| !known_after_run(id));
        let found = match written.before {
            // Only the fields that would be sent are known to change.
            None if !written.sent.is_empty() => {
                changes(None, &changed_fields(&mapped, written.sent))
            }
            before => changes(before, &mapped),
        };
        self.compared = (!written.created).then_some(written.before.is_some());
        let change = |mut change: FieldChange| {
            if let Some(hidden) = hidden {
                hidden.change(&mut change);
            }
            Change {
                known_after_run: known_after_run(&change.to),
                change,
            }
        };
        self.changes = Some(found.into_iter().map(change).collect());
    }

    fn trouble(&mut self, detail: &Detail) {
        self.message = Some(detail.message.clone());
        self.field.clone_from(&detail.field);
        self.target = detail
            .target
            .as_ref()
            .map(crate::record::TargetId::to_value);
        self.awaits = detail.awaits.as_ref().map(|awaited| Awaited {
            sync: awaited.sync.clone(),
            key: awaited.lookup.key.clone(),
        });
    }
}

/// The trouble that a record is in already.
fn standing(open: &Exception) -> &'static str {
    match open.trouble {
        Trouble::Dead | Trouble::Ambiguous => "DeadLetterAlready",
        Trouble::Waiting => "StillWaiting",
        Trouble::Held => "HeldBack",
        Trouble::Retry | Trouble::Unknown => "Retrying",
    }
}

fn still(open: &Exception) -> String {
    let before = match open.trouble {
        Trouble::Dead | Trouble::Ambiguous => "is a dead letter already",
        Trouble::Waiting => "still waits",
        Trouble::Held => "is held back",
        Trouble::Retry | Trouble::Unknown => "is being retried",
    };
    format!("{before} ({}): {}", open.detail.reason, open.detail.message)
}

fn skipped(skip: Skip) -> (&'static str, &'static str) {
    match skip {
        Skip::Where => ("Where", "source.where excludes it"),
        Skip::Deleted => ("Deleted", "it is deleted, and write.onDelete is ignore"),
        Skip::NotThere => (
            "NotThere",
            "it is deleted or has left, and the target has no record of it",
        ),
        Skip::Backfill => (
            "Backfill",
            "it was there before the first run, and source.backfill is None",
        ),
        Skip::Write => (
            "Write",
            "write.mode, match.onNone or write.onGone allow no write for it",
        ),
    }
}
