//! The operator on real Kubernetes: that the test cluster itself is one, what the chart makes of it, and the way of
//! a new user through the README.

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/operator.rs"]
mod operator;

mod chart;
mod definitions;
mod node;
mod server;
