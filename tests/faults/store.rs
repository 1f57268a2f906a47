//! A real store that one life of an engine sees through faults: it ends at a commit, a commit fails, its answer
//! is lost, the clock jumps at it, it is held back until another worker has taken over, or all take their time. Made
//! by `life`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use syncline::record::{Fingerprint, Key, SyncName, TargetId};
use syncline::state::{
    Change, Closed, Closing, Delivered, Exception, Holder, Keep, Known, Link, Millis, Notice,
    OnMismatch, Pick, Present, Session, Store, StoreError, Stored, SyncState, Totals, Which,
};
use tokio::sync::watch;

use crate::killer::{Killer, Moment};

/// What is wrong with one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It fails, and nothing is kept.
    Fails,
    /// Another program has locked the database for too long.
    Locked,
    /// The disk is full.
    Full,
    /// It is kept, and the answer says that this is not known.
    Unknown,
    /// It is held back until [`Flaky::release`].
    Held,
}

/// When the clock of an engine jumps, and to what beside the right time, in milliseconds.
pub struct Jump {
    pub clock: Arc<AtomicI64>,
    /// With the n-th commit.
    pub at: u64,
    pub to: i64,
}

pub struct Flaky {
    inner: Arc<dyn Store>,
    killer: Arc<Killer>,
    /// How long each commit takes, so that much else happens before it is kept.
    slow: Option<Duration>,
    /// The last of those that is kept.
    kept: watch::Sender<u64>,
    /// At the n-th commit.
    flaw: Option<(Flaw, u64)>,
    jump: Option<Jump>,
    commits: AtomicU64,
    /// What every commit is refused with after one that failed.
    broken: OnceLock<StoreError>,
    held: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Flaky {
    pub fn new(
        inner: Arc<dyn Store>,
        killer: Arc<Killer>,
        slow: Option<Duration>,
        flaw: Option<(Flaw, u64)>,
        jump: Option<Jump>,
    ) -> Self {
        Self {
            inner,
            killer,
            slow,
            kept: watch::Sender::new(0),
            flaw,
            jump,
            commits: AtomicU64::new(0),
            broken: OnceLock::new(),
            held: watch::Sender::new(false),
            released: watch::Sender::new(false),
        }
    }

    /// Waits until a commit is held back.
    pub async fn holds(&self) {
        // The sender lives as long as `self`.
        let _ = self.held.subscribe().wait_for(|held| *held).await;
    }

    /// Keeps what is the n-th to be kept, after those before it.
    fn commit_slowly(
        &self,
        nth: u64,
        delay: Duration,
        session: &Session,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        let (inner, killer) = (Arc::clone(&self.inner), Arc::clone(&self.killer));
        let (session, kept) = (session.clone(), self.kept.clone());
        async move {
            // The sender lives as long as this.
            let _ = kept.subscribe().wait_for(|last| *last + 1 == nth).await;
            tokio::time::sleep(delay).await;
            if killer.is_dead() || killer.passes(Moment::BeforeCommit) {
                return never().await;
            }
            let answer = inner.commit(&session, changes).await;
            kept.send_replace(nth);
            if killer.is_dead() || killer.passes(Moment::AfterCommit) {
                return never().await;
            }
            answer
        }
        .boxed()
    }

    /// Asks the store in a task of its own: a worker that is held back must not keep a connection from others.
    fn apart<T: Send + 'static>(
        &self,
        ask: impl FnOnce(Arc<dyn Store>) -> BoxFuture<'static, T> + Send + 'static,
    ) -> BoxFuture<'static, T> {
        let asked = ask(Arc::clone(&self.inner));
        async move { tokio::spawn(asked).await.expect("the store answers") }.boxed()
    }

    pub fn release(&self) {
        self.released.send_replace(true);
    }
}

fn not_kept() -> StoreError {
    StoreError::Lost {
        place: "a store that fails on purpose".into(),
    }
}

fn refusal(flaw: Flaw) -> StoreError {
    let place = "a store that fails on purpose".into();
    match flaw {
        Flaw::Locked => StoreError::Busy { place, seconds: 10 },
        Flaw::Full => StoreError::Full { place },
        _ => not_kept(),
    }
}

