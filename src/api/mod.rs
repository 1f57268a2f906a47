//! The three custom resources as users write them: serde types with their CRD schemas.
//! Data only: no client, no I/O. The schema holds only what works.

pub mod condition;
pub mod connection;
pub mod crd;
mod failures;
pub mod mapping;
pub mod reference;
mod removal;
pub mod status;
pub mod sync;
mod yaml;

pub use yaml::to_yaml;
