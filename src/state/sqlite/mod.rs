//! The embedded store: SQLite in WAL mode with `synchronous=FULL`. One thread writes, taking all that
//! waits as one transaction (group commit); another reads. Used on laptops and by a single replica.

mod dead_letters;
mod folder;
mod group;
mod inbox;
mod link;
mod read;
mod schema;
mod thread;
mod write;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::record::{Fingerprint, Key, SyncName, TargetId};
use crate::state::{
    Change, Closed, Closing, Delivered, Exception, Holder, Keep, Known, Link, Millis, Notice,
    OnMismatch, Pick, Present, Session, Store, StoreError, Stored, SyncState, Totals, Which,
};
use group::{Queued, WriteJob, write_loop};
use schema::Durability;
use thread::{send, spawn};
use write::WriteError;

/// Name of the database file in the state directory.
const FILE: &str = "syncline.sqlite";

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;
/// The embedded store of one state directory. Its threads end when it is dropped.
pub struct SqliteStore {
    // Unbounded, because an answer must not depend on the order in which futures are polled; every
    // session waits for its own answers and has at most a handful of jobs here.
    writer: mpsc::Sender<Queued>,
    reader: mpsc::Sender<ReadJob>,
    place: Arc<str>,
    /// Held while this process may run Syncs; `None` for commands that only look or mark.
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens the store of `directory` for running Syncs; only one process may.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let lock = folder::take(directory)?;
        Self::start(directory.join(FILE), Some(lock), Durability::Full)
    }

    /// Opens the store for looking and marking beside a process that runs Syncs. `None`: there is none.
    pub fn attach(directory: &Path) -> Result<Option<Self>, StoreError> {
        let file = directory.join(FILE);
        if !file.exists() {
            return Ok(None);
        }
        Self::start(file, None, Durability::Full).map(Some)
    }

    /// A private copy of the store of `directory` in the empty folder `scratch`, to try things out on: what
    /// is committed to it need not last. `directory` is only read, and may have no store yet.
    pub fn rehearse(directory: &Path, scratch: &Path) -> Result<Self, StoreError> {
        let (file, copy) = (directory.join(FILE), scratch.join(FILE));
        if file.exists() {
            schema::copy(&file, &copy)?;
        }
        Self::start(copy, None, Durability::None)
    }

    fn start(
        file: PathBuf,
        lock: Option<File>,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let place: Arc<str> = file.display().to_string().into();
        let runs = lock.is_some() || durability == Durability::None;
        let db = schema::open_writer(&file, runs, durability)?;
        let (writer, jobs) = mpsc::channel::<Queued>();
        spawn("store-writer", &place, {
            let place = Arc::clone(&place);
            move || write_loop(db, &jobs, &place)
        })?;
        let db = schema::open_reader(&file)?;
        let (reader, jobs) = mpsc::channel::<ReadJob>();
        spawn("store-reader", &place, move || {
            while let Ok(job) = jobs.recv() {
                job(&db);
            }
        })?;
        Ok(Self {
            writer,
            reader,
            place,
            _lock: lock,
        })
    }

    fn gone(&self) -> StoreError {
        StoreError::Broken {
            place: self.place.to_string(),
            problem: "its thread has ended".into(),
        }
    }

    fn write<T: Send + 'static>(
        &self,
        session: Option<&Session>,
        work: impl FnOnce(&Connection) -> Result<T, WriteError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        self.queue(session, true, work)
    }

    fn queue<T: Send + 'static>(
        &self,
        session: Option<&Session>,
        urgent: bool,
        work: impl FnOnce(&Connection) -> Result<T, WriteError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel::<Result<T, StoreError>>();
        let reply = Arc::new(std::sync::Mutex::new(Some(reply)));
        let refuse = {
            let reply = Arc::clone(&reply);
            Box::new(move |error| send(&reply, Err(error)))
        };
        let job: WriteJob = Box::new(move |db| {
            let value = work(db)?;
            Ok(Box::new(move |failure: Option<&StoreError>| {
                send(&reply, failure.map_or(Ok(value), |e| Err(e.clone())));
            }))
        });
        let gone = self.gone();
        let session = session.map(|s| (s.id, s.epoch));
        if self
            .writer
            .send(Queued {
                session,
                urgent,
                job,
                refuse,
            })
            .is_err()
        {
            return async move { Err(gone) }.boxed();
        }
        async move { answer.await.unwrap_or(Err(gone)) }.boxed()
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (reply, answer): (Reply<T>, _) = oneshot::channel();
        let place = Arc::clone(&self.place);
        let job: ReadJob = Box::new(move |db| {
            // The caller may have gone; then nobody needs the answer.
            let _ = reply.send(work(db).map_err(|e| schema::translate(&place, &e)));
        });
        let gone = self.gone();
        if self.reader.send(job).is_err() {
            return async move { Err(gone) }.boxed();
        }
        async move { answer.await.unwrap_or(Err(gone)) }.boxed()
    }
}

