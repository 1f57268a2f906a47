//! Sending: takes ready flights, chooses their operation, notes creates down before they are sent
//! (T2), and keeps as many requests under way as the target's limits make worth it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::connector::{Item, Write};
use crate::mapping::Links;
use crate::pipeline::decide::{Attempt, Next, is_refusal, key_left, lost_create, unanswered};
use crate::pipeline::diff::changed_fields;
use crate::pipeline::route::{Step, route, route_unmatched};
use crate::plan::connection::BatchPlan;
use crate::plan::{Guarantee, Plan};
use crate::record::{Key, TargetId, Verb};
use crate::state::{Change, Exception, Trouble, mark};
use crate::trial::{Bug, planted};
use tokio::time::Instant;

use super::crash::{Boundary, pass};
use super::flight::{Doing, FlightId, Forced, Home};
use super::outcome::Outcome;
use super::redact::read_again;
use super::{Event, Worker, now};

/// An item of a write, owned by the future that sends it.
struct Parcel {
    key: Key,
    id: Option<TargetId>,
    body: Bytes,
    source: Bytes,
}

impl Worker {
    /// Starts operations while there are slots.
    pub(super) fn fill(&mut self) {
        if let Some(until) = self.held_until {
            if Instant::now() < until {
                return;
            }
            self.held_until = None;
        }
        if self.asks_first() {
            return;
        }
        let slots = if self.outages > 0 {
            1
        } else {
            self.setup.target.concurrency()
        };
        let mut creates = Vec::new();
        while let Some(id) = self.flights.front()
            && self.busy < slots + self.ahead(id)
        {
            self.flights.pop();
            self.start(id, &mut creates);
        }
        if !creates.is_empty() {
            self.note_creates(creates);
        }
    }

    fn start(&mut self, id: FlightId, creates: &mut Vec<FlightId>) {
        let plan = self.setup.plan.clone();
        let flight = self.flights.get(id);
        if let Some(removal) = flight.entry.removal {
            return self.remove(id, removal);
        }
        if flight.entry.body.is_empty() {
            return self.remap(id);
        }
        let base = &flight.base;
        let in_doubt = matches!(flight.forced, Some(Forced::Resolve));
        if !in_doubt && base.exists && base.mapped == flight.entry.mapped && !flight.detail.replayed
        {
            return self.conclude(Outcome::unchanged(id));
        }
        if flight.forced.is_none() && self.is_echo(flight) {
            return self.hold_echo(id);
        }
        let step = match flight.forced {
            Some(Forced::Create) => route_unmatched(&plan),
            Some(Forced::Adopt) => Step::Find,
            Some(Forced::Resolve) => return self.resolve(id),
            None => route(&plan, base.target.is_some()),
        };
        let step = match base.untold() {
            true if flight.entry.matching.is_some() && plan.target.object.find.is_some() => {
                Step::Find
            }
            true => return self.unknown_target(id),
            false => step,
        };
        match step {
            Step::Skip => self.conclude(Outcome::skipped(id)),
            Step::Find => self.search(id),
            Step::Create if self.noted(id) || planted(Bug::CreateBeforeNote) => {
                self.send(Verb::Create, id)
            }
            Step::Create => {
                self.flights.get_mut(id).doing = Doing::Preparing;
                self.busy += 1;
                creates.push(id);
            }
            Step::Update => self.send(Verb::Update, id),
            Step::Upsert => self.send(Verb::Upsert, id),
        }
    }

    /// A person confirmed that the target has this record, and nobody knows its id: it is never created
    /// again.
    pub(super) fn unknown_target(&mut self, id: FlightId) {
        let message = "the target has this record from a create whose answer was lost, under an id that is not \
                       known: change it there by hand, then discard this dead letter";
        self.conclude(Outcome::dead(id, "UnknownTarget", message.into()));
    }

    /// Whether the store knows already that this create may be sent.
    fn noted(&self, id: FlightId) -> bool {
        self.flights.mark(self.flights.get(id).home) == Some(mark::CREATING)
    }

    /// T2: creates are noted down before they are sent.
    fn note_creates(&mut self, creates: Vec<FlightId>) {
        let mut segments = BTreeSet::new();
        let mut changes = Vec::new();
        for id in &creates {
            let flight = self.flights.get_mut(*id);
            flight.detail.first_sent.get_or_insert_with(now);
            if flight.base.exists {
                // It is created anew: after a crash the link must not say that its old target is there.
                changes.push(Change::Forget {
                    key: flight.entry.key.clone(),
                    target_gone: true,
                });
            }
            match flight.home {
                home @ Home::Segment { .. } => {
                    segments.extend(self.flights.set_mark(home, mark::CREATING))
                }
                Home::Exception => changes.push(Change::Exception(Box::new(Exception {
                    entry: (*flight.entry).clone(),
                    trouble: Trouble::Unknown,
                    next: 0,
                    detail: flight.detail.detail(),
                    behind: flight.behind.as_deref().cloned(),
                }))),
            }
        }
        changes.extend(self.flights.marks(&segments));
        pass(Boundary::BeforeT2);
        let commit = self.commit(changes);
        self.push(async move { commit.await.map(|()| Event::Noted(creates)) });
    }

