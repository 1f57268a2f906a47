//! Scans: when one begins, reading ahead by one page, and where the watermark goes at the end.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::connector::{Page, Parents, ScanStart};
use crate::plan::{Backfill, Plan};
use crate::record::{Class, Failure, Moment, SyncName};
use crate::state::{Change, Millis, Scan, StoreError};
use crate::telemetry::events::ScanCompleted;
use tokio::time::Instant;

use super::absence::Gap;
use super::digest::Origin;
use super::feed::{self, Entries};
use super::reading::{Course, Reading};
use super::{Event, Mode, Worker, now};

/// Parents of a `forEach` that are remembered; those beyond begin at the cursor's `start` in each scan.
const MOST_PARENTS: usize = 100_000;

/// Whether each of several lists has a watermark of its own.
fn has_parents(plan: &Plan) -> bool {
    let list = plan.source.object.list.as_ref();
    list.is_some_and(|list| list.cursor.is_some() && !list.for_each.is_empty())
}

/// The name under which the store keeps what a Sync's parents were read up to.
pub(super) fn parents_name(sync: &SyncName) -> String {
    format!("parents/{sync}")
}

/// Milliseconds between two commits of a scan's position when nothing else has to be kept.
const STATE_EVERY: Duration = Duration::from_secs(1);

impl Worker {
    /// Begins a scan when it is time, and reads its next page when there is room for it.
    pub(super) fn scan(&mut self) {
        if !self.scanning && self.next_scan <= now() && !self.absence.is_busy() {
            self.begin_scan();
        }
        let room = self.has_room(self.pages);
        if room && let Some(mut reading) = self.reading.take() {
            reading.began = self.recency.begin();
            let (source, object) = (self.setup.source.clone(), self.plan().source.object.clone());
            self.push(async move {
                let page = reading.next(&source, &object).await;
                Ok(Event::Page(reading, page))
            });
        }
    }

    fn begin_scan(&mut self) {
        let started = now();
        self.trust();
        self.next_scan = Millis::MAX;
        let plan = self.setup.plan.clone();
        let due_full = plan
            .trigger
            .full_refresh
            .as_ref()
            .is_some_and(|full| full.is_due(self.state.refreshed, started));
        let known = self.knows_feed(started);
        let first = self.state.scanned.is_none();
        let full = std::mem::take(&mut self.full) || due_full || first || !known;
        let changes = plan.source.object.changes.as_ref();
        let feed = changes.filter(|_| !full).map(|c| c.print.clone());
        // An interrupted scan goes on where it was, unless everything is to be read now, or from another place.
        let scan = match self.state.scan.take() {
            Some(scan) if known && (scan.full || (!full && scan.feed == feed)) => scan,
            _ => Scan {
                started,
                full,
                first,
                feed,
                max_seen: None,
                position: None,
            },
        };
        if scan.position.is_none() {
            self.state.removals = 0;
            self.incomplete = false;
        }
        let resumed = scan.position.is_some() || self.pages > 0;
        self.begin_sweep(scan.full, scan.first, resumed);
        self.read_parents.clear();
        let course = match (known, &scan.feed) {
            (false, _) => Course::Ahead,
            (true, Some(_)) => Course::Feed,
            (true, None) => Course::List,
        };
        self.state.scan = Some(scan);
        self.open_reading(course);
        self.scanning = true;
    }

    /// Begins to read for the scan in the state.
    pub(super) fn open_reading(&mut self, course: Course) {
        let Some(scan) = &self.state.scan else { return };
        let start = match course {
            Course::List => self.list_start(scan),
            Course::Ahead => self.ahead_start(scan),
            Course::Feed => self.feed_start(scan),
        };
        let object = self.plan().source.object.clone();
        self.reading = Some(Box::new(Reading {
            reader: self.setup.source.pages(object, start),
            course,
            last: false,
            token: None,
            began: Instant::now(),
            told: None,
            entries: Entries::default(),
            latest: None,
        }));
    }

