//! What a cluster declares, read once with the rights of whoever runs the command: the resources of a namespace,
//! the Connections of others that they refer to, and Secrets as they are needed. Used by `preview`.

use std::fmt::Debug;
use std::sync::Arc;

use anyhow::Context;
use futures::FutureExt;
use futures::future::BoxFuture;
use kube::api::ListParams;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Api, Resource, ResourceExt};
use secrecy::SecretString;
use serde::de::DeserializeOwned;

use super::{Cluster, within};
use crate::api::connection::Connection;
use crate::api::mapping::Mapping;
use crate::api::sync::Sync;
use crate::cli::secrets::Secrets;
use crate::connector::{NoSecret, SecretSource};
use crate::controller::ClusterSecrets;
use crate::plan::{Problem, ResourceName, Resources, connection_of};

/// The resources of a namespace, and what is wrong with those that cannot be read.
#[derive(Default)]
pub struct Declared {
    pub resources: Resources,
    pub problems: Vec<(String, Problem)>,
}

impl Declared {
    /// Takes a resource, or notes why it cannot be read.
    fn take<K: Kind>(&mut self, object: DeserializeGuard<K>) {
        let name = ResourceName::new(object.namespace().unwrap_or_default(), object.name_any());
        match object.0 {
            Ok(object) => object.keep(name, &mut self.resources),
            Err(invalid) => {
                let resource = format!("{}/{}", K::kind(&()), name.name);
                let message = format!("cannot be read by this version: {}", invalid.error);
                let problem = Problem::error(resource, "", message);
                self.problems.push((name.namespace.clone(), problem));
                let unusable = (K::kind(&()).into_owned(), name);
                self.resources.unusable.insert(unusable);
            }
        }
    }
}

/// One of the three kinds.
trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned
{
    fn keep(self, name: ResourceName, resources: &mut Resources);
}

impl Kind for Connection {
    fn keep(self, name: ResourceName, resources: &mut Resources) {
        resources.connections.insert(name, self.spec);
    }
}

impl Kind for Mapping {
    fn keep(self, name: ResourceName, resources: &mut Resources) {
        resources.mappings.insert(name, self.spec);
    }
}

impl Kind for Sync {
    fn keep(self, name: ResourceName, resources: &mut Resources) {
        resources.syncs.insert(name, self.spec);
    }
}

impl Cluster {
    /// Reads what the namespace declares. What `changed` holds is not asked for: it is about to be applied.
    ///
    /// # Errors
    /// An API server that refuses or does not know the kinds.
    pub async fn declared(&self, changed: &Resources) -> anyhow::Result<Declared> {
        let mut declared = Declared::default();
        self.all::<Connection>(&mut declared).await?;
        self.all::<Mapping>(&mut declared).await?;
        self.all::<Sync>(&mut declared).await?;
        let all = [&declared.resources.syncs, &changed.syncs];
        let mut elsewhere: Vec<ResourceName> = all
            .into_iter()
            .flatten()
            .flat_map(|(name, sync)| {
                [&sync.source.connection_ref, &sync.target.connection_ref]
                    .map(|reference| connection_of(&name.namespace, reference))
            })
            .filter(|name| name.namespace != self.namespace)
            .filter(|name| !changed.connections.contains_key(name))
            .collect();
        elsewhere.sort();
        elsewhere.dedup();
        for name in elsewhere {
            let api = Api::<DeserializeGuard<Connection>>::namespaced(
                self.client.clone(),
                &name.namespace,
            );
            // One that is missing is found missing by whoever checks the Syncs.
            let found = within(api.get_opt(&name.name)).await;
            if let Some(found) = found.with_context(|| format!("reading Connection {name}"))? {
                declared.take(found);
            }
        }
        Ok(declared)
    }

    async fn all<K: Kind>(&self, declared: &mut Declared) -> anyhow::Result<()> {
        let api = Api::<DeserializeGuard<K>>::namespaced(self.client.clone(), &self.namespace);
        let list = within(api.list(&ListParams::default())).await;
        let list =
            list.with_context(|| format!("listing the {}s of {}", K::kind(&()), self.namespace))?;
        list.items.into_iter().for_each(|item| declared.take(item));
        Ok(())
    }

    /// Secrets of manifests where they have them, else those of the cluster.
    pub fn secrets(&self, manifests: Arc<Secrets>) -> Arc<dyn SecretSource> {
        Arc::new(Layers {
            manifests,
            cluster: ClusterSecrets::new(self.client.clone()),
        })
    }
}

struct Layers {
    manifests: Arc<Secrets>,
    cluster: ClusterSecrets,
}

impl SecretSource for Layers {
    fn read(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<SecretString, NoSecret>> {
        match self.manifests.find(namespace, name, key) {
            Ok(value) => std::future::ready(Ok(value)).boxed(),
            Err(_) => self.cluster.read(namespace, name, key),
        }
    }
}
