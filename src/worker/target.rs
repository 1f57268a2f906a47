//! Where a worker writes: into the target, or nowhere. A rehearsal reads for real and answers writes as
//! the target would if nothing went wrong. Used by `send`; chosen by `runtime`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use serde_json::Value;

use crate::connector::{Answer, Connector, Done, Found, Item, Question, Write};
use crate::plan::{ObjectPlan, Plan};
use crate::record::{Class, Failure, Key, TargetId, Verb};

/// Begins the id of a record that doesn't exist yet.
const KNOWN_AFTER: &str = "(known after run: ";

/// Reads of one batch under way at once.
const READS: usize = 8;

/// Records kept between `find` and the write that follows it; beyond that, what changes is shown without what was.
const MOST_FOUND: usize = 4_096;

/// The system that a worker writes to.
#[derive(Clone)]
pub enum Target {
    Live(Connector),
    Rehearsal(Rehearsal),
}

/// A target that is read and never written.
#[derive(Clone)]
pub struct Rehearsal {
    connector: Connector,
    /// What `find` returned, for objects without `get`.
    found: Arc<Mutex<HashMap<TargetId, Value>>>,
}

/// Whether this id stands for one that the target will choose.
pub fn known_after_run(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.starts_with(KNOWN_AFTER))
}

impl Target {
    pub fn rehearsal(connector: Connector) -> Self {
        Self::Rehearsal(Rehearsal {
            connector,
            found: Arc::default(),
        })
    }

    fn connector(&self) -> &Connector {
        match self {
            Self::Live(connector) => connector,
            Self::Rehearsal(rehearsal) => &rehearsal.connector,
        }
    }

    /// See [`Connector::concurrency`].
    pub fn concurrency(&self) -> usize {
        self.connector().concurrency()
    }

    /// See [`Connector::blocked_for`].
    pub fn blocked_for(&self) -> Option<Duration> {
        self.connector().blocked_for()
    }

    /// See [`Connector::ask_after`].
    pub async fn ask_after(
        &self,
        object: &Arc<ObjectPlan>,
        question: Question,
    ) -> Result<(), Failure> {
        self.connector().ask_after(object, question).await
    }

    /// See [`Connector::find`].
    pub async fn find(
        &self,
        object: &ObjectPlan,
        matching: &Value,
        source: &Value,
    ) -> Result<Vec<Found>, Failure> {
        let found = self.connector().find(object, matching, source).await?;
        if let (Self::Rehearsal(rehearsal), None) = (self, &object.get) {
            rehearsal.keep(&found);
        }
        Ok(found)
    }

    /// See [`Connector::write`]; `keys` are the source keys of the items.
    pub async fn write(&self, plan: &Plan, write: Write<'_>, keys: &[Key]) -> Answer {
        match self {
            Self::Live(connector) => connector.write(&plan.target.object, write).await,
            Self::Rehearsal(rehearsal) => rehearsal.write(plan, write, keys).await,
        }
    }
}

impl Rehearsal {
    fn keep(&self, found: &[Found]) {
        let mut kept = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() > MOST_FOUND {
            kept.clear();
        }
        kept.extend(found.iter().map(|f| (f.id.clone(), f.record.clone())));
    }

    async fn write(&self, plan: &Plan, write: Write<'_>, keys: &[Key]) -> Answer {
        // Boxed one by one: a closure that borrows both is too particular for a task that moves between threads.
        let mut work = Vec::with_capacity(keys.len());
        for (item, key) in write.items.iter().zip(keys) {
            work.push(self.one(plan, write.verb, item, key).boxed());
        }
        Answer::Items(futures::stream::iter(work).buffered(READS).collect().await)
    }

    async fn one(
        &self,
        plan: &Plan,
        verb: Verb,
        item: &Item<'_>,
        key: &Key,
    ) -> Result<Done, Failure> {
        let object = &plan.target.object;
        let tells_id = match verb {
            Verb::Create => object.create.as_ref().is_some_and(|c| !c.ids.is_empty()),
            Verb::Upsert => object.upsert.as_ref().is_some_and(|u| !u.ids.is_empty()),
            Verb::Update | Verb::Delete => false,
        };
        let Some(id) = item.id else {
            let id = format!("{KNOWN_AFTER}{} {key})", plan.name.name);
            return Ok(Done {
                id: TargetId::from_value(&id.into()).filter(|_| tells_id),
                before: None,
            });
        };
        Ok(Done {
            id: Some(id.clone()),
            before: self.read(object, verb, id).await?,
        })
    }

    /// What the target has; for an update whose record is gone, the failure that the update would get.
    async fn read(
        &self,
        object: &ObjectPlan,
        verb: Verb,
        id: &TargetId,
    ) -> Result<Option<Value>, Failure> {
        if known_after_run(&id.to_value()) {
            return Ok(None);
        }
        if object.get.is_none() {
            let mut kept = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(kept.remove(id));
        }
        match self.connector.get(object, id).await {
            Ok(Some(found)) => Ok(Some(found.record)),
            Ok(None) if matches!(verb, Verb::Update | Verb::Delete) => {
                let text = format!("{} {id}: the record is gone", object.name);
                Err(Failure::new(Class::Gone, true, text))
            }
            Ok(None) => Ok(None),
            Err(failure) => {
                tracing::warn!(
                    "{} {id} cannot be read, so its change is shown without what is there now: {failure}",
                    object.name
                );
                Ok(None)
            }
        }
    }
}
