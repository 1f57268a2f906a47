//! Crash points for the kill test: a debug build ends itself, as by kill -9, at the n-th passing of a
//! boundary named in `SYNCLINE_CRASH_AT` (`after-t1:3`). Release builds have none of this.

/// The boundaries between two steps whose order carries the engine's promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    BeforeT1,
    AfterT1,
    BeforeT2,
    AfterT2,
    BeforeSend,
    AfterSend,
    BeforeT3,
    AfterT3,
}

#[cfg(debug_assertions)]
impl Boundary {
    fn name(self) -> &'static str {
        match self {
            Self::BeforeT1 => "before-t1",
            Self::AfterT1 => "after-t1",
            Self::BeforeT2 => "before-t2",
            Self::AfterT2 => "after-t2",
            Self::BeforeSend => "before-send",
            Self::AfterSend => "after-send",
            Self::BeforeT3 => "before-t3",
            Self::AfterT3 => "after-t3",
        }
    }
}

/// Passes a boundary.
#[cfg(debug_assertions)]
pub fn pass(boundary: Boundary) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WANTED: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("SYNCLINE_CRASH_AT").ok()?;
        let (name, count) = text.split_once(':')?;
        Some((name.to_owned(), AtomicU64::new(count.parse().ok()?)))
    });
    if let Some((name, left)) = wanted
        && name == boundary.name()
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

/// Passes a boundary.
#[cfg(not(debug_assertions))]
pub fn pass(_: Boundary) {}
