//! Keeps rotated refresh tokens in the store, sealed with a key of the installation. Used by
//! `connector` through its `TokenStore` port.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};

use crate::connector::TokenStore;
use crate::state::Store;

/// Bytes of the installation's key.
const KEY_BYTES: usize = 32;

/// Tokens sealed with AES-256-GCM; the Connection's name is bound to each as associated data.
pub struct Vault {
    store: Arc<dyn Store>,
    key: LessSafeKey,
}

impl Vault {
    /// Opens the vault with the key in `directory`, made at the first start, readable by its owner only.
    pub fn open(directory: &Path, store: Arc<dyn Store>) -> Result<Self, String> {
        let file = directory.join("key");
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => make_key(&file).map_err(|e| {
                format!(
                    "{}: cannot make the installation's key: {e}",
                    file.display()
                )
            })?,
            Err(e) => {
                return Err(format!(
                    "{}: cannot read the installation's key: {e}",
                    file.display()
                ));
            }
        };
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| {
            format!(
                "{}: not a key of {KEY_BYTES} bytes; restore it, or remove it and log in again",
                file.display()
            )
        })?;
        Ok(Self {
            store,
            key: LessSafeKey::new(key),
        })
    }

    fn seal(&self, name: &str, origin: &str, token: &SecretString) -> Result<Vec<u8>, String> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|e| format!("no randomness: {e}"))?;
        let mut sealed =
            serde_json::to_vec(&(origin, token.expose_secret())).map_err(|e| e.to_string())?;
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| "the token cannot be sealed".to_owned())?;
        let mut value = nonce.to_vec();
        value.extend(sealed);
        Ok(value)
    }

    fn unseal(&self, name: &str, value: &[u8]) -> Option<(String, SecretString)> {
        let (nonce, sealed) = value.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let open = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .ok()?;
        let (origin, token): (String, String) = serde_json::from_slice(open).ok()?;
        Some((origin, token.into()))
    }
}

fn make_key(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut key = vec![0; KEY_BYTES];
    getrandom::fill(&mut key).map_err(|e| std::io::Error::other(e.to_string()))?;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut handle = options.open(file)?;
    handle.write_all(&key)?;
    handle.sync_all()?;
    Ok(key)
}

impl TokenStore for Vault {
    fn load(
        &self,
        connection: &str,
    ) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>> {
        let name = format!("token/{connection}");
        async move {
            let value = self
                .store
                .load_value(&name)
                .await
                .map_err(|e| e.to_string())?;
            // A token that cannot be opened was sealed with another key: the Secret's own is used then.
            Ok(value.and_then(|value| self.unseal(&name, &value)))
        }
        .boxed()
    }

    fn save(
        &self,
        connection: &str,
        origin: String,
        token: SecretString,
    ) -> BoxFuture<'_, Result<(), String>> {
        let name = format!("token/{connection}");
        async move {
            let value = self.seal(&name, &origin, &token)?;
            self.store
                .save_value(&name, value)
                .await
                .map_err(|e| e.to_string())
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sqlite::SqliteStore;

    #[tokio::test]
    async fn a_kept_token_comes_back_and_never_stands_in_the_file()
    -> Result<(), Box<dyn std::error::Error>> {
        let directory = tempfile::tempdir()?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path())?);
        let vault = Vault::open(directory.path(), Arc::clone(&store))?;
        vault
            .save("default/crm", "origin".into(), "canary-4711".into())
            .await?;
        let (origin, token) = vault.load("default/crm").await?.ok_or("nothing kept")?;
        assert_eq!(
            (origin.as_str(), token.expose_secret()),
            ("origin", "canary-4711")
        );
        assert!(vault.load("default/other").await?.is_none());
        let raw = store
            .load_value("token/default/crm")
            .await?
            .ok_or("nothing kept")?;
        assert!(!String::from_utf8_lossy(&raw).contains("canary"));
        Ok(())
    }
}
