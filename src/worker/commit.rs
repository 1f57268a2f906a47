//! What the engine's task begins and waits for: futures that bring events, and durable groups of changes.
//! Used by all of `worker`.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::pipeline::route::{Step, route};
use crate::plan::{Guarantee, Plan};
use crate::state::{Change, StoreError, mark, segment};
use crate::trial::{Bug, planted};

use super::crash::{Boundary, pass};
use super::flight::{Flight, FlightId};
use super::page::Batch;
use super::{Event, Worker};

impl Worker {
    pub(super) fn push(
        &mut self,
        work: impl Future<Output = Result<Event, StoreError>> + Send + 'static,
    ) {
        self.work.push(work.boxed());
    }

    pub(super) fn commit(
        &self,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        if planted(Bug::ReplacedGoesOn) {
            let (store, mut session) = (self.setup.store.clone(), self.session.clone());
            return async move {
                let refused = store.commit(&session, changes.clone()).await;
                if let Err(StoreError::Fenced { .. }) = refused
                    && let Some((newest, _)) = store.find(&session.sync).await?
                {
                    session.epoch = newest.epoch;
                    return store.commit(&session, changes).await;
                }
                refused
            }
            .boxed();
        }
        self.setup.store.commit(&self.session, changes)
    }

    /// `soon`: nothing waits for it, since there is enough else to do.
    pub(super) fn commit_when(
        &self,
        soon: bool,
        changes: Vec<Change>,
    ) -> BoxFuture<'static, Result<(), StoreError>> {
        match soon && !planted(Bug::ReplacedGoesOn) {
            true => self.setup.store.commit_soon(&self.session, changes),
            false => self.commit(changes),
        }
    }

    /// T1 of a page; `told`: the position in the inbox has moved.
    pub(super) fn commit_page(
        &mut self,
        mut batch: Batch,
        bytes: usize,
        ended: Option<Option<String>>,
        told: bool,
    ) {
        if !batch.added.is_empty() {
            self.state.next_segment += 1;
            let carries_t2 = carries_t2(self.plan());
            let states: Vec<u8> = batch
                .added
                .iter()
                .map(|id| {
                    let flight = self.flights.get(*id);
                    if carries_t2 && flight.base.target.is_none() {
                        mark::CREATING
                    } else {
                        mark::PENDING
                    }
                })
                .collect();
            let body = segment::encode_page(batch.added.iter().map(|id| {
                let flight = self.flights.get(*id);
                (&*flight.entry, is_frozen(self.plan(), flight))
            }));
            batch.changes.push(Change::Segment {
                number: batch.number,
                body,
                states: states.clone(),
            });
            self.flights.add_segment(batch.number, states, bytes);
        }
        let marks = std::mem::take(&mut self.dirty_segments);
        batch.changes.extend(self.flights.marks(&marks));
        let last = ended.is_some();
        match ended {
            Some(token) => batch.changes.extend(self.end_scan(token)),
            None if told || !batch.changes.is_empty() || self.state_is_old() => {
                batch
                    .changes
                    .push(Change::State(Box::new(self.state.clone())));
            }
            None => {}
        }
        if batch.changes.is_empty() {
            return self.pages -= 1;
        }
        // What has no flight is only known to the store: the next page is looked up when it is there.
        for change in &batch.changes {
            let key = match change {
                Change::Exception(exception) => &exception.entry.key,
                Change::Resolved(key) if self.flights.newest(key).is_none() => key,
                _ => continue,
            };
            self.meanwhile.filing.insert(key.clone());
        }
        let filed = !self.meanwhile.filing.is_empty();
        self.judging |= filed;
        if planted(Bug::CursorBeforeOutbox) {
            let cursor = self.commit(vec![Change::State(Box::new(self.state.clone()))]);
            self.push(async move { cursor.await.map(|()| Event::Committed(Vec::new(), 0)) });
        }
        pass(Boundary::BeforeT1);
        let soon = !filed && !told && !last && self.has_enough();
        let commit = self.commit_when(soon, batch.changes);
        let parents = last.then(|| self.end_parents());
        let of = |id: &FlightId| (*id, self.flights.get(*id).home);
        let added: Vec<_> = batch.added.iter().map(of).collect();
        self.push(async move {
            commit.await?;
            if let Some(parents) = parents {
                parents.await?;
            }
            Ok(match filed {
                true => Event::Filed(added),
                false => Event::Committed(added, 1),
            })
        });
    }
}

/// Keyed creates that need no search may carry T2 in T1: sending the same bytes under the same key is
/// harmless whether or not they were sent before.
pub(super) fn carries_t2(plan: &Plan) -> bool {
    plan.guarantees.create == Some(Guarantee::IdempotencyKey)
        && route(plan, false) == Step::Create
        && plan
            .target
            .object
            .create
            .as_ref()
            .is_some_and(|create| create.batch.is_none())
}

/// Whether a version must be sent with the very bytes that T1 keeps, also after a crash: where it may be created, and
/// the target remembers what it was told. What is repeatable is mapped anew from its source then, and half of what T1
/// writes is saved.
fn is_frozen(plan: &Plan, flight: &Flight) -> bool {
    let step = route(plan, flight.base.target.is_some());
    flight.entry.removal.is_some()
        || plan.target.object.create.is_some()
        || !matches!(step, Step::Update | Step::Upsert)
}
