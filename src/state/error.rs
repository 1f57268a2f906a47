//! Why the store could not do what was asked, in words for the person who runs it.
//! Data only; made by the stores.

use crate::record::{Fingerprint, SyncName};

/// Why the store could not do what was asked. Nothing of the group was kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error(
        "the store {place} is in use by another syncline process; stop it, or give this one another --state"
    )]
    Locked { place: String },
    #[error(
        "the store {place} stayed locked by another program for {seconds} s; close what has it open and run again"
    )]
    Busy { place: String, seconds: u64 },
    #[error(
        "the disk of {place} is full; make room and run again, nothing that was confirmed is lost"
    )]
    Full { place: String },
    #[error(
        "more than {most} notices of webhooks wait to be taken; look why the Syncs that use them don't run (status), \
         or remove those that are not needed any more"
    )]
    InboxFull { most: u64 },
    #[error("another worker took over Sync {sync}; this one stops")]
    Fenced { sync: SyncName },
    #[error(
        "Sync {sync} has state of another system: its Connections' URLs, settings, objects or keys have changed \
         (state identity {stored}, manifests {given}). Were the systems only renamed, go on with `--adopt-state \
         {name}`; is it another system, start afresh with `--reset-state {name}`",
        name = sync.name
    )]
    Mismatch {
        sync: SyncName,
        stored: Fingerprint,
        given: Fingerprint,
    },
    #[error(
        "the store {place} was written by a newer syncline (schema {found}, this one knows {known}); use that version"
    )]
    Newer {
        place: String,
        found: i64,
        known: i64,
    },
    #[error(
        "the store {place} was written by an older syncline (schema {found}, this one needs {known}); start `syncline \
         run` or the controller of this version first, which brings it up to date"
    )]
    Older {
        place: String,
        found: i64,
        known: i64,
    },
    #[error(
        "cannot reach the store {place}: {problem}; see that PostgreSQL runs there and that this machine may connect"
    )]
    Unreachable { place: String, problem: String },
    #[error("the store {place} cannot be used: {problem}")]
    Unusable { place: String, problem: String },
    #[error(
        "the connection to the store {place} was lost; whether the last change was kept is not known, so this worker \
         stops, and the next one goes on from what the store has"
    )]
    Lost { place: String },
    #[error(
        "Sync {sync} is being run by another syncline process with the store {place}; stop that one first"
    )]
    Running { place: String, sync: SyncName },
    #[error(
        "the store {place} is damaged ({problem}); restore its folder from a backup. To go on without one, move it \
         away: only what `match` or an upsert recognizes in the target is then not created again"
    )]
    Damaged { place: String, problem: String },
    #[error(
        "the store {place} cannot be written ({problem}); make its folder writable for the user who runs this, or \
         give another --state"
    )]
    Unwritable { place: String, problem: String },
    #[error("the state folder {place} is a file; remove it, or give another --state")]
    NotAFolder { place: String },
    #[error("the store {place} failed: {problem}")]
    Broken { place: String, problem: String },
}

impl StoreError {
    /// Whether it may pass by itself, so that opening the Sync again later is worth it.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Lost { .. } | Self::Unreachable { .. } | Self::Busy { .. } | Self::Full { .. }
        )
    }
}

/// What to do when a Sync's stored identity is not the Plan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnMismatch {
    /// Refuse: a sandbox may have become production.
    #[default]
    Refuse,
    /// The systems are the same under another name: keep the state.
    Adopt,
    /// Forget everything that is known of this Sync.
    Reset,
}
