//! What a supervised Sync is told to do, and what it shows of itself.
//! Data only. Given by `controller` to `tasks`, and read back from there.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::Plan;
use crate::record::{Class, Fingerprint, Moment};
use crate::state::{Millis, OnMismatch, RunReport, StoreError, Totals};
use crate::worker::{AllowDeletes, RunError};

/// What a Sync is to do.
#[derive(Clone, Debug)]
pub enum Desired {
    /// Run by its trigger.
    Run(Order),
    /// Keep its state and run nothing: suspended, or something it needs is missing.
    Rest,
    /// It is not declared any more: its state is kept for this long.
    Gone { retention: Duration },
}

impl Desired {
    /// Whether both mean the same, whatever was answered meanwhile.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Run(a), Self::Run(b)) => {
                a.version == b.version
                    && a.requested == b.requested
                    && a.state == b.state
                    && a.allow_deletes == b.allow_deletes
            }
            (Self::Rest, Self::Rest) => true,
            (Self::Gone { .. }, Self::Gone { .. }) => true,
            _ => false,
        }
    }
}

/// A Sync that is to run.
#[derive(Clone, Debug)]
pub struct Order {
    pub plan: Arc<Plan>,
    /// Of all specs that made the Plan: another one replaces the worker.
    pub version: Fingerprint,
    /// The value of `syncline.dev/requestedAt`: a new one starts a run now.
    pub requested: Option<String>,
    /// The value that was answered already, as the status remembers it.
    pub handled: Option<String>,
    /// The value of `syncline.dev/state`.
    pub state: Option<String>,
    /// The value of `syncline.dev/allowDeletes`.
    pub allow_deletes: Option<String>,
}

/// Digits of an identity that people copy into an annotation.
const SHORT: usize = 12;

/// An identity as people copy it.
pub fn short(identity: Fingerprint) -> String {
    let mut text = identity.to_string();
    text.truncate(SHORT);
    text
}

impl Order {
    /// What is done with state of other systems: what a person said about exactly these.
    pub fn on_mismatch(&self) -> OnMismatch {
        let hash = short(self.plan.identity);
        match self.state.as_deref().and_then(|text| text.split_once('-')) {
            Some(("Adopt", given)) if given == hash => OnMismatch::Adopt,
            Some(("Reset", given)) if given == hash => OnMismatch::Reset,
            _ => OnMismatch::Refuse,
        }
    }

    /// What a person said about removals that are held back.
    pub fn allow_deletes(&self) -> AllowDeletes {
        match &self.allow_deletes {
            Some(token) => AllowDeletes::These(token.clone()),
            None => AllowDeletes::No,
        }
    }

    /// The request that is not answered yet.
    pub fn open_request(&self, handled: Option<&str>) -> Option<&str> {
        let requested = self.requested.as_deref()?;
        let answered = handled == Some(requested) || self.handled.as_deref() == Some(requested);
        (!answered).then_some(requested)
    }
}

/// What is known of a supervised Sync.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// The store was read: the other fields mean something.
    pub loaded: bool,
    pub running: bool,
    /// A scan of this process has ended, or something was changed to make it well: what a process before this
    /// one suffered from counts no more.
    pub tried: bool,
    pub last_run: Option<RunReport>,
    /// Start of the last completed scan.
    pub scanned: Option<Millis>,
    pub watermark: Option<Moment>,
    pub totals: Totals,
    /// The target shows everything up to this moment.
    pub fresh_as_of: Option<Millis>,
    pub next_run: Option<Millis>,
    pub ailment: Option<Ailment>,
    /// The request that was last acted on.
    pub handled: Option<String>,
}

/// What keeps a Sync from working, until its next attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Ailment {
    pub kind: AilmentKind,
    /// What happened and what to do, in one line.
    pub message: String,
    pub next_attempt: Option<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AilmentKind {
    /// A system could not be reached, or answers with errors: tried again by itself.
    Unreachable,
    /// A system does not take the credential (401).
    CredentialRejected,
    /// A Connection must be looked at: bad certificate, unexpected answers.
    Misconfigured,
    /// The credential may not do what the Sync needs (403).
    Forbidden,
    /// Many of the target's records are gone.
    TargetSuspect,
    /// More records would be deleted than the Sync's guard allows.
    DeleteGuard,
    /// Many records of a run were rejected for good.
    MappingSuspect,
    /// The state is about other systems.
    StateMismatch,
    /// The store could not be used.
    Store,
    /// The worker ended by itself: a mistake in the program.
    Panic,
}

impl AilmentKind {
    /// What an error of a run means.
    pub fn of(error: &RunError) -> Self {
        match error {
            RunError::Store(StoreError::Mismatch { .. }) => Self::StateMismatch,
            RunError::Store(_) => Self::Store,
            RunError::TargetSuspect { .. } => Self::TargetSuspect,
            RunError::DeleteGuard { .. } => Self::DeleteGuard,
            RunError::MappingSuspect { .. } => Self::MappingSuspect,
            RunError::Source { failure, .. } | RunError::Target { failure, .. } => {
                match failure.class {
                    Class::Authentication => Self::CredentialRejected,
                    Class::Configuration | Class::Permanent | Class::Gone => Self::Misconfigured,
                    Class::Forbidden => Self::Forbidden,
                    _ => Self::Unreachable,
                }
            }
        }
    }

    /// Whether only a person can help, so that trying again soon is of no use.
    pub fn needs_help(self) -> bool {
        !matches!(self, Self::Unreachable | Self::Store | Self::Panic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_word_about_state_counts_for_the_systems_it_was_about() {
        let plan = crate::runtime::tests::plan();
        let hash = short(plan.identity);
        let order = |state: &str| Order {
            plan: Arc::clone(&plan),
            version: Fingerprint::UNKNOWN,
            requested: None,
            handled: None,
            state: Some(state.to_owned()),
            allow_deletes: None,
        };
        for (text, meant) in [
            (format!("Adopt-{hash}"), OnMismatch::Adopt),
            (format!("Reset-{hash}"), OnMismatch::Reset),
            ("Reset-000000000000".to_owned(), OnMismatch::Refuse),
            ("Reset-".to_owned(), OnMismatch::Refuse),
            ("Adopt".to_owned(), OnMismatch::Refuse),
        ] {
            assert_eq!(order(&text).on_mismatch(), meant, "{text}");
        }
    }
}
