//! The sync worker: runs one Plan. A shell around the pure rooms: one task owns all state of a Sync,
//! futures bring it pages, answers and durable commits. Started by `runtime`.

mod absence;
mod answer;
mod base;
mod clock;
mod commit;
mod confirm;
mod crash;
mod digest;
mod doubt;
mod echo;
mod errors;
mod event;
mod feed;
mod fetch;
mod filter;
mod flight;
mod guard;
mod inbox;
mod missing;
mod outage;
mod outcome;
mod pace;
mod page;
mod past;
mod prepare;
mod reading;
mod recency;
mod recover;
mod redact;
mod release;
mod removal;
mod report;
mod resolve;
mod retention;
mod scan;
mod search;
mod seen;
mod send;
mod settle;
mod settled;
mod setup;
mod suspect;
mod target;
#[cfg(test)]
mod tests;
mod witness;

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::Instrument;

pub use crate::connector::Fence;
use crate::connector::Parents;
use crate::pipeline::echo::{Echoes, window};
use crate::plan::Plan;
use crate::record::{Failure, SyncName};
use crate::state::{Change, Counts, Millis, RunReport, Session, StoreError, SyncState};
use crate::telemetry::spans;
use crate::trial::{Bug, planted};
pub use clock::{backoff, now};
pub use outcome::Way;
pub use setup::{AllowDeletes, Board, Mode, News, Progress, RunError, Setup};
pub use target::{Target, known_after_run};
pub use witness::{Fate, Skip, Witness, Written};

use event::{Event, Finished, Match, Searched, Work};
use flight::Flights;
use reading::Reading;

/// Events handled in one turn of the engine.
const MOST_EVENTS: usize = 256;

/// Exceptions taken from the store at once.
const MOST_DUE: usize = 256;

/// How often a watching worker looks for what a command beside it has changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Failures to reach the target in a row before a run gives up.
const MOST_OUTAGES: u32 = 6;

/// The task of one Sync.
pub struct Worker {
    setup: Setup,
    session: Session,
    state: SyncState,
    counts: Counts,
    /// What of it was added to the figures of the Sync.
    metered: Counts,
    started: Millis,
    flights: Flights,
    work: FuturesUnordered<Work>,
    /// Requests to the target under way, and creates about to be sent.
    busy: usize,
    /// Pages between reading and T1.
    pages: usize,
    waiting_pages: VecDeque<JoinHandle<digest::Digest>>,
    /// Most records of the last page were new: the next ones are parsed and mapped before anybody asks
    /// the store about them.
    mostly_new: bool,
    /// Until the first scan of a Sync that the store knew nothing of has ended.
    fresh: Option<Arc<Mutex<filter::KeyFilter>>>,
    /// A page is being looked up; pages are judged one after another.
    judging: bool,
    /// Outcomes that wait for the commit under way.
    outcomes: Vec<outcome::Outcome>,
    settling: bool,
    /// When the last of these commits began.
    settled_at: Instant,
    reading: Option<Box<Reading>>,
    /// What each parent of a `forEach` was read up to, and those that this scan has read.
    parents: Arc<Parents>,
    read_parents: Vec<u64>,
    scanning: bool,
    /// Something of the scan under way could not be read again: its watermark stays.
    incomplete: bool,
    /// What the source's webhook told, where the Sync has one.
    inbox: Option<inbox::Inbox>,
    news: watch::Receiver<setup::News>,
    recency: recency::Recency,
    /// A full scan was asked for.
    full: bool,
    next_scan: Millis,
    /// When the next exception is due, as far as is known.
    due: Option<Millis>,
    asking_due: bool,
    /// The keys whose exceptions are written while the store is asked for them.
    meanwhile: recover::Meanwhile,
    has_exceptions: bool,
    has_waiting: bool,
    expiry: retention::Expiry,
    linked: watch::Receiver<u64>,
    held_until: Option<Instant>,
    outages: u32,
    outage: outage::Outage,
    guard: guard::Guard,
    absence: absence::Absence,
    suspicion: suspect::Suspicion,
    echoes: Echoes,
    missing: missing::Missing,
    recreated: u64,
    links_at_start: u64,
    /// Records of the scan whose cursor field could not be read.
    undated: u64,
    forbidden: u64,
    last_forbidden: Option<Failure>,
    /// What the last request that failed was told, for a run that leaves work for the next.
    last_failure: Option<String>,
    error: Option<RunError>,
    /// A page came, or a record came to an end.
    last_progress: Instant,
    last_look: Instant,
    last_state: Instant,
    dirty_segments: BTreeSet<u64>,
}

