//! Syncline connects software systems through their APIs, declared as Kubernetes resources.
//!
//! The modules in reading order, from the pure core to the shell around it. `ARCHITECTURE.md` says
//! what each room is for and what it may import; `tests/house/architecture.rs` holds that against the code.

pub mod record;

pub mod expression;

pub mod api;

pub mod mapping;

pub mod plan;

pub mod pipeline;

pub mod telemetry;

pub mod trial;

pub mod state;

pub mod connector;

pub mod intake;

pub mod worker;

pub mod runtime;

pub mod controller;

pub mod cli;

#[cfg(test)]
#[path = "../tests/support/fuzz.rs"]
mod fuzz;
