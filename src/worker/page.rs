//! A page becomes flights: parse, look up what is known, judge, map, and commit all of it as T1.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::connector::Page;
use crate::mapping::{Links, Mapped};
use crate::pipeline::matching::match_value;
use crate::pipeline::observe::{Newest, Stage, Verdict, observe};
use crate::pipeline::route::{Step, route};
use crate::plan::{Backfill, Guarantee, Plan};
use crate::record::{Fingerprint, Key, LookupKey, Moment, SyncName};
use crate::state::{Awaited, Change, Detail, Entry, Exception, Known, Link, Trouble, mark};

use super::crash::{Boundary, pass};
use super::flight::{Base, Doing, Flight, FlightId, Home, Segment};
use super::{Event, Worker, now};

/// One record of a page.
pub struct Seen {
    pub key: Key,
    pub raw: Fingerprint,
    pub moment: Option<Moment>,
    pub value: Value,
    pub bytes: Bytes,
}

/// A page on its way from reading to T1.
pub struct PageWork {
    records: Vec<Seen>,
    /// Records that have no key or aren't objects, with the reason.
    broken: Vec<(Bytes, String)>,
    known: Vec<Known>,
    links: Links,
    position: Value,
    max_seen: Option<Moment>,
    /// The scan's last page, with the token that the next scan begins with.
    ended: Option<Option<String>>,
}

/// What a page adds to the store and to the flights.
#[derive(Default)]
struct Batch {
    number: u64,
    added: Vec<FlightId>,
    changes: Vec<Change>,
}

/// A record after the Mapping.
pub enum Prepared {
    Ready(Entry),
    /// Dead letter or waiting: what the exception says.
    Trouble(Entry, Trouble, Box<Detail>),
}

