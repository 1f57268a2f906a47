//! Secrets of the cluster, read one by one where a Connection refers to them, never kept. Values go
//! straight into `SecretString`; no error holds one. Used by `connector` and `connection`.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;

use crate::connector::{NoSecret, SecretSource};

/// The longest time for one read.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a value is used at most, should the watch that tells of changes be late.
const FRESH: Duration = Duration::from_secs(300);

/// The Secrets of a cluster.
#[derive(Clone)]
pub struct ClusterSecrets {
    client: Client,
}

impl ClusterSecrets {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// What is missing of these keys of a Secret; `None`: nothing. No value is kept.
    pub async fn missing(
        &self,
        namespace: &str,
        name: &str,
        keys: &[&str],
    ) -> Result<Option<String>, String> {
        let secret = match self.get(namespace, name).await {
            Ok(secret) => secret,
            Err(NoSecret::Missing(what)) => return Ok(Some(format!("Secret {name}: {what}"))),
            Err(NoSecret::Unavailable(what)) => return Err(format!("Secret {name}: {what}")),
        };
        let problem = |key: &&str| {
            let what = value(&secret, key).err()?;
            Some(format!("Secret {name} key {key}: {what}"))
        };
        Ok(keys.iter().find_map(problem))
    }

    async fn get(&self, namespace: &str, name: &str) -> Result<Secret, NoSecret> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        match tokio::time::timeout(TIMEOUT, api.get_opt(name)).await {
            Ok(Ok(Some(secret))) => Ok(secret),
            Ok(Ok(None)) => Err(NoSecret::Missing("there is no such Secret".to_owned())),
            Ok(Err(error)) => Err(NoSecret::Unavailable(format!(
                "cannot be read: {}",
                super::watch::describe(&error)
            ))),
            Err(_) => Err(NoSecret::Unavailable(format!(
                "the API server did not answer within {} s",
                TIMEOUT.as_secs()
            ))),
        }
    }
}

/// The text of one key.
fn value(secret: &Secret, key: &str) -> Result<SecretString, NoSecret> {
    let missing = |what: &str| NoSecret::Missing(what.to_owned());
    let bytes = secret
        .data
        .as_ref()
        .and_then(|data| data.get(key))
        .ok_or_else(|| missing("there is no such key"))?;
    let text = std::str::from_utf8(&bytes.0)
        .map_err(|_| missing("is not UTF-8 text, so it cannot be a credential"))?;
    if text.is_empty() {
        return Err(missing("is empty"));
    }
    Ok(SecretString::from(text))
}

impl SecretSource for ClusterSecrets {
    fn read(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<SecretString, NoSecret>> {
        let (namespace, name, key) = (namespace.to_owned(), name.to_owned(), key.to_owned());
        async move {
            let secret = self.get(&namespace, &name).await;
            secret.and_then(|secret| value(&secret, &key))
        }
        .boxed()
    }

    fn fresh_for(&self) -> Duration {
        FRESH
    }
}