    fn list_start(&self, scan: &Scan) -> ScanStart {
        let plan = self.plan();
        let from_start = scan.full;
        let since = match (&self.state.watermark, &plan.backfill) {
            (Some(watermark), _) if !from_start => Some(watermark.clone()),
            (_, Backfill::Since(moment)) => Some(moment.clone()),
            _ => None,
        };
        let new_parents = match &plan.backfill {
            Backfill::Since(moment) => Some(moment.clone()),
            Backfill::All | Backfill::None => None,
        };
        ScanStart {
            // The first scan after which parents are kept reads them all from where they begin.
            since,
            parents: Arc::clone(&self.parents),
            new_parents,
            token: if from_start {
                None
            } else {
                self.state.token.clone()
            },
            resume: scan.position.clone(),
            feed: false,
        }
    }

    /// A page was read, or could not be.
    pub(super) fn page_read(
        &mut self,
        mut reading: Box<Reading>,
        page: Result<Option<Page>, Failure>,
    ) {
        let began = reading.began;
        match page {
            Ok(page) if reading.course == Course::Ahead => {
                self.recency.end(began);
                self.looked_ahead(reading, page);
            }
            Ok(Some(page)) => {
                reading.last = page.last;
                if page.ignored > 0 {
                    self.note_gap(Gap::Ignored);
                }
                self.read_parents.extend_from_slice(&page.parents);
                if page.token.is_some() {
                    reading.token.clone_from(&page.token);
                }
                self.pages += 1;
                let ended = page.last.then(|| reading.token.take());
                let origin = match reading.course {
                    Course::Feed => Origin::Feed {
                        ended,
                        entries: std::mem::take(&mut reading.entries),
                    },
                    Course::List | Course::Ahead => Origin::Scan { ended },
                };
                if !page.last {
                    self.reading = Some(reading);
                }
                self.look_up(page, origin, began);
            }
            Ok(None) => {
                self.recency.end(began);
                let token = reading.token.take();
                let changes = self.end_scan(token);
                let commit = self.commit(changes);
                let parents = self.end_parents();
                self.push(async move {
                    commit.await?;
                    parents.await?;
                    Ok(Event::Committed(Vec::new(), 0))
                });
            }
            Err(failure) if reading.course == Course::Feed && failure.class == Class::Gone => {
                self.recency.end(began);
                self.feed_forgot(&failure);
            }
            Err(failure) => {
                self.recency.end(began);
                self.scan_failed(failure);
            }
        }
    }

    /// In one run a scan that fails ends the run; a watching worker begins it again at the next
    /// interval, except where a person is needed first.
    fn scan_failed(&mut self, failure: Failure) {
        self.scanning = false;
        let stalls = matches!(
            failure.class,
            Class::Configuration | Class::Authentication | Class::Forbidden
        );
        if stalls || matches!(self.setup.mode, Mode::Once { .. }) {
            let error = self.source_error(failure);
            self.error.get_or_insert(error);
        } else {
            tracing::warn!(sync = %self.session.sync, "scan failed, the next one goes on where it was: {failure}");
            self.next_scan = self.plan().trigger.runs.next(now());
        }
    }