impl Worker {
    /// Parses a page and asks the store what is known of its keys; pages are judged one after another.
    pub(super) fn look_up(&mut self, page: Page, ended: Option<Option<String>>) {
        let plan = self.setup.plan.clone();
        let mut work = PageWork {
            records: Vec::with_capacity(page.records.len()),
            broken: Vec::new(),
            known: Vec::new(),
            links: Links::new(),
            position: page.position,
            max_seen: None,
            ended,
        };
        self.counts.read += page.records.len() as u64;
        for bytes in page.records {
            match see(&plan, bytes) {
                Ok((seen, cursor)) => {
                    work.max_seen = match (work.max_seen.take(), cursor) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        (a, b) => a.or(b),
                    };
                    work.records.push(seen);
                }
                Err(broken) => work.broken.push(broken),
            }
        }
        self.waiting_pages.push_back(work);
        self.judge_next();
    }

    fn judge_next(&mut self) {
        if self.judging {
            return;
        }
        let Some(mut work) = self.waiting_pages.pop_front() else { return };
        self.judging = true;
        let keys = work.records.iter().map(|seen| seen.key.clone()).collect();
        let (store, session, plan) = (self.setup.store.clone(), self.session.clone(), self.setup.plan.clone());
        let exceptions = self.has_exceptions;
        self.push(async move {
            work.known = store.known(&session, keys, exceptions).await?;
            let mut wanted = Vec::new();
            if !plan.lookups.is_empty() {
                for (seen, known) in work.records.iter().zip(&work.known) {
                    if known.link.as_ref().is_none_or(|link| link.raw != seen.raw) {
                        plan.mapping.lookups(&seen.value, &mut wanted);
                    }
                }
                work.links = find_links(&plan, store.as_ref(), wanted).await?;
            }
            Ok(Event::Known(Box::new(work)))
        });
    }

    /// Everything about a page is known: judge its records and commit T1.
    pub(super) fn page_known(&mut self, work: PageWork) {
        let mut batch = Batch { number: self.state.next_segment, ..Batch::default() };
        let first_scan = self.state.scan.as_ref().is_some_and(|scan| scan.first);
        for (seen, known) in work.records.into_iter().zip(work.known) {
            self.judge(seen, known, &work.links, first_scan, &mut batch);
        }
        for (bytes, problem) in work.broken {
            self.bury_broken(bytes, problem, &mut batch);
        }
        self.judging = false;
        self.flights.drop_settled();
        self.note_page(work.position, work.max_seen);
        self.commit_page(batch, work.ended);
        self.judge_next();
    }

    fn commit_page(&mut self, mut batch: Batch, ended: Option<Option<String>>) {
        if !batch.added.is_empty() {
            self.state.next_segment += 1;
            let carries_t2 = carries_t2(self.plan());
            let states: Vec<u8> = batch
                .added
                .iter()
                .map(|id| {
                    let flight = self.flights.get(*id);
                    if carries_t2 && flight.base.target.is_none() { mark::CREATING } else { mark::PENDING }
                })
                .collect();
            let body = crate::state::segment::encode(batch.added.iter().map(|id| &self.flights.get(*id).entry));
            batch.changes.push(Change::Segment { number: batch.number, body, states: states.clone() });
            let left = states.len();
            self.flights.segments.insert(batch.number, Segment { states, left });
        }
        let marks = std::mem::take(&mut self.dirty_segments);
        batch.changes.extend(self.flights.marks(&marks));
        match ended {
            Some(token) => batch.changes.extend(self.end_scan(token)),
            None if !batch.changes.is_empty() || self.state_is_old() => {
                batch.changes.push(Change::State(Box::new(self.state.clone())));
            }
            None => {}
        }
        if batch.changes.is_empty() {
            self.pages -= 1;
            return;
        }
        pass(Boundary::BeforeT1);
        let commit = self.commit(batch.changes);
        let added = batch.added;
        self.push(async move { commit.await.map(|()| Event::Committed(added, 1)) });
    }

    /// T1 is durable.
    pub(super) fn page_committed(&mut self, added: &[FlightId], pages: usize) {
        pass(Boundary::AfterT1);
        self.pages -= pages;
        for id in added {
            if self.flights.get(*id).doing == Doing::Held && self.flights.is_head(*id) {
                self.flights.get_mut(*id).durable = true;
                self.ready_or_block(*id);
            } else {
                self.flights.get_mut(*id).durable = true;
            }
        }
    }

    /// Puts the head of a chain into the queue.
    pub(super) fn ready(&mut self, id: FlightId) {
        let flight = self.flights.get_mut(id);
        flight.durable = true;
        flight.doing = Doing::Ready;
        self.flights.queue.push_back(id);
    }

    fn judge(&mut self, seen: Seen, stored: Known, links: &Links, first_scan: bool, batch: &mut Batch) {
        let plan = self.setup.plan.clone();
        if let Some(filter) = &plan.filter
            && !filter.test(&[("record", &seen.value)]).unwrap_or(false)
        {
            self.counts.skipped += 1;
            return;
        }
        let newest_flight = self.flights.newest(&seen.key);
        let settled = newest_flight.and_then(|id| self.flights.get(id).settled.clone());
        let known = settled.unwrap_or(stored);
        let open = newest_flight.filter(|id| self.flights.get(*id).settled.is_none());
        let newest = match open {
            Some(id) => Some(self.flights.newest_version(id)),
            None => newest_known(&known),
        };
        let verdict = observe(newest, seen.raw, seen.moment.as_ref());
        match verdict {
            Verdict::Unchanged => self.counts.unchanged += 1,
            Verdict::Superseded => self.counts.superseded += 1,
            Verdict::Fresh if plan.backfill == Backfill::None && first_scan && newest.is_none() => {
                self.counts.skipped += 1;
                batch.changes.push(Change::Link(seen_link(&seen)));
            }
            Verdict::Fresh | Verdict::Behind => {
                let prepared = prepare(&plan, &seen, links, now());
                match open {
                    Some(id) => self.join_flight(id, verdict, prepared, batch),
                    None => self.take_off(known, verdict, prepared, batch),
                }
            }
        }
    }

    /// The key has a flight already: take its place while it is unsent, else go behind it.
    fn join_flight(&mut self, id: FlightId, verdict: Verdict, prepared: Prepared, batch: &mut Batch) {
        let entry = match prepared {
            Prepared::Ready(entry) => entry,
            // Its fate is decided when its turn comes: it goes through the Mapping again then.
            Prepared::Trouble(mut entry, _, _) => {
                entry.body = Bytes::new();
                entry.mapped = Fingerprint::UNKNOWN;
                entry
            }
        };
        let home = Home::Segment { number: batch.number, index: batch.added.len() };
        if verdict == Verdict::Fresh && self.flights.get(id).doing != Doing::Settling {
            self.counts.superseded += 1;
            let flight = self.flights.get_mut(id);
            let old = std::mem::replace(&mut flight.home, home);
            flight.entry = entry;
            flight.doing = Doing::Held;
            flight.durable = false;
            flight.forced = None;
            flight.detail = Detail::default();
            match old {
                Home::Exception => batch.changes.push(Change::Resolved(self.flights.get(id).entry.key.clone())),
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
    fn take_off(&mut self, known: Known, verdict: Verdict, prepared: Prepared, batch: &mut Batch) {
        if verdict == Verdict::Behind
            && let Some(mut exception) = known.exception
        {
            let (Prepared::Ready(entry) | Prepared::Trouble(entry, _, _)) = prepared;
            exception.behind = Some(entry);
            batch.changes.push(Change::Exception(Box::new(exception)));
            return;
        }
        match prepared {
            Prepared::Ready(entry) => {
                if known.exception.is_some() {
                    batch.changes.push(Change::Resolved(entry.key.clone()));
                }
                let base = Base::of(known.link.as_ref());
                if base.exists && base.mapped == entry.mapped {
                    self.counts.unchanged += 1;
                    batch.changes.push(Change::Link(touched(&base, &entry)));
                    return;
                }
                let home = Home::Segment { number: batch.number, index: batch.added.len() };
                let id = self.flights.add(Flight::new(entry, home, base));
                batch.added.push(id);
            }
            Prepared::Trouble(entry, trouble, detail) => {
                self.note_trouble(trouble);
                batch.changes.push(Change::Exception(Box::new(Exception {
                    entry,
                    trouble,
                    next: 0,
                    detail: *detail,
                    behind: None,
                })));
            }
        }
    }

    /// Counts a new exception.
    pub(super) fn note_trouble(&mut self, trouble: Trouble) {
        self.has_exceptions = true;
        match trouble {
            Trouble::Dead | Trouble::Ambiguous => self.counts.dead += 1,
            Trouble::Waiting => self.has_waiting = true,
            Trouble::Retry | Trouble::Unknown => {}
        }
    }

    fn bury_broken(&mut self, bytes: Bytes, problem: String, batch: &mut Batch) {
        let raw = Fingerprint::of(&bytes).under(self.plan().hash);
        let key = Key::from_text(format!("invalid-{raw}"));
        let entry = Entry {
            key,
            raw,
            mapped: Fingerprint::UNKNOWN,
            moment: None,
            matching: None,
            token: [0; 16],
            seen: now(),
            source: bytes,
            body: Bytes::new(),
            params: Bytes::new(),
        };
        let detail = Detail { reason: "InvalidRecord".into(), message: problem, since: now(), ..Detail::default() };
        self.note_trouble(Trouble::Dead);
        batch.changes.push(Change::Exception(Box::new(Exception {
            entry,
            trouble: Trouble::Dead,
            next: 0,
            detail,
            behind: None,
        })));
    }
}

/// Keyed creates that need no search may carry T2 in T1: sending the same bytes under the same key is
/// harmless whether or not they were sent before.
fn carries_t2(plan: &Plan) -> bool {
    plan.guarantees.create == Some(Guarantee::IdempotencyKey)
        && route(plan, false) == Step::Create
        && plan.target.object.create.as_ref().is_some_and(|create| create.batch.is_none())
}

/// Parses one record; also returns its cursor value. The error holds the bytes and what is wrong.
pub fn see(plan: &Plan, bytes: Bytes) -> Result<(Seen, Option<Moment>), (Bytes, String)> {
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(e) => return Err((bytes, format!("the record is not valid JSON: {e}"))),
    };
    if !value.is_object() {
        let problem = "the record is not an object; check `records` and `shape` of the list".to_owned();
        return Err((bytes, problem));
    }
    let object = &plan.source.object;
    let key = match object.read_key(&value) {
        Ok(key) => key,
        Err(e) => return Err((bytes, format!("{e}; check `key` of object {}", object.name))),
    };
    let raw = Fingerprint::of(&bytes).under(plan.hash);
    let moment = object.modified.as_ref().and_then(|m| m.read(&value));
    let cursor = object.list.as_ref().and_then(|list| list.cursor.as_ref()).and_then(|c| c.moment.read(&value));
    Ok((Seen { key, raw, moment, value, bytes }, cursor))
}

/// The links that the wanted lookups have.
pub async fn find_links(
    plan: &Plan,
    store: &dyn crate::state::Store,
    mut wanted: Vec<LookupKey>,
) -> Result<Links, crate::state::StoreError> {
    wanted.sort();
    wanted.dedup();
    let sync = |lookup: &LookupKey| -> Option<SyncName> {
        plan.lookups.iter().find(|l| l.name == lookup.lookup).map(|l| l.sync.clone())
    };
    wanted.retain(|lookup| sync(lookup).is_some());
    let questions = wanted.iter().filter_map(|lookup| Some((sync(lookup)?, lookup.key.clone()))).collect();
    let answers = store.linked(questions).await?;
    Ok(wanted.into_iter().zip(answers).filter_map(|(lookup, target)| Some((lookup, target?))).collect())
}

/// Maps a record into an entry, or says why it cannot fly.
pub fn prepare(plan: &Plan, seen: &Seen, links: &Links, at: i64) -> Prepared {
    let mut entry = Entry {
        key: seen.key.clone(),
        raw: seen.raw,
        mapped: Fingerprint::UNKNOWN,
        moment: seen.moment.clone(),
        matching: plan.matching.as_ref().and_then(|m| match_value(m, &seen.value)).map(|m| m.hash),
        token: token(plan),
        seen: at,
        source: seen.bytes.clone(),
        body: Bytes::new(),
        params: params(plan, &seen.value),
    };
    let detail = match plan.mapping.apply(&seen.value, links) {
        Mapped::Record(record) => {
            entry.body = serde_json::to_vec(&record).unwrap_or_default().into();
            entry.mapped = Fingerprint::of(&entry.body);
            return Prepared::Ready(entry);
        }
        Mapped::Rejected(rejection) => Detail {
            reason: rejection.reason.into(),
            message: format!("field {}: {}", rejection.field, rejection.message),
            since: at,
            ..Detail::default()
        },
        Mapped::Waiting(lookup) => {
            let Some(sync) = plan.lookups.iter().find(|l| l.name == lookup.lookup).map(|l| l.sync.clone()) else {
                let message = format!("lookup {:?} is not declared in the Sync's lookups", lookup.lookup);
                let detail = Detail { reason: "Unlinked".into(), message, since: at, ..Detail::default() };
                return Prepared::Trouble(entry, Trouble::Dead, Box::new(detail));
            };
            let detail = Detail {
                reason: "Waiting".into(),
                message: format!("waits until Sync {} links record {}", sync.name, lookup.key),
                since: at,
                remap: true,
                awaits: Some(Awaited { sync, lookup }),
                ..Detail::default()
            };
            return Prepared::Trouble(entry, Trouble::Waiting, Box::new(detail));
        }
    };
    Prepared::Trouble(entry, Trouble::Dead, Box::new(detail))
}

fn token(plan: &Plan) -> [u8; 16] {
    let mut token = [0; 16];
    if plan.target.object.create.as_ref().is_some_and(|create| create.idempotency_ttl.is_some())
        && getrandom::fill(&mut token).is_err()
    {
        // Without randomness a key of the time is still unique to this record.
        token = Fingerprint(now() as u128).under(plan.hash).to_bytes();
    }
    token
}

/// The values of `${source.…}` that the target's operations use.
fn params(plan: &Plan, source: &Value) -> Bytes {
    if plan.source_paths.is_empty() {
        return Bytes::new();
    }
    let mut values = Value::Object(Map::new());
    for path in &plan.source_paths {
        if let Some(value) = path.get(source) {
            // A path that cannot be set again names no field of an object: it has no value then.
            let _ = path.set(&mut values, value.clone());
        }
    }
    values.to_string().into()
}

/// The newest version that the store knows of a key.
fn newest_known(known: &Known) -> Option<Newest<'_>> {
    if let Some(exception) = &known.exception {
        let newest = exception.behind.as_ref().unwrap_or(&exception.entry);
        let stage = match exception.trouble {
            Trouble::Unknown | Trouble::Ambiguous => Stage::InDoubt,
            Trouble::Retry | Trouble::Waiting | Trouble::Dead => Stage::Unsent,
        };
        return Some(Newest { stage, raw: newest.raw, moment: newest.moment.as_ref() });
    }
    let link = known.link.as_ref()?;
    Some(Newest { stage: Stage::Applied, raw: link.raw, moment: link.moment.as_ref() })
}

fn seen_link(seen: &Seen) -> Link {
    Link {
        key: seen.key.clone(),
        target: None,
        raw: seen.raw,
        mapped: Fingerprint::UNKNOWN,
        moment: seen.moment.clone(),
        matching: None,
        fields: Vec::new(),
    }
}

/// The link of a version that needs no write.
pub fn touched(base: &Base, entry: &Entry) -> Link {
    Link {
        key: entry.key.clone(),
        target: base.target.clone(),
        raw: entry.raw,
        mapped: base.mapped,
        moment: entry.moment.clone(),
        matching: entry.matching,
        fields: base.fields.clone(),
    }
}
