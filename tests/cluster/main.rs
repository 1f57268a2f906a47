//! The operator on real Kubernetes: that the test cluster itself is one, what the chart makes of it, and the way of
//! a new user through the README.

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/operator.rs"]
mod operator;
#[path = "../support/postgres.rs"]
mod postgres;

mod chart;
mod database;
mod definitions;
mod developer;
mod node;
mod readme;
mod release;
mod server;
