//! The store in PostgreSQL, for any number of processes: one connection writes, taking all that waits as one
//! transaction (group commit); a bounded pool reads. Chosen by a `postgres://` URL.

mod connect;
mod control;
mod dead_letters;
mod error;
mod group;
mod inbox;
mod password;
mod read;
mod schema;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod transaction;
mod write;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_postgres::NoTls;

use crate::record::{Fingerprint, Key, SyncName, TargetId};
use crate::state::{
    Change, Closed, Closing, Delivered, Exception, Holder, Keep, Known, Link, Millis, Notice,
    OnMismatch, Pick, Present, Session, Store, StoreError, Stored, SyncState, Takeover, Totals,
    Which,
};
use connect::{ANSWER, Access};
use read::Reader;
pub use settings::{Host, Settings, SslMode};
use write::Statements;
use writer::{Commit, Job, Writer};

/// Most connections that read.
const READERS: usize = 4;

/// How long a takeover waits for another process to let go of a Sync: one that was killed is still
/// finishing its last statement on the server.
const LET_GO: Duration = Duration::from_secs(10);

/// The store of one PostgreSQL database. Its task and connections end when it is dropped.
pub struct PostgresStore {
    // Unbounded, because an answer must not depend on the order in which futures are polled; every
    // session waits for its own answers and has at most a handful of jobs here.
    writer: mpsc::UnboundedSender<Job>,
    readers: Pool,
    place: Arc<str>,
}

impl PostgresStore {
    /// Opens the store for running Syncs, and creates its tables or brings them up to date.
    ///
    /// # Errors
    /// The server cannot be reached or used, or its tables are newer than this program.
    pub async fn open(settings: &Settings, takeover: Takeover) -> Result<Self, StoreError> {
        let access = Access::new(settings)?;
        let mut link = access.link().await?;
        schema::migrate(&mut link.client, &access.place, schema::MIGRATIONS).await?;
        Self::start(access, takeover, link).await
    }

    /// Opens the store for looking and marking beside processes that run Syncs. `None`: nothing has ever run
    /// with this database.
    ///
    /// # Errors
    /// The server cannot be reached or used, or its tables are older or newer than this program's.
    pub async fn attach(settings: &Settings) -> Result<Option<Self>, StoreError> {
        let access = Access::new(settings)?;
        let link = access.link().await?;
        if !schema::is_there(&link.client, &access.place).await? {
            return Ok(None);
        }
        Self::start(access, Takeover::Refuse, link).await.map(Some)
    }

