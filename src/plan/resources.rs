//! What was declared, as it was written and as it is compiled. Data only.
//! Filled by `cli` from files and by `controller` from a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::connection::ConnectionWithObjects;
use super::{Plan, Problem};
use crate::api::connection::ConnectionSpec;
use crate::api::mapping::MappingSpec;
use crate::api::sync::SyncSpec;
use crate::mapping::Mapping;
use crate::record::SyncName;

/// Namespace and name of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceName {
    pub namespace: String,
    pub name: String,
}

impl ResourceName {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// All that was declared, as it was written.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    pub connections: BTreeMap<ResourceName, ConnectionSpec>,
    pub mappings: BTreeMap<ResourceName, MappingSpec>,
    pub syncs: BTreeMap<ResourceName, SyncSpec>,
    /// Kind and name of what was declared and cannot be used: its own problems are known already, so a
    /// reference to it is no further one.
    pub unusable: BTreeSet<(String, ResourceName)>,
}

impl Resources {
    /// Takes over what `others` declares; of two of one name, theirs.
    pub fn replace_by(&mut self, others: Self) {
        let kinds = ["Connection", "Mapping", "Sync"];
        let names = [
            others.connections.keys().collect::<Vec<_>>(),
            others.mappings.keys().collect(),
            others.syncs.keys().collect(),
        ];
        for (kind, name) in kinds
            .iter()
            .zip(names)
            .flat_map(|(k, n)| n.into_iter().map(move |n| (k, n)))
        {
            self.unusable.remove(&((*kind).to_owned(), name.clone()));
        }
        self.connections.extend(others.connections);
        self.mappings.extend(others.mappings);
        self.syncs.extend(others.syncs);
        self.unusable.extend(others.unusable);
    }
}

/// Connections and Mappings, compiled: each once, shared by the Syncs that use it.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    pub connections: BTreeMap<ResourceName, ConnectionWithObjects>,
    pub mappings: BTreeMap<ResourceName, Arc<Mapping>>,
}

/// All that was declared, checked and compiled.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    pub connections: BTreeMap<ResourceName, ConnectionWithObjects>,
    pub mappings: BTreeMap<ResourceName, Arc<Mapping>>,
    /// The Syncs without errors.
    pub plans: BTreeMap<SyncName, Plan>,
    /// Errors and warnings of all resources; each with the namespace of its resource.
    pub problems: Vec<(String, Problem)>,
}

impl Checked {
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|(_, problem)| problem.is_error())
    }
}
