//! The words of the index: a resource by kind and name, what was seen of it, what a change means.
//! Data only.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::plan::{Problem, ResourceName};

/// The kinds that are reconciled. Connections first: Syncs need to know what became of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Connection,
    Mapping,
    Sync,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "Connection",
            Self::Mapping => "Mapping",
            Self::Sync => "Sync",
        }
    }
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    pub kind: Kind,
    pub name: ResourceName,
}

impl Target {
    pub fn new(kind: Kind, name: &ResourceName) -> Self {
        let name = name.clone();
        Self { kind, name }
    }
}

/// What is known of a resource beside its spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    pub uid: String,
    pub generation: i64,
    /// The annotation `syncline.dev/requestedAt`.
    pub requested: Option<String>,
    /// The annotation `syncline.dev/state`.
    pub state: Option<String>,
    /// The annotation `syncline.dev/allowDeletes`.
    pub allow_deletes: Option<String>,
}

/// A resource as it was seen.
#[derive(Clone, Debug)]
pub struct Seen<S> {
    pub name: ResourceName,
    pub meta: Meta,
    pub spec: Result<S, Unread>,
}

/// A spec that cannot be read as this version knows its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unread {
    /// Which field, and what is wrong with it.
    pub problem: String,
    pub spec: Value,
}

/// Which version of a resource is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Used {
    pub generation: i64,
    /// How often a newer version took rights from it.
    pub narrowed: u64,
}

/// A resource and what is wrong with it by itself.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub meta: Meta,
    /// It cannot be read as its kind.
    pub unread: Option<Unread>,
    /// What `plan` says of it, and for a Mapping of its tests.
    pub problems: Vec<Problem>,
    /// A Mapping's tests were run: how many there are.
    pub tests: usize,
    /// The tests are what fails.
    pub tests_failed: bool,
    /// What Syncs use of it: not the newest where that cannot be used.
    pub used: Used,
}

impl Entry {
    /// The newest version is the one in use from now on.
    pub fn uses_newest(&mut self) {
        self.used.generation = self.meta.generation;
    }

    /// Whether the newest version is good by itself.
    pub fn is_good(&self) -> bool {
        self.unread.is_none() && self.problems.is_empty()
    }
}

/// What has to be done after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    pub reconcile: BTreeSet<Target>,
    /// Connections whose requests use a Secret that has changed.
    pub rotated: BTreeSet<ResourceName>,
    /// Resources that are gone.
    pub gone: BTreeSet<Target>,
}

impl Effects {
    pub fn add(&mut self, other: Self) {
        self.reconcile.extend(other.reconcile);
        self.rotated.extend(other.rotated);
        self.gone.extend(other.gone);
    }
}
