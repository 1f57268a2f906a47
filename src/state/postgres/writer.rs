//! The one task of a process that writes to PostgreSQL. It takes all commits that wait as one transaction,
//! answers when that is durable, and connects anew after a loss. Started by the store.
//!
//! A Sync belongs to the connection on which it was opened. When that is lost, a commit may have taken effect
//! or not, so every Sync of it must be opened again: nothing is assumed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::record::{Fingerprint, SyncName};
use crate::state::{
    Change, Closing, Keep, Millis, OnMismatch, Session, StoreError, SyncState, Takeover, Which,
};

use super::connect::{ANSWER, Access, Backend, Link};
use super::inbox::Received;
use super::transaction::transaction;
use super::write::Statements;
use super::{control, dead_letters, error, inbox};

/// Most commits in one transaction, so that nobody waits long for the first of them.
const LARGEST_GROUP: usize = 256;

/// Most bytes of new segments in one transaction, over those of a single commit.
const LARGEST_BYTES: usize = 16 << 20;

/// Longest time for taking over or resetting a Sync, and for what is done to all dead letters of one.
const LONG_ANSWER: Duration = Duration::from_secs(300);

/// Delay before the second attempt to connect in a row; doubles up to [`LONGEST_DELAY`].
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked for.
pub enum Job {
    Open {
        sync: SyncName,
        identity: Fingerprint,
        on: OnMismatch,
        reply: Reply<(Session, SyncState)>,
    },
    Commit(Commit),
    Replay(Session, Which, Reply<u64>),
    Discard(Session, Which, Closing, Reply<u64>),
    ExpireDeadLetters(Session, Keep, Millis, usize, Reply<u64>),
    Expire(SyncName, Option<Millis>, Reply<()>),
    Forget(SyncName, Reply<()>),
    Save(String, Option<Vec<u8>>, Reply<()>),
    Receive(Received, Reply<u64>),
    Prune(String, Millis, Reply<()>),
}

pub struct Commit {
    pub session: Session,
    pub changes: Vec<Change>,
    pub reply: Reply<()>,
}

/// The task's own state.
pub struct Writer {
    access: Access,
    takeover: Takeover,
    link: Option<(Link, Statements)>,
    /// The backend of the last connection, which may outlive it on the server.
    last: Option<Backend>,
    /// The Syncs opened here: their epoch, and why nothing more is taken for them.
    sessions: HashMap<i64, (i64, Option<StoreError>)>,
    attempts: u32,
    not_before: Instant,
}

impl Writer {
    pub fn new(access: Access, takeover: Takeover, link: Link, statements: Statements) -> Self {
        Self {
            access,
            takeover,
            link: Some((link, statements)),
            last: None,
            sessions: HashMap::new(),
            attempts: 0,
            not_before: Instant::now(),
        }
    }

