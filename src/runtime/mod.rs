//! Where workers run. `local` runs all Syncs of a set of manifests, `tasks` supervises Syncs that come
//! and go; both as tasks of this process.

pub mod changes;
pub mod local;
pub mod order;
pub mod outlook;
pub mod probe;
pub mod serve;
pub mod site;
mod supervise;
pub mod tasks;
#[cfg(test)]
pub(crate) mod tests;
mod timing;
pub mod tokens;
pub mod vault;
