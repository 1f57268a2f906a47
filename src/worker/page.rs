//! A page becomes flights: its records are judged against what is known, and all that follows is
//! committed as T1. What needs no state of the engine was done before, by `digest`.

use bytes::Bytes;

use crate::connector::Page;
use crate::mapping::Links;
use crate::pipeline::observe::{Verdict, observe};
use crate::plan::Backfill;
use crate::record::{Fingerprint, Key, Removal};
use crate::state::{Change, Exception, Known, Trouble, mark};
use crate::trial::{Bug, planted};

use tokio::time::Instant;

use super::absence::Gap;
use super::digest::{self, Candidate, Digest, Origin, Standing};
use super::flight::{Base, Doing, Flight, FlightId, Home};
use super::past::Past;
use super::prepare::{Prepared, broken, newest_known, seen_link, touched};
use super::redact::{redact, redact_whole};
use super::removal::perhaps_sent;
use super::witness::{Fate, Skip};
use super::{Event, Worker};

/// What a page adds to the store and to the flights.
#[derive(Default)]
pub(super) struct Batch {
    pub number: u64,
    pub added: Vec<FlightId>,
    pub changes: Vec<Change>,
}

impl Worker {
    /// Begins to digest a page; pages are judged one after another, in the order of reading.
    pub(super) fn look_up(&mut self, page: Page, origin: Origin, began: Instant) {
        if !matches!(origin, Origin::Absent) {
            self.counts.read += page.records.len() as u64;
        }
        let plan = self.setup.plan.clone();
        let begun = digest::begin(plan, page, origin, began, self.mostly_new);
        self.waiting_pages.push_back(begun);
        self.judge_next();
    }

    pub(super) fn judge_next(&mut self) {
        if self.judging {
            return;
        }
        let Some(begun) = self.waiting_pages.pop_front() else {
            return;
        };
        self.judging = true;
        let (plan, store) = (self.setup.plan.clone(), self.setup.store.clone());
        let fresh = self.fresh.clone();
        let digest = digest::finish(
            plan,
            store,
            self.session.clone(),
            begun,
            self.has_exceptions,
            fresh,
        );
        self.push(async move { Ok(Event::Known(Box::new(digest.await?))) });
    }

    /// Everything about a page is known: judge its records and commit T1.
    pub(super) fn page_known(&mut self, mut page: Digest) {
        let doubtful = self.doubtful(&page);
        if !doubtful.is_empty() {
            return self.reread(page, doubtful);
        }
        let mut batch = Batch {
            number: self.state.next_segment,
            ..Batch::default()
        };
        let scanned = matches!(page.origin, Origin::Scan { .. });
        let first_scan = scanned && self.state.scan.as_ref().is_some_and(|scan| scan.first);
        let absent = matches!(page.origin, Origin::Absent);
        let count = page.records.len();
        self.undated += page.undated;
        for candidate in &mut page.records {
            if absent && self.was_seen(&candidate.seen.key) {
                continue;
            } else if !candidate.is_gone() {
                self.note_seen(candidate, scanned, &mut batch);
            }
            if self.inbox.is_some() {
                self.recency.note(&candidate.seen.key, page.answered);
            }
            self.judge(candidate, &page.links, first_scan, &mut batch);
        }
        if scanned && !page.broken.is_empty() {
            self.note_gap(Gap::Unreadable);
        }
        for (bytes, problem) in page.broken {
            self.bury_broken(bytes, problem, &mut batch);
        }
        if !absent {
            self.mostly_new = batch.added.len() * 2 > count;
        }
        self.judging = false;
        self.flights.drop_settled();
        self.recency.end(page.began);
        let told = matches!(page.origin, Origin::Inbox { .. });
        let fed = matches!(page.origin, Origin::Feed { .. });
        let ended = match page.origin {
            Origin::Scan { ended } | Origin::Feed { ended, .. } => {
                self.incomplete |= page.incomplete;
                self.note_page(fed, page.position, page.max_seen);
                ended
            }
            Origin::Inbox { after, .. } => {
                self.inbox_judged(after, page.incomplete);
                None
            }
            Origin::Absent => None,
        };
        self.commit_page(batch, page.bytes, ended, told);
        self.judge_next();
    }

