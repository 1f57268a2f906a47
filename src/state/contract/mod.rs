//! What every store has to keep, as tests that run on both: SQLite in a folder, and a real PostgreSQL with a
//! database for each test. A rule of the trait that is not here is not promised.

mod absence;
mod closed;
mod dead_letters;
mod exceptions;
mod groups;
mod inbox;
mod links;
mod outbox;
mod retention;
mod sessions;

#[path = "../../../tests/support/postgres.rs"]
pub mod server;

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Change, Detail, Entry, Exception, Known, Link, Location, OnMismatch, Presence, Session, Store,
    StoreError, SyncState, Takeover, Trouble, mark, segment,
};
use crate::record::{Fingerprint, Key, SyncName, TargetId};

/// Makes a test on each store of every function named.
macro_rules! on_both_stores {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(&super::super::Place::sqlite()).await })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(&super::super::Place::postgres()).await })*
        }
    };
}
use on_both_stores;

/// An empty place for state, gone with this value.
pub enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(server::Database),
}

impl Place {
    fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().expect("a folder"))
    }

    pub fn postgres() -> Self {
        Self::Postgres(server::cluster().database())
    }

    /// Changes the state past the store.
    fn sql(&self, statement: &str) {
        match self {
            Self::Sqlite(folder) => {
                let path = folder.path().join("syncline.sqlite");
                let database = rusqlite::Connection::open(path).expect("the database");
                database.execute_batch(statement).expect("a statement");
            }
            Self::Postgres(database) => {
                database.sql(&format!("SET search_path = syncline; {statement}"));
            }
        }
    }

    pub fn location(&self) -> Location {
        let text = match self {
            Self::Sqlite(folder) => folder.path().display().to_string(),
            Self::Postgres(database) => database.url(),
        };
        Location::parse(&text).expect("a place for state")
    }

    pub async fn open(&self) -> Arc<dyn Store> {
        let opened = self.location().open(Takeover::Refuse).await;
        opened.unwrap_or_else(|e| panic!("{e}"))
    }
}

pub const IDENTITY: Fingerprint = Fingerprint(7);

pub fn sync(name: &str) -> SyncName {
    SyncName {
        namespace: "default".into(),
        name: name.into(),
    }
}

pub async fn open(store: &dyn Store, name: &str) -> Session {
    open_with_state(store, name).await.0
}

pub async fn open_with_state(store: &dyn Store, name: &str) -> (Session, SyncState) {
    let opened = store.open(&sync(name), IDENTITY, OnMismatch::Refuse).await;
    opened.unwrap_or_else(|e| panic!("{e}"))
}

pub async fn commit(store: &dyn Store, session: &Session, changes: Vec<Change>) {
    let done = store.commit(session, changes).await;
    done.unwrap_or_else(|e| panic!("{e}"));
}

pub fn key(text: &str) -> Key {
    Key::from_text(text)
}

pub fn target(id: u64) -> TargetId {
    TargetId::from_json(id.to_string())
}

pub fn link(name: &str, id: u64) -> Link {
    Link {
        key: key(name),
        target: Some(target(id)),
        raw: Fingerprint::of(name.as_bytes()),
        mapped: Fingerprint(id.into()),
        moment: None,
        matching: None,
        fields: Vec::new(),
        own: false,
        presence: Presence::Here,
    }
}

pub fn entry(name: &str, version: u8) -> Entry {
    Entry {
        key: key(name),
        raw: Fingerprint(u128::from(version) + 1),
        mapped: Fingerprint(u128::MAX - u128::from(version)),
        moment: None,
        matching: None,
        token: [version; 16],
        seen: i64::from(version),
        source: Bytes::from(vec![b's', version]),
        body: Bytes::from(vec![b'b', version]),
        params: Bytes::new(),
        removal: None,
        untried: false,
    }
}

pub fn exception(name: &str, trouble: Trouble, next: i64) -> Exception {
    Exception {
        entry: entry(name, 1),
        trouble,
        next,
        detail: Detail {
            reason: "Transient".into(),
            message: "the target answered 503".into(),
            attempts: 3,
            since: 17,
            ..Detail::default()
        },
        behind: None,
    }
}

pub fn put(exception: Exception) -> Change {
    Change::Exception(Box::new(exception))
}

pub fn segment(number: u64, names: &[&str]) -> Change {
    let entries: Vec<Entry> = names.iter().map(|name| entry(name, 0)).collect();
    Change::Segment {
        number,
        body: segment::encode(&entries),
        states: vec![mark::PENDING; names.len()],
    }
}

pub async fn known(store: &dyn Store, session: &Session, names: &[&str]) -> Vec<Known> {
    let keys = names.iter().map(|name| key(name)).collect();
    let known = store.known(session, keys, true).await;
    known.unwrap_or_else(|e| panic!("{e}"))
}

pub async fn link_of(store: &dyn Store, session: &Session, name: &str) -> Option<Link> {
    known(store, session, &[name]).await.remove(0).link
}

pub async fn exception_of(store: &dyn Store, session: &Session, name: &str) -> Option<Exception> {
    let known = known(store, session, &[name]).await.remove(0);
    known.exception.map(|exception| *exception)
}
