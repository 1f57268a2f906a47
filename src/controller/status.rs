//! The statuses as the cluster has them, and those that are to be written: one for each resource, the
//! newest, by server-side apply with our own field manager. Nothing is written that says what is there
//! already. Bounded by the number of resources. Filled by the reconcilers.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::events::{Events, transitions};
use super::health::Health;
use super::index::{Kind, Target};
use super::watch::describe;
use crate::api::crd::{GROUP, VERSION};
use crate::plan::ResourceName;

/// Owner of the fields of a status.
pub const FIELD_MANAGER: &str = "syncline";
/// Patches under way at once.
pub const WRITERS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// What an API server says of a server-side apply with a field that its definition lacks.
const UNDECLARED: &str = "field not declared in schema";
/// What it says of one to a resource that does not fit its definition.
const UNTYPED: &str = "failed to create typed";

/// All statuses.
pub struct Statuses {
    client: Client,
    health: Arc<Health>,
    events: Arc<Events>,
    known: Mutex<HashMap<Target, Known>>,
    pending: Mutex<BTreeMap<Target, Pending>>,
    /// What is being written.
    flying: Mutex<HashMap<Target, Value>>,
    notify: Notify,
    /// It was said that a definition is older than this program.
    outdated: AtomicBool,
}

/// A status as the cluster has it: seen, or written by us.
struct Known {
    uid: String,
    version: u64,
    /// JSON with sorted keys; empty: there is none.
    status: Box<str>,
}

struct Pending {
    uid: String,
    status: Value,
    failures: u32,
    /// Not before this moment, after a failure.
    due: Instant,
}

/// Why a status was not written.
struct Unsent {
    problem: String,
    /// The API server takes no status for the resource as it is.
    refused: bool,
}

/// The conditions of any status.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Conditions {
    conditions: Vec<Condition>,
}

/// The conditions in a status.
pub fn conditions_of(status: &Value) -> Vec<Condition> {
    Conditions::deserialize(status)
        .unwrap_or_default()
        .conditions
}

impl Statuses {
    pub fn new(client: Client, health: Arc<Health>, events: Arc<Events>) -> Self {
        Self {
            client,
            health,
            events,
            known: Mutex::default(),
            pending: Mutex::default(),
            flying: Mutex::default(),
            notify: Notify::new(),
            outdated: AtomicBool::new(false),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Target, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<Target, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A resource was seen with this status; an older sight than what we wrote is ignored. Whether it
    /// says something else than what we knew.
    pub fn seen(&self, target: &Target, uid: &str, version: &str, status: Option<Value>) -> bool {
        let version = version.parse().unwrap_or(u64::MAX);
        let status = text(status.as_ref());
        let mut known = self.known();
        if let Some(before) = known.get(target)
            && before.uid == uid
        {
            if before.version > version {
                return false;
            }
            if before.status == status {
                return false;
            }
        }
        let new = Known {
            uid: uid.to_owned(),
            version,
            status,
        };
        known.insert(target.clone(), new);
        true
    }

    /// The resource is gone.
    pub fn forget(&self, target: &Target) {
        self.known().remove(target);
        self.pending().remove(target);
    }

    /// The status that the resource has, or will have when what waits is written.
    pub fn current(&self, target: &Target) -> Value {
        if let Some(pending) = self.pending().get(target) {
            return pending.status.clone();
        }
        if let Some(flying) = self.flying().get(target) {
            return flying.clone();
        }
        let known = self.known();
        let text = known.get(target).map_or("", |known| &known.status);
        serde_json::from_str(text).unwrap_or(Value::Null)
    }

    /// Writes a status, unless the resource has it already.
    pub fn write(&self, target: &Target, uid: &str, status: Value) {
        if self.current(target) == status {
            return;
        }
        let pending = Pending {
            uid: uid.to_owned(),
            status,
            failures: 0,
            due: Instant::now(),
        };
        self.pending().insert(target.clone(), pending);
        self.notify.notify_one();
    }

    /// Writes what waits, for ever. Several may run at once.
    pub async fn run(&self) {
        loop {
            let wake = match self.take(Instant::now()) {
                Ok((target, pending)) => {
                    self.notify.notify_one();
                    self.patch(target, pending).await;
                    continue;
                }
                Err(wake) => wake,
            };
            let notified = self.notify.notified();
            match wake {
                // One that fails never holds up the others.
                Some(at) => drop(tokio::time::timeout_at(at, notified).await),
                None => notified.await,
            }
        }
    }

    fn flying(&self) -> MutexGuard<'_, HashMap<Target, Value>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one that is due and of whose resource nothing is being written; else says when one will be.
    fn take(&self, now: Instant) -> Result<(Target, Pending), Option<Instant>> {
        let mut pending = self.pending();
        let mut flying = self.flying();
        let free = pending.iter().filter(|(t, _)| !flying.contains_key(t));
        let (due, target) = free
            .map(|(target, waits)| (waits.due.max(now), target))
            .min()
            .ok_or(None)?;
        if due > now {
            return Err(Some(due));
        }
        let target = target.clone();
        let taken = pending.remove(&target).ok_or(None)?;
        flying.insert(target.clone(), taken.status.clone());
        Ok((target, taken))
    }

    async fn patch(&self, target: Target, mut pending: Pending) {
        let metrics = &self.health.metrics;
        metrics.status_writes.inc();
        let before = self.before(&target);
        let sent = self.send(&target, &pending).await;
        if let Ok(Some((version, status))) = &sent {
            // Known before the next one is taken, which tells what turned since.
            self.seen(&target, &pending.uid, version, Some(status.clone()));
        }
        self.flying().remove(&target);
        self.notify.notify_one();
        match sent {
            Ok(Some(_)) => self.tell(&target, &before, &pending),
            // Gone, or another one of the same name: there is nobody to tell.
            Ok(None) => {}
            Err(Unsent { problem, refused }) => {
                metrics.status_write_errors.inc();
                pending.failures += 1;
                tracing::warn!(resource = %show(&target), "status not written: {problem}");
                if refused && pending.failures == 1 {
                    // A resource that breaks its own definition may take no status: an Event still says why.
                    self.tell(&target, &before, &pending);
                }
                let delay = crate::worker::backoff(FIRST_DELAY, LONGEST_DELAY, pending.failures);
                pending.due = Instant::now() + delay;
                // A newer status that came meanwhile is the one to write.
                self.pending().entry(target).or_insert(pending);
                self.notify.notify_one();
            }
        }
    }

    /// Publishes what turns with a status.
    fn tell(&self, target: &Target, before: &[Condition], pending: &Pending) {
        for event in transitions(before, &conditions_of(&pending.status)) {
            self.events.publish(target, &pending.uid, event);
        }
    }

    fn before(&self, target: &Target) -> Vec<Condition> {
        let known = self.known();
        let text = known.get(target).map_or("", |known| &known.status);
        serde_json::from_str::<Conditions>(text)
            .unwrap_or_default()
            .conditions
    }

    /// Sends one patch; answers the new resourceVersion and status, or nothing when the resource is gone.
    async fn send(
        &self,
        target: &Target,
        pending: &Pending,
    ) -> Result<Option<(String, Value)>, Unsent> {
        let resource = resource(target.kind);
        let name = &target.name;
        // The uid makes a patch for a resource that was deleted and made again fail.
        let metadata = json!({"name": name.name, "namespace": name.namespace, "uid": pending.uid});
        let body = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": metadata,
            "status": pending.status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match self
            .patch_with(&resource, name, &params, &Patch::Apply(&body))
            .await
        {
            Err(unsent) if unsent.problem.contains(UNDECLARED) => self.tell_outdated(&resource),
            Err(unsent) if unsent.problem.contains(UNTYPED) => {}
            answer => return answer,
        }
        // What the definition doesn't know is dropped from a merge patch, not refused.
        let before = self.known().get(target).map(|known| known.status.clone());
        let before = serde_json::from_str(&before.unwrap_or_default()).unwrap_or(Value::Null);
        let body = json!({
            "metadata": {"uid": pending.uid},
            "status": difference(&before, &pending.status),
        });
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        self.patch_with(&resource, name, &params, &Patch::Merge(&body))
            .await
    }

    /// Says once that definitions should be upgraded.
    fn tell_outdated(&self, resource: &ApiResource) {
        if !self.outdated.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the CustomResourceDefinition of {}s is older than this operator, so that statuses lack what is new: \
                 upgrade it with `syncline crds | kubectl apply --server-side -f -`",
                resource.kind
            );
        }
    }