    /// Keeps what the parents of the scan that has ended were read up to; to be done after its last T1.
    /// A crash before that reads these parents from their beginning again, which loses nothing.
    pub(super) fn end_parents(&mut self) -> BoxFuture<'static, Result<(), StoreError>> {
        let read = std::mem::take(&mut self.read_parents);
        let (Some(watermark), true) = (&self.state.watermark, has_parents(self.plan())) else {
            return async { Ok(()) }.boxed();
        };
        // What a full scan doesn't list any more is forgotten.
        let mut parents = match self.state.refreshed == self.state.scanned {
            true => Parents::new(),
            false => self.parents.as_ref().clone(),
        };
        for parent in read {
            if parents.len() < MOST_PARENTS || parents.contains_key(&parent) {
                parents.insert(parent, watermark.clone());
            }
        }
        self.parents = Arc::new(parents);
        let list: Vec<_> = self.parents.iter().collect();
        let content = serde_json::to_vec(&list).unwrap_or_default();
        let (store, name) = (
            Arc::clone(&self.setup.store),
            parents_name(&self.session.sync),
        );
        async move { store.save_value(&name, Some(content)).await }.boxed()
    }

    /// What the parents were read up to by completed scans of former lives.
    pub(super) async fn load_parents(&mut self) -> Result<(), StoreError> {
        if self.state.scanned.is_none() || !has_parents(self.plan()) {
            return Ok(());
        }
        let name = parents_name(&self.session.sync);
        let content = self.setup.store.load_value(&name).await?;
        let list: Vec<(u64, Moment)> = content
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        self.parents = Arc::new(list.into_iter().collect());
        Ok(())
    }

    /// Notes a committed page of the list, or of the feed (`fed`), in the scan's state. Once something could not be
    /// read again, the scan would go on from before it; so it would within a page, which has no position.
    pub(super) fn note_page(
        &mut self,
        fed: bool,
        position: serde_json::Value,
        max_seen: Option<Moment>,
    ) {
        if self.incomplete || position.is_null() {
            return;
        }
        // A page may come after its scan has failed and another one has begun.
        if let Some(scan) = self.state.scan.as_mut().filter(|s| s.feed.is_some() == fed) {
            scan.position = Some(position);
            scan.max_seen = match (scan.max_seen.take(), max_seen) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            };
        }
    }

    /// Whether the scan's position is worth a commit of its own.
    pub(super) fn state_is_old(&mut self) -> bool {
        let old = self.last_state.elapsed() > STATE_EVERY;
        if old {
            self.last_state = Instant::now();
        }
        old
    }

    /// Records without a readable cursor value are synced, but the watermark knows nothing of them.
    fn tell_undated(&mut self, fed: bool) {
        let count = std::mem::take(&mut self.undated);
        let source = &self.plan().source;
        let (what, field, list) = match (&source.object.changes, fed) {
            (Some(changes), true) => ("entries", "changes.cursor.field", Some(&changes.list)),
            _ => ("records", "list.cursor.field", source.object.list.as_ref()),
        };
        if let (1.., Some(cursor)) = (count, list.and_then(|list| list.cursor.as_ref())) {
            tracing::warn!(
                sync = %self.session.sync,
                "{count} {what} of {} object {} have no {} in the declared format: they are synced, but the cursor \
                 does not see when they change; correct {field}, or read everything now and then (trigger.fullRefresh)",
                source.connection.resource(),
                source.object.name,
                cursor.moment.path,
            );
        }
    }

    /// The scan is complete: the watermark moves to what was seen, never past the scan's start and
    /// never back.
    pub(super) fn end_scan(&mut self, token: Option<String>) -> Vec<Change> {
        self.scanning = false;
        self.reading = None;
        self.fresh = None;
        let Some(scan) = self.state.scan.take() else {
            return Vec::new();
        };
        self.tell_undated(scan.feed.is_some());
        // What could not be read must be found by the next scan.
        let complete = !std::mem::take(&mut self.incomplete);
        self.end_of_list(complete);
        match scan.feed {
            Some(_) if complete => self.move_feed(&scan, token),
            None if complete => {
                if let Some(seen) = feed::bounded(scan.max_seen.clone(), &scan) {
                    self.state.watermark = Some(match self.state.watermark.take() {
                        Some(before) => before.max(seen),
                        None => seen,
                    });
                }
                if token.is_some() {
                    self.state.token = token;
                }
            }
            Some(_) | None => {}
        }
        let completed = ScanCompleted {
            sync: &self.session.sync,
            took: Duration::from_millis(now().saturating_sub(scan.started).max(0).unsigned_abs()),
            full: scan.full,
        };
        completed.emit(self.setup.progress.meter());
        self.state.scanned = Some(scan.started);
        self.expiry.is_due();
        if scan.full && complete {
            self.state.refreshed = Some(scan.started);
        }
        self.next_scan = match self.setup.mode {
            Mode::Once { .. } => Millis::MAX,
            Mode::Watch => self.plan().trigger.runs.next(scan.started),
        };
        vec![Change::State(Box::new(self.state.clone()))]
    }
}
