//! The operator against a real kube-apiserver and etcd: the real controller under the chart's ServiceAccount,
//! small real systems on loopback, a namespace for each row. Read the tests as the operator's specification.

#[path = "../support/cluster.rs"]
mod cluster;
#[allow(dead_code)] // it tells more than is asked for here
#[path = "../telemetry/collector.rs"]
mod collector;
#[path = "../support/operator.rs"]
mod operator;
#[path = "../support/postgres.rs"]
mod postgres;
#[allow(dead_code)] // it can answer more than is asked for here
#[path = "../badinput/server.rs"]
mod server;

mod api;
mod manifests;
mod stage;
mod world;

mod canary;
mod drift;
mod kstatus;
mod leaders;
mod life;
mod malformed;
mod newer;
mod places;
mod references;
mod restart;
mod schema;
mod secrets;
mod steady;
mod traced;
