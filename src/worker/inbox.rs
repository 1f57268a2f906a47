//! What the source told through a webhook joins the pages of scans: hints are fetched, payloads are taken
//! as they are, and both are judged by the same rules. The position moves with T1.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::connector::{Connector, Page};
use crate::plan::ObjectPlan;
use crate::record::{Class, Failure};
use crate::state::{Change, InboxPosition, Notice, StoreError};

use super::digest::Origin;
use super::fetch::{Fetched, Hint, fetch};
use super::{Event, Mode, News, Worker, backoff, now};

/// Most notices taken at once.
const MOST_NOTICES: usize = 200;

/// How often the store is asked without having been told: another process may have received something.
const POLL: Duration = Duration::from_secs(1);

/// How often what all Syncs have taken is removed.
const PRUNE: Duration = Duration::from_secs(60);

/// Delays between tries to fetch.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The way of a Sync through its source's inbox.
pub struct Inbox {
    connection: String,
    /// Notices are being read, fetched or judged.
    busy: bool,
    /// There may be some that were not looked at.
    news: bool,
    heard: u64,
    polled: Instant,
    pruned: Option<Instant>,
    attempts: u32,
    not_before: Instant,
}

/// Notices with their records.
pub struct Told {
    fetched: Fetched,
    after: u64,
    /// There may be more.
    more: bool,
}

impl Inbox {
    fn new(connection: String) -> Self {
        Self {
            connection,
            busy: false,
            news: true,
            heard: 0,
            polled: Instant::now(),
            pruned: None,
            attempts: 0,
            not_before: Instant::now(),
        }
    }

    /// Nothing is left to do, as far as is known.
    pub fn is_idle(&self) -> bool {
        !self.busy && !self.news
    }

    /// Notices are on their way that are not judged yet.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Something new was kept, perhaps for this Connection.
    pub fn hear(&mut self, news: &News) {
        let count = news.get(&self.connection).copied().unwrap_or(0);
        self.news |= count != self.heard;
        self.heard = count;
    }

    /// When it wants to be asked again.
    pub fn wake_at(&self) -> Instant {
        // Whatever else keeps it from going on wakes the engine by an event of its own.
        if self.news && !self.busy && self.not_before > Instant::now() {
            self.not_before
        } else {
            self.polled.max(Instant::now()) + POLL
        }
    }
}

impl Worker {
    /// Takes up the inbox where this Sync left it. A Sync that sees it for the first time begins at its
    /// end: its scan begins later and so sees everything that was told before.
    pub(super) async fn open_inbox(&mut self) -> Result<(), StoreError> {
        let plan = self.plan().clone();
        if plan.webhook.is_none() {
            self.state.inbox = None;
            return Ok(());
        }
        let source = &plan.source.connection;
        let connection = format!("{}/{}", source.namespace, source.name);
        let known = self.state.inbox.as_ref();
        if known.is_none_or(|position| position.connection != connection) {
            let after = self.setup.store.inbox_end().await?;
            self.state.inbox = Some(InboxPosition {
                connection: connection.clone(),
                after,
            });
            let state = Change::State(Box::new(self.state.clone()));
            self.commit(vec![state]).await?;
        }
        self.inbox = Some(Inbox::new(connection));
        Ok(())
    }

    /// Reads what is new in the inbox when there is room for it.
    pub(super) fn read_inbox(&mut self) {
        let room = self.has_room(self.pages);
        let Some(inbox) = self.inbox.as_mut().filter(|_| room) else {
            return;
        };
        if inbox.polled.elapsed() >= POLL {
            inbox.news = true;
        }
        if inbox.busy || !inbox.news || inbox.not_before > Instant::now() {
            return;
        }
        (inbox.busy, inbox.news, inbox.polled) = (true, false, Instant::now());
        let connection = inbox.connection.clone();
        let after = self.state.inbox.as_ref().map_or(0, |p| p.after);
        let (store, source) = (self.setup.store.clone(), self.setup.source.clone());
        let object = self.plan().source.object.clone();
        let began = self.recency.begin();
        self.push(async move {
            let notices = store.inbox(&connection, after, MOST_NOTICES).await?;
            let told = follow(&source, &object, notices, after).await;
            Ok(Event::Told(began, told))
        });
        self.prune_inbox();
    }

