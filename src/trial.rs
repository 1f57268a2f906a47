//! Bugs that a test plants, one at a time, to see that it catches them: a debug build has the one that
//! `SYNCLINE_PLANTED_BUG` names. And a clock that is wrong. Release builds have none of this. Asked by `worker` and
//! `intake`.

#[cfg(debug_assertions)]
pub use clock::WrongClock;
pub(crate) use clock::{off_by, same_clock};

/// A mistake that an engine like this one could make; `tests/faults/planted.rs` says how each is caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A webhook's delivery is answered before it is kept.
    AcknowledgeBeforeCommit,
    /// The scan's position is kept before the records up to there.
    CursorBeforeOutbox,
    /// The place in a feed of changes moves on though a record that it names could not be fetched.
    FeedGoesOn,
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
    /// A version that takes the place of an unsent one is sent when that one is kept.
    SentBeforeKept,
}

/// Whether this bug is planted.
#[cfg(debug_assertions)]
pub(crate) fn planted(bug: Bug) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let name = NAME.get_or_init(|| std::env::var("SYNCLINE_PLANTED_BUG").ok());
    name.as_ref()
        .is_some_and(|name| *name == format!("{bug:?}"))
}

/// Whether this bug is planted.
#[cfg(not(debug_assertions))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(not(debug_assertions))]
mod clock {
    /// How far the clock is off, in milliseconds.
    pub const fn off_by() -> i64 {
        0
    }

    /// Work that sees the same clock on another thread.
    pub const fn same_clock<T, W: FnOnce() -> T>(work: W) -> W {
        work
    }
}

#[cfg(debug_assertions)]
mod clock {
    use std::cell::Cell;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::task::{Context, Poll};

    thread_local! {
        static OFF_BY: Cell<i64> = const { Cell::new(0) };
    }

    /// How far the clock of what runs now is off, in milliseconds.
    pub fn off_by() -> i64 {
        OFF_BY.get()
    }

    /// Work that sees the same clock on another thread.
    pub fn same_clock<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let by = off_by();
        move || {
            let _here = Here::new(by);
            work()
        }
    }

    /// The clock of this thread is off until this is dropped.
    struct Here {
        before: i64,
    }

    impl Here {
        fn new(by: i64) -> Self {
            Self {
                before: OFF_BY.replace(by),
            }
        }
    }

    impl Drop for Here {
        fn drop(&mut self) {
            OFF_BY.set(self.before);
        }
    }

    /// A future to which the time of day is off by so many milliseconds; this may change while it runs.
    pub struct WrongClock<F> {
        by: Arc<AtomicI64>,
        work: Pin<Box<F>>,
    }

    impl<F> WrongClock<F> {
        /// `by`: milliseconds that are added to the time of day.
        pub fn new(by: Arc<AtomicI64>, work: F) -> Self {
            Self {
                by,
                work: Box::pin(work),
            }
        }
    }

    impl<F: Future> Future for WrongClock<F> {
        type Output = F::Output;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
            let _here = Here::new(self.by.load(Ordering::Relaxed));
            self.work.as_mut().poll(context)
        }
    }
}