/// What the store keeps of a Sync by name, beside its state: to be forgotten with that.
pub fn names_of(sync: &SyncName) -> [String; 2] {
    [echo::echoes_name(sync), scan::parents_name(sync)]
}

impl Worker {
    /// Takes the Sync over in the store and recovers what the last worker left.
    pub async fn open(setup: Setup, on: crate::state::OnMismatch) -> Result<Self, StoreError> {
        let (session, state) = setup
            .store
            .open(&setup.plan.name, setup.plan.identity, on)
            .await?;
        let totals = setup.store.totals(&session).await?;
        let linked = setup.board.links.subscribe();
        let within = window(setup.plan.trigger.runs.period(now()));
        let echoes = Echoes::new(setup.plan.failures.echo_at, within);
        let full = setup.full;
        let next_scan = if setup.scan { 0 } else { Millis::MAX };
        let mut worker = Self {
            session,
            state,
            counts: Counts::default(),
            metered: Counts::default(),
            started: now(),
            flights: Flights::default(),
            work: FuturesUnordered::new(),
            busy: 0,
            pages: 0,
            waiting_pages: VecDeque::new(),
            mostly_new: totals.links == 0,
            fresh: None,
            judging: false,
            outcomes: Vec::new(),
            settling: false,
            settled_at: Instant::now(),
            reading: None,
            parents: Arc::default(),
            read_parents: Vec::new(),
            scanning: false,
            incomplete: false,
            inbox: None,
            news: setup.board.news.subscribe(),
            recency: recency::Recency::default(),
            full,
            next_scan,
            due: (totals.retrying + totals.unknown > 0).then_some(0),
            asking_due: false,
            meanwhile: recover::Meanwhile::default(),
            has_exceptions: totals.exceptions() > 0,
            has_waiting: totals.waiting > 0,
            expiry: retention::Expiry::default(),
            linked,
            held_until: None,
            outages: 0,
            outage: outage::Outage::new(totals.retrying + totals.unknown),
            guard: guard::Guard::new(totals.held > 0),
            absence: absence::Absence::default(),
            suspicion: suspect::Suspicion::default(),
            echoes,
            missing: missing::Missing::default(),
            recreated: 0,
            links_at_start: totals.links,
            undated: 0,
            forbidden: 0,
            last_forbidden: None,
            last_failure: None,
            error: None,
            last_progress: Instant::now(),
            last_look: Instant::now(),
            last_state: Instant::now(),
            dirty_segments: BTreeSet::new(),
            setup,
        };
        worker.linked.mark_changed();
        worker.load_parents().await?;
        worker.load_echoes().await?;
        worker.open_inbox().await?;
        worker.recover().await?;
        let nothing = totals.links + totals.removed == 0
            && totals.exceptions() == 0
            && worker.flights.is_empty();
        let filter = || Arc::new(Mutex::new(filter::KeyFilter::usual()));
        worker.fresh = nothing.then(filter);
        Ok(worker)
    }

    fn plan(&self) -> &Arc<Plan> {
        &self.setup.plan
    }

    /// Runs to the end (`Once`) or until told to stop (`Watch`); reports what was done.
    pub async fn run(mut self) -> (RunReport, Option<RunError>) {
        // At the level of errors: every line of a run says whose it is, whatever is logged.
        let span = tracing::error_span!("run", sync = %self.session.sync, run = self.session.epoch);
        let traced = spans::run(&self.session.sync, self.session.epoch);
        let driven = self.drive().instrument(traced.clone());
        let result = driven.instrument(span.clone()).await;
        if let Err(error) = result {
            self.error.get_or_insert(RunError::Store(error));
        }
        self.judge_forbidden();
        let report = self.report();
        if self.setup.scan {
            self.state.last_run = Some(report.clone());
        }
        if !matches!(self.error, Some(RunError::Store(_))) {
            let mut changes = self.give_up();
            changes.push(Change::State(Box::new(self.state.clone())));
            // A worker that was replaced must not write over what the next one counts.
            let kept = match self.commit(changes).await {
                Ok(()) => self.keep_echoes().await,
                refused => refused,
            };
            if let Err(error) = kept {
                self.error.get_or_insert(RunError::Store(error));
            }
        }
        span.in_scope(|| self.ended(&report, &traced));
        (report, self.error)
    }