    fn prune_inbox(&mut self) {
        let Some(inbox) = &mut self.inbox else { return };
        if inbox.pruned.is_some_and(|at| at.elapsed() < PRUNE) {
            return;
        }
        inbox.pruned = Some(Instant::now());
        let (store, connection) = (self.setup.store.clone(), inbox.connection.clone());
        self.push(async move {
            store.prune_inbox(&connection, now()).await?;
            Ok(Event::Committed(Vec::new(), 0))
        });
    }

    /// Notices and their records are there, or the source could not be asked.
    pub(super) fn told(&mut self, began: Instant, told: Result<Told, Failure>) {
        let told = match told {
            Ok(told) => told,
            Err(failure) => {
                self.recency.end(began);
                self.inbox_failed(failure);
                return;
            }
        };
        let Some(inbox) = &mut self.inbox else { return };
        inbox.attempts = 0;
        inbox.news |= told.more;
        let moved = self
            .state
            .inbox
            .as_ref()
            .is_some_and(|p| p.after != told.after);
        if !moved {
            inbox.busy = false;
            self.recency.end(began);
            return;
        }
        self.pages += 1;
        let page = Page {
            records: told.fetched.records,
            position: Value::Null,
            last: false,
            token: None,
            parents: Vec::new(),
            ignored: 0,
        };
        let origin = Origin::Inbox {
            after: told.after,
            broken: told.fetched.broken,
        };
        self.look_up(page, origin, began);
    }

    /// What was told is judged, and its position is part of the state that is committed now; or it has to
    /// be read again.
    pub(super) fn inbox_judged(&mut self, after: u64, again: bool) {
        let Some(inbox) = &mut self.inbox else { return };
        inbox.busy = false;
        if again {
            inbox.news = true;
            inbox.not_before = Instant::now() + FIRST_DELAY;
        } else if let Some(position) = &mut self.state.inbox {
            position.after = after;
        }
    }

    fn inbox_failed(&mut self, failure: Failure) {
        let stalls = matches!(failure.class, Class::Configuration | Class::Authentication)
            || matches!(self.setup.mode, Mode::Once { .. });
        if let Some(inbox) = &mut self.inbox {
            inbox.busy = false;
            inbox.news = true;
            let wait = failure.retry_after_ms.map(Duration::from_millis);
            let delay = backoff(FIRST_DELAY, LONGEST_DELAY, inbox.attempts);
            inbox.attempts = inbox.attempts.saturating_add(1);
            inbox.not_before = Instant::now() + wait.unwrap_or(delay);
        }
        if stalls {
            let error = self.source_error(failure);
            self.error.get_or_insert(error);
        } else {
            tracing::warn!(sync = %self.session.sync, "what a webhook told cannot be fetched, tried again: {failure}");
        }
    }
}

/// What the notices speak of this object's records.
async fn follow(
    source: &Connector,
    object: &ObjectPlan,
    notices: Vec<(u64, Notice)>,
    after: u64,
) -> Result<Told, Failure> {
    let more = notices.len() == MOST_NOTICES;
    let after = notices.last().map_or(after, |(number, _)| *number);
    let ours = notices
        .into_iter()
        .filter(|(_, notice)| notice.object == object.name);
    let hints = ours.map(|(_, notice)| match (notice.record, notice.problem) {
        (record, Some(problem)) => Hint::Broken {
            said: record.unwrap_or_default(),
            problem,
        },
        (Some(record), None) => Hint::Record(record),
        (None, None) => Hint::Fetch {
            key: notice.key,
            deleted: false,
        },
    });
    Ok(Told {
        fetched: fetch(source, object, hints.collect()).await?,
        after,
        more,
    })
}
