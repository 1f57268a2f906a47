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
        };
        self.pending().insert(target.clone(), pending);
        self.notify.notify_one();
    }

    /// Writes what waits, for ever. Several may run at once.
    pub async fn run(&self) {
        loop {
            let Some((target, pending)) = self.take() else {
                self.notify.notified().await;
                continue;
            };
            self.notify.notify_one();
            self.patch(target, pending).await;
        }
    }

    fn flying(&self) -> MutexGuard<'_, HashMap<Target, Value>> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one that waits and of whose resource nothing is being written.
    fn take(&self) -> Option<(Target, Pending)> {
        let mut pending = self.pending();
        let mut flying = self.flying();
        let target = pending.keys().find(|t| !flying.contains_key(t))?.clone();
        let taken = pending.remove(&target)?;
        flying.insert(target.clone(), taken.status.clone());
        Some((target, taken))
    }

    async fn patch(&self, target: Target, mut pending: Pending) {
        let metrics = &self.health.metrics;
        metrics.status_writes.inc();
        let before = self.before(&target);
        let sent = self.send(&target, &pending).await;
        self.flying().remove(&target);
        self.notify.notify_one();
        match sent {
            Ok(Some((version, status))) => {
                for event in transitions(&before, &conditions_of(&pending.status)) {
                    self.events.publish(&target, &pending.uid, event);
                }
                self.seen(&target, &pending.uid, &version, Some(status));
            }
            // Gone, or another one of the same name: there is nobody to tell.
            Ok(None) => {}
            Err(problem) => {
                metrics.status_write_errors.inc();
                pending.failures += 1;
                tracing::warn!(resource = %show(&target), "status not written: {problem}");
                let delay = crate::worker::backoff(FIRST_DELAY, LONGEST_DELAY, pending.failures);
                tokio::time::sleep(delay).await;
                // A newer status that came meanwhile is the one to write.
                self.pending().entry(target).or_insert(pending);
                self.notify.notify_one();
            }
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
    ) -> Result<Option<(String, Value)>, String> {
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
            Err(problem) if problem.contains(UNDECLARED) => {}
            answer => return answer,
        }
        // What the definition doesn't know is dropped from a merge patch, not refused.
        if !self.outdated.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the CustomResourceDefinition of {}s is older than this operator, so that statuses lack what is new: \
                 upgrade it with `syncline crds | kubectl apply --server-side -f -`",
                resource.kind
            );
        }
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

    async fn patch_with(
        &self,
        resource: &ApiResource,
        name: &ResourceName,
        params: &PatchParams,
        patch: &Patch<&Value>,
    ) -> Result<Option<(String, Value)>, String> {
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
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
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