    async fn drive(&mut self) -> Result<(), StoreError> {
        let mut stop = self.setup.stop.clone();
        let mut timer = std::pin::pin!(tokio::time::sleep_until(Instant::now()));
        loop {
            self.advance();
            if self.finished() {
                return Ok(());
            }
            let wake = self.wake_at();
            // Waking early does no harm, and setting a timer costs more than an event does.
            if wake < timer.deadline() || timer.is_elapsed() {
                timer.as_mut().reset(wake);
            }
            tokio::select! {
                events = poll_fn(|cx| ready(&mut self.work, cx)), if !self.work.is_empty() => {
                    for event in events {
                        self.handle(event?);
                    }
                }
                () = &mut timer => {}
                changed = self.linked.changed(), if self.has_waiting && !self.asking_due => {
                    if changed.is_ok() { self.ask_linked(); }
                }
                changed = self.news.changed(), if self.inbox.is_some() => {
                    if let (Ok(()), Some(inbox)) = (changed, &mut self.inbox) {
                        inbox.hear(&self.news.borrow_and_update());
                    }
                }
                _ = stop.wait_for(|stop| *stop), if !self.stopping() => {}
            }
        }
    }

    /// Nothing new is begun any more.
    fn stopping(&self) -> bool {
        self.error.is_some() || *self.setup.stop.borrow() || self.is_replaced()
    }

    /// Another worker may have taken this one's place.
    fn is_replaced(&self) -> bool {
        !self.setup.fence.holds() && !planted(Bug::ReplacedGoesOn)
    }

    /// Begins whatever can be begun.
    fn advance(&mut self) {
        self.suspect();
        if !self.stopping() {
            self.seek_absent();
            self.scan();
            self.look_around();
            self.read_inbox();
            self.ask_due();
            self.expire_dead_letters();
            self.fill();
        }
        self.guard();
        self.settle();
        self.show();
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Page(reading, page) => {
                if page.is_ok() {
                    self.last_progress = Instant::now();
                }
                self.page_read(reading, page);
            }
            Event::Known(page) => {
                self.last_progress = Instant::now();
                self.page_known(*page);
            }
            Event::Filed(flights) => self.page_filed(&flights),
            Event::Blocked(id) => self.blocked(id),
            Event::Told(began, told) => self.told(began, told),
            Event::Committed(flights, pages) => self.page_committed(&flights, pages),
            Event::Noted(flights) => self.send_noted(flights),
            Event::Settled(outcomes) => self.settled(outcomes),
            Event::Searched(id, searched) => self.searched(id, *searched),
            Event::Bound(id) => self.requeue(id),
            Event::Answered(ids, verb, answer) => self.answered(&ids, verb, answer),
            Event::AskedAfter(answer) => self.asked_after(answer),
            Event::Due(exceptions, next) => self.take_due(exceptions, next),
            Event::Remapped(id, read) => self.remapped(id, read),
            Event::Expired(count) => self.expired(count),
            Event::Owned(id, shared) => self.owned(id, shared),
            Event::Present(present) => self.look_through(present),
            Event::Confirmed(began, last, confirmed) => self.confirmed(began, last, confirmed),
            Event::Counted(totals) => self.counted(&totals),
            Event::Released => self.released(),
        }
    }
}

/// All that is ready of what is under way, so that many answers become one turn of the engine.
fn ready(work: &mut FuturesUnordered<Work>, cx: &mut Context<'_>) -> Poll<Vec<Finished>> {
    let mut events = Vec::new();
    while events.len() < MOST_EVENTS
        && let Poll::Ready(Some(event)) = work.poll_next_unpin(cx)
    {
        events.push(event);
    }
    if events.is_empty() {
        Poll::Pending
    } else {
        Poll::Ready(events)
    }
}
