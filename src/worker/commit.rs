//! What the engine's task begins and waits for: futures that bring events, and durable groups of changes.
//! Used by all of `worker`.

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::pipeline::route::{Step, route};
use crate::plan::{Guarantee, Plan};
use crate::state::{Change, StoreError};
use crate::trial::{Bug, planted};

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
