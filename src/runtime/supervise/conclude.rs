//! What a run's end means for the next one: nothing, or a while of waiting and a word about why.
//! Used by `supervise`.

use std::time::Duration;

use super::{Ended, GRACE, Supervisor, Turn};
use crate::runtime::order::{Ailment, AilmentKind, Order, short};
use crate::runtime::timing::{reach_delay, restart_delay};
use crate::state::{Millis, StoreError};
use crate::worker::{RunError, now};

impl Supervisor {
    /// What a run's end means for the next one.
    pub(super) async fn conclude(&mut self, order: &Order, turn: Turn, ended: Ended) {
        let at = now();
        let ailment = match ended {
            Ended::Reported(None) => None,
            Ended::Reported(Some(RunError::Store(StoreError::Fenced { .. }))) => None,
            Ended::Reported(Some(error)) => {
                let message = match &error {
                    RunError::Store(StoreError::Mismatch { .. }) => mismatch(order),
                    error => error.to_string(),
                };
                Some((AilmentKind::of(&error), message))
            }
            Ended::Lost(message) => Some((AilmentKind::Panic, message)),
        };
        let Some((kind, message)) = ailment else {
            self.failures = 0;
            // A retry that went well says nothing of a scan that failed.
            if turn == Turn::Scan {
                self.show(|s| {
                    s.tried = true;
                    s.ailment = None;
                });
            }
            return self.load().await;
        };
        self.failures += 1;
        tracing::warn!(sync = %self.name, failures = self.failures, "run failed: {message}");
        self.load().await;
        let next_attempt = self.next_attempt(order, kind, at);
        self.show(|s| {
            s.next_run = next_attempt;
            s.tried = true;
            s.ailment = Some(Ailment {
                kind,
                message,
                next_attempt,
            });
        });
    }

    /// When a failed Sync is tried again; `None`: when a person has acted.
    fn next_attempt(&self, order: &Order, kind: AilmentKind, at: Millis) -> Option<Millis> {
        let delay = restart_delay(self.failures);
        let after = |delay: Duration| at.saturating_add(delay.as_millis() as i64);
        let site = &self.shared.site;
        Some(match kind {
            AilmentKind::MappingSuspect => return None,
            AilmentKind::Unreachable => {
                let delay = reach_delay(self.failures, getrandom::u64().unwrap_or(0));
                order.plan.trigger.runs.next(at).min(after(delay))
            }
            AilmentKind::CredentialRejected => {
                let plan = &order.plan;
                let rest = [&plan.source.connection, &plan.target.connection]
                    .into_iter()
                    .filter_map(|c| site.connector(c).ok()?.stalled_for())
                    .max();
                after(rest.unwrap_or(delay))
            }
            _ => after(delay),
        })
    }
}

/// What a person has to decide about state of other systems.
fn mismatch(order: &Order) -> String {
    let hash = short(order.plan.identity);
    format!(
        "the state of this Sync is about other systems: its Connections' URLs, settings, objects or keys have changed. Were they only renamed, keep it with the annotation {annotation}: Adopt-{hash}; are they others, forget it with Reset-{hash}",
        annotation = crate::api::condition::STATE
    )
}

/// A worker that ended without a report.
pub(super) fn lost(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            // The log has it; a status must not, because it may hold a value.
            tracing::error!("a worker panicked: {}", what.unwrap_or_default());
            "its worker panicked and is started again; please report this with the controller's log"
                .to_owned()
        }
        Err(_) => format!(
            "its worker did not stop within {} s and was ended",
            GRACE.as_secs()
        ),
    }
}
