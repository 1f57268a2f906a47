//! Bugs that a test plants, one at a time, to see that it catches them: a debug build has the one that
//! `SYNCLINE_PLANTED_BUG` names. Release builds have none of this. Asked by `worker` and `intake`.

/// A mistake that an engine like this one could make; `tests/faults/planted.rs` says how each is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A webhook's delivery is answered before it is kept.
    AcknowledgeBeforeCommit,
    /// The scan's position is kept before the records up to there.
    CursorBeforeOutbox,
    /// A create is sent that is not noted down.
    CreateBeforeNote,
    /// A create without an answer is sent again, not looked for.
    NoLookup,
    /// What a lookup finds counts as this version.
    LookupMarksApplied,
    /// A match value is free while a create with it is in doubt.
    MatchReleased,
    /// A create of unknown fate is sent again, where a person is to look.
    AmbiguousRetried,
    /// An older version takes the place of a newer one.
    OlderOverwrites,
    /// A worker that was replaced still commits and sends.
    ReplacedGoesOn,
    /// A record counts as done when it is sent.
    DoneBeforeAnswer,
    /// What one scan does not show is deleted at once.
    AbsentUnconfirmed,
}

/// Whether this bug is planted.
#[cfg(debug_assertions)]
pub fn planted(bug: Bug) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let name = NAME.get_or_init(|| std::env::var("SYNCLINE_PLANTED_BUG").ok());
    name.as_ref()
        .is_some_and(|name| *name == format!("{bug:?}"))
}

/// Whether this bug is planted.
#[cfg(not(debug_assertions))]
pub const fn planted(_: Bug) -> bool {
    false
}