fn never<T: Send + 'static>() -> BoxFuture<'static, T> {
    futures::future::pending().boxed()
}

impl Store for Flaky {
    fn open(
        &self,
        sync: &SyncName,
        identity: Fingerprint,
        on: OnMismatch,
    ) -> BoxFuture<'_, Result<(Session, SyncState), StoreError>> {
        self.inner.open(sync, identity, on)
    }

    fn commit(
        &self,
        session: &Session,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        if let Some(error) = self.broken.get() {
            return futures::future::err(error.clone()).boxed();
        }
        if self.killer.is_dead() {
            return never();
        }
        if self.slow.is_none() && self.killer.passes(Moment::BeforeCommit) {
            return never();
        }
        let nth = self.commits.fetch_add(1, SeqCst) + 1;
        // What comes after a commit that is held back is held back as well: commits keep their order.
        let is = |(flaw, at): (Flaw, u64)| {
            (at == nth || (at < nth && flaw == Flaw::Held)).then_some(flaw)
        };
        let flaw = self.flaw.and_then(is);
        if let Some(jump) = self.jump.as_ref().filter(|jump| jump.at == nth) {
            jump.clock.store(jump.to, SeqCst);
        }
        match flaw {
            Some(flaw @ (Flaw::Fails | Flaw::Locked | Flaw::Full)) => {
                let error = self.broken.get_or_init(|| refusal(flaw)).clone();
                return futures::future::err(error).boxed();
            }
            Some(Flaw::Unknown) => {
                self.broken.get_or_init(not_kept);
                let kept = self.inner.commit(session, changes);
                return async move { kept.await.and(Err(not_kept())) }.boxed();
            }
            Some(Flaw::Held) => {
                self.held.send_replace(true);
                let (inner, session) = (Arc::clone(&self.inner), session.clone());
                let mut released = self.released.subscribe();
                return async move {
                    // Whoever holds it back keeps the sender.
                    let _ = released.wait_for(|released| *released).await;
                    inner.commit(&session, changes).await
                }
                .boxed();
            }
            None => {}
        }
        if let Some(delay) = self.slow {
            return self.commit_slowly(nth, delay, session, changes);
        }
        let kept = self.inner.commit(session, changes);
        let killer = Arc::clone(&self.killer);
        async move {
            let kept = kept.await;
            if killer.is_dead() || killer.passes(Moment::AfterCommit) {
                return never().await;
            }
            kept
        }
        .boxed()
    }

    fn receive(
        &self,
        connection: &str,
        events: Vec<Delivered>,
        at: Millis,
    ) -> BoxFuture<'static, Result<u64, StoreError>> {
        if self.killer.is_dead() || self.killer.passes(Moment::BeforeReceive) {
            return never();
        }
        if let Some(error) = self.broken.get() {
            return futures::future::err(error.clone()).boxed();
        }
        self.inner.receive(connection, events, at)
    }

    fn outbox(&self, session: &Session) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let session = session.clone();
        self.apart(move |inner| Box::pin(async move { inner.outbox(&session).await }))
    }

    fn known(
        &self,
        session: &Session,
        keys: Vec<Key>,
        exceptions: bool,
    ) -> BoxFuture<'_, Result<Vec<Known>, StoreError>> {
        let session = session.clone();
        self.apart(move |inner| {
            Box::pin(async move { inner.known(&session, keys, exceptions).await })
        })
    }

    fn linked(
        &self,
        wanted: Vec<(SyncName, Key)>,
    ) -> BoxFuture<'_, Result<Vec<Option<TargetId>>, StoreError>> {
        self.apart(move |inner| Box::pin(async move { inner.linked(wanted).await }))
    }

    fn by_match(
        &self,
        session: &Session,
        matching: i64,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Holder>, StoreError>> {
        let session = session.clone();
        let except = except.clone();
        self.apart(move |inner| {
            Box::pin(async move { inner.by_match(&session, matching, &except).await })
        })
    }

    fn by_target(
        &self,
        session: &Session,
        target: &TargetId,
        except: &Key,
    ) -> BoxFuture<'_, Result<Option<Link>, StoreError>> {
        let (session, target, except) = (session.clone(), target.clone(), except.clone());
        self.apart(move |inner| {
            Box::pin(async move { inner.by_target(&session, &target, &except).await })
        })
    }

    fn present(
        &self,
        session: &Session,
        after: Option<&Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Present>, StoreError>> {
        let (session, after) = (session.clone(), after.cloned());
        self.apart(move |inner| {
            Box::pin(async move { inner.present(&session, after.as_ref(), limit).await })
        })
    }

    fn exceptions(
        &self,
        session: &Session,
        pick: Pick,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Exception>, StoreError>> {
        let session = session.clone();
        self.apart(move |inner| {
            Box::pin(async move { inner.exceptions(&session, pick, limit).await })
        })
    }

    fn next_due(
        &self,
        session: &Session,
        after: Millis,
    ) -> BoxFuture<'_, Result<Option<Millis>, StoreError>> {
        let session = session.clone();
        self.apart(move |inner| Box::pin(async move { inner.next_due(&session, after).await }))
    }

    fn totals(&self, session: &Session) -> BoxFuture<'_, Result<Totals, StoreError>> {
        let session = session.clone();
        self.apart(move |inner| Box::pin(async move { inner.totals(&session).await }))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<(Session, SyncState)>, StoreError>> {
        self.apart(move |inner| Box::pin(async move { inner.list().await }))
    }

    fn find(
        &self,
        sync: &SyncName,
    ) -> BoxFuture<'_, Result<Option<(Session, SyncState)>, StoreError>> {
        let sync = sync.clone();
        self.apart(move |inner| Box::pin(async move { inner.find(&sync).await }))
    }

    fn oldest_open(&self, session: &Session) -> BoxFuture<'_, Result<Option<Millis>, StoreError>> {
        let session = session.clone();
        self.apart(move |inner| Box::pin(async move { inner.oldest_open(&session).await }))
    }

    fn expire(&self, sync: &SyncName, at: Option<Millis>) -> BoxFuture<'_, Result<(), StoreError>> {
        let sync = sync.clone();
        self.apart(move |inner| Box::pin(async move { inner.expire(&sync, at).await }))
    }

    fn forget(&self, sync: &SyncName) -> BoxFuture<'_, Result<(), StoreError>> {
        let sync = sync.clone();
        self.apart(move |inner| Box::pin(async move { inner.forget(&sync).await }))
    }

    fn replay(&self, session: &Session, which: Which) -> BoxFuture<'_, Result<u64, StoreError>> {
        let session = session.clone();
        self.apart(move |inner| Box::pin(async move { inner.replay(&session, which).await }))
    }

    fn discard(
        &self,
        session: &Session,
        which: Which,
        closing: Closing,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.inner.discard(session, which, closing)
    }

    fn expire_dead_letters(
        &self,
        session: &Session,
        keep: Keep,
        at: Millis,
        limit: usize,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.inner.expire_dead_letters(session, keep, at, limit)
    }

    fn closed(
        &self,
        session: &Session,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Closed>, StoreError>> {
        self.inner.closed(session, limit)
    }

    fn inbox(
        &self,
        connection: &str,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<(u64, Notice)>, StoreError>> {
        let connection = connection.to_owned();
        self.apart(move |inner| {
            Box::pin(async move { inner.inbox(&connection, after, limit).await })
        })
    }

    fn inbox_end(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.apart(move |inner| Box::pin(async move { inner.inbox_end().await }))
    }

    fn prune_inbox(&self, connection: &str, at: Millis) -> BoxFuture<'_, Result<(), StoreError>> {
        let connection = connection.to_owned();
        self.apart(move |inner| Box::pin(async move { inner.prune_inbox(&connection, at).await }))
    }

    fn load_value(&self, name: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let name = name.to_owned();
        self.apart(move |inner| Box::pin(async move { inner.load_value(&name).await }))
    }

    fn value_names(&self, prefix: &str) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        self.inner.value_names(prefix)
    }

    fn save_value(
        &self,
        name: &str,
        value: Option<Vec<u8>>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let name = name.to_owned();
        self.apart(move |inner| Box::pin(async move { inner.save_value(&name, value).await }))
    }
}
