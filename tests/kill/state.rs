//! Where the engine keeps what it knows: a folder, or a database of a real PostgreSQL. Knows the setting and
//! nothing of what is kept; used by `cycle`.

use std::path::Path;

use crate::postgres::{Database, cluster};

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// An empty place for state, gone with this value.
pub struct State {
    /// What `--state` is given.
    pub setting: String,
    _database: Option<Database>,
}

impl State {
    pub fn new(kind: Kind, folder: &Path) -> Self {
        let database = (kind == Kind::Postgres).then(|| cluster().database());
        let setting = match &database {
            Some(database) => database.url(),
            None => folder.join("state").display().to_string(),
        };
        Self {
            setting,
            _database: database,
        }
    }
}
