//! Credentials without a cluster: environment variables, files, or `Secret` manifests, in this order.
//! Values are never shown: they are held as `SecretString` and no error holds one.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Value;

use crate::connector::{NoSecret, SecretSource};
use crate::plan::connection::{ConnectionWithObjects, NamedSecret, SecretUse};
use crate::plan::{Problem, ResourceName};

/// Largest credential, as large as a Secret may be.
const MAX_BYTES: u64 = 1 << 20;

/// The values of `Secret` manifests.
#[derive(Default)]
pub struct ManifestSecrets {
    values: HashMap<(ResourceName, String), SecretString>,
}

impl fmt::Debug for ManifestSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestSecrets({} values)", self.values.len())
    }
}

impl ManifestSecrets {
    /// Takes the values of a `Secret`; returns the fields that cannot be read, with the reason.
    /// `stringData` wins over `data`, as in the API server.
    pub fn add(&mut self, name: &ResourceName, secret: &Value) -> Vec<(String, &'static str)> {
        let mut problems = Vec::new();
        for part in ["data", "stringData"] {
            let Some(entries) = secret[part].as_object() else {
                if !secret[part].is_null() {
                    problems.push((part.to_owned(), "must be an object of texts"));
                }
                continue;
            };
            for (key, value) in entries {
                let text = match (part, value.as_str()) {
                    (_, None) => Err("must be a text; put it in quotes"),
                    ("data", Some(encoded)) => decode(encoded),
                    (_, Some(text)) => Ok(text.to_owned()),
                };
                match text {
                    Ok(text) => {
                        let key = (name.clone(), key.clone());
                        self.values.insert(key, SecretString::from(text));
                    }
                    Err(problem) => problems.push((format!("{part}.{key}"), problem)),
                }
            }
        }
        problems
    }
}

fn decode(encoded: &str) -> Result<String, &'static str> {
    let compact: String = encoded.split_ascii_whitespace().collect();
    let bytes = STANDARD
        .decode(compact)
        .map_err(|_| "is not base64; plain text belongs in stringData")?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text, so it cannot be a credential")
}

/// All places that a credential may come from.
#[derive(Clone)]
pub struct Secrets {
    manifests: Arc<ManifestSecrets>,
    /// `DIR/NAME/KEY`
    directory: Option<PathBuf>,
    variable: fn(&str) -> Option<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("manifests", &self.manifests)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Secrets {
    /// Credentials of the process's environment, of `directory` and of manifests.
    pub fn new(manifests: ManifestSecrets, directory: Option<PathBuf>) -> Self {
        Self {
            manifests: Arc::new(manifests),
            directory,
            variable: |name| std::env::var(name).ok(),
        }
    }

    /// The value, from the first place that has it.
    ///
    /// # Errors
    /// One line that names the three ways to give it, or why its file cannot be read.
    pub fn find(&self, namespace: &str, name: &str, key: &str) -> Result<SecretString, String> {
        let variable = variable_name(name, key);
        if let Some(value) = (self.variable)(&variable).filter(|v| !v.is_empty()) {
            return Ok(SecretString::from(value));
        }
        if let Some(directory) = &self.directory
            && let Some(value) = read_file(directory, name, key)?
        {
            return Ok(value);
        }
        let place = (ResourceName::new(namespace, name), key.to_owned());
        self.manifests.values.get(&place).cloned().ok_or_else(|| {
            format!(
                "no Secret {name:?} with key {key:?}: add a Secret manifest (namespace {namespace}), set {variable}, or put it in DIR/{name}/{key} with --secrets DIR"
            )
        })
    }
}

impl SecretSource for Secrets {
    fn read(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<SecretString, NoSecret>> {
        let found = self.find(namespace, name, key).map_err(NoSecret::Missing);
        Box::pin(async move { found })
    }
}

/// The credentials that a Connection names and that are nowhere: an error where requests need it, a warning
/// where only a webhook does.
pub fn missing(compiled: &ConnectionWithObjects, secrets: &Secrets) -> Vec<Problem> {
    let connection = &compiled.connection;
    let absent = |named: NamedSecret<'_>| {
        let NamedSecret { secret, used_for } = named;
        let found = secrets.find(&connection.namespace, &secret.name, &secret.key);
        let message = found.err()?;
        Some(match used_for {
            SecretUse::Requests => Problem::error(connection.resource(), "spec.auth", message),
            SecretUse::Webhook(name) => Problem::warning(
                connection.resource(),
                "spec.webhooks",
                format!("webhook {name}: {message}"),
            ),
        })
    };
    compiled.secrets().into_iter().filter_map(absent).collect()
}

/// `SYNCLINE_SECRET_CRM_CREDENTIALS_API_KEY` for the key `api-key` of the Secret `crm-credentials`.
pub fn variable_name(name: &str, key: &str) -> String {
    let part = |text: &str| {
        text.chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() {
                    c.to_ascii_uppercase()
                } else {
                    '_'
                }
            })
            .collect::<String>()
    };
    format!("SYNCLINE_SECRET_{}_{}", part(name), part(key))
}

