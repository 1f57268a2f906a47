//! The words of the index: a resource by kind and name, what was seen of it, what a change means.
//! Data only.

use std::collections::BTreeSet;

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
    /// The error says why it cannot be read.
    pub spec: Result<S, String>,
}

/// A resource and what is wrong with it by itself.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub meta: Meta,
    /// It cannot be read as its kind.
    pub malformed: Option<String>,
    /// What `plan` says of it, and for a Mapping of its tests.
    pub problems: Vec<Problem>,
    /// A Mapping's tests were run: how many there are.
    pub tests: usize,
    /// The tests are what fails.
    pub tests_failed: bool,
    /// Raised when what Syncs use of it changes: not by a Mapping whose tests fail.
    pub effective: u64,
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
