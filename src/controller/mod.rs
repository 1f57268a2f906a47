//! The operator: watches the three kinds and what they refer to, resolves them as the laptop does, and
//! supervises a worker for each Sync. The only room that speaks to a cluster. Called by `cli`.

mod client;
mod conditions;
mod connection;
mod context;
mod crds;
mod events;
mod guarded;
mod health;
mod index;
#[cfg(test)]
mod index_tests;
mod kept;
mod lead;
mod lease;
mod mapping;
mod queue;
mod reconcile;
mod resolve;
mod resource;
#[cfg(test)]
mod restore_tests;
mod run;
mod secrets;
mod status;
mod streams;
mod sync;
mod sync_status;
#[cfg(test)]
mod sync_status_tests;
mod watch;

use std::net::SocketAddr;

pub use lease::NAME as LEASE;
pub use run::{ControllerError, run};
pub use secrets::ClusterSecrets;

use crate::runtime::vault::KeySource;
use crate::state::Location;

/// How the controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespaces that are watched; none: the process's own.
    pub watch: Vec<String>,
    /// All namespaces are watched.
    pub all: bool,
    /// Where state is kept.
    pub state: Location,
    /// The key that seals refresh tokens.
    pub key: KeySource,
    /// Where `/healthz`, `/readyz` and `/metrics` are served.
    pub metrics_address: SocketAddr,
    /// Where webhooks are received; nowhere when absent.
    pub webhook_address: Option<SocketAddr>,
    /// How systems reach that address, without a slash at its end: what statuses show before a webhook's path.
    pub webhook_url: Option<String>,
    /// The namespace of the Lease that says who leads; none: the process's own.
    pub lease_namespace: Option<String>,
    /// Who this process is, for the Lease and for Events.
    pub identity: String,
    /// Whether the process runs in a Pod: then its own addresses are never called.
    pub in_cluster: bool,
}

impl Options {
    /// Each watched namespace, or `None` for all.
    fn namespaces(&self) -> Vec<Option<String>> {
        match self.all {
            true => vec![None],
            false => self.watch.iter().cloned().map(Some).collect(),
        }
    }
}
