//! What the leader does: watches, reconciles, runs workers, writes statuses; all of it ends together.
//! Called by `run` while the Lease is held.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Options;
use super::context::{Context, Hooks};
use super::events::Events;
use super::guarded::Guarded;
use super::health::{Health, Pulse};
use super::index::{Effects, Index, Kind, Meta, Seen, Target};
use super::secrets::ClusterSecrets;
use super::status::{Statuses, WRITERS};
use super::watch::{self, follow};
use crate::api::condition::{ALLOW_DELETES, LONGEST_REQUEST, REQUESTED_AT, STATE};
use crate::api::connection::Connection;
use crate::api::mapping::Mapping;
use crate::api::sync::Sync;
use crate::plan::ResourceName;
use crate::record::SyncName;
use crate::runtime::site::Site;
use crate::runtime::tasks::Tasks;

/// Resources that are reconciled at once.
const RECONCILERS: usize = 8;
/// Time between two looks at state that no Sync belongs to.
const SWEEP: Duration = Duration::from_secs(3600);
/// Sightings that may wait for the index.
const MOST_SIGHTINGS: usize = 1_024;

/// A change of the index, made by the one task that may.
type Sighting = Box<dyn FnOnce(&Context) + Send>;

/// Everything that runs while this process leads. Dropping it ends it all.
pub struct Lead {
    context: Arc<Context>,
    tasks: JoinSet<()>,
}

impl Lead {
    /// Begins to lead.
    pub fn start(
        client: &Client,
        site: Arc<Site>,
        tasks: Tasks,
        hooks: Hooks,
        health: &Arc<Health>,
        options: &Options,
    ) -> Self {
        let (events, publisher) =
            Events::new(client.clone(), Arc::clone(health), options.identity.clone());
        let statuses = Statuses::new(client.clone(), Arc::clone(health), Arc::new(events));
        let context = Arc::new(Context::new(
            site,
            Arc::new(statuses),
            ClusterSecrets::new(client.clone()),
            Arc::clone(health),
            tasks,
            hooks,
        ));
        let mut lead = Self {
            context,
            tasks: JoinSet::new(),
        };
        lead.tasks.spawn(publisher.run());
        lead.watch_all(client, options);
        lead.work();
        lead
    }

    fn watch_all(&mut self, client: &Client, options: &Options) {
        let (sender, mut sightings) = mpsc::channel::<Sighting>(MOST_SIGHTINGS);
        let mut listed = Vec::new();
        for namespace in options.namespaces() {
            let mut stream = Streams {
                client,
                health: &self.context.health,
                namespace,
                sender: &sender,
                tasks: &mut self.tasks,
                listed: &mut listed,
            };
            stream.kind::<Connection>(Kind::Connection, Index::connection);
            stream.kind::<Mapping>(Kind::Mapping, Index::mapping);
            stream.kind::<Sync>(Kind::Sync, Index::sync);
            stream.secrets();
        }
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move {
            while let Some(sighting) = sightings.recv().await {
                sighting(&context);
            }
        });
        let context = Arc::clone(&self.context);
        let scope = options.clone();
        self.tasks.spawn(async move {
            for seen in listed {
                // Nobody lists any more: then there is nothing to sweep either.
                if seen.await.is_err() {
                    return;
                }
            }
            sweep(&context, &scope).await;
        });
    }

    fn work(&mut self) {
        for _ in 0..RECONCILERS {
            let context = Arc::clone(&self.context);
            self.tasks
                .spawn(async move { super::reconcile::run(&context).await });
        }
        for _ in 0..WRITERS {
            let statuses = Arc::clone(&self.context.statuses);
            self.tasks.spawn(async move { statuses.run().await });
        }
        let context = Arc::clone(&self.context);
        self.tasks
            .spawn(async move { context.hear_workers().await });
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move { context.hear_probes().await });
    }

    /// Waits until a part of it ends, which none should; says so.
    pub async fn broken(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => "a part of the controller panicked".to_owned(),
            _ => "a part of the controller ended".to_owned(),
        }
    }

    /// Ends everything: workers finish what is sent, within `bound`.
    pub async fn stop(mut self, bound: Duration) {
        // Nobody tells workers anything any more.
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        self.context.tasks.stop(bound).await;
        self.context.health.forget_pulses();
    }
}

