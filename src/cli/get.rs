//! `syncline get`: raw records of a system, while writing a Mapping.

use std::sync::Arc;

use clap::Args;

use crate::connector::{Connector, Guard, ScanStart, SecretSource};
use crate::record::TargetId;
use crate::runtime::tokens::LateTokens;

use super::output::{print, print_json};
use super::project::Project;
use super::state::{KeyArgs, StateArgs, key_file};
use super::{Exit, Manifests};

/// Show raw records of a system: the first of its list as lines of JSON, or one by its key
#[derive(Debug, Args)]
#[command(
    long_about = "Show raw records of a system: the first of its list as lines of JSON, or one by its key.\n\n\
        Only the Connection has to be right: Mappings and Syncs may still be in the making.",
    after_help = "Exit codes: 0 shown, 1 there is no such record or the system cannot be read, 2 wrong usage.\n\
        Example: syncline get -f examples/shop-to-crm shop customers --limit 3\n\
        Example: syncline get -f examples/shop-to-crm shop customers cus_17"
)]
pub struct Get {
    #[command(flatten)]
    manifests: Manifests,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    seal: KeyArgs,
    /// Name of the Connection
    connection: String,
    /// Name of its object
    object: String,
    /// Key of one record; a JSON list where the key has several fields
    key: Option<String>,
    /// How many records of the list
    #[arg(long, default_value_t = 10)]
    limit: usize,
}

impl Get {
    pub async fn run(self) -> anyhow::Result<Exit> {
        let Some(project) = Project::open_connection(self.manifests, &self.connection) else {
            return Ok(Exit::Problems);
        };
        let (connection, object) = project.object(&self.connection, &self.object)?;
        let secrets: Arc<dyn SecretSource> = project.secrets.clone();
        let location = self.state.location()?;
        let seal = key_file(self.seal.key_file.as_deref(), &location);
        let tokens = Arc::new(LateTokens::new(location, seal));
        let connector = Connector::new(connection, secrets, tokens, Guard::default())?;
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
