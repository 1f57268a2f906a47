//! Tokens for commands that change no state: they read what is kept, and keep a refresh token only when
//! a system has just replaced it, because the old one is void then. Used by previews and by `cli::get`.

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;

use crate::connector::TokenStore;
use crate::state::{Location, StoreError, Takeover};

use super::vault::{KeySource, Vault};

/// The tokens of a store that may not be there yet.
pub struct LateTokens {
    location: Location,
    key: KeySource,
}

impl LateTokens {
    pub fn new(location: Location, key: KeySource) -> Self {
        Self { location, key }
    }

    /// The vault, where there is one.
    async fn find(&self) -> Result<Option<Vault>, String> {
        let is_there = match &self.key {
            KeySource::Given(_) => true,
            KeySource::Made(file) => file.exists(),
            KeySource::None => false,
        };
        if !is_there {
            return Ok(None);
        }
        let store = self.location.attach().await.map_err(|e| e.to_string())?;
        store.map(|store| Vault::open(&self.key, store)).transpose()
    }

    /// The vault, made where there is none.
    async fn make(&self) -> Result<Vault, String> {
        let store = match self.location.attach().await {
            Ok(None) => self.location.open(Takeover::Refuse).await,
            Ok(Some(store)) => Ok(store),
            Err(error) => Err(error),
        };
        let store = store.map_err(|e: StoreError| e.to_string())?;
        Vault::open(&self.key, store)
    }
}

impl TokenStore for LateTokens {
    fn load(
        &self,
        connection: &str,
    ) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>> {
        let connection = connection.to_owned();
        async move {
            match self.find().await? {
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
        async move {
            let vault = self.make().await?;
            vault.save(&connection, origin, token).await
        }
        .boxed()
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
        let key = KeySource::Made(state.join("key"));
        let tokens = LateTokens::new(Location::Directory(state.clone()), key);
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