    async fn start(
        access: Access,
        takeover: Takeover,
        link: connect::Link,
    ) -> Result<Self, StoreError> {
        let place = Arc::clone(&access.place);
        let statements = Statements::prepare(&link.client)
            .await
            .map_err(|e| error::translate(&place, &e))?;
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match access.tls.clone() {
            Some(tls) => Manager::from_config(access.config.clone(), tls, manager),
            None => Manager::from_config(access.config.clone(), NoTls, manager),
        };
        let readers = Pool::builder(manager)
            .max_size(READERS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(ANSWER))
            .create_timeout(Some(ANSWER))
            .build()
            .map_err(|e| StoreError::Broken {
                place: place.to_string(),
                problem: e.to_string(),
            })?;
        let (writer, jobs) = mpsc::unbounded_channel();
        tokio::spawn(Writer::new(access, takeover, link, statements).run(jobs));
        Ok(Self {
            writer,
            readers,
            place,
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let gone = StoreError::Broken {
            place: self.place.to_string(),
            problem: "its task has ended".into(),
        };
        if self.writer.send(job(reply)).is_err() {
            return async move { Err(gone) }.boxed();
        }
        async move { answer.await.unwrap_or(Err(gone)) }.boxed()
    }

    async fn reader(&self) -> Result<Reader, StoreError> {
        let place = &self.place;
        match self.readers.get().await {
            Ok(client) => Ok(Reader {
                client,
                place: Arc::clone(place),
            }),
            Err(PoolError::Backend(e)) => Err(error::connecting(place, &e)),
            Err(e) => Err(StoreError::Unreachable {
                place: place.to_string(),
                problem: e.to_string(),
            }),
        }
    }
}

impl Store for PostgresStore {
    fn open(
        &self,
        sync: &SyncName,
        identity: Fingerprint,
        on: OnMismatch,
    ) -> BoxFuture<'_, Result<(Session, SyncState), StoreError>> {
        let sync = sync.clone();
        async move {
            let until = Instant::now() + LET_GO;
            loop {
                let sync = sync.clone();
                let opened = self
                    .ask(|reply| Job::Open {
                        sync,
                        identity,
                        on,
                        reply,
                    })
                    .await;
                if !matches!(opened, Err(StoreError::Running { .. })) || Instant::now() > until {
                    return opened;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        .boxed()
    }

    fn outbox(&self, session: &Session) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let id = session.id;
        async move { self.reader().await?.outbox(id).await }.boxed()
    }

    fn known(
        &self,
        session: &Session,
        keys: Vec<Key>,
        exceptions: bool,
    ) -> BoxFuture<'_, Result<Vec<Known>, StoreError>> {
        let id = session.id;
        async move { self.reader().await?.known(id, &keys, exceptions).await }.boxed()
    }

    fn linked(
        &self,
        wanted: Vec<(SyncName, Key)>,
    ) -> BoxFuture<'_, Result<Vec<Option<TargetId>>, StoreError>> {
        async move { self.reader().await?.linked(&wanted).await }.boxed()
    }

    fn by_match(
        &self,
        session: &Session,
        matching: i64,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Holder>, StoreError>> {
        let (id, except) = (session.id, except.clone());
        async move { self.reader().await?.by_match(id, matching, &except).await }.boxed()
    }

    fn by_target(
        &self,
        session: &Session,
        target: &TargetId,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Link>, StoreError>> {
        let (id, target, except) = (session.id, target.clone(), except.clone());
        async move { self.reader().await?.by_target(id, &target, &except).await }.boxed()
    }

    fn present(
        &self,
        session: &Session,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Present>, StoreError>> {
        let (id, after) = (session.id, after.cloned());
        async move {
            self.reader()
                .await?
                .present(id, after.as_ref(), limit)
                .await
        }
        .boxed()
    }

    fn exceptions(
        &self,
        session: &Session,
        pick: Pick,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Exception>, StoreError>> {
        let id = session.id;
        async move { self.reader().await?.exceptions(id, &pick, limit).await }.boxed()
    }

    fn next_due(
        &self,
        session: &Session,
        after: Millis,
    ) -> BoxFuture<'_, Result<Option<Millis>, StoreError>> {
        let id = session.id;
        async move { self.reader().await?.next_due(id, after).await }.boxed()
    }

    fn totals(&self, session: &Session) -> BoxFuture<'_, Result<Totals, StoreError>> {
        let id = session.id;
        async move { self.reader().await?.totals(id).await }.boxed()
    }

    fn commit(
        &self,
        session: &Session,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let session = session.clone();
        self.ask(|reply| {
            Job::Commit(Commit {
                session,
                changes,
                reply,
            })
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<(Session, SyncState)>, StoreError>> {
        async move { self.reader().await?.list().await }.boxed()
    }

    fn find(
        &self,
        sync: &SyncName,
    ) -> BoxFuture<'_, Result<Option<(Session, SyncState)>, StoreError>> {
        let sync = sync.clone();
        async move { self.reader().await?.find(&sync).await }.boxed()
    }

    fn oldest_open(&self, session: &Session) -> BoxFuture<'_, Result<Option<Millis>, StoreError>> {
        let id = session.id;
        async move { self.reader().await?.oldest_open(id).await }.boxed()
    }

    fn expire(&self, sync: &SyncName, at: Option<Millis>) -> BoxFuture<'_, Result<(), StoreError>> {
        let sync = sync.clone();
        self.ask(|reply| Job::Expire(sync, at, reply))
    }

    fn forget(&self, sync: &SyncName) -> BoxFuture<'_, Result<(), StoreError>> {
        let sync = sync.clone();
        self.ask(|reply| Job::Forget(sync, reply))
    }

    fn replay(&self, session: &Session, which: Which) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.ask(|reply| Job::Replay(session, which, reply))
    }

    fn discard(
        &self,
        session: &Session,
        which: Which,
        closing: Closing,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.ask(|reply| Job::Discard(session, which, closing, reply))
    }

    fn expire_dead_letters(
        &self,
        session: &Session,
        keep: Keep,
        at: Millis,
        limit: usize,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.ask(|reply| Job::ExpireDeadLetters(session, keep, at, limit, reply))
    }

    fn closed(
        &self,
        session: &Session,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Closed>, StoreError>> {
        let id = session.id;
        async move { self.reader().await?.closed(id, limit).await }.boxed()
    }

    fn receive(
        &self,
        connection: &str,
        events: Vec<Delivered>,
        at: Millis,
    ) -> BoxFuture<'static, Result<u64, StoreError>> {
        let received = inbox::Received {
            connection: connection.to_owned(),
            events,
            at,
        };
        self.ask(|reply| Job::Receive(received, reply))
    }

    fn inbox(
        &self,
        connection: &str,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, Notice)>, StoreError>> {
        let connection = connection.to_owned();
        async move { self.reader().await?.inbox(&connection, after, limit).await }.boxed()
    }

    fn inbox_end(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        async move { self.reader().await?.inbox_end().await }.boxed()
    }

    fn prune_inbox(&self, connection: &str, at: Millis) -> BoxFuture<'_, Result<(), StoreError>> {
        let connection = connection.to_owned();
        self.ask(|reply| Job::Prune(connection, at, reply))
    }

    fn load_value(&self, name: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let name = name.to_owned();
        async move { self.reader().await?.value(&name).await }.boxed()
    }

    fn save_value(
        &self,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let name = name.to_owned();
        self.ask(|reply| Job::Save(name, value, reply))
    }

    fn value_names(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let prefix = prefix.to_owned();
        async move { self.reader().await?.value_names(&prefix).await }.boxed()
    }
}
