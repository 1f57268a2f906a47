//! Panics of the evaluator become errors, and are not printed: their texts may hold values of a record.
//! Used by `cel` alone.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs foreign code that may panic; `Err` when it did.
pub fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, ()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    // What `run` changes is thrown away with it when it panics.
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(before);
    result.map_err(drop)
}
