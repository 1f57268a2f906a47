//! The client of the API server.

use kube::{Client, Config};

use super::watch::describe;

/// A client by kubeconfig or of the Pod's ServiceAccount, with the namespace that these name.
///
/// # Errors
/// What is missing, in words.
pub async fn connect() -> Result<(Client, String), String> {
    // Another part of the program may have installed a provider already; either does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::infer().await.map_err(|error| {
        format!("no cluster: {error}; set KUBECONFIG, or run in a Pod with a ServiceAccount")
    })?;
    // kube tries again up to 15 times for many minutes; here whoever asks decides, within bounds.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| describe(&error))?;
    Ok((client, namespace))
}