    /// Works until the store is dropped.
    pub async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let mut next = None;
        loop {
            let Some(job) = (match next.take() {
                Some(job) => Some(job),
                None => jobs.recv().await,
            }) else {
                return;
            };
            match job {
                Job::Receive(first, reply) => {
                    let mut group = vec![(first, reply)];
                    next = inbox::gather(&mut group, &mut jobs);
                    self.receive(group).await;
                }
                Job::Commit(first) => {
                    let mut group = vec![first];
                    next = fill(&mut group, &mut jobs);
                    self.commit(group).await;
                }
                other => self.single(other).await,
            }
        }
    }

    /// One job that is a transaction of its own. Nobody may be there to hear the answer any more, which
    /// changes nothing.
    async fn single(&mut self, job: Job) {
        match job {
            Job::Open {
                sync,
                identity,
                on,
                reply,
            } => {
                let _ = reply.send(self.open(&sync, identity, on).await);
            }
            Job::Replay(session, which, reply) => {
                let done = self.work(LONG_ANSWER, async |client| {
                    dead_letters::replay(client, &session, &which).await
                });
                let _ = reply.send(done.await);
            }
            Job::Discard(session, which, closing, reply) => {
                let done = self.work(LONG_ANSWER, async |client| {
                    dead_letters::discard(client, &session, &which, &closing).await
                });
                let _ = reply.send(done.await);
            }
            Job::ExpireDeadLetters(session, keep, at, limit, reply) => {
                let done = self.work(LONG_ANSWER, async |client| {
                    dead_letters::expire(client, &session, keep, at, limit).await
                });
                let _ = reply.send(done.await);
            }
            Job::Expire(sync, at, reply) => {
                let done = self.work(ANSWER, async |client| {
                    control::expire(client, &sync, at).await
                });
                let _ = reply.send(done.await);
            }
            Job::Forget(sync, reply) => {
                let done = self.work(LONG_ANSWER, async |client| {
                    control::forget(client, &sync).await
                });
                let _ = reply.send(done.await);
            }
            Job::Save(name, value, reply) => {
                let done = self.work(ANSWER, async |client| {
                    control::save_value(client, &name, value.as_deref()).await
                });
                let _ = reply.send(done.await);
            }
            Job::Prune(connection, at, reply) => {
                let done = self.work(ANSWER, async |client| {
                    inbox::prune(client, &connection, at).await
                });
                let _ = reply.send(done.await);
            }
            Job::Receive(received, reply) => self.receive(vec![(received, reply)]).await,
            Job::Commit(commit) => self.commit(vec![commit]).await,
        }
    }

    /// Keeps what several callers received, as one transaction.
    async fn receive(&mut self, group: Vec<(Received, Reply<u64>)>) {
        let (received, replies): (Vec<Received>, Vec<_>) = group.into_iter().unzip();
        let place = Arc::clone(&self.access.place);
        let done = self
            .work_to(ANSWER, async |client, statements| {
                inbox::receive(client, statements, &place, &received).await
            })
            .await;
        for (at, reply) in replies.into_iter().enumerate() {
            // Whoever sent the event may have gone; it is kept all the same.
            let _ = reply.send(done.as_ref().map(|new| new[at]).map_err(Clone::clone));
        }
    }

    async fn open(
        &mut self,
        sync: &SyncName,
        identity: Fingerprint,
        on: OnMismatch,
    ) -> Result<(Session, SyncState), StoreError> {
        let (place, takeover) = (Arc::clone(&self.access.place), self.takeover);
        let opened = self
            .work_to(LONG_ANSWER, async |client, _| {
                // Forgetting a large Sync takes longer than a statement may otherwise.
                let patient = "SET statement_timeout = 0";
                client
                    .batch_execute(patient)
                    .await
                    .map_err(|e| error::translate(&place, &e))?;
                let opened = control::open(client, &place, sync, identity, on, takeover).await;
                let usual = "RESET statement_timeout";
                client
                    .batch_execute(usual)
                    .await
                    .map_err(|e| error::translate(&place, &e))?;
                opened
            })
            .await?;
        self.sessions.insert(opened.0.id, (opened.0.epoch, None));
        Ok(opened)
    }

    async fn work<T>(
        &mut self,
        longest: Duration,
        work: impl AsyncFnOnce(&mut tokio_postgres::Client) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.access.place);
        self.work_to(longest, async |client, _| {
            work(client).await.map_err(|e| error::translate(&place, &e))
        })
        .await
    }

    /// Works on the connection; gives it up when it has ended or says nothing for too long.
    async fn work_to<T>(
        &mut self,
        longest: Duration,
        work: impl AsyncFnOnce(&mut tokio_postgres::Client, &Statements) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.connect().await?;
        let lost = StoreError::Lost {
            place: self.access.place.to_string(),
        };
        let Some((link, statements)) = &mut self.link else {
            return Err(lost);
        };
        let result = match tokio::time::timeout(longest, work(&mut link.client, statements)).await {
            Ok(result) => result,
            Err(_) => Err(lost),
        };
        if matches!(result, Err(StoreError::Lost { .. })) || link.client.is_closed() {
            self.lose();
        }
        result
    }

    /// Commits a group: all that are refused are told so, the others share a transaction.
    async fn commit(&mut self, group: Vec<Commit>) {
        let closed = self
            .link
            .as_ref()
            .is_none_or(|(link, _)| link.client.is_closed());
        if closed {
            self.lose();
        }
        let (mut kept, mut replies) = (Vec::new(), Vec::new());
        for commit in group {
            match self.refusal(&commit.session) {
                Some(error) => drop(commit.reply.send(Err(error))),
                None => {
                    kept.push((commit.session, commit.changes));
                    replies.push(commit.reply);
                }
            }
        }
        if kept.is_empty() {
            return;
        }
        let sessions: Vec<Session> = kept.iter().map(|(session, _)| session.clone()).collect();
        let Some((link, statements)) = &self.link else {
            return;
        };
        let work = transaction(&link.client, statements, kept);
        let result = match tokio::time::timeout(ANSWER, work).await {
            Ok(Ok(fenced)) => Ok(fenced),
            Ok(Err(e)) => Err(error::translate(&self.access.place, &e)),
            Err(_) => Err(StoreError::Lost {
                place: self.access.place.to_string(),
            }),
        };
        if matches!(result, Err(StoreError::Lost { .. })) || link.client.is_closed() {
            self.lose();
        }
        for (session, reply) in sessions.iter().zip(replies) {
            let answer = match &result {
                Ok(fenced) if fenced.contains(&(session.id, session.epoch)) => {
                    Err(StoreError::Fenced {
                        sync: session.sync.clone(),
                    })
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error.clone()),
            };
            if let (Err(error), Some(held)) = (&answer, self.sessions.get_mut(&session.id))
                && held.0 == session.epoch
            {
                held.1.get_or_insert_with(|| error.clone());
            }
            // The caller may have gone; the transaction stands all the same.
            let _ = reply.send(answer);
        }
    }

    /// Why a session may not commit, as far as is known here.
    fn refusal(&self, session: &Session) -> Option<StoreError> {
        match self.sessions.get(&session.id) {
            Some((epoch, failure)) if *epoch == session.epoch => failure.clone(),
            Some(_) => Some(StoreError::Fenced {
                sync: session.sync.clone(),
            }),
            None => Some(StoreError::Lost {
                place: self.access.place.to_string(),
            }),
        }
    }

    /// The connection is gone, and with it the right to change what was opened on it.
    fn lose(&mut self) {
        if let Some((link, _)) = self.link.take() {
            self.last = Some(link.backend.clone());
        }
        for (_, failure) in self.sessions.values_mut() {
            failure.get_or_insert_with(|| StoreError::Lost {
                place: self.access.place.to_string(),
            });
        }
    }

    /// Sees to it that there is a connection; waits before the next attempt after one that failed.
    async fn connect(&mut self) -> Result<(), StoreError> {
        if self
            .link
            .as_ref()
            .is_some_and(|(link, _)| !link.client.is_closed())
        {
            return Ok(());
        }
        self.lose();
        tokio::time::sleep_until(self.not_before).await;
        let attempt = async {
            let link = self.access.link().await?;
            let prepared = async {
                control::end(&link.client, self.last.as_ref()).await?;
                Statements::prepare(&link.client).await
            };
            let statements = prepared
                .await
                .map_err(|e| error::translate(&self.access.place, &e))?;
            Ok((link, statements))
        };
        match attempt.await {
            Ok(link) => {
                self.link = Some(link);
                self.last = None;
                self.attempts = 0;
                Ok(())
            }
            Err(error) => {
                let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(self.attempts.min(16)));
                self.not_before = Instant::now() + delay.min(LONGEST_DELAY);
                self.attempts = self.attempts.saturating_add(1);
                Err(error)
            }
        }
    }
}

/// Takes the commits that wait, up to a bound; gives back the first job that is something else.
fn fill(group: &mut Vec<Commit>, jobs: &mut mpsc::UnboundedReceiver<Job>) -> Option<Job> {
    let weight = |commit: &Commit| -> usize {
        let weigh = |change: &Change| match change {
            Change::Segment { body, .. } => body.len(),
            _ => 0,
        };
        commit.changes.iter().map(weigh).sum()
    };
    let mut bytes = group.iter().map(weight).sum::<usize>();
    while group.len() < LARGEST_GROUP && bytes < LARGEST_BYTES {
        match jobs.try_recv() {
            Ok(Job::Commit(commit)) => {
                bytes += weight(&commit);
                group.push(commit);
            }
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}