impl Store for SqliteStore {
    fn open(
        &self,
        sync: &SyncName,
        identity: Fingerprint,
        on: OnMismatch,
    ) -> BoxFuture<'_, Result<(Session, SyncState), StoreError>> {
        let sync = sync.clone();
        self.write(None, move |db| write::open(db, &sync, identity, on))
    }

    fn outbox(&self, session: &Session) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let id = session.id;
        self.read(move |db| read::outbox(db, id))
    }

    fn known(
        &self,
        session: &Session,
        keys: Vec<Key>,
        exceptions: bool,
    ) -> BoxFuture<'_, Result<Vec<Known>, StoreError>> {
        let id = session.id;
        self.read(move |db| read::known(db, id, &keys, exceptions))
    }

    fn linked(
        &self,
        wanted: Vec<(SyncName, Key)>,
    ) -> BoxFuture<'_, Result<Vec<Option<TargetId>>, StoreError>> {
        self.read(move |db| read::linked(db, &wanted))
    }

    fn by_match(
        &self,
        session: &Session,
        matching: i64,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Holder>, StoreError>> {
        let (id, except) = (session.id, except.clone());
        self.read(move |db| read::by_match(db, id, matching, &except))
    }

    fn by_target(
        &self,
        session: &Session,
        target: &TargetId,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Link>, StoreError>> {
        let (id, target, except) = (session.id, target.clone(), except.clone());
        self.read(move |db| read::by_target(db, id, &target, &except))
    }

    fn present(
        &self,
        session: &Session,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Present>, StoreError>> {
        let (id, after) = (session.id, after.cloned());
        self.read(move |db| read::present(db, id, after.as_ref(), limit))
    }

    fn exceptions(
        &self,
        session: &Session,
        pick: Pick,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Exception>, StoreError>> {
        let id = session.id;
        self.read(move |db| read::exceptions(db, id, &pick, limit))
    }

    fn next_due(
        &self,
        session: &Session,
        after: Millis,
    ) -> BoxFuture<'_, Result<Option<Millis>, StoreError>> {
        let id = session.id;
        self.read(move |db| read::next_due(db, id, after))
    }

    fn totals(&self, session: &Session) -> BoxFuture<'_, Result<Totals, StoreError>> {
        let id = session.id;
        self.read(move |db| read::totals(db, id))
    }

    fn commit(
        &self,
        session: &Session,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let owned = session.clone();
        self.write(Some(session), move |db| write::apply(db, &owned, &changes))
    }

    fn commit_soon(
        &self,
        session: &Session,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let owned = session.clone();
        self.queue(Some(session), false, move |db| {
            write::apply(db, &owned, &changes)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<(Session, SyncState)>, StoreError>> {
        self.read(read::list)
    }

    fn find(
        &self,
        sync: &SyncName,
    ) -> BoxFuture<'_, Result<Option<(Session, SyncState)>, StoreError>> {
        let sync = sync.clone();
        self.read(move |db| read::find(db, &sync))
    }

    fn oldest_open(&self, session: &Session) -> BoxFuture<'_, Result<Option<Millis>, StoreError>> {
        let id = session.id;
        self.read(move |db| read::oldest_open(db, id))
    }

    fn expire(&self, sync: &SyncName, at: Option<Millis>) -> BoxFuture<'_, Result<(), StoreError>> {
        let sync = sync.clone();
        self.write(None, move |db| write::expire(db, &sync, at))
    }

    fn forget(&self, sync: &SyncName) -> BoxFuture<'_, Result<(), StoreError>> {
        let sync = sync.clone();
        self.write(None, move |db| write::forget(db, &sync))
    }

    fn replay(&self, session: &Session, which: Which) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.write(None, move |db| dead_letters::replay(db, &session, &which))
    }

    fn discard(
        &self,
        session: &Session,
        which: Which,
        closing: Closing,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.write(None, move |db| {
            dead_letters::discard(db, &session, &which, &closing)
        })
    }

    fn expire_dead_letters(
        &self,
        session: &Session,
        keep: Keep,
        at: Millis,
        limit: usize,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.write(None, move |db| {
            dead_letters::expire(db, &session, keep, at, limit)
        })
    }

    fn closed(
        &self,
        session: &Session,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Closed>, StoreError>> {
        let id = session.id;
        self.read(move |db| dead_letters::closed(db, id, limit))
    }

    fn receive(
        &self,
        connection: &str,
        events: Vec<Delivered>,
        at: Millis,
    ) -> BoxFuture<'static, Result<u64, StoreError>> {
        let connection = connection.to_owned();
        self.write(None, move |db| inbox::receive(db, &connection, &events, at))
    }

    fn inbox(
        &self,
        connection: &str,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, Notice)>, StoreError>> {
        let connection = connection.to_owned();
        self.read(move |db| inbox::inbox(db, &connection, after, limit))
    }

    fn inbox_end(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.read(inbox::end)
    }

    fn prune_inbox(&self, connection: &str, at: Millis) -> BoxFuture<'_, Result<(), StoreError>> {
        let connection = connection.to_owned();
        self.write(None, move |db| inbox::prune(db, &connection, at))
    }

    fn load_value(&self, name: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let name = name.to_owned();
        self.read(move |db| read::value(db, &name))
    }

    fn save_value(
        &self,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let name = name.to_owned();
        self.write(None, move |db| Ok(write::value(db, &name, value)?))
    }

    fn value_names(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let prefix = prefix.to_owned();
        self.read(move |db| read::value_names(db, &prefix))
    }
}