    fn judge(
        &mut self,
        candidate: &mut Candidate,
        links: &Links,
        first_scan: bool,
        batch: &mut Batch,
    ) {
        let plan = self.setup.plan.clone();
        if let Some(skip) = match candidate.standing(&plan).removal() {
            None if candidate.standing(&plan) == Standing::Here => None,
            Some(removal) if !plan.write.removals.of(removal).is_ignore() => {
                return self.judge_removal(candidate, removal, batch);
            }
            Some(Removal::Deleted | Removal::Absent) => Some(Skip::Deleted),
            Some(Removal::Left) | None => Some(Skip::Where),
        } {
            self.counts.skipped += 1;
            return self.tell(&candidate.seen.key, Fate::Skipped(skip));
        }
        let stored = std::mem::take(&mut candidate.known);
        let seen = &candidate.seen;
        let (known, open) = self.what_is_known(&seen.key, stored);
        let newest = match open {
            Some(id) => Some(self.flights.newest_version(id)),
            None => newest_known(&known),
        };
        let moment = seen.moment.as_ref();
        let moment = moment.filter(|_| !planted(Bug::OlderOverwrites));
        let verdict = observe(newest, seen.raw, moment);
        match verdict {
            Verdict::Unchanged => {
                self.counts.unchanged += 1;
                let link = known.link.as_ref();
                let target = link.and_then(|link| link.target.as_ref());
                self.tell_unchanged(&seen.key, target, known.exception.as_deref());
            }
            Verdict::Superseded => {
                self.counts.superseded += 1;
                self.tell(&seen.key, Fate::Superseded);
            }
            Verdict::Fresh if plan.backfill == Backfill::None && first_scan && newest.is_none() => {
                self.counts.skipped += 1;
                self.tell(&seen.key, Fate::Skipped(Skip::Backfill));
                batch.changes.push(Change::Link(seen_link(seen)));
            }
            Verdict::Fresh | Verdict::Behind => {
                let prepared = candidate.prepared(&plan, links);
                if open.is_none() && verdict == Verdict::Fresh {
                    self.weigh_mapped(&prepared);
                }
                match open {
                    Some(id) => self.join_flight(id, verdict, prepared, batch),
                    None => self.take_off(known, verdict, prepared, batch),
                }
            }
        }
    }

    /// What is known of a key beside its flight under way, and that flight.
    pub(super) fn what_is_known(&self, key: &Key, stored: Known) -> (Known, Option<FlightId>) {
        let newest = self.flights.newest(key);
        let keeps_fields = self.keeps_fields();
        let settled = newest.and_then(|id| self.flights.get(id).known(keeps_fields));
        let open = newest.filter(|id| self.flights.get(*id).settled.is_none());
        (settled.unwrap_or(stored), open)
    }

    /// The key has a flight already: take its place while it is unsent, else go behind it.
    pub(super) fn join_flight(
        &mut self,
        id: FlightId,
        verdict: Verdict,
        prepared: Prepared,
        batch: &mut Batch,
    ) {
        let entry = match prepared {
            Prepared::Ready(entry) => entry,
            // Its fate is decided when its turn comes: it goes through the Mapping again then.
            Prepared::Trouble(mut entry, _, _) => {
                entry.body = Bytes::new();
                entry.mapped = Fingerprint::UNKNOWN;
                entry
            }
        };
        let home = Home::Segment {
            number: batch.number,
            index: batch.added.len(),
        };
        if verdict == Verdict::Fresh && self.flights.get(id).doing != Doing::Settling {
            self.counts.superseded += 1;
            self.flights.give_matching(id);
            self.tell(&entry.key, Fate::Superseded);
            let flight = self.flights.get_mut(id);
            let old = std::mem::replace(&mut flight.home, home);
            flight.entry = entry;
            flight.doing = Doing::Held;
            flight.durable = false;
            flight.forced = None;
            flight.detail = Past::default();
            match old {
                Home::Exception => batch
                    .changes
                    .push(Change::Resolved(self.flights.get(id).entry.key.clone())),
                Home::Segment { number, .. } if number == batch.number => {
                    // The same key twice on one page: the later one stands in the earlier one's place.
                    self.flights.get_mut(id).home = old;
                    return;
                }
                Home::Segment { number, .. } => {
                    self.flights.set_mark(old, mark::DONE);
                    self.dirty_segments.insert(number);
                }
            }
            batch.added.push(id);
        } else {
            let id = self.flights.add(Flight::new(entry, home, Base::default()));
            batch.added.push(id);
        }
    }