    async fn patch_with(
        &self,
        resource: &ApiResource,
        name: &ResourceName,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<Option<(String, Value)>, Unsent> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &name.namespace, resource);
        let work = api.patch_status(&name.name, params, patch);
        match tokio::time::timeout(TIMEOUT, work).await {
            Ok(Ok(object)) => {
                let version = object.resource_version().unwrap_or_default();
                let status = object.data.get("status").cloned().unwrap_or_default();
                Ok(Some((version, status)))
            }
            Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(None),
            Ok(Err(error)) => Err(Unsent {
                refused: matches!(&error, kube::Error::Api(status) if status.code == 422),
                problem: describe(&error),
            }),
            Err(_) => Err(Unsent {
                refused: false,
                problem: format!("no answer within {} s", TIMEOUT.as_secs()),
            }),
        }
    }
}

/// The merge patch (RFC 7396) that makes `after` of `before`.
fn difference(before: &Value, after: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return after.clone();
    };
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let gone = gone.map(|key| (key.clone(), Value::Null));
    let there = after.iter().map(|(key, value)| {
        let before = before.get(key).unwrap_or(&Value::Null);
        (key.clone(), difference(before, value))
    });
    gone.chain(there).collect()
}

/// The API of a kind.
pub fn resource(kind: Kind) -> ApiResource {
    let gvk = GroupVersionKind::gvk(GROUP, VERSION, kind.as_str());
    let plural = format!("{}s", kind.as_str().to_ascii_lowercase());
    ApiResource::from_gvk_with_plural(&gvk, &plural)
}

fn text(status: Option<&Value>) -> Box<str> {
    status.map(Value::to_string).unwrap_or_default().into()
}

/// A resource as people look for it.
pub fn show(target: &Target) -> String {
    format!(
        "{} {}/{}",
        target.kind.as_str(),
        target.name.namespace,
        target.name.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_takes_away_what_is_no_longer_said() {
        let before = json!({"a": 1, "run": {"message": "no", "count": 2}, "list": [1, 2]});
        let after = json!({"run": {"count": 3}, "list": [1], "new": {"deep": true}});
        let wanted = json!({"a": null, "run": {"message": null, "count": 3}, "list": [1], "new": {"deep": true}});
        assert_eq!(difference(&before, &after), wanted);
        assert_eq!(difference(&Value::Null, &after), after);
    }
}
