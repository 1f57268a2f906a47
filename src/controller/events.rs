//! Kubernetes Events at transitions of conditions, and only there. Bounded: what is too much is dropped
//! and counted. Filled by `status`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;

use super::conditions::shorten;
use super::health::Health;
use super::index::Target;
use super::status::resource;
use super::watch::describe;
use crate::api::condition::{DEAD_LETTERS_EMPTY, FRESH, READY, find};

/// Events that may wait.
const MOST: usize = 1_000;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Something that happened to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub good: bool,
    pub reason: String,
    pub message: String,
}

struct Waiting {
    target: Target,
    uid: String,
    happened: Happened,
}

/// Where events wait.
pub struct Events {
    sender: mpsc::Sender<Waiting>,
    health: Arc<Health>,
}

/// Sends them.
pub struct Publisher {
    receiver: mpsc::Receiver<Waiting>,
    recorder: Recorder,
}

impl Events {
    pub fn new(client: Client, health: Arc<Health>, instance: String) -> (Self, Publisher) {
        let (sender, receiver) = mpsc::channel(MOST);
        let reporter = Reporter {
            controller: "syncline.dev/controller".to_owned(),
            instance: Some(instance),
        };
        let recorder = Recorder::new(client, reporter);
        (Self { sender, health }, Publisher { receiver, recorder })
    }

    pub fn publish(&self, target: &Target, uid: &str, happened: Happened) {
        let waiting = Waiting {
            target: target.clone(),
            uid: uid.to_owned(),
            happened,
        };
        if self.sender.try_send(waiting).is_err() {
            self.health.metrics.events_dropped.inc();
        }
    }
}

impl Publisher {
    /// Until nobody can publish any more.
    pub async fn run(mut self) {
        while let Some(Waiting {
            target,
            uid,
            happened,
        }) = self.receiver.recv().await
        {
            let resource = resource(target.kind);
            let regarding = ObjectReference {
                api_version: Some(resource.api_version),
                kind: Some(resource.kind),
                name: Some(target.name.name.clone()),
                namespace: Some(target.name.namespace.clone()),
                uid: Some(uid),
                ..ObjectReference::default()
            };
            let event = Event {
                type_: if happened.good {
                    EventType::Normal
                } else {
                    EventType::Warning
                },
                reason: happened.reason,
                note: Some(shorten(happened.message)),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            let publish = self.recorder.publish(&event, &regarding);
            match tokio::time::timeout(TIMEOUT, publish).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!("an event was not published: {}", describe(&error))
                }
                Err(_) => tracing::debug!("an event was not published in time"),
            }
        }
    }
}

/// The events between two sets of conditions: when Ready, Fresh or DeadLettersEmpty turn, or Ready changes
/// its reason for the worse.
pub fn transitions(before: &[Condition], after: &[Condition]) -> Vec<Happened> {
    let mut events = Vec::new();
    for kind in [READY, FRESH, DEAD_LETTERS_EMPTY] {
        let Some(new) = find(after, kind) else {
            continue;
        };
        let old = find(before, kind);
        let turned = old.is_none_or(|old| old.status != new.status);
        let was = |status: &str| old.is_some_and(|old| old.status == status);
        let worse = kind == READY
            && new.status != "True"
            && old.is_some_and(|old| old.reason != new.reason);
        // Of the others, that they turn bad and are good again; that they are not known, Ready says.
        let news = kind == READY || new.status == "False" || (new.status == "True" && was("False"));
        if (turned && news) || worse {
            events.push(Happened {
                good: new.status == "True",
                reason: new.reason.clone(),
                message: new.message.clone(),
            });
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Condition {
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: None,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn events_come_at_transitions_only() {
        let good = [condition(READY, "True", "Supervised", "a")];
        let same = [condition(READY, "True", "Supervised", "b")];
        let bad = [condition(READY, "False", "SecretMissing", "c")];
        let worse = [condition(READY, "False", "InvalidSpec", "d")];
        let count = |before: &[Condition], after: &[Condition]| transitions(before, after).len();
        assert_eq!(count(&[], &good), 1);
        assert_eq!(count(&good, &same), 0);
        assert_eq!(count(&good, &bad), 1);
        assert_eq!(count(&bad, &bad), 0);
        assert_eq!(count(&bad, &worse), 1);
        let fresh = [condition(FRESH, "True", "WithinMaxAge", "")];
        let stale = [condition(FRESH, "False", "Stale", "")];
        assert_eq!(count(&[], &fresh), 0);
        assert_eq!(count(&fresh, &stale), 1);
        assert_eq!(count(&stale, &fresh), 1);
        let unknown = [condition(FRESH, "Unknown", "Suspended", "")];
        assert_eq!(count(&fresh, &unknown) + count(&unknown, &fresh), 0);
    }
}