    /// T2 is durable: the creates go out, as batches where the target takes them.
    pub(super) fn send_noted(&mut self, creates: Vec<FlightId>) {
        pass(Boundary::AfterT2);
        self.busy -= creates.len();
        let most = self.batch_of(Verb::Create).map_or(1, |b| b.max);
        let (alone, together): (Vec<_>, Vec<_>) = creates
            .into_iter()
            .partition(|id| self.flights.get(*id).alone);
        for id in alone {
            self.dispatch(Verb::Create, vec![id]);
        }
        for chunk in together.chunks(most.max(1)) {
            self.dispatch(Verb::Create, chunk.to_vec());
        }
    }

    pub(super) fn batch_of(&self, verb: Verb) -> Option<&BatchPlan> {
        let target = &self.plan().target.object;
        match verb {
            Verb::Create => target.create.as_ref()?.batch.as_ref(),
            Verb::Update => target.update.as_ref()?.batch.as_ref(),
            Verb::Upsert => target.upsert.as_ref()?.batch.as_ref(),
            Verb::Delete => None,
        }
    }

    /// Sends a flight, with others from the queue that need the same operation where there are batches.
    pub(super) fn send(&mut self, verb: Verb, id: FlightId) {
        let mut ids = vec![id];
        if let Some(most) = self.batch_of(verb).map(|b| b.max)
            && !self.flights.get(id).alone
        {
            self.gather(verb, most, &mut ids);
        }
        self.dispatch(verb, ids);
    }

    fn gather(&mut self, verb: Verb, most: usize, ids: &mut Vec<FlightId>) {
        let plan = self.setup.plan.clone();
        let wanted = |worker: &Self, id: FlightId| {
            let flight = worker.flights.get(id);
            let step = route(&plan, flight.base.target.is_some());
            let plain = flight.forced.is_none()
                && flight.entry.removal.is_none()
                && !flight.alone
                && !flight.base.untold();
            let same = flight.base.exists && flight.base.mapped == flight.entry.mapped;
            plain
                && !same
                && !flight.entry.body.is_empty()
                && !worker.is_echo(flight)
                && matches!(
                    (verb, step),
                    (Verb::Update, Step::Update) | (Verb::Upsert, Step::Upsert)
                )
        };
        while ids.len() < most
            && let Some(next) = self.flights.front()
            && wanted(self, next)
        {
            self.flights.pop();
            self.flights.get_mut(next).doing = Doing::Preparing;
            ids.push(next);
        }
    }

    fn dispatch(&mut self, verb: Verb, ids: Vec<FlightId>) {
        let plan = self.setup.plan.clone();
        let changed_only = verb == Verb::Update
            && plan
                .target
                .object
                .update
                .as_ref()
                .is_some_and(|u| u.changed_fields);
        let mut parcels = Vec::with_capacity(ids.len());
        for id in &ids {
            let flight = self.flights.get_mut(*id);
            flight.doing = Doing::Sending;
            if verb == Verb::Create {
                flight.detail.first_sent.get_or_insert_with(now);
                self.missing.forget(&flight.entry.key);
            }
            let whole = flight.entry.removal.is_some() || flight.base.fields.is_empty();
            let body = if changed_only && !whole {
                only_changed(&flight.entry.body, &flight.base.fields)
            } else {
                flight.entry.body.clone()
            };
            let id = if verb == Verb::Create {
                None
            } else {
                flight.base.target.clone()
            };
            parcels.push(Parcel {
                key: flight.entry.key.clone(),
                id,
                body,
                source: flight.entry.params.clone(),
            });
        }
        // A batch of creates has no key that outlives this process: its records are found again one by one.
        let keyed =
            verb == Verb::Create && plan.guarantees.create == Some(Guarantee::IdempotencyKey);
        let idempotency_key = match ids.as_slice() {
            [only] if keyed => Some(self.flights.get(*only).entry.idempotency_key()),
            _ => None,
        };
        let not_after = match ids.as_slice() {
            [only] if keyed => self.key_ends(*only),
            _ => None,
        };
        if planted(Bug::DoneBeforeAnswer) {
            self.done_too_soon(&ids);
        }
        self.busy += 1;
        pass(Boundary::BeforeSend);
        let (target, fence) = (self.setup.target.clone(), self.setup.fence.clone());
        self.push(async move {
            let items: Vec<Item<'_>> = parcels
                .iter()
                .map(|p| Item {
                    id: p.id.as_ref(),
                    body: &p.body,
                    source: &p.source,
                })
                .collect();
            let write = Write {
                verb,
                items: &items,
                idempotency_key: idempotency_key.as_deref(),
                not_after,
                fence: Some(&fence).filter(|_| !planted(Bug::ReplacedGoesOn)),
            };
            let keys: Vec<Key> = parcels.iter().map(|p| p.key.clone()).collect();
            let answer = target.write(&plan, write, &keys).await;
            pass(Boundary::AfterSend);
            Ok(Event::Answered(ids, verb, answer))
        });
    }

