//! The embedded store: SQLite in WAL mode with `synchronous=FULL`. One thread writes, taking all that
//! waits as one transaction (group commit); another reads. Used on laptops and by a single replica.

mod folder;
mod link;
mod read;
mod schema;
mod write;

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use futures::FutureExt;
use futures::future::BoxFuture;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::record::{Fingerprint, Key, SyncName, TargetId};
use crate::state::{
    Change, Exception, Holder, Known, Link, Millis, OnMismatch, Pick, Session, Store, StoreError,
    Stored, SyncState, Totals, Which,
};
use schema::Durability;
use write::WriteError;

/// Name of the database file in the state directory.
const FILE: &str = "syncline.sqlite";

/// Most jobs in one transaction, so that nobody waits long for the first of them.
const LARGEST_GROUP: usize = 256;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;
type WriteJob = Box<dyn FnOnce(&Connection) -> Result<Finish, WriteError> + Send>;
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;
/// Tells the caller, once the transaction is durable or has failed.
type Finish = Box<dyn FnOnce(Option<&StoreError>) + Send>;

struct Queued {
    /// The session whose state this changes: after one failed commit all its later ones are refused,
    /// because they build on what was not kept.
    session: Option<(i64, i64)>,
    job: WriteJob,
    refuse: Box<dyn FnOnce(StoreError) + Send>,
}

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

fn spawn(name: &str, place: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(|_| ())
        .map_err(|e| StoreError::Broken {
            place: place.to_owned(),
            problem: format!("cannot start a thread: {e}"),
        })
}

fn send<T>(
    reply: &std::sync::Mutex<Option<oneshot::Sender<Result<T, StoreError>>>>,
    result: Result<T, StoreError>,
) {
    let sender = reply.lock().ok().and_then(|mut slot| slot.take());
    if let Some(sender) = sender {
        // The caller may have gone; the transaction stands all the same.
        let _ = sender.send(result);
    }
}

/// Takes all that waits, up to [`LARGEST_GROUP`] jobs, as one transaction; answers when it is durable.
fn write_loop(mut db: Connection, jobs: &mpsc::Receiver<Queued>, place: &str) {
    let mut failed = HashMap::new();
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < LARGEST_GROUP
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        write_group(&mut db, group, place, &mut failed);
    }
}

fn write_group(
    db: &mut Connection,
    group: Vec<Queued>,
    place: &str,
    failed: &mut HashMap<(i64, i64), StoreError>,
) {
    let sessions: Vec<_> = group.iter().filter_map(|queued| queued.session).collect();
    let mut group = group.into_iter();
    let mut finishes: Vec<Finish> = Vec::new();
    let result = (|| {
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for queued in group.by_ref() {
            if let Some(error) = queued.session.and_then(|s| failed.get(&s)) {
                (queued.refuse)(error.clone());
                continue;
            }
            // A job that the store itself refuses (a fenced worker) has changed nothing before.
            match (queued.job)(&tx) {
                Ok(finish) => finishes.push(finish),
                Err(WriteError::Store(error)) => (queued.refuse)(error),
                Err(WriteError::Sql(error)) => {
                    (queued.refuse)(schema::translate(place, &error));
                    return Err(error);
                }
            }
        }
        tx.commit()
    })();
    let failure = result.err().map(|e| schema::translate(place, &e));
    for finish in finishes {
        finish(failure.as_ref());
    }
    if let Some(failure) = failure {
        failed.extend(
            sessions
                .into_iter()
                .map(|session| (session, failure.clone())),
        );
        for queued in group {
            (queued.refuse)(failure.clone());
        }
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
    ) -> BoxFuture<'_, Result<Option<Link>, StoreError>> {
        let (id, target) = (session.id, target.clone());
        self.read(move |db| read::by_target(db, id, &target))
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

    fn list(&self) -> BoxFuture<'_, Result<Vec<(Session, SyncState)>, StoreError>> {
        self.read(read::list)
    }

    fn replay(&self, session: &Session, which: Which) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.write(None, move |db| write::replay(db, &session, &which))
    }

    fn discard(&self, session: &Session, which: Which) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.write(None, move |db| write::discard(db, &session, &which))
    }

    fn load_value(&self, name: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let name = name.to_owned();
        self.read(move |db| {
            use rusqlite::OptionalExtension;
            db.query_row("SELECT content FROM value WHERE name = ?", [name], |row| {
                row.get(0)
            })
            .optional()
        })
    }

    fn save_value(&self, name: &str, value: Vec<u8>) -> BoxFuture<'_, Result<(), StoreError>> {
        let name = name.to_owned();
        self.write(None, move |db| {
            db.execute(
                "INSERT OR REPLACE INTO value (name, content) VALUES (?, ?)",
                rusqlite::params![name, value],
            )?;
            Ok(())
        })
    }
}
