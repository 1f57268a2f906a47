//! Tokens for commands that change no state: they read what is kept, and keep a refresh token only when
//! a system has just replaced it, because the old one is void then. Used by previews and by `cli::get`.

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;

use crate::connector::TokenStore;
use crate::state::sqlite::SqliteStore;
use crate::state::{Store, StoreError};

use super::vault::{KeySource, Vault};

/// The tokens of a state directory that may not be there yet.
pub struct LateTokens {
    directory: PathBuf,
}

impl LateTokens {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    fn key(&self) -> KeySource {
        KeySource::Made(self.directory.join("key"))
    }

    /// The vault, where there is one.
    fn find(&self) -> Result<Option<Vault>, String> {
        if !self.directory.join("key").exists() {
            return Ok(None);
        }
        let store = SqliteStore::attach(&self.directory).map_err(|e| e.to_string())?;
        let vault = |store| Vault::open(&self.key(), Arc::new(store));
        store.map(vault).transpose()
    }

    /// The vault, made where there is none.
    fn make(&self) -> Result<Vault, String> {
        let store = match SqliteStore::open(&self.directory) {
            // Somebody runs Syncs with it, so it is there.
            Err(StoreError::Locked { .. }) => SqliteStore::attach(&self.directory).transpose(),
            opened => Some(opened),
        };
        let store = store
            .ok_or_else(|| format!("{} has no store", self.directory.display()))?
            .map_err(|e| e.to_string())?;
        let store: Arc<dyn Store> = Arc::new(store);
        Vault::open(&self.key(), store)
    }
}

impl TokenStore for LateTokens {
    fn load(
        &self,
        connection: &str,
    ) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>> {
        let connection = connection.to_owned();
        async move {
            match self.find()? {
                Some(vault) => vault.load(&connection).await,
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn save(
        &self,
        connection: &str,
        origin: String,
        token: SecretString,
    ) -> BoxFuture<'_, Result<(), String>> {
        let connection = connection.to_owned();
        async move { self.make()?.save(&connection, origin, token).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[tokio::test]
    async fn nothing_is_made_until_a_system_replaces_its_token()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("state");
        let tokens = LateTokens::new(&state);
        assert!(tokens.load("default/crm").await?.is_none());
        assert!(!state.exists());
        tokens
            .save("default/crm", "origin".into(), "next".into())
            .await?;
        let (origin, token) = tokens.load("default/crm").await?.ok_or("nothing kept")?;
        assert_eq!((origin.as_str(), token.expose_secret()), ("origin", "next"));
        Ok(())
    }
}
