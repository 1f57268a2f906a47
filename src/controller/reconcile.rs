//! Takes what is due from the queue and reconciles it; a failure is tried again by itself, later each
//! time, and never holds up the others. Several run at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use tracing::Instrument;

use super::context::Context;
use super::index::{Kind, Target};
use super::queue::delay;
use super::status::show;
use super::{connection, mapping, sync};
use crate::telemetry::events::Reconciled;
use crate::telemetry::spans;

/// Failures in a row, by resource and uid.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<(Target, String), u32>>);

impl Failures {
    /// One more; answers how many there are.
    fn add(&self, target: &Target, uid: &str) -> u32 {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures
            .entry((target.clone(), uid.to_owned()))
            .or_default();
        *count += 1;
        *count
    }

    fn forget(&self, target: &Target) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !failures.is_empty() {
            failures.retain(|(failed, _), _| failed != target);
        }
    }
}

/// Reconciles for ever.
pub async fn run(cx: &Context) {
    loop {
        let target = cx.queue.next().await;
        let metrics = &cx.health.metrics;
        let begun = Instant::now();
        metrics
            .queue
            .set(i64::try_from(cx.queue.len()).unwrap_or(i64::MAX));
        let name = &target.name;
        let span = spans::reconcile(target.kind.as_str(), &name.namespace, &name.name);
        let looking = async {
            match target.kind {
                Kind::Connection => connection::reconcile(cx, name).await,
                Kind::Mapping => mapping::reconcile(cx, name).await.map(|()| None),
                Kind::Sync => sync::reconcile(cx, name).await,
            }
        };
        let result = looking.instrument(span.clone()).await;
        spans::reconciled(&span, result.is_ok());
        drop(span);
        let failed = result.as_ref().err().map(|problem| {
            let uid = cx.index().entry(&target).map(|e| e.meta.uid.clone());
            let count = cx.failures.add(&target, &uid.unwrap_or_default());
            (count, problem.as_str())
        });
        let looked = Reconciled {
            resource: &show(&target),
            took: begun.elapsed(),
            problem: failed,
        };
        looked.emit(metrics);
        match result {
            Ok(again) => {
                cx.failures.forget(&target);
                if let Some(at) = again {
                    cx.queue.add(target.clone(), at);
                }
            }
            Err(_) => {
                let count = failed.map_or(1, |(count, _)| count);
                let delay = delay(count, getrandom::u64().unwrap_or(0));
                cx.queue.add(target.clone(), Instant::now() + delay);
            }
        }
        cx.queue.done(&target);
    }
}
