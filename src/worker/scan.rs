//! Scans: when one begins, reading ahead by one page, and where the watermark goes at the end.

use crate::connector::{Page, PageReader, ScanStart};
use crate::plan::Backfill;
use crate::record::{Class, Failure, Moment};
use crate::state::{Change, Millis, Scan};
use tokio::time::Instant;

use super::{Event, MOST_BYTES, MOST_FLIGHTS, MOST_SEGMENTS, Mode, Worker, now};

/// The reader of the scan under way.
pub struct Reading {
    reader: PageReader,
    pub last: bool,
    pub token: Option<String>,
}

/// Milliseconds between two commits of a scan's position when nothing else has to be kept.
const STATE_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

impl Worker {
    /// Begins a scan when it is time, and reads its next page when there is room for it.
    pub(super) fn scan(&mut self) {
        if !self.scanning && self.next_scan <= now() {
            self.begin_scan();
        }
        let room = self.flights.segments.len() + self.pages < MOST_SEGMENTS
            && self.flights.len() < MOST_FLIGHTS
            && self.flights.bytes() < MOST_BYTES;
        if room && let Some(mut reading) = self.reading.take() {
            self.push(async move {
                let page = reading.reader.next().await;
                Ok(Event::Page(reading, page))
            });
        }
    }

    fn begin_scan(&mut self) {
        let started = now();
        self.next_scan = Millis::MAX;
        let plan = self.setup.plan.clone();
        let due_full = plan.trigger.full_refresh.is_some_and(|every| {
            self.state.refreshed.is_none_or(|at| {
                started - at >= i64::try_from(every.as_millis()).unwrap_or(i64::MAX)
            })
        });
        let full = std::mem::take(&mut self.full) || due_full;
        // An interrupted scan goes on where it was, unless everything is to be read now.
        let scan = match self.state.scan.take() {
            Some(scan) if scan.full || !full => scan,
            _ => Scan {
                started,
                full: full || self.state.scanned.is_none(),
                first: self.state.scanned.is_none(),
                max_seen: None,
                position: None,
            },
        };
        let from_start = scan.full;
        let since = match (&self.state.watermark, &plan.backfill) {
            (Some(watermark), _) if !from_start => Some(watermark.clone()),
            (_, Backfill::Since(moment)) => Some(moment.clone()),
            _ => None,
        };
        let start = ScanStart {
            since,
            token: if from_start {
                None
            } else {
                self.state.token.clone()
            },
            resume: scan.position.clone(),
        };
        self.state.scan = Some(scan);
        let reader = self.setup.source.pages(plan.source.object.clone(), start);
        self.reading = Some(Box::new(Reading {
            reader,
            last: false,
            token: None,
        }));
        self.scanning = true;
    }

    /// A page was read, or could not be.
    pub(super) fn page_read(
        &mut self,
        mut reading: Box<Reading>,
        page: Result<Option<Page>, Failure>,
    ) {
        match page {
            Ok(Some(page)) => {
                reading.last = page.last;
                if page.token.is_some() {
                    reading.token.clone_from(&page.token);
                }
                self.pages += 1;
                let ended = page.last.then(|| reading.token.take());
                if !page.last {
                    self.reading = Some(reading);
                }
                self.look_up(page, ended);
            }
            Ok(None) => {
                let token = reading.token.take();
                let changes = self.end_scan(token);
                let commit = self.commit(changes);
                self.push(async move { commit.await.map(|()| Event::Committed(Vec::new(), 0)) });
            }
            Err(failure) => self.scan_failed(failure),
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
            self.next_scan = self.interval_from(now());
        }
    }

    fn interval_from(&self, started: Millis) -> Millis {
        started.saturating_add(
            i64::try_from(self.plan().trigger.interval.as_millis()).unwrap_or(i64::MAX),
        )
    }

    /// Notes a committed page in the scan's state.
    pub(super) fn note_page(&mut self, position: serde_json::Value, max_seen: Option<Moment>) {
        if let Some(scan) = &mut self.state.scan {
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

    /// The scan is complete: the watermark moves to what was seen, never past the scan's start and
    /// never back.
    pub(super) fn end_scan(&mut self, token: Option<String>) -> Vec<Change> {
        self.scanning = false;
        self.reading = None;
        self.fresh = None;
        let Some(scan) = self.state.scan.take() else {
            return Vec::new();
        };
        let start = Moment::Time(i128::from(scan.started) * 1_000_000);
        if let Some(seen) = scan.max_seen {
            let seen = if seen.order(&start) == Some(std::cmp::Ordering::Greater) {
                start
            } else {
                seen
            };
            self.state.watermark = Some(match self.state.watermark.take() {
                Some(before) => before.max(seen),
                None => seen,
            });
        }
        if token.is_some() {
            self.state.token = token;
        }
        self.state.scanned = Some(scan.started);
        if scan.full {
            self.state.refreshed = Some(scan.started);
        }
        self.next_scan = match self.setup.mode {
            Mode::Once { .. } => Millis::MAX,
            Mode::Watch => self.interval_from(scan.started),
        };
        vec![Change::State(Box::new(self.state.clone()))]
    }
}
