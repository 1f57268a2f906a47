//! Where state is kept: a folder with SQLite, or a PostgreSQL. One setting chooses; `cli` reads it, and
//! whoever runs Syncs opens it. What is shown of it never holds a password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::postgres::{PostgresStore, Settings};
use super::sqlite::SqliteStore;
use super::{Store, StoreError, Takeover};

/// Where state is kept.
#[derive(Clone, Debug)]
pub enum Location {
    /// A folder of this machine, for one process.
    Directory(PathBuf),
    /// A database, for any number of processes.
    Postgres(Box<Settings>),
}

/// Text that names no place for state. Says which part is wrong and never what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LocationError(pub(super) String);

impl Location {
    /// `postgres://…` (or `postgresql://…`) is a database, everything else a folder.
    ///
    /// # Errors
    /// A URL that cannot be used.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => {
                Ok(Self::Postgres(Box::new(Settings::parse(text)?)))
            }
            Some((scheme, _)) => Err(LocationError(format!(
                "no store is known for {scheme}://; give a folder, or postgres://USER@HOST/DATABASE"
            ))),
            None if text.is_empty() => Err(LocationError(
                "is empty; give a folder, or postgres://USER@HOST/DATABASE".into(),
            )),
            None => Ok(Self::Directory(text.into())),
        }
    }

    /// Opens the store for running Syncs and brings its tables up to date.
    ///
    /// # Errors
    /// The store cannot be used; the message says what to do.
    pub async fn open(&self, takeover: Takeover) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Directory(directory) => Arc::new(SqliteStore::open(directory)?),
            Self::Postgres(settings) => Arc::new(PostgresStore::open(settings, takeover).await?),
        })
    }

    /// Opens the store for looking and marking beside a process that runs Syncs. `None`: nothing has ever
    /// run with it.
    ///
    /// # Errors
    /// The store cannot be used; the message says what to do.
    pub async fn attach(&self) -> Result<Option<Arc<dyn Store>>, StoreError> {
        Ok(match self {
            Self::Directory(directory) => {
                SqliteStore::attach(directory)?.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
            Self::Postgres(settings) => PostgresStore::attach(settings)
                .await?
                .map(|store| Arc::new(store) as Arc<dyn Store>),
        })
    }

    /// A copy of what is kept, in the empty folder `scratch`, to try things out on: what is committed to it need
    /// not last. The original is only read.
    ///
    /// # Errors
    /// The store cannot be read, or is a database, which cannot be copied yet.
    pub fn copy(&self, scratch: &Path) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::Directory(directory) => Ok(Arc::new(SqliteStore::rehearse(directory, scratch)?)),
            Self::Postgres(_) => Err(StoreError::Broken {
                place: self.to_string(),
                problem: "state in a database cannot be copied for a preview; preview with the state in a folder \
                          (--state DIR), a new one for what a first run would do"
                    .into(),
            }),
        }
    }

    /// Whether a password stands in the text itself.
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Postgres(settings) if settings.has_password())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Postgres(settings) => f.write_str(settings.place()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stays_a_folder_and_a_url_names_a_database() -> Result<(), LocationError> {
        assert!(matches!(
            Location::parse(".syncline")?,
            Location::Directory(_)
        ));
        let database = Location::parse("postgresql://app@db.example/state")?;
        assert_eq!(database.to_string(), "postgres://db.example:5432/state");
        Ok(())
    }

    #[test]
    fn no_password_is_ever_shown() -> Result<(), LocationError> {
        let good = Location::parse("postgres://app:canary@db.example/state?sslmode=require")?;
        assert!(good.has_password());
        assert!(!format!("{good} {good:?}").contains("canary"));
        for bad in [
            "postgres://app:canary@db.example:port/state",
            "postgres://app:canary@db.example/state?sslmode=canary",
            "postgres://app:canary@db.example/state?canary=1",
            "postgres://app:canary@/state",
            "mysql://app:canary@db.example/state",
        ] {
            let error = Location::parse(bad).expect_err(bad);
            assert!(!error.to_string().contains("app"), "{error}");
            assert!(!format!("{error:?}").contains("canary@"), "{error:?}");
        }
        Ok(())
    }
}
