//! Commands that speak to a cluster, with the rights of whoever runs them.
//! Used by `status`, `preview`, `deadletters` and `sync`; decides nothing that the controller decides.

pub mod declared;
pub mod exec;
pub mod status;
pub mod sync;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client, Config};

use crate::api::sync::Sync;

/// The name under which kubectl finds this program as a plugin.
const PLUGIN: &str = "kubectl-syncline";
/// Longest time that one request to the API server may take.
const LONGEST: Duration = Duration::from_secs(30);

/// Which cluster is asked.
#[derive(Clone, Debug, Default, Args)]
pub struct ClusterArgs {
    /// Speak to the cluster of this kubeconfig; as kubectl-syncline, to that of KUBECONFIG without it
    #[arg(long, value_name = "FILE", global = true)]
    kubeconfig: Option<PathBuf>,
    /// Speak to the cluster of this context of the kubeconfig
    #[arg(long, value_name = "NAME", global = true)]
    context: Option<String>,
}

/// Whether kubectl runs this program, or a person under that name.
pub fn is_plugin() -> bool {
    let name = std::env::args_os().next();
    let name = name.as_deref().map(Path::new).and_then(Path::file_stem);
    name.is_some_and(|name| name == PLUGIN)
}

/// A cluster and the namespace that is meant in it.
pub struct Cluster {
    pub client: Client,
    pub namespace: String,
}

impl ClusterArgs {
    /// Whether a cluster is meant, and not state on this machine.
    pub fn wanted(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || is_plugin()
    }

    /// The flags that say the same again, for a command that somebody is to type.
    pub fn again(&self) -> Vec<String> {
        let file = self
            .kubeconfig
            .iter()
            .map(|file| file.display().to_string());
        let file = file.flat_map(|file| ["--kubeconfig".to_owned(), file]);
        let context = self.context.iter().cloned();
        let context = context.flat_map(|context| ["--context".to_owned(), context]);
        file.chain(context).collect()
    }

    /// Connects; `namespace` wins over that of the context. In a Pod, to the cluster that it is in.
    ///
    /// # Errors
    /// A kubeconfig that is missing or cannot be used.
    pub async fn connect(&self, namespace: Option<&str>) -> anyhow::Result<Cluster> {
        // Another part of the program may have installed a provider already; either does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        // An API server that asks to come again is asked again, within the time of a request.
        let config = match &self.kubeconfig {
            Some(file) => {
                let kubeconfig = Kubeconfig::read_from(file)
                    .with_context(|| format!("--kubeconfig {}", file.display()))?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await
            }
            None => match Config::from_kubeconfig(&options).await {
                Err(error) => Config::incluster().map_err(|_| error),
                config => config,
            },
        }
        .context("no cluster: name a kubeconfig with --kubeconfig or KUBECONFIG")?;
        let namespace = namespace.unwrap_or(&config.default_namespace).to_owned();
        let client = Client::try_from(config).context("no client of the cluster can be made")?;
        Ok(Cluster { client, namespace })
    }
}

impl Cluster {
    /// The Syncs of the namespace, as objects: one that is malformed spoils nothing.
    pub fn syncs(&self) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<Sync>(&());
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
    }

    /// These Syncs, or all of the namespace.
    ///
    /// # Errors
    /// One that is not there, or an API server that refuses.
    pub async fn find_syncs(&self, names: &[String]) -> anyhow::Result<Vec<DynamicObject>> {
        let list = self.syncs();
        let listed = within(list.list(&ListParams::default())).await;
        let mut listed = listed
            .with_context(|| format!("listing the Syncs of namespace {}", self.namespace))?
            .items;
        let known = |name: &String| {
            listed
                .iter()
                .any(|s| s.metadata.name.as_ref() == Some(name))
        };
        if let Some(unknown) = names.iter().find(|name| !known(name)) {
            let names: Vec<&str> = listed
                .iter()
                .filter_map(|s| s.metadata.name.as_deref())
                .collect();
            anyhow::bail!(
                "namespace {} has no Sync {unknown:?}; it has: {}",
                self.namespace,
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                }
            );
        }
        if !names.is_empty() {
            listed.retain(|s| s.metadata.name.as_ref().is_some_and(|n| names.contains(n)));
        }
        Ok(listed)
    }
}

/// A request to the API server, within its time.
pub async fn within<T>(request: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
    match tokio::time::timeout(LONGEST, request).await {
        Ok(result) => Ok(result?),
        Err(_) => anyhow::bail!(
            "the API server did not answer within {} s",
            LONGEST.as_secs()
        ),
    }
}
