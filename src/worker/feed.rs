//! The source's feed of changes: a scan that reads it instead of the list, fetches each record that its entries name,
//! and moves the Sync's place in it with the T1 of what came of them. Driven by `scan`; what its records mean is
//! judged in `page`, as of any other.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::connector::{Connector, Page, ScanStart};
use crate::expression::{RecordText, raw};
use crate::plan::ObjectPlan;
use crate::plan::connection::{ChangesPlan, MomentFormat};
use crate::record::{Class, Failure, Key, Moment};
use crate::state::{FeedPosition, Millis, Scan};
use crate::trial::{Bug, planted};

use super::Worker;
use super::fetch::{Fetched, Hint, fetch, once};
use super::reading::{Course, Reading};

/// Most entries of a page: their records are fetched before the place in the feed moves.
const MOST_ENTRIES: usize = 10_000;

/// Most records of a page that are fetched before they are judged and kept.
const PORTION: usize = 200;

/// How far back a feed is read to learn where it ends, where its entries have times: the system's clock may be
/// slow by so much.
const LOOK_BACK: Millis = 24 * 3_600_000;

/// What a portion of a page of the feed said beside the records that were fetched.
#[derive(Debug, Default)]
pub struct Entries {
    /// Entries that name no record, or one that cannot be fetched, and why.
    pub broken: Vec<(Bytes, String)>,
    /// Records that were deleted.
    pub gone: Vec<Key>,
    pub max_seen: Option<Moment>,
    /// Entries whose cursor field could not be read.
    pub undated: u64,
}

/// A page of the feed whose records are being fetched.
pub struct Told {
    hints: Vec<Hint>,
    /// Where the feed goes on; without records.
    page: Page,
    max_seen: Option<Moment>,
    undated: u64,
}

impl Told {
    /// What the entries of a page say.
    ///
    /// # Errors
    /// There are too many.
    pub fn new(
        changes: &ChangesPlan,
        object: &ObjectPlan,
        mut page: Page,
    ) -> Result<Self, Failure> {
        let said = std::mem::take(&mut page.records);
        if said.len() > MOST_ENTRIES {
            let text = format!(
                "object {}: a page of its changes has {} entries, more than {MOST_ENTRIES}; ask for fewer in changes.query",
                object.name,
                said.len()
            );
            return Err(Failure::new(Class::Configuration, true, text));
        }
        let (max_seen, undated) = dates(changes, &said);
        let hints = said.iter().flat_map(|entry| hints(changes, object, entry));
        Ok(Self {
            hints: once(hints.collect()),
            page,
            max_seen,
            undated,
        })
    }

    /// The next portion of the records that the entries name, and what is left of the page. The place in the feed moves
    /// with the last portion.
    ///
    /// # Errors
    /// Why a record cannot be fetched now.
    pub async fn next(
        mut self,
        source: &Connector,
        object: &ObjectPlan,
    ) -> Result<(Page, Entries, Option<Self>), Failure> {
        let portion = self.hints.drain(..self.hints.len().min(PORTION)).collect();
        let fetched = match fetch(source, object, portion).await {
            Err(_) if planted(Bug::FeedGoesOn) => Fetched::default(),
            fetched => fetched?,
        };
        let mut entries = Entries {
            broken: fetched.broken,
            gone: fetched.gone,
            ..Entries::default()
        };
        if self.hints.is_empty() {
            (entries.max_seen, entries.undated) = (self.max_seen, self.undated);
            self.page.records = fetched.records;
            return Ok((self.page, entries, None));
        }
        let page = Page {
            records: fetched.records,
            position: Value::Null,
            last: false,
            token: None,
            parents: Vec::new(),
            ignored: 0,
        };
        Ok((page, entries, Some(self)))
    }
}

/// The latest moment of the entries, and how many have none that can be read.
pub fn dates(changes: &ChangesPlan, entries: &[RecordText]) -> (Option<Moment>, u64) {
    let Some(cursor) = &changes.list.cursor else {
        return (None, 0);
    };
    let (mut latest, mut undated) = (None, 0);
    for entry in entries {
        let value = raw::field(entry, &cursor.moment.path);
        match value.and_then(|value| cursor.moment.read_value(&value)) {
            Some(moment) => latest = later(latest, Some(moment)),
            None => undated += 1,
        }
    }
    (latest, undated)
}

