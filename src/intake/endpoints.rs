//! Which webhooks are served, for whom, and with which keys.
//! Told by `runtime` and the controller, asked by `receiver`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use secrecy::SecretString;

use super::Refusal;
use crate::connector::SecretSource;
use crate::plan::connection::WebhookPlan;
use crate::record::SyncName;
use crate::telemetry::{Delivery, Metrics, WebhookMeter};

/// How long a key is used before it is read again: a rotation is seen within this time.
const FRESH: Duration = Duration::from_secs(5);

/// Namespace, Connection and webhook.
pub(super) type Name = (String, String, String);

/// One webhook of a Connection.
pub struct Endpoint {
    pub namespace: String,
    pub connection: String,
    pub plan: Arc<WebhookPlan>,
    /// `NAMESPACE/NAME`, as the store calls the Connection.
    pub(super) inbox: String,
    pub(super) meter: Arc<WebhookMeter>,
    /// The keys as they were read last.
    keys: Mutex<Option<(Instant, Arc<Vec<SecretString>>)>>,
}

impl Endpoint {
    pub fn new(namespace: &str, connection: &str, plan: Arc<WebhookPlan>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            connection: connection.to_owned(),
            plan,
            inbox: format!("{namespace}/{connection}"),
            meter: Arc::default(),
            keys: Mutex::new(None),
        }
    }

    /// Path of its URL.
    pub fn path(&self) -> String {
        format!(
            "/hooks/{}/{}/{}",
            self.namespace, self.connection, self.plan.name
        )
    }

    pub(super) async fn keys(
        &self,
        secrets: &dyn SecretSource,
    ) -> Result<Arc<Vec<SecretString>>, Refusal> {
        let kept = self
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((read, keys)) = kept
            && read.elapsed() < FRESH
        {
            return Ok(keys);
        }
        let mut keys = Vec::new();
        for key in self.plan.verify.keys() {
            match secrets.read(&self.namespace, &key.name, &key.key).await {
                Ok(secret) => keys.push(secret),
                // The other keys are still good: one is being replaced.
                Err(problem) => {
                    tracing::warn!(webhook = %self.path(), secret = %key.name, key = %key.key, "a key of the webhook cannot be read: {problem}")
                }
            }
        }
        if keys.is_empty() {
            return Err(Refusal::BadKey);
        }
        let keys = Arc::new(keys);
        let mut kept = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some((Instant::now(), Arc::clone(&keys)));
        Ok(keys)
    }
}

/// The webhooks that are served now, each for the Syncs that use it; changed while they are.
#[derive(Default)]
pub struct Endpoints {
    all: RwLock<HashMap<Name, Served>>,
    /// Where it is counted what becomes of deliveries.
    metrics: Arc<Metrics>,
}

struct Served {
    endpoint: Arc<Endpoint>,
    users: HashSet<SyncName>,
}

impl Endpoints {
    /// Serves nothing yet, and counts here.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            all: RwLock::default(),
            metrics,
        }
    }

    /// Serves a webhook for this Sync, and no other one.
    pub fn serve(&self, sync: &SyncName, mut endpoint: Endpoint) {
        let (namespace, connection) = (endpoint.namespace.clone(), endpoint.connection.clone());
        let name = (namespace, connection, endpoint.plan.name.clone());
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let same = |served: &Served| Arc::ptr_eq(&served.endpoint.plan, &endpoint.plan);
        if let Some(served) = all.get(&name).filter(|served| same(served))
            && served.users.contains(sync)
        {
            return;
        }
        let (namespace, connection, webhook) = &name;
        endpoint.meter = self.metrics.webhook(namespace, connection, webhook);
        let endpoint = Arc::new(endpoint);
        let users = HashSet::new();
        let fresh = || Served {
            endpoint: Arc::clone(&endpoint),
            users,
        };
        let served = all.entry(name.clone()).or_insert_with(fresh);
        if !Arc::ptr_eq(&served.endpoint.plan, &endpoint.plan) {
            served.endpoint = endpoint;
        }
        served.users.insert(sync.clone());
        self.leave(&mut all, sync, Some(&name));
    }

    /// The Sync uses no webhook any more; one that nobody uses is not served.
    pub fn withdraw(&self, sync: &SyncName) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        self.leave(&mut all, sync, None);
    }

    /// The Sync uses no webhook but this one; those that nobody uses any more are not shown either.
    fn leave(&self, all: &mut HashMap<Name, Served>, sync: &SyncName, but: Option<&Name>) {
        all.retain(|name, served| {
            let stays = but == Some(name) || !served.users.remove(sync) || !served.users.is_empty();
            if !stays {
                self.metrics.forget_webhook(&name.0, &name.1, &name.2);
            }
            stays
        });
    }

    /// Something was sent to a webhook that there is not.
    pub(super) fn nowhere(&self) {
        self.metrics.nowhere().add(Delivery::UnknownWebhook, 1);
    }

    pub(super) fn find(&self, name: &Name) -> Option<Arc<Endpoint>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).map(|served| Arc::clone(&served.endpoint))
    }
}
