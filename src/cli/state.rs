//! The flags that say where state is kept, and what they become. Used by the commands that run Syncs or look
//! at their state.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use crate::runtime::vault::KeySource;
use crate::state::{Location, Store, Takeover};

/// Where state is kept unless somebody says otherwise.
const DEFAULT_STATE: &str = ".syncline";

/// Where state is kept.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// What is known is kept here (links, work to do, dead letters): a folder, or
    /// postgres://USER@HOST/DATABASE. Give a password by PGPASSFILE, PGPASSWORD or --state-url-file: command
    /// lines can be read by everyone on a machine
    #[arg(
        long,
        value_name = "DIR|URL",
        default_value = DEFAULT_STATE,
        env = "SYNCLINE_STATE",
        hide_env_values = true,
        global = true
    )]
    state: String,
    /// A file that holds the URL, such as a mounted Secret; wins over --state
    #[arg(
        long,
        value_name = "FILE",
        env = "SYNCLINE_STATE_URL_FILE",
        global = true
    )]
    state_url_file: Option<PathBuf>,
}

/// With what refresh tokens are sealed.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// A file with the key that seals refresh tokens in the store: 32 random bytes, or base64 of such. Without
    /// it, a state folder gets one of its own; state in PostgreSQL needs it for Connections whose refresh tokens
    /// change
    #[arg(long, value_name = "FILE", env = "SYNCLINE_KEY_FILE")]
    pub key_file: Option<PathBuf>,
}

impl StateArgs {
    /// The flags that say the same again, for a command that somebody is to type: none where the
    /// environment or the default says it, and never a password.
    pub fn again(&self) -> Vec<String> {
        let env = |name: &str| std::env::var(name).ok();
        if let Some(file) = &self.state_url_file {
            let file = file.display().to_string();
            return match env("SYNCLINE_STATE_URL_FILE") == Some(file.clone()) {
                true => Vec::new(),
                false => vec!["--state-url-file".into(), file],
            };
        }
        let usual = env("SYNCLINE_STATE").unwrap_or_else(|| DEFAULT_STATE.into());
        match self.location() {
            Ok(location) if self.state != usual => vec!["--state".into(), location.to_string()],
            _ => Vec::new(),
        }
    }

    /// Where state is kept.
    ///
    /// # Errors
    /// A file that cannot be read, or text that names no place; without what stands there.
    pub fn location(&self) -> anyhow::Result<Location> {
        match &self.state_url_file {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .map_err(|e| anyhow::anyhow!("--state-url-file {}: {e}", file.display()))?;
                Location::parse(text.trim())
                    .map_err(|e| anyhow::anyhow!("--state-url-file {}: {e}", file.display()))
            }
            None => Location::parse(&self.state).map_err(|e| anyhow::anyhow!("--state: {e}")),
        }
    }

    /// Opens the store for running Syncs.
    pub async fn open(&self) -> anyhow::Result<(Location, Arc<dyn Store>)> {
        let location = self.location()?;
        if location.has_password() && std::env::args().any(|arg| arg.contains("://")) {
            tracing::warn!(
                "--state has a password, which everyone on this machine can read in the list of processes; put \
                 the URL into a file and name it with --state-url-file, or use PGPASSFILE"
            );
        }
        let store = location.open(Takeover::Refuse).await?;
        Ok((location, store))
    }

    /// Opens the store for looking and marking. No store: nothing has run with it yet.
    pub async fn attach(&self) -> anyhow::Result<(Location, Option<Arc<dyn Store>>)> {
        let location = self.location()?;
        let store = location.attach().await?;
        Ok((location, store))
    }
}

/// The installation's key: the file that is named, or the one in the state folder, which is made at the first
/// start. None where state is in a database and no file is named.
pub fn key_file(named: Option<&Path>, location: &Location) -> KeySource {
    match (named, location) {
        (Some(file), _) => KeySource::Given(file.to_owned()),
        (None, Location::Directory(directory)) => KeySource::Made(directory.join("key")),
        (None, Location::Postgres(_)) => KeySource::None,
    }
}
