//! What is right and wrong between resources: references resolve, operations exist, access suffices.
//! Pure. The entry of `plan`, called by `cli` and, in a cluster, by the controller.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::connection::{self, ConnectionWithObjects};
use super::lookups::endless_waits;
use super::suggest::hint;
use super::sync::compile_sync;
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

/// All that was declared, checked and compiled: each Connection and Mapping once, shared by the Syncs
/// that use it.
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

/// The Plan of one Sync, or what keeps it from running.
///
/// # Errors
/// The errors of the Sync and of the Connections and the Mapping that it refers to.
pub fn compile(resources: &Resources, name: &SyncName) -> Result<Plan, Vec<Problem>> {
    let id = ResourceName::new(&name.namespace, &name.name);
    let Some(spec) = resources.syncs.get(&id) else {
        let others = names_in(&resources.syncs, &name.namespace);
        let message = format!("there is no such Sync{}", hint(&name.name, others));
        return Err(vec![Problem::error(sync_resource(&id), "", message)]);
    };
    let only = Resources {
        connections: pick(
            &resources.connections,
            &id.namespace,
            &[
                &spec.source.connection_ref.name,
                &spec.target.connection_ref.name,
            ],
        ),
        mappings: pick(
            &resources.mappings,
            &id.namespace,
            &[&spec.mapping_ref.name],
        ),
        ..Resources::default()
    };
    let mut checked = Checked::default();
    compile_parts(&only, &mut checked);
    check_sync(resources, &id, spec, &mut checked);
    match checked.plans.remove(name) {
        Some(plan) => Ok(plan),
        None => Err(checked
            .problems
            .into_iter()
            .map(|(_, p)| p)
            .filter(Problem::is_error)
            .collect()),
    }
}

/// Checks and compiles everything; all problems are found in one go.
pub fn check(resources: &Resources) -> Checked {
    let mut checked = Checked::default();
    compile_parts(resources, &mut checked);
    for (id, spec) in &resources.syncs {
        check_sync(resources, id, spec, &mut checked);
    }
    checked
}

/// Compiles the Connections and Mappings.
fn compile_parts(resources: &Resources, checked: &mut Checked) {
    for (id, spec) in &resources.connections {
        match connection::compile(&id.namespace, &id.name, spec) {
            Ok(connection) => {
                checked.connections.insert(id.clone(), connection);
            }
            Err(problems) => note(&id.namespace, problems, checked),
        }
    }
    for (id, spec) in &resources.mappings {
        match Mapping::compile(spec) {
            Ok(mapping) => {
                checked.mappings.insert(id.clone(), Arc::new(mapping));
            }
            Err(problems) => {
                let resource = format!("Mapping/{}", id.name);
                let problems = problems
                    .into_iter()
                    .map(|p| Problem::error(resource.clone(), p.field, p.message));
                note(&id.namespace, problems, checked);
            }
        }
    }
}

fn check_sync(resources: &Resources, id: &ResourceName, spec: &SyncSpec, checked: &mut Checked) {
    let mut checker = SyncChecker {
        resource: sync_resource(id),
        problems: Vec::new(),
    };
    check_references(resources, id, spec, &mut checker);
    endless_waits(resources, id, spec, &mut checker);
    let parts = resolve(id, spec, checked);
    let plan = parts.and_then(|parts| {
        let mapping = resources
            .mappings
            .get(&ResourceName::new(&id.namespace, &spec.mapping_ref.name))?;
        compile_sync(id, spec, parts, mapping, &mut checker)
    });
    let failed = checker.problems.iter().any(Problem::is_error);
    if let (Some(plan), false) = (plan, failed) {
        checked.plans.insert(plan.name.clone(), plan);
    }
    note(&id.namespace, checker.problems, checked);
}

/// What a Sync refers to, compiled.
pub(super) struct Parts {
    pub source: ConnectionWithObjects,
    pub target: ConnectionWithObjects,
    pub mapping: Arc<Mapping>,
}

/// `None` when something is missing or wrong, which is then among the problems already.
fn resolve(id: &ResourceName, spec: &SyncSpec, checked: &Checked) -> Option<Parts> {
    let connection = |name: &str| {
        checked
            .connections
            .get(&ResourceName::new(&id.namespace, name))
            .cloned()
    };
    let mapping = ResourceName::new(&id.namespace, &spec.mapping_ref.name);
    Some(Parts {
        source: connection(&spec.source.connection_ref.name)?,
        target: connection(&spec.target.connection_ref.name)?,
        mapping: checked.mappings.get(&mapping)?.clone(),
    })
}

/// Every reference names something that is there.
fn check_references(
    resources: &Resources,
    id: &ResourceName,
    spec: &SyncSpec,
    checker: &mut SyncChecker,
) {
    for (field, name) in [
        (
            "spec.source.connectionRef.name",
            &spec.source.connection_ref.name,
        ),
        (
            "spec.target.connectionRef.name",
            &spec.target.connection_ref.name,
        ),
    ] {
        checker.reference(
            "Connection",
            field,
            name,
            id,
            resources,
            &resources.connections,
        );
    }
    let mapping = &spec.mapping_ref.name;
    checker.reference(
        "Mapping",
        "spec.mappingRef.name",
        mapping,
        id,
        resources,
        &resources.mappings,
    );
    for (i, lookup) in spec.lookups.iter().enumerate() {
        let field = format!("spec.lookups[{i}].syncRef.name");
        checker.reference(
            "Sync",
            &field,
            &lookup.sync_ref.name,
            id,
            resources,
            &resources.syncs,
        );
    }
}

/// Collects the problems of one Sync.
pub(super) struct SyncChecker {
    resource: String,
    problems: Vec<Problem>,
}

impl SyncChecker {
    pub fn error(&mut self, field: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::error(self.resource.clone(), field, message));
    }

    pub fn warning(&mut self, field: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::warning(self.resource.clone(), field, message));
    }

    fn reference<T>(
        &mut self,
        kind: &str,
        field: &str,
        name: &str,
        from: &ResourceName,
        resources: &Resources,
        known: &BTreeMap<ResourceName, T>,
    ) {
        let namespace = &from.namespace;
        let wanted = ResourceName::new(namespace, name);
        let declared = known.contains_key(&wanted);
        if declared || resources.unusable.contains(&(kind.to_owned(), wanted)) {
            return;
        }
        let mut message = format!(
            "there is no {kind} {name:?} in namespace {namespace:?}{}",
            hint(name, names_in(known, namespace))
        );
        if let Some(elsewhere) = known.keys().find(|k| k.name == name) {
            message = format!(
                "there is no {kind} {name:?} in namespace {namespace:?}; the one in {:?} cannot be used from here",
                elsewhere.namespace
            );
        }
        self.error(field, message);
    }
}

fn sync_resource(id: &ResourceName) -> String {
    format!("Sync/{}", id.name)
}

fn names_in<'a, T>(
    known: &'a BTreeMap<ResourceName, T>,
    namespace: &'a str,
) -> impl Iterator<Item = &'a str> + Clone {
    known
        .keys()
        .filter(move |k| k.namespace == namespace)
        .map(|k| k.name.as_str())
}

fn pick<T: Clone>(
    all: &BTreeMap<ResourceName, T>,
    namespace: &str,
    names: &[&String],
) -> BTreeMap<ResourceName, T> {
    all.iter()
        .filter(|(k, _)| k.namespace == namespace && names.contains(&&k.name))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

fn note(namespace: &str, problems: impl IntoIterator<Item = Problem>, checked: &mut Checked) {
    let named = problems.into_iter().map(|p| (namespace.to_owned(), p));
    checked.problems.extend(named);
}