fn later(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

/// What an entry says, by every route that matches.
fn hints(changes: &ChangesPlan, object: &ObjectPlan, entry: &Bytes) -> Vec<Hint> {
    let broken = |said: Bytes, problem: String| Hint::Broken { said, problem };
    let value: Value = match serde_json::from_slice(entry) {
        Ok(value) => value,
        Err(error) => {
            let problem = format!("an entry of changes is no JSON that can be read: {error}");
            return vec![broken(envelope(entry), problem)];
        }
    };
    let event = [("entry", &value)];
    let routes = changes.routes.iter().filter(|r| r.route.matches(&event));
    let whose = format!("changes.routes of object {}", object.name);
    let hint =
        |route: &crate::plan::connection::ChangeRoutePlan| match route.route.read(&event, &whose) {
            Ok(named) => match named.record {
                Some(record) => Hint::Record(record),
                None => Hint::Fetch {
                    key: named.key,
                    deleted: route.deleted,
                },
            },
            Err(problem) => broken(envelope(entry), problem),
        };
    routes.map(hint).collect()
}

/// An entry as a dead letter shows it.
fn envelope(entry: &Bytes) -> Bytes {
    let value = serde_json::from_slice(entry)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(entry).into_owned()));
    let fields = Map::from_iter([("entry".to_owned(), value)]);
    Bytes::from(Value::Object(fields).to_string())
}

impl Worker {
    /// Whether it is known where the next scan begins in the source's feed, if it has one. Otherwise everything is
    /// to be read.
    pub(super) fn knows_feed(&mut self, now: Millis) -> bool {
        let Some(changes) = &self.setup.plan.source.object.changes else {
            self.state.feed = None;
            return true;
        };
        let Some(feed) = &self.state.feed else {
            return false;
        };
        let kept = |keeps: Duration| {
            let away = now.saturating_sub(feed.read).max(0).unsigned_abs();
            u128::from(away) <= keeps.as_millis()
        };
        let same = feed.feed == changes.print;
        if same && changes.keeps.is_none_or(kept) {
            return true;
        }
        let why = match same {
            true => "it was read longer ago than changes.keeps",
            false => "another one was read until now",
        };
        tracing::info!(sync = %self.session.sync, "where the feed of changes is to be read from is not known, so the list is read: {why}");
        self.state.feed = None;
        false
    }

    /// Where a scan of the feed begins.
    pub(super) fn feed_start(&self, scan: &Scan) -> ScanStart {
        let feed = self.state.feed.as_ref();
        ScanStart {
            since: feed.and_then(|feed| feed.watermark.clone()),
            token: feed.and_then(|feed| feed.token.clone()),
            resume: scan.position.clone(),
            feed: true,
            ..ScanStart::default()
        }
    }

    /// Where the feed is read from before everything is, only to learn where it ends: what happens from then on is
    /// in the list or comes after that place.
    pub(super) fn ahead_start(&self, scan: &Scan) -> ScanStart {
        let changes = self.setup.plan.source.object.changes.as_ref();
        let cursor = changes.and_then(|changes| changes.list.cursor.as_ref());
        let timed = cursor.filter(|cursor| {
            !matches!(cursor.format(), MomentFormat::Integer | MomentFormat::Text)
        });
        ScanStart {
            since: timed.map(|_| moment(scan.started.saturating_sub(LOOK_BACK))),
            feed: true,
            ..ScanStart::default()
        }
    }

    /// A page of the feed was read, or its end was reached, on the way to where it ends.
    pub(super) fn looked_ahead(&mut self, mut reading: Box<Reading>, page: Option<Page>) {
        let plan = self.setup.plan.clone();
        let (Some(changes), Some(scan)) = (&plan.source.object.changes, &self.state.scan) else {
            return;
        };
        let last = page.as_ref().is_none_or(|page| page.last);
        if let Some(page) = page {
            let (latest, _) = dates(changes, &page.records);
            reading.latest = later(reading.latest.take(), latest);
            reading.token = page.token.or(reading.token.take());
        }
        if !last {
            self.reading = Some(reading);
            return;
        }
        let began = self.ahead_start(scan).since;
        self.state.feed = Some(FeedPosition {
            feed: changes.print.clone(),
            watermark: bounded(reading.latest.take(), scan).or(began),
            token: reading.token.take(),
            read: scan.started,
        });
        self.open_reading(Course::List);
    }

    /// The feed does not know any more where this Sync stood: everything is read, now.
    pub(super) fn feed_forgot(&mut self, failure: &Failure) {
        tracing::warn!(sync = %self.session.sync, "the feed of changes does not know any more where it was read up to, so the list is read: {failure}");
        self.state.feed = None;
        self.state.scan = None;
        self.scanning = false;
        self.next_scan = 0;
    }

    /// A scan has read the feed to its end.
    pub(super) fn move_feed(&mut self, scan: &Scan, token: Option<String>) {
        if let Some(feed) = &mut self.state.feed {
            let seen = bounded(scan.max_seen.clone(), scan);
            feed.watermark = later(feed.watermark.take(), seen);
            feed.token = token.or(feed.token.take());
            feed.read = scan.started;
        }
    }
}

fn moment(at: Millis) -> Moment {
    Moment::Time(i128::from(at) * 1_000_000)
}

/// What was seen, never past the scan's start.
pub fn bounded(seen: Option<Moment>, scan: &Scan) -> Option<Moment> {
    let start = moment(scan.started);
    seen.map(|seen| match seen.order(&start) {
        Some(std::cmp::Ordering::Greater) => start,
        _ => seen,
    })
}
