//! Supervises one Sync: starts its worker when it is time, restarts it after a failure, replaces it when
//! it is told to do something else. The old worker is gone before the new one starts.
//! One task for each Sync, started by `tasks`.

mod conclude;
mod memory;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::record::SyncName;
use crate::state::{Millis, SyncState};
use crate::worker::{Mode, News, Progress, RunError, now};

use super::changes::Changes;
use super::order::{Desired, Order, Snapshot};
use super::site::{Run, Site};
use super::timing::{jitter, next_scan};
use conclude::lost;

/// How long a worker that has nothing to do waits for retries before its run ends.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a worker that is told to stop may finish what it has sent.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// The least time between two starts of a worker for records that are due.
const BREATH: Duration = Duration::from_secs(2);
/// The same for what a webhook told.
const NEWS_BREATH: Duration = Duration::from_millis(100);
/// For so many milliseconds after its start a process takes up Syncs that were there before.
const STARTING: Millis = 60_000;
/// The longest sleep, so that a clock that was set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// What the supervisor of a Sync is told.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub desired: Desired,
    /// Raised when a failure may be over: a Secret has changed, a system answers again.
    pub nudges: u64,
}

/// What all supervisors share.
pub(super) struct Shared {
    pub site: Arc<Site>,
    pub started: Millis,
    /// When this process took over from one that did not let go by itself.
    pub taken_over: Option<Millis>,
    /// How many workers run at once.
    pub permits: Semaphore,
    pub changes: Arc<Changes<SyncName>>,
}

/// The supervisor of one Sync.
pub(super) struct Supervisor {
    pub name: SyncName,
    pub shared: Arc<Shared>,
    pub told: watch::Receiver<Told>,
    pub shown: watch::Sender<Snapshot>,
    pub progress: Arc<Progress>,
    state: Option<SyncState>,
    /// When the first record is due that is to be tried again.
    due: Option<Millis>,
    /// Failures in a row that were the worker's or the store's.
    failures: u32,
    links: watch::Receiver<u64>,
    news: watch::Receiver<News>,
    /// How much of that was known when the last turn began; `None`: nobody has looked yet.
    heard: Option<u64>,
    /// What the last run was of.
    seen: Option<Occasion>,
    last_turn: Option<Instant>,
    /// Overdue runs of a start are spread: none begins before this.
    not_before: Millis,
}

/// What a run was of: when any of it is another, what failed may not fail again.
#[derive(Clone, Debug, PartialEq)]
struct Occasion {
    version: crate::record::Fingerprint,
    nudges: u64,
    /// What a person said about state of other systems, and about deletes that are held back.
    said: (Option<String>, Option<String>),
}

/// How a run ended.
enum Ended {
    Reported(Option<RunError>),
    /// It panicked, or did not stop in time.
    Lost(String),
}

/// How often something was received for the Sync's source.
fn heard(news: &News, order: &Order) -> u64 {
    let source = &order.plan.source.connection;
    let name = format!("{}/{}", source.namespace, source.name);
    news.get(&name).copied().unwrap_or(0)
}

/// Waits until a webhook told something that no turn knew of; for ever where the Sync has none. What an
/// earlier process left is looked for once.
async fn received(news: &mut watch::Receiver<News>, order: &Order, known: Option<u64>) {
    let fresh = |news: &News| known != Some(heard(news, order));
    if order.plan.webhook.is_none() || news.wait_for(fresh).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Why a worker is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Scan,
    /// Only for records that were left over.
    Rest,
}

impl Supervisor {
    pub fn new(
        name: SyncName,
        shared: Arc<Shared>,
        told: watch::Receiver<Told>,
        shown: watch::Sender<Snapshot>,
        progress: Arc<Progress>,
    ) -> Self {
        let (links, news) = (shared.site.links(), shared.site.news());
        Self {
            name,
            shared,
            told,
            shown,
            progress,
            state: None,
            due: None,
            failures: 0,
            links,
            news,
            heard: None,
            seen: None,
            last_turn: None,
            not_before: 0,
        }
    }

