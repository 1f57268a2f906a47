//! Keeps rotated refresh tokens in the store, sealed with a key of the installation. Used by
//! `connector` through its `TokenStore` port.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;

use futures::FutureExt;
use futures::future::BoxFuture;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::{ExposeSecret, SecretString};

use crate::connector::TokenStore;
use crate::state::Store;

/// Bytes of the installation's key.
const KEY_BYTES: usize = 32;

/// Where the installation's key is.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A file that somebody made, such as a mounted Secret: 32 bytes, or base64 of such.
    Given(PathBuf),
    /// A file that is made at the first start, readable by its owner only.
    Made(PathBuf),
    /// There is none: nothing can be sealed.
    None,
}

/// Tokens sealed with AES-256-GCM; the Connection's name is bound to each as associated data.
pub struct Vault {
    store: Arc<dyn Store>,
    key: Option<LessSafeKey>,
}

impl Vault {
    /// Opens the vault with its key.
    ///
    /// # Errors
    /// A key that cannot be read or used, and what to do.
    pub fn open(key: &KeySource, store: Arc<dyn Store>) -> Result<Self, String> {
        let (file, made) = match key {
            KeySource::Given(file) => (file, false),
            KeySource::Made(file) => (file, true),
            KeySource::None => return Ok(Self { store, key: None }),
        };
        let bytes = match fs::read(file) {
            Ok(bytes) => bytes,
            Err(e) if made && e.kind() == std::io::ErrorKind::NotFound => {
                make_key(file).map_err(|e| {
                    format!(
                        "{}: cannot make the installation's key: {e}",
                        file.display()
                    )
                })?
            }
            Err(e) => {
                return Err(format!(
                    "{}: cannot read the installation's key: {e}; make one with `head -c {KEY_BYTES} /dev/urandom`, and \
                     give every process of this installation the same",
                    file.display()
                ));
            }
        };
        let bytes = plain(bytes);
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| {
            format!(
                "{}: not a key of {KEY_BYTES} bytes, nor base64 of such; restore it, or remove it and log in again",
                file.display()
            )
        })?;
        Ok(Self {
            store,
            key: Some(LessSafeKey::new(key)),
        })
    }

    /// Whether tokens can be kept.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn seal(&self, name: &str, origin: &str, token: &SecretString) -> Result<Vec<u8>, String> {
        let key = self.key.as_ref().ok_or(
            "there is no key to seal the new refresh token with; give one with --key-file",
        )?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|e| format!("no randomness: {e}"))?;
        let mut sealed =
            serde_json::to_vec(&(origin, token.expose_secret())).map_err(|e| e.to_string())?;
        key.seal_in_place_append_tag(
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
        let key = self.key.as_ref()?;
        let open = key
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

/// The bytes of a key that may be written as base64.
fn plain(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() == KEY_BYTES {
        return bytes;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(bytes.trim_ascii());
    decoded.unwrap_or(bytes)
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
                .save_value(&name, Some(value))
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

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn open(directory: &Path, key: &KeySource) -> Result<Vault, String> {
        let store = SqliteStore::open(directory).map_err(|e| e.to_string())?;
        Vault::open(key, Arc::new(store))
    }

    #[tokio::test]
    async fn a_kept_token_comes_back_and_never_stands_in_the_file() -> Outcome {
        let directory = tempfile::tempdir()?;
        let vault = open(
            directory.path(),
            &KeySource::Made(directory.path().join("key")),
        )?;
        vault
            .save("default/crm", "origin".into(), "canary-4711".into())
            .await?;
        let (origin, token) = vault.load("default/crm").await?.ok_or("nothing kept")?;
        assert_eq!(
            (origin.as_str(), token.expose_secret()),
            ("origin", "canary-4711")
        );
        assert!(vault.load("default/other").await?.is_none());
        let raw = vault.store.load_value("token/default/crm").await?;
        let raw = raw.ok_or("nothing kept")?;
        assert!(!String::from_utf8_lossy(&raw).contains("canary"));
        Ok(())
    }

    #[tokio::test]
    async fn a_given_key_is_read_as_bytes_or_base64_and_never_made() -> Outcome {
        let directory = tempfile::tempdir()?;
        let file = directory.path().join("given");
        let given = KeySource::Given(file.clone());
        assert!(open(directory.path(), &given).is_err_and(|e| e.contains("/dev/urandom")));
        assert!(!file.exists());
        fs::write(&file, [7; KEY_BYTES])?;
        open(directory.path(), &given)?
            .save("default/crm", "origin".into(), "canary-4711".into())
            .await?;
        let text = base64::engine::general_purpose::STANDARD.encode([7; KEY_BYTES]);
        fs::write(&file, format!("{text}\n"))?;
        assert!(
            open(directory.path(), &given)?
                .load("default/crm")
                .await?
                .is_some()
        );
        fs::write(&file, "too short")?;
        assert!(open(directory.path(), &given).is_err_and(|e| e.contains("not a key")));
        Ok(())
    }

    #[tokio::test]
    async fn without_a_key_nothing_is_kept() -> Outcome {
        let directory = tempfile::tempdir()?;
        let vault = open(directory.path(), &KeySource::None)?;
        let saved = vault
            .save("default/crm", "origin".into(), "canary-4711".into())
            .await;
        assert!(saved.is_err_and(|e| e.contains("--key-file") && !e.contains("canary")));
        assert!(vault.load("default/crm").await?.is_none());
        Ok(())
    }
}