/// The streams of one namespace, or of all.
struct Streams<'a> {
    client: &'a Client,
    health: &'a Arc<Health>,
    namespace: Option<String>,
    sender: &'a mpsc::Sender<Sighting>,
    tasks: &'a mut JoinSet<()>,
    listed: &'a mut Vec<tokio::sync::oneshot::Receiver<()>>,
}

impl Streams<'_> {
    fn pulse(&self, kind: &str) -> Arc<Pulse> {
        let place = self.namespace.as_deref().unwrap_or("all namespaces");
        self.health.pulse(format!("{kind} in {place}"))
    }

    /// Follows one of our kinds.
    fn kind<K>(&mut self, kind: Kind, put: fn(&mut Index, Seen<K::Spec>) -> Effects)
    where
        K: Declared,
    {
        let api: Api<Guarded<K>> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let pulse = self.pulse(&format!("{}s", kind.as_str()));
        let (once, done) = tokio::sync::oneshot::channel();
        self.listed.push(done);
        let (sender, namespace) = (self.sender.clone(), self.namespace.clone());
        self.tasks.spawn(async move {
            let (seen, mut items) = mpsc::channel(MOST_SIGHTINGS);
            let reads = follow(api, pulse, seen);
            let mut list = BTreeSet::new();
            let mut once = Some(once);
            let passes = async {
                while let Some(item) = items.recv().await {
                    let sighting: Sighting = match item {
                        watch::Seen::Listed(item) => {
                            list.insert(name_of(&item));
                            Box::new(move |cx| apply(cx, kind, item, put))
                        }
                        watch::Seen::Applied(item) => {
                            Box::new(move |cx| apply(cx, kind, item, put))
                        }
                        watch::Seen::Deleted(item) => Box::new(move |cx| {
                            let target = Target::new(kind, &name_of(&item));
                            let effects = cx.write_index().remove(&target);
                            cx.follow(effects);
                        }),
                        watch::Seen::End => {
                            let (list, once) = (std::mem::take(&mut list), once.take());
                            let namespace = namespace.clone();
                            Box::new(move |cx| {
                                let effects =
                                    cx.write_index().listed(kind, namespace.as_deref(), &list);
                                cx.follow(effects);
                                // Whoever waited for it may have gone.
                                once.map(|once| once.send(()));
                            })
                        }
                    };
                    if sender.send(sighting).await.is_err() {
                        return;
                    }
                }
            };
            tokio::join!(reads, passes);
        });
    }

    /// Follows the metadata of Secrets.
    fn secrets(&mut self) {
        let api: Api<PartialObjectMeta<Secret>> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let pulse = self.pulse("Secrets");
        let (sender, namespace) = (self.sender.clone(), self.namespace.clone());
        self.tasks.spawn(async move {
            let (seen, mut items) = mpsc::channel(MOST_SIGHTINGS);
            let reads = follow(api, pulse, seen);
            let mut list = BTreeSet::new();
            let passes = async {
                while let Some(item) = items.recv().await {
                    let sighting: Sighting = match item {
                        watch::Seen::Listed(item) => {
                            list.insert(name_of(&item));
                            secret(name_of(&item), item.resource_version())
                        }
                        watch::Seen::Applied(item) => {
                            secret(name_of(&item), item.resource_version())
                        }
                        watch::Seen::Deleted(item) => secret(name_of(&item), None),
                        watch::Seen::End => {
                            let list = std::mem::take(&mut list);
                            let namespace = namespace.clone();
                            Box::new(move |cx| {
                                let effects =
                                    cx.write_index().secrets_listed(namespace.as_deref(), &list);
                                cx.follow(effects);
                            })
                        }
                    };
                    if sender.send(sighting).await.is_err() {
                        return;
                    }
                }
            };
            tokio::join!(reads, passes);
        });
    }
}

