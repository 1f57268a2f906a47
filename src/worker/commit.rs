//! What the engine's task begins and waits for: futures that bring events, and durable groups of changes.
//! Used by all of `worker`.

use futures::FutureExt;
use futures::future::BoxFuture;

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
        if planted(Bug::EpochUnchecked) {
            let (store, mut session) = (self.setup.store.clone(), self.session.clone());
            return async move {
                if let Some((newest, _)) = store.find(&session.sync).await? {
                    session.epoch = newest.epoch;
                }
                store.commit(&session, changes).await
            }
            .boxed();
        }
        self.setup.store.commit(&self.session, changes)
    }
}
