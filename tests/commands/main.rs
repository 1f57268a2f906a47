//! The commands that speak to a cluster: a real API server, the real controller under the chart's ServiceAccount,
//! and the real binary as a person would call it.

#[path = "../support/cluster.rs"]
mod cluster;
mod controller;
#[path = "../support/operator.rs"]
mod operator;
#[path = "../telemetry/systems.rs"]
mod systems;

mod preview;
mod sync;