/// The text of `directory/name/key` without the newline that editors end files with; `None` when
/// there is no such file.
fn read_file(directory: &Path, name: &str, key: &str) -> Result<Option<SecretString>, String> {
    if [name, key].iter().any(|part| !is_file_name(part)) {
        return Ok(None);
    }
    let path = directory.join(name).join(key);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("{}: larger than 1 MiB", path.display()));
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    Ok(Some(SecretString::from(text.to_owned())))
}

/// A name that stays within its folder, as Kubernetes allows for keys of Secrets.
fn is_file_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !text.is_empty() && text.chars().all(allowed) && !text.starts_with("..") && text != "."
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use serde_json::json;

    fn secrets(manifest: &Value, directory: Option<PathBuf>) -> Secrets {
        let mut manifests = ManifestSecrets::default();
        let name = ResourceName::new("default", "crm");
        assert_eq!(manifests.add(&name, manifest), vec![]);
        Secrets {
            variable: |name| (name == "SYNCLINE_SECRET_CRM_FROM_ENV").then(|| "e".to_owned()),
            ..Secrets::new(manifests, directory)
        }
    }

    #[test]
    fn the_environment_wins_over_files_and_files_over_manifests() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("crm")).unwrap();
        for key in ["from-env", "from-file"] {
            std::fs::write(folder.path().join("crm").join(key), "f\n").unwrap();
        }
        let manifest = json!({
            "data": {"from-env": "bQ==", "from-file": "bQ==", "both": "ZA=="},
            "stringData": {"both": "s", "from-manifest": "m"},
        });
        let secrets = secrets(&manifest, Some(folder.path().to_owned()));
        for (key, value) in [
            ("from-env", "e"),
            ("from-file", "f"),
            ("from-manifest", "m"),
            ("both", "s"),
        ] {
            assert_eq!(
                secrets.find("default", "crm", key).unwrap().expose_secret(),
                value,
                "{key}"
            );
        }
        assert!(secrets.find("other", "crm", "both").is_err());
    }

    #[test]
    fn a_missing_credential_names_the_three_ways_to_give_it() {
        let error = secrets(&json!({}), None)
            .find("default", "crm", "api-key")
            .unwrap_err();
        for way in [
            "Secret manifest",
            "SYNCLINE_SECRET_CRM_API_KEY",
            "--secrets DIR",
        ] {
            assert!(error.contains(way), "{error}");
        }
    }

    #[test]
    fn a_file_outside_of_the_folder_is_never_read() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("outside"), "x").unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        assert!(read_file(&inside, "..", "outside").unwrap().is_none());
        assert!(read_file(&inside, "a", "../../outside").unwrap().is_none());
    }

    #[test]
    fn no_value_is_ever_shown() {
        let mut manifests = ManifestSecrets::default();
        let name = ResourceName::new("default", "crm");
        let problems = manifests.add(
            &name,
            &json!({"data": {"a": "hunter2!", "b": 5}, "stringData": {"c": "hunter3"}}),
        );
        assert_eq!(problems.len(), 2);
        let shown = format!("{problems:?} {:?}", Secrets::new(manifests, None));
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
