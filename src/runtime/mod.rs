//! Where workers run. `local` runs all Syncs of a set of manifests as tasks of this process.

pub mod local;
pub mod tokens;
pub mod vault;
