//! The watches of one namespace, or of all, and what becomes of what they see: it goes into the index, by the one
//! task that may write it. Used by `lead`.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::context::Context;
use super::guarded::{Guarded, Unreadable};
use super::health::{Health, Pulse};
use super::index::{Effects, Index, Kind, Meta, Seen, Target, Unread};
use super::watch::{self, follow};
use crate::api::condition::{ALLOW_DELETES, LONGEST_REQUEST, REQUESTED_AT, STATE};
use crate::api::connection::Connection;
use crate::api::mapping::Mapping;
use crate::api::sync::Sync;
use crate::plan::ResourceName;

/// Sightings that may wait for the index.
pub const MOST_SIGHTINGS: usize = 1_024;

/// A change of the index, made by the one task that may.
pub type Sighting = Box<dyn FnOnce(&Context) + Send>;

/// The streams of one namespace, or of all.
pub struct Streams<'a> {
    pub client: &'a Client,
    pub health: &'a Arc<Health>,
    pub namespace: Option<String>,
    pub sender: &'a mpsc::Sender<Sighting>,
    pub tasks: &'a mut JoinSet<()>,
    /// Each ends when a kind was listed in a namespace.
    pub lists: &'a mut Vec<oneshot::Receiver<()>>,
    pub listed: &'a Arc<Listed>,
}

/// The kinds that were listed, each in a namespace or in all (`None`).
#[derive(Debug, Default)]
pub struct Listed(Mutex<BTreeSet<(Kind, Option<String>)>>);

impl Listed {
    fn add(&self, kind: Kind, namespace: Option<String>) {
        self.all().insert((kind, namespace));
    }

    /// Whether a kind was listed in this namespace, by itself or with all.
    pub fn holds(&self, kind: Kind, namespace: &str) -> bool {
        let all = self.all();
        all.contains(&(kind, None)) || all.contains(&(kind, Some(namespace.to_owned())))
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<(Kind, Option<String>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Streams<'_> {
    /// Follows everything that there is to follow.
    pub fn all(&mut self) {
        self.kind::<Connection>(Kind::Connection, Index::connection);
        self.kind::<Mapping>(Kind::Mapping, Index::mapping);
        self.kind::<Sync>(Kind::Sync, Index::sync);
        self.secrets();
    }

    fn pulse(&self, kind: &str) -> Arc<Pulse> {
        self.health.pulse(kind, self.namespace.as_deref())
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
        let (once, done) = oneshot::channel();
        self.lists.push(done);
        let (sender, namespace) = (self.sender.clone(), self.namespace.clone());
        let listed = Arc::clone(self.listed);
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
                        // Workers never run what may have been deleted or suspended meanwhile. What they use
                        // stays as it was last seen.
                        watch::Seen::Refused if kind == Kind::Sync => {
                            let namespace = namespace.clone();
                            Box::new(move |cx| {
                                let none = BTreeSet::new();
                                let effects =
                                    cx.write_index().listed(kind, namespace.as_deref(), &none);
                                cx.follow(effects);
                            })
                        }
                        watch::Seen::Refused => continue,
                        watch::Seen::End => {
                            let (list, once) = (std::mem::take(&mut list), once.take());
                            let namespace = namespace.clone();
                            let listed = Arc::clone(&listed);
                            Box::new(move |cx| {
                                let effects =
                                    cx.write_index().listed(kind, namespace.as_deref(), &list);
                                cx.follow(effects);
                                listed.add(kind, namespace);
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
                        watch::Seen::Refused => continue,
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
        Err(unreadable) => {
            let Unreadable {
                problem,
                spec,
                status,
            } = unreadable;
            (Err(Unread { problem, spec }), status)
        }
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
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}
