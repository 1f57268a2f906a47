//! `syncline controller`: the operator. Only flags; `controller` does the work.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Exit;
use super::state::{StateArgs, key_file};
use crate::controller::{Options, run};

/// Run the operator: reconcile Connections, Mappings and Syncs of a cluster
#[derive(Debug, Args)]
#[command(
    after_help = "The cluster is that of KUBECONFIG, or of the Pod's ServiceAccount. Exit codes: 0 told to end, 1 it cannot run, 2 wrong usage."
)]
pub struct Controller {
    /// Namespaces to watch; without it, the one of the Pod or of the kubeconfig's context
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',', num_args = 1..)]
    watch_namespace: Vec<String>,
    /// Watch all namespaces, which needs read access to all Secrets
    #[arg(long, conflicts_with = "watch_namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    state: StateArgs,
    /// A file with the key that seals refresh tokens in the store: 32 random bytes, or base64 of such. Without
    /// it, a state folder gets one of its own; state in PostgreSQL needs it for Connections whose refresh tokens
    /// change
    #[arg(long, value_name = "FILE", env = "SYNCLINE_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// Where /healthz, /readyz and /metrics are served
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    metrics_address: SocketAddr,
    /// Receive webhooks at this address: POST /hooks/NAMESPACE/CONNECTION/WEBHOOK
    #[arg(long, value_name = "ADDRESS", env = "SYNCLINE_WEBHOOK_ADDRESS")]
    webhook_address: Option<SocketAddr>,
    /// How other systems reach that address, such as https://hooks.example.com: what the status of a Connection
    /// shows before the path of a webhook
    #[arg(
        long,
        value_name = "URL",
        env = "SYNCLINE_WEBHOOK_URL",
        requires = "webhook_address"
    )]
    webhook_url: Option<String>,
    /// The namespace of the Lease that says who leads; without it, that of the Pod or the kubeconfig
    #[arg(long, value_name = "NAMESPACE")]
    leader_election_namespace: Option<String>,
}

impl Controller {
    pub async fn run(self) -> anyhow::Result<Exit> {
        let pod = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
        let pod = pod.ok().filter(|name| !name.is_empty());
        let identity = format!(
            "{}_{:016x}",
            pod.as_deref().unwrap_or("syncline"),
            getrandom::u64().map_err(|e| anyhow::anyhow!("no randomness: {e}"))?
        );
        let location = self.state.location()?;
        let options = Options {
            watch: self.watch_namespace,
            all: self.all_namespaces,
            key: key_file(self.key_file.as_deref(), &location),
            state: location,
            metrics_address: self.metrics_address,
            webhook_address: self.webhook_address,
            webhook_url: self
                .webhook_url
                .map(|url| url.trim_end_matches('/').to_owned()),
            lease_namespace: self.leader_election_namespace,
            identity,
            in_cluster: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        };
        run(options).await?;
        Ok(Exit::Good)
    }
}
