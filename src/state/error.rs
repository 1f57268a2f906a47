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
    #[error("the store {place} failed: {problem}")]
    Broken { place: String, problem: String },
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
