//! Waits until the API server knows our kinds.

use std::time::Duration;

use kube::Client;

use super::health::{Health, Phase};
use super::watch::describe;
use crate::api::crd::{self, GROUP, VERSION};

const EVERY: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Waits, and says meanwhile what is missing.
pub async fn wait(client: &Client, health: &Health) {
    while let Err(missing) = look(client).await {
        health.enter(Phase::Waiting(missing));
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(client: &Client) -> Result<(), String> {
    let version = format!("{GROUP}/{VERSION}");
    let list = client.list_api_group_resources(&version);
    let served = match tokio::time::timeout(TIMEOUT, list).await {
        Ok(Ok(list)) => list.resources,
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Vec::new(),
        Ok(Err(error)) => {
            return Err(format!(
                "the API server cannot be asked: {}",
                describe(&error)
            ));
        }
        Err(_) => {
            return Err(format!(
                "the API server did not answer within {} s",
                TIMEOUT.as_secs()
            ));
        }
    };
    let missing: Vec<String> = crd::all()
        .into_iter()
        .filter(|crd| !served.iter().any(|r| r.name == crd.plural))
        .map(|crd| format!("{}.{GROUP}", crd.plural))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the CustomResourceDefinitions {} are not installed; apply what `syncline crds` prints, or install the chart with crds.install",
        missing.join(", ")
    ))
}