    /// What [`Bug::DoneBeforeAnswer`] does wrong.
    fn done_too_soon(&mut self, ids: &[FlightId]) {
        let mut segments = BTreeSet::new();
        for id in ids {
            let home = self.flights.get(*id).home;
            segments.extend(self.flights.set_mark(home, mark::DONE));
        }
        let changes = self.flights.marks(&segments);
        self.push_commit(changes, Vec::new());
    }

    /// Until when a create that may have arrived can be sent again under its key.
    fn key_ends(&self, id: FlightId) -> Option<std::time::Instant> {
        let flight = self.flights.get(id);
        if flight.forced != Some(Forced::Resolve) {
            return None;
        }
        let sent_ms = now() - flight.detail.first_sent.unwrap_or(flight.entry.seen);
        let left = key_left(self.plan(), sent_ms)?;
        std::time::Instant::now().checked_add(left)
    }

    /// What to do about a create that may have arrived.
    fn resolve(&mut self, id: FlightId) {
        let flight = self.flights.get(id);
        if flight.base.target.is_some() {
            self.flights.get_mut(id).forced = None;
            return self.requeue(id);
        }
        let sent_ms = now() - flight.detail.first_sent.unwrap_or(flight.entry.seen);
        let attempt = Attempt {
            verb: Verb::Create,
            attempts: flight.detail.attempts,
            age_ms: self.age(&flight.detail),
            batched: false,
            sent_ms,
            searchable: flight.entry.matching.is_some(),
            in_doubt: true,
        };
        let last = flight.detail.failure.as_ref();
        let next = match last.is_some_and(|failure| is_refusal(failure.class)) {
            true => unanswered(self.plan(), attempt),
            false => lost_create(self.plan(), attempt),
        };
        match next {
            Next::Resend => self.send(Verb::Create, id),
            Next::Resolve if !planted(Bug::NoLookup) => self.look_for(id),
            Next::Ambiguous if !planted(Bug::AmbiguousRetried) => {
                self.conclude(Outcome::ambiguous(id, sent_ms))
            }
            _ => {
                self.flights.get_mut(id).forced = Some(Forced::Create);
                self.requeue(id);
            }
        }
    }

    pub(super) fn requeue(&mut self, id: FlightId) {
        self.flights.enqueue(id, true);
    }

    /// Maps a flight's source record again: a replay, a waiting record, a version that waited.
    pub(super) fn remap(&mut self, id: FlightId) {
        let plan: std::sync::Arc<Plan> = self.setup.plan.clone();
        let flight = self.flights.get_mut(id);
        flight.doing = Doing::Preparing;
        let (mut source, redacted) = (flight.entry.source.clone(), flight.detail.redacted);
        let key = flight.entry.key.clone();
        let store = self.setup.store.clone();
        let system = self.setup.source.clone();
        self.busy += 1;
        self.push(async move {
            if redacted {
                match read_again(&system, &plan.source.object, &key).await {
                    Ok(record) => source = record,
                    Err(unread) => return Ok(Event::Remapped(id, Err(unread))),
                }
            }
            let value: Value = serde_json::from_slice(&source).unwrap_or(Value::Null);
            let mut wanted = Vec::new();
            plan.mapping.lookups(&value, &mut wanted);
            let links: Links = super::prepare::find_links(&plan, store.as_ref(), wanted).await?;
            Ok(Event::Remapped(id, Ok((source, links))))
        });
    }
}

/// The body with only the fields that differ from what was sent last.
fn only_changed(body: &Bytes, sent: &[u8]) -> Bytes {
    match serde_json::from_slice::<Map<String, Value>>(body) {
        Ok(mapped) => serde_json::to_vec(&changed_fields(&mapped, sent))
            .map_or_else(|_| body.clone(), Bytes::from),
        Err(_) => body.clone(),
    }
}
