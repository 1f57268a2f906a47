//! The operator on real Kubernetes: first that the test cluster itself is one.

#[path = "../support/cluster.rs"]
mod cluster;

mod chart;
mod node;
mod server;
