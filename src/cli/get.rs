//! `syncline get`: raw records of a system, while writing a Mapping.

use std::sync::Arc;

use clap::Args;

use crate::connector::{Connector, Guard, ScanStart, SecretSource, TokenStore};
use crate::record::TargetId;

use super::output::{print, print_json};
use super::project::Project;
use super::{Exit, Manifests};
use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;

/// Show raw records of a system: the first of its list, or one by its key
#[derive(Debug, Args)]
#[command(after_help = "Example: syncline get -f examples/shop-to-crm shop customers --limit 3")]
pub struct Get {
    #[command(flatten)]
    manifests: Manifests,
    /// Name of the Connection
    connection: String,
    /// Name of its object
    object: String,
    /// Key of one record
    key: Option<String>,
    /// How many records of the list
    #[arg(long, default_value_t = 10)]
    limit: usize,
}

/// A rotated refresh token would be lost here: it is kept by `run` alone.
struct NoTokens;

impl TokenStore for NoTokens {
    fn load(&self, _: &str) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>> {
        async { Ok(None) }.boxed()
    }

    fn save(&self, _: &str, _: String, _: SecretString) -> BoxFuture<'_, Result<(), String>> {
        let problem =
            "the system gave a new refresh token, which `get` cannot keep; use `syncline run`";
        async move { Err(problem.to_owned()) }.boxed()
    }
}

impl Get {
    pub async fn run(self) -> anyhow::Result<Exit> {
        let Some(project) = Project::open(self.manifests) else {
            return Ok(Exit::Problems);
        };
        let (connection, object) = project.object(&self.connection, &self.object)?;
        let secrets: Arc<dyn SecretSource> = project.secrets.clone();
        let connector = Connector::new(connection, secrets, Arc::new(NoTokens), Guard::default())?;
        if let Some(key) = self.key {
            let id = serde_json::from_str(&key)
                .ok()
                .and_then(|value| TargetId::from_value(&value));
            let id = id.or_else(|| TargetId::from_value(&key.clone().into()));
            let id = id.ok_or_else(|| anyhow::anyhow!("{key:?} is no key"))?;
            return match connector.get(&object, &id).await? {
                Some(found) => print_json(&found.record).map(|()| Exit::Good),
                None => anyhow::bail!("{} has no record {key}", self.object),
            };
        }
        let mut pages = connector.pages(object, ScanStart::default());
        let mut left = self.limit;
        while left > 0
            && let Some(page) = pages.next().await?
        {
            for record in page.records.iter().take(left) {
                print(&format!("{}\n", String::from_utf8_lossy(record)))?;
            }
            left = left.saturating_sub(page.records.len());
        }
        Ok(Exit::Good)
    }
}