    /// Until the Sync is gone, or the process lets go of it.
    pub async fn run(mut self) {
        self.load().await;
        loop {
            let told = self.told.borrow_and_update().clone();
            match told.desired {
                Desired::Gone { retention } => return self.retire(retention).await,
                Desired::Rest => {
                    self.failures = 0;
                    self.seen = None;
                    self.show(|s| {
                        s.next_run = None;
                        s.ailment = None;
                    });
                    if self.told.changed().await.is_err() {
                        return;
                    }
                }
                Desired::Run(order) => {
                    if !self.turn(&order, told.nudges).await {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for the next turn and takes it, or returns early when told something else. False: the
    /// process lets go.
    async fn turn(&mut self, order: &Order, nudges: u64) -> bool {
        self.look_at(order, nudges).await;
        let Some((at, turn)) = self.next(order) else {
            return self.told.changed().await.is_ok();
        };
        let at = at.max(self.quiet(order));
        let waits_for_links = self.shown.borrow().totals.waiting > 0;
        let rest = Duration::from_millis(at.saturating_sub(now()).max(0).unsigned_abs());
        let mut breath = BREATH;
        // What was told to a Sync that cannot run waits, as its scans do.
        let healthy = self.shown.borrow().ailment.is_none();
        let turn = tokio::select! {
            changed = self.told.changed() => return changed.is_ok(),
            () = received(&mut self.news, order, self.heard), if healthy => {
                breath = NEWS_BREATH;
                Turn::Rest
            }
            changed = self.links.changed(), if waits_for_links => {
                if changed.is_err() { return false; }
                Turn::Rest
            }
            () = tokio::time::sleep(rest.min(LONGEST_SLEEP)) => {
                if rest > LONGEST_SLEEP { return true; }
                turn
            }
        };
        if turn == Turn::Rest
            && let Some(last) = self.last_turn
            && last.elapsed() < breath
        {
            tokio::select! {
                changed = self.told.changed() => return changed.is_ok(),
                () = tokio::time::sleep_until(last + breath) => {}
            }
        }
        let shared = Arc::clone(&self.shared);
        let permit = tokio::select! {
            changed = self.told.changed() => return changed.is_ok(),
            permit = shared.permits.acquire() => permit,
        };
        if permit.is_err() || !shared.site.fence().holds() {
            return self.told.changed().await.is_ok();
        }
        let request = self.request(order, turn);
        self.heard = Some(heard(&self.news.borrow_and_update(), order));
        let ended = self.work(order, turn).await;
        self.last_turn = Some(Instant::now());
        self.conclude(order, turn, ended).await;
        if let Some(request) = request {
            // Answered last: whoever waits for the answer finds the run that was asked for.
            self.show(|s| s.handled = Some(request));
        }
        true
    }

    /// The request that this turn answers.
    fn request(&self, order: &Order, turn: Turn) -> Option<String> {
        let handled = self.shown.borrow().handled.clone();
        let request = order.open_request(handled.as_deref());
        request.filter(|_| turn == Turn::Scan).map(str::to_owned)
    }

    /// Another version, a person's word, or a nudge gives a failed Sync a new chance.
    async fn look_at(&mut self, order: &Order, nudges: u64) {
        let occasion = Occasion {
            version: order.version,
            nudges,
            said: (order.state.clone(), order.allow_deletes.clone()),
        };
        if self.seen.as_ref() == Some(&occasion) {
            return;
        }
        if self.seen.is_none() {
            self.unretire().await;
            // Only those that a start finds overdue come all at once.
            if now().saturating_sub(self.shared.started) < STARTING {
                let spread = jitter(&order.plan.trigger, now(), getrandom::u64().unwrap_or(0));
                self.not_before = now().saturating_add(spread);
            }
        } else {
            self.not_before = 0;
        }
        let again = self.seen.is_some();
        if again
            && self
                .seen
                .as_ref()
                .is_some_and(|seen| seen.said != occasion.said)
        {
            self.overdue();
        }
        self.seen = Some(occasion);
        self.failures = 0;
        let last = self.state.as_ref().and_then(|s| s.last_run.as_ref());
        if last.is_some_and(|run| run.outcome == "Failed") {
            // Whoever changed something wants to see what it does: the next scan is due now.
            self.overdue();
        }
        if self.shown.borrow().ailment.is_some() {
            self.show(|s| s.ailment = None);
            self.overdue();
        }
        if again {
            // Something was changed to make it well.
            self.show(|s| s.tried = true);
        }
    }

    /// Makes the next scan due now.
    fn overdue(&mut self) {
        if let Some(state) = &mut self.state {
            state.last_run = None;
            state.scanned = None;
        }
    }

    /// When the next turn is, and what for; `None`: never by itself.
    fn next(&mut self, order: &Order) -> Option<(Millis, Turn)> {
        let at = now();
        let shown = self.shown.borrow().clone();
        if order.open_request(shown.handled.as_deref()).is_some() {
            return Some((at, Turn::Scan));
        }
        if let Some(ailment) = &shown.ailment {
            return ailment.next_attempt.map(|next| (next, Turn::Scan));
        }
        let mut scan = next_scan(&order.plan.trigger, self.state.as_ref(), at);
        if self.state.is_some() {
            scan = scan.max(self.not_before);
        }
        self.show(|s| s.next_run = Some(scan));
        Some(match self.due {
            Some(due) if due < scan => (due.max(at), Turn::Rest),
            _ => (scan, Turn::Scan),
        })
    }

    /// When it is sure that nothing is under way any more that another process sent.
    fn quiet(&self, order: &Order) -> Millis {
        let plan = &order.plan;
        let longest = plan
            .source
            .connection
            .timeout
            .max(plan.target.connection.timeout);
        let longest = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        self.shared
            .taken_over
            .map_or(0, |at| at.saturating_add(longest))
    }

    /// Runs the worker in a task of its own until it ends or is told to stop.
    async fn work(&mut self, order: &Order, turn: Turn) -> Ended {
        let (stop, stopped) = watch::channel(false);
        let run = Run {
            plan: Arc::clone(&order.plan),
            progress: Arc::clone(&self.progress),
            mode: Mode::Once { patience: PATIENCE },
            scan: turn == Turn::Scan,
            witness: None,
            full: false,
            on: order.on_mismatch(),
            allow_deletes: order.allow_deletes(),
            stop: stopped,
        };
        self.shown.send_modify(|s| s.running = true);
        let site = Arc::clone(&self.shared.site);
        // A set, because it ends its task when this future is dropped.
        let mut task = JoinSet::new();
        task.spawn(async move { site.run(run).await });
        let mut deadline = None;
        loop {
            tokio::select! {
                Some(result) = task.join_next() => {
                    return match result {
                        Ok((_, error)) => Ended::Reported(error),
                        Err(error) => Ended::Lost(lost(error)),
                    };
                }
                changed = self.told.changed(), if deadline.is_none() => {
                    let other = changed.is_err() || self.told_other(order);
                    if other {
                        stop.send_replace(true);
                        deadline = Some(Instant::now() + GRACE);
                    }
                }
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    task.abort_all();
                    deadline = Some(Instant::now() + GRACE);
                }
            }
        }
    }

    /// Whether something else than what is under way is wanted now.
    fn told_other(&mut self, order: &Order) -> bool {
        match &self.told.borrow_and_update().desired {
            Desired::Run(new) => new.version != order.version,
            Desired::Rest | Desired::Gone { .. } => true,
        }
    }

    /// Shows what changed, and says so if anything did.
    fn show(&self, change: impl FnOnce(&mut Snapshot)) {
        let changed = self.shown.send_if_modified(|shown| {
            let before = shown.clone();
            change(shown);
            *shown != before
        });
        if changed {
            self.shared.changes.add(self.name.clone());
        }
    }
}
