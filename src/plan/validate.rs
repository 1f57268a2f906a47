//! What is right and wrong between resources: references resolve, operations exist, access suffices.
//! Pure. The entry of `plan`, called by `cli` and, in a cluster, by the controller.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::connection::{self, ConnectionWithObjects};
use super::lookups::endless_waits;
pub use super::resources::{Checked, Compiled, ResourceName, Resources};
use super::suggest::hint;
use super::sync::compile_sync;
use super::{Plan, Problem};
use crate::api::connection::ConnectionSpec;
use crate::api::mapping::MappingSpec;
use crate::api::reference::ConnectionRef;
use crate::api::sync::SyncSpec;
use crate::mapping::Mapping;
use crate::record::SyncName;

/// Checks and compiles one Connection.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile_connection(
    id: &ResourceName,
    spec: &ConnectionSpec,
) -> Result<ConnectionWithObjects, Vec<Problem>> {
    connection::compile(&id.namespace, &id.name, spec)
}

/// Checks and compiles one Mapping; its tests are not run.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile_mapping(
    id: &ResourceName,
    spec: &MappingSpec,
) -> Result<Arc<Mapping>, Vec<Problem>> {
    let resource = format!("Mapping/{}", id.name);
    Mapping::compile(spec).map(Arc::new).map_err(|problems| {
        problems
            .into_iter()
            .map(|p| Problem::error(resource.clone(), p.field, p.message))
            .collect()
    })
}

/// The Plan of one Sync, or what keeps it from running.
///
/// # Errors
/// The errors of the Sync and of the Connections and the Mapping that it refers to.
pub fn compile(resources: &Resources, name: &SyncName) -> Result<Plan, Vec<Problem>> {
    let id = ResourceName::new(&name.namespace, &name.name);
    let mut compiled = Compiled::default();
    let mut problems = Vec::new();
    if let Some(spec) = resources.syncs.get(&id) {
        for reference in [&spec.source.connection_ref, &spec.target.connection_ref] {
            let id = connection_of(&id.namespace, reference);
            match resources
                .connections
                .get(&id)
                .map(|spec| compile_connection(&id, spec))
            {
                Some(Ok(connection)) => drop(compiled.connections.insert(id, connection)),
                Some(Err(wrong)) => problems.extend(wrong),
                None => {}
            }
        }
        let id = ResourceName::new(&id.namespace, &spec.mapping_ref.name);
        match resources
            .mappings
            .get(&id)
            .map(|spec| compile_mapping(&id, spec))
        {
            Some(Ok(mapping)) => drop(compiled.mappings.insert(id, mapping)),
            Some(Err(wrong)) => problems.extend(wrong),
            None => {}
        }
    }
    compile_with(resources, &compiled, name).map_err(|own| {
        problems.extend(own);
        problems
    })
}

/// The Plan of one Sync whose parts were compiled before, or what keeps it from running.
///
/// # Errors
/// The Sync's own errors. There may be none: then one of its parts is missing in `compiled`, and what
/// is wrong with that part was said when it was compiled.
pub fn compile_with(
    resources: &Resources,
    compiled: &Compiled,
    name: &SyncName,
) -> Result<Plan, Vec<Problem>> {
    let id = ResourceName::new(&name.namespace, &name.name);
    let Some(spec) = resources.syncs.get(&id) else {
        let others = names_in(&resources.syncs, &name.namespace);
        let message = format!("there is no such Sync{}", hint(&name.name, others));
        return Err(vec![Problem::error(sync_resource(&id), "", message)]);
    };
    let (plan, problems) = check_sync(resources, compiled, &id, spec);
    plan.ok_or_else(|| problems.into_iter().filter(Problem::is_error).collect())
}

/// Checks and compiles everything; all problems are found in one go.
pub fn check(resources: &Resources) -> Checked {
    let mut checked = Checked::default();
    let mut compiled = Compiled::default();
    for (id, spec) in &resources.connections {
        match compile_connection(id, spec) {
            Ok(connection) => drop(compiled.connections.insert(id.clone(), connection)),
            Err(problems) => note(&id.namespace, problems, &mut checked),
        }
    }
    for (id, spec) in &resources.mappings {
        match compile_mapping(id, spec) {
            Ok(mapping) => drop(compiled.mappings.insert(id.clone(), mapping)),
            Err(problems) => note(&id.namespace, problems, &mut checked),
        }
    }
    for (id, spec) in &resources.syncs {
        let (plan, problems) = check_sync(resources, &compiled, id, spec);
        checked
            .plans
            .extend(plan.map(|plan| (plan.name.clone(), plan)));
        note(&id.namespace, problems, &mut checked);
    }
    checked.connections = compiled.connections;
    checked.mappings = compiled.mappings;
    checked
}