    /// The key has no flight: begin one, or note why it cannot fly.
    pub(super) fn take_off(
        &mut self,
        known: Known,
        verdict: Verdict,
        prepared: Prepared,
        batch: &mut Batch,
    ) {
        if verdict == Verdict::Behind
            && let Some(mut exception) = known.exception
        {
            let (Prepared::Ready(entry) | Prepared::Trouble(entry, _, _)) = prepared;
            self.tell(&entry.key, Fate::Behind);
            exception.behind = Some(*entry);
            redact(&self.setup.plan, &mut exception);
            return batch.changes.push(Change::Exception(exception));
        }
        match prepared {
            Prepared::Ready(entry) => {
                let mut base = Base::of(known.link.as_ref());
                let left = known.exception.as_deref();
                let perhaps_there = left.is_some_and(|left| perhaps_sent(self.plan(), left));
                if let Some(exception) = left {
                    batch.changes.push(Change::Resolved(entry.key.clone()));
                    if !matches!(exception.trouble, Trouble::Dead | Trouble::Held) {
                        // It may have been sent by a worker that died before it could say so.
                        base.forget();
                    }
                }
                if entry.removal.is_none() && base.exists && base.mapped == entry.mapped {
                    self.counts.unchanged += 1;
                    self.tell_unchanged(&entry.key, base.target.as_ref(), None);
                    batch.changes.push(Change::Link(touched(&base, &entry)));
                    return;
                }
                let home = Home::Segment {
                    number: batch.number,
                    index: batch.added.len(),
                };
                let mut flight = Flight::new(entry, home, base);
                flight.perhaps_there = perhaps_there;
                let id = self.flights.add(flight);
                batch.added.push(id);
            }
            Prepared::Trouble(entry, trouble, detail) => {
                self.note_trouble(trouble);
                let mut exception = Box::new(Exception {
                    entry: *entry,
                    trouble,
                    next: 0,
                    detail: *detail,
                    behind: None,
                });
                redact(&self.setup.plan, &mut exception);
                let fate = Fate::Trouble(trouble, &exception.detail);
                self.tell(&exception.entry.key, fate);
                batch.changes.push(Change::Exception(exception));
            }
        }
    }

    /// Counts a new exception.
    pub(super) fn note_trouble(&mut self, trouble: Trouble) {
        self.has_exceptions = true;
        match trouble {
            Trouble::Dead | Trouble::Ambiguous => self.counts.dead += 1,
            Trouble::Waiting => self.has_waiting = true,
            Trouble::Retry | Trouble::Unknown | Trouble::Held => {}
        }
    }

    fn bury_broken(&mut self, bytes: Bytes, problem: String, batch: &mut Batch) {
        let exception = broken(self.plan(), bytes, problem);
        self.weigh_rejected(&exception.detail);
        self.note_trouble(Trouble::Dead);
        self.tell(
            &exception.entry.key,
            Fate::Trouble(Trouble::Dead, &exception.detail),
        );
        let mut exception = Box::new(exception);
        redact_whole(&self.setup.plan, &mut exception);
        batch.changes.push(Change::Exception(exception));
    }
}