/// Only the version of a Secret goes on: annotations, which may hold values, are dropped here.
fn secret(name: ResourceName, version: Option<String>) -> Sighting {
    Box::new(move |cx| {
        let effects = cx.write_index().secret(name, version);
        cx.follow(effects);
    })
}

fn name_of(item: &impl ResourceExt) -> ResourceName {
    ResourceName::new(item.namespace().unwrap_or_default(), item.name_any())
}

/// A kind of ours.
pub trait Declared:
    Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + 'static
{
    type Spec: Send + 'static;
    /// Its spec, and its status as JSON.
    fn take(self) -> (Self::Spec, Option<Value>);
}

fn json(status: Option<impl Serialize>) -> Option<Value> {
    status.and_then(|status| serde_json::to_value(status).ok())
}

impl Declared for Connection {
    type Spec = crate::api::connection::ConnectionSpec;
    fn take(self) -> (Self::Spec, Option<Value>) {
        (self.spec, json(self.status))
    }
}

impl Declared for Mapping {
    type Spec = crate::api::mapping::MappingSpec;
    fn take(self) -> (Self::Spec, Option<Value>) {
        (self.spec, json(self.status))
    }
}

impl Declared for Sync {
    type Spec = crate::api::sync::SyncSpec;
    fn take(self) -> (Self::Spec, Option<Value>) {
        (self.spec, json(self.status))
    }
}

/// One resource as it was seen goes into the index; its status to the statuses.
fn apply<K: Declared>(
    cx: &Context,
    kind: Kind,
    item: Guarded<K>,
    put: fn(&mut Index, Seen<K::Spec>) -> Effects,
) {
    let name = name_of(&item);
    let target = Target::new(kind, &name);
    let annotation = |key: &str| item.annotations().get(key).cloned();
    let meta = Meta {
        uid: item.uid().unwrap_or_default(),
        generation: item.meta().generation.unwrap_or_default(),
        requested: annotation(REQUESTED_AT).map(|text| up_to(text, LONGEST_REQUEST)),
        state: annotation(STATE),
        allow_deletes: annotation(ALLOW_DELETES),
    };
    let version = item.resource_version().unwrap_or_default();
    let uid = meta.uid.clone();
    let (spec, status) = match item.read {
        Ok(object) => {
            let (spec, status) = object.take();
            (Ok(spec), status)
        }
        Err(unreadable) => (Err(unreadable.problem), unreadable.status),
    };
    let other = cx.statuses.seen(&target, &uid, &version, status);
    let seen = Seen { name, meta, spec };
    let mut effects = put(&mut cx.write_index(), seen);
    if other {
        // Somebody else wrote the status, or it is new to us: it is brought in line.
        effects.reconcile.insert(target);
    }
    cx.follow(effects);
}

/// At most so many bytes, ending at a character.
fn up_to(mut text: String, bytes: usize) -> String {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// Counts the time of state that no Sync belongs to, for ever.
async fn sweep(cx: &Context, options: &Options) {
    loop {
        let declared = |sync: &SyncName| {
            if !options.watches(&sync.namespace) {
                return None;
            }
            let name = ResourceName::new(&sync.namespace, &sync.name);
            Some(cx.index().entry(&Target::new(Kind::Sync, &name)).is_some())
        };
        if let Err(error) = cx.tasks.sweep(super::sync::RETENTION, declared).await {
            tracing::warn!("state that no Sync belongs to was not looked at: {error}");
        }
        cx.tasks.tidy();
        tokio::time::sleep(SWEEP).await;
    }
}