fn check_sync(
    resources: &Resources,
    compiled: &Compiled,
    id: &ResourceName,
    spec: &SyncSpec,
) -> (Option<Plan>, Vec<Problem>) {
    let mut checker = SyncChecker {
        resource: sync_resource(id),
        problems: Vec::new(),
    };
    check_references(resources, id, spec, &mut checker);
    endless_waits(resources, id, spec, &mut checker);
    let parts = resolve(id, spec, resources, compiled);
    let plan = parts.and_then(|parts| {
        let mapping = resources
            .mappings
            .get(&ResourceName::new(&id.namespace, &spec.mapping_ref.name))?;
        compile_sync(id, spec, parts, mapping, &mut checker)
    });
    let failed = checker.problems.iter().any(Problem::is_error);
    (plan.filter(|_| !failed), checker.problems)
}

/// The Connection that a reference of a resource in `namespace` means.
pub fn connection_of(namespace: &str, reference: &ConnectionRef) -> ResourceName {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    ResourceName::new(namespace, &reference.name)
}

/// What a Sync refers to, compiled.
pub(super) struct Parts {
    pub source: ConnectionWithObjects,
    pub target: ConnectionWithObjects,
    pub mapping: Arc<Mapping>,
}

/// `None` when something is missing or wrong, which is then among the problems already.
fn resolve(
    id: &ResourceName,
    spec: &SyncSpec,
    resources: &Resources,
    compiled: &Compiled,
) -> Option<Parts> {
    let connection = |reference: &ConnectionRef| {
        let name = connection_of(&id.namespace, reference);
        let allowed = &resources.connections.get(&name)?.allowed_namespaces;
        allowed
            .allow(&name.namespace, &id.namespace)
            .then(|| compiled.connections.get(&name).cloned())?
    };
    let mapping = ResourceName::new(&id.namespace, &spec.mapping_ref.name);
    Some(Parts {
        source: connection(&spec.source.connection_ref)?,
        target: connection(&spec.target.connection_ref)?,
        mapping: compiled.mappings.get(&mapping)?.clone(),
    })
}

/// Every reference names something that is there.
fn check_references(
    resources: &Resources,
    id: &ResourceName,
    spec: &SyncSpec,
    checker: &mut SyncChecker,
) {
    for (field, reference) in [
        ("spec.source.connectionRef", &spec.source.connection_ref),
        ("spec.target.connectionRef", &spec.target.connection_ref),
    ] {
        checker.connection(field, reference, id, resources);
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

    /// A Connection is there and lets the Sync's namespace use it.
    fn connection(
        &mut self,
        field: &str,
        reference: &ConnectionRef,
        from: &ResourceName,
        resources: &Resources,
    ) {
        let name = connection_of(&from.namespace, reference);
        if name.namespace == from.namespace {
            if !resources.connections.contains_key(&name)
                && let Some(elsewhere) = offered(&name.name, &from.namespace, resources)
            {
                return self.error(
                    &format!("{field}.name"),
                    format!(
                        "there is no Connection {:?} in namespace {:?}; is it the one in {elsewhere:?}? Then add namespace: {elsewhere}",
                        name.name, from.namespace
                    ),
                );
            }
            return self.reference(
                "Connection",
                &format!("{field}.name"),
                &name.name,
                from,
                resources,
                &resources.connections,
            );
        }
        if resources
            .unusable
            .contains(&("Connection".to_owned(), name.clone()))
        {
            return;
        }
        let allowed = resources.connections.get(&name).is_some_and(|connection| {
            connection
                .allowed_namespaces
                .allow(&name.namespace, &from.namespace)
        });
        if !allowed {
            // One answer for both, so that nobody learns the names of another namespace.
            self.error(
                field,
                format!(
                    "there is no Connection {:?} in namespace {:?} that lets namespace {:?} use it: its spec.allowedNamespaces must",
                    name.name, name.namespace, from.namespace
                ),
            );
        }
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
        let message = format!(
            "there is no {kind} {name:?} in namespace {namespace:?}{}",
            hint(name, names_in(known, namespace))
        );
        self.error(field, message);
    }
}

/// The namespace of a Connection with this name that `namespace` may use.
fn offered<'a>(name: &str, namespace: &str, resources: &'a Resources) -> Option<&'a str> {
    let mut all = resources.connections.iter();
    let allows = |(id, spec): &(&ResourceName, &ConnectionSpec)| {
        id.name == name && spec.allowed_namespaces.allow(&id.namespace, namespace)
    };
    all.find(allows).map(|(id, _)| id.namespace.as_str())
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

fn note(namespace: &str, problems: impl IntoIterator<Item = Problem>, checked: &mut Checked) {
    let named = problems.into_iter().map(|p| (namespace.to_owned(), p));
    checked.problems.extend(named);
}
