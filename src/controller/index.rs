//! Everything that is declared, and who uses what: a change of a Secret, Connection or Mapping reaches
//! exactly the Syncs that use it. Pure: knows no cluster and no clock. Written by the task that reads the
//! watches, and by nobody else.

mod restore;

use std::collections::{BTreeMap, BTreeSet};

pub use super::resource::*;
use crate::api::connection::ConnectionSpec;
use crate::api::mapping::MappingSpec;
use crate::api::sync::SyncSpec;
use crate::plan::connection::SecretUse;
use crate::plan::{
    Compiled, Problem, ResourceName, Resources, compile_connection, compile_mapping, connection_of,
};
pub use restore::Version;

/// Who uses a resource, by its name.
type Users = BTreeMap<ResourceName, BTreeSet<ResourceName>>;

/// Everything that is declared.
#[derive(Debug, Default)]
pub struct Index {
    pub resources: Resources,
    pub compiled: Compiled,
    entries: BTreeMap<Target, Entry>,
    /// The resourceVersion of each Secret: nothing else of it is kept.
    secrets: BTreeMap<ResourceName, String>,
    connections_of_secret: Users,
    syncs_of_connection: Users,
    syncs_of_mapping: Users,
    syncs_of_sync: Users,
    /// Raised by every change of a spec.
    revision: u64,
}

impl Index {
    pub fn entry(&self, target: &Target) -> Option<&Entry> {
        self.entries.get(target)
    }

    /// Raised by every change of a spec: what was computed at the same revision is still so.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The Syncs that read from or write to a Connection.
    pub fn users_of_connection(&self, name: &ResourceName) -> BTreeSet<ResourceName> {
        self.syncs_of_connection
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    /// A Connection was seen. One that cannot be read leaves the one before in use, less what it takes away.
    pub fn connection(&mut self, seen: Seen<ConnectionSpec>) -> Effects {
        let target = Target::new(Kind::Connection, &seen.name);
        let Some((mut entry, same)) = self.changed(&target, &seen) else {
            return Effects::default();
        };
        let name = seen.name;
        match seen.spec {
            Ok(spec) => {
                self.forget_connection(&name);
                entry.uses_newest();
                entry.problems = self.use_connection(&name, spec);
            }
            Err(unread) => {
                if !same || !self.narrow(&name, &unread.spec, &mut entry) {
                    self.forget_connection(&name);
                }
                entry.unread = Some(unread);
            }
        }
        self.put(target.clone(), entry);
        self.reaching(target)
    }

    /// A Mapping was seen. One that cannot be used leaves the one before in use.
    pub fn mapping(&mut self, seen: Seen<MappingSpec>) -> Effects {
        let target = Target::new(Kind::Mapping, &seen.name);
        let Some((mut entry, same)) = self.changed(&target, &seen) else {
            return Effects::default();
        };
        if !same {
            self.forget_mapping(&seen.name);
        }
        match seen.spec {
            Ok(spec) => self.try_mapping(&seen.name, spec, &mut entry),
            Err(unread) => entry.unread = Some(unread),
        }
        self.put(target.clone(), entry);
        self.reaching(target)
    }

    /// A Sync was seen. One that cannot be read leaves the one before in use, unless it is to be suspended.
    pub fn sync(&mut self, seen: Seen<SyncSpec>) -> Effects {
        let target = Target::new(Kind::Sync, &seen.name);
        let Some((mut entry, same)) = self.changed(&target, &seen) else {
            return Effects::default();
        };
        let name = seen.name;
        match seen.spec {
            Ok(spec) => {
                self.forget_sync(&name);
                entry.uses_newest();
                self.use_sync(&name, spec);
            }
            Err(unread) => {
                if !same {
                    self.forget_sync(&name);
                }
                self.suspend(&name, &unread.spec);
                entry.unread = Some(unread);
            }
        }
        self.put(target.clone(), entry);
        self.reaching(target)
    }

    /// Takes a Connection into use; gives what is wrong with it.
    fn use_connection(&mut self, name: &ResourceName, spec: ConnectionSpec) -> Vec<Problem> {
        let compiled = compile_connection(name, &spec);
        self.resources.connections.insert(name.clone(), spec);
        match compiled {
            Ok(compiled) => {
                for named in compiled.secrets() {
                    self.connections_of_secret
                        .entry(ResourceName::new(&name.namespace, &named.secret.name))
                        .or_default()
                        .insert(name.clone());
                }
                self.compiled.connections.insert(name.clone(), compiled);
                Vec::new()
            }
            Err(problems) => problems,
        }
    }

    /// Takes a Mapping into use, if its tests pass.
    fn try_mapping(&mut self, name: &ResourceName, spec: MappingSpec, entry: &mut Entry) {
        match compile_mapping(name, &spec) {
            Ok(mapping) => {
                entry.tests = mapping.test_count();
                entry.problems = failures(name, &mapping);
                entry.tests_failed = !entry.problems.is_empty();
                if !entry.tests_failed {
                    entry.uses_newest();
                    self.compiled.mappings.insert(name.clone(), mapping);
                    self.resources.mappings.insert(name.clone(), spec);
                }
            }
            Err(problems) => entry.problems = problems,
        }
    }

    fn use_sync(&mut self, name: &ResourceName, spec: SyncSpec) {
        for used in used_by(name, &spec) {
            self.users(used.kind)
                .entry(used.name)
                .or_default()
                .insert(name.clone());
        }
        self.resources.syncs.insert(name.clone(), spec);
    }

    /// A Secret was seen, or is gone (`None`).
    pub fn secret(&mut self, name: ResourceName, version: Option<String>) -> Effects {
        let before = match &version {
            Some(version) => self.secrets.insert(name.clone(), version.clone()),
            None => self.secrets.remove(&name),
        };
        if before == version {
            return Effects::default();
        }
        let users = self.connections_of_secret.get(&name);
        let users: Vec<ResourceName> = users.into_iter().flatten().cloned().collect();
        let reconcile = users
            .iter()
            .map(|c| Target::new(Kind::Connection, c))
            .collect();
        let rotated = users
            .into_iter()
            .filter(|c| self.sends(c, &name.name))
            .collect();
        Effects {
            reconcile,
            rotated,
            gone: BTreeSet::new(),
        }
    }

    /// Whether requests of a Connection carry a key of this Secret, or are paid for with one.
    fn sends(&self, connection: &ResourceName, secret: &str) -> bool {
        let compiled = self.compiled.connections.get(connection);
        let mut named = compiled.into_iter().flat_map(|c| c.secrets());
        named.any(|n| n.used_for == SecretUse::Requests && n.secret.name == secret)
    }

    /// A resource is gone.
    pub fn remove(&mut self, target: &Target) -> Effects {
        if self.entries.remove(target).is_none() {
            return Effects::default();
        }
        self.revision += 1;
        let name = &target.name;
        self.resources
            .unusable
            .remove(&(target.kind.as_str().to_owned(), name.clone()));
        match target.kind {
            Kind::Connection => self.forget_connection(name),
            Kind::Mapping => self.forget_mapping(name),
            Kind::Sync => self.forget_sync(name),
        }
        let mut effects = self.reaching(target.clone());
        effects.reconcile.remove(target);
        effects.gone.insert(target.clone());
        effects
    }

    /// All of a kind in a namespace (in all: `None`) was listed: what is not in the list is gone.
    pub fn listed(
        &mut self,
        kind: Kind,
        namespace: Option<&str>,
        listed: &BTreeSet<ResourceName>,
    ) -> Effects {
        let missing: Vec<Target> = self
            .entries
            .keys()
            .filter(|t| t.kind == kind && namespace.is_none_or(|n| n == t.name.namespace))
            .filter(|t| !listed.contains(&t.name))
            .cloned()
            .collect();
        let mut effects = Effects::default();
        for target in missing {
            effects.add(self.remove(&target));
        }
        effects
    }

    /// All Secrets of a namespace (of all: `None`) were listed.
    pub fn secrets_listed(
        &mut self,
        namespace: Option<&str>,
        listed: &BTreeSet<ResourceName>,
    ) -> Effects {
        let missing: Vec<ResourceName> = self
            .secrets
            .keys()
            .filter(|s| namespace.is_none_or(|n| n == s.namespace) && !listed.contains(s))
            .cloned()
            .collect();
        let mut effects = Effects::default();
        for name in missing {
            effects.add(self.secret(name, None));
        }
        effects
    }

    /// The entry to be written anew, and whether it is of the same resource as the one before; `None` when
    /// nothing but the status is new.
    fn changed<S>(&mut self, target: &Target, seen: &Seen<S>) -> Option<(Entry, bool)> {
        let before = self.entries.get(target);
        let same = before.is_some_and(|entry| entry.meta.uid == seen.meta.uid);
        if let Some(before) = before
            && before.meta == seen.meta
            && before.unread.as_ref() == seen.spec.as_ref().err()
        {
            return None;
        }
        self.revision += 1;
        let entry = Entry {
            meta: seen.meta.clone(),
            used: before.map_or_else(Used::default, |entry| entry.used),
            ..Entry::default()
        };
        Some((entry, same))
    }

    fn put(&mut self, target: Target, entry: Entry) {
        let usable = match target.kind {
            Kind::Connection => self.resources.connections.contains_key(&target.name),
            Kind::Mapping => self.resources.mappings.contains_key(&target.name),
            Kind::Sync => self.resources.syncs.contains_key(&target.name),
        };
        let key = (target.kind.as_str().to_owned(), target.name.clone());
        if usable {
            self.resources.unusable.remove(&key);
        } else {
            self.resources.unusable.insert(key);
        }
        self.entries.insert(target, entry);
    }

    fn forget_connection(&mut self, name: &ResourceName) {
        self.resources.connections.remove(name);
        if let Some(compiled) = self.compiled.connections.remove(name) {
            for named in compiled.secrets() {
                let secret = ResourceName::new(&name.namespace, &named.secret.name);
                remove_user(&mut self.connections_of_secret, &secret, name);
            }
        }
    }

    fn forget_mapping(&mut self, name: &ResourceName) {
        self.resources.mappings.remove(name);
        self.compiled.mappings.remove(name);
    }

    fn forget_sync(&mut self, name: &ResourceName) {
        if let Some(spec) = self.resources.syncs.remove(name) {
            for used in used_by(name, &spec) {
                remove_user(self.users(used.kind), &used.name, name);
            }
        }
    }

    /// The Syncs that use a resource of this kind.
    fn users(&mut self, kind: Kind) -> &mut Users {
        match kind {
            Kind::Connection => &mut self.syncs_of_connection,
            Kind::Mapping => &mut self.syncs_of_mapping,
            Kind::Sync => &mut self.syncs_of_sync,
        }
    }

    /// A resource and the Syncs that use it.
    fn reaching(&self, target: Target) -> Effects {
        let users = match target.kind {
            Kind::Connection => &self.syncs_of_connection,
            Kind::Mapping => &self.syncs_of_mapping,
            Kind::Sync => &self.syncs_of_sync,
        };
        let mut reconcile: BTreeSet<Target> = users
            .get(&target.name)
            .into_iter()
            .flatten()
            .map(|sync| Target::new(Kind::Sync, sync))
            .collect();
        reconcile.insert(target);
        Effects {
            reconcile,
            ..Effects::default()
        }
    }
}

/// What a Mapping's own tests say.
fn failures(name: &ResourceName, mapping: &crate::mapping::Mapping) -> Vec<Problem> {
    let failures = mapping.run_tests().into_iter();
    failures
        .map(|failure| {
            let field = format!("spec.tests[{}]", failure.index);
            let message = format!("test {:?} fails: {}", failure.test, failure.message);
            Problem::error(format!("Mapping/{}", name.name), field, message)
        })
        .collect()
}

/// What a Sync refers to.
fn used_by(name: &ResourceName, spec: &SyncSpec) -> Vec<Target> {
    let own = |kind, other: &str| Target {
        kind,
        name: ResourceName::new(&name.namespace, other),
    };
    let mut used = vec![own(Kind::Mapping, &spec.mapping_ref.name)];
    for reference in [&spec.source.connection_ref, &spec.target.connection_ref] {
        used.push(Target {
            kind: Kind::Connection,
            name: connection_of(&name.namespace, reference),
        });
    }
    for lookup in &spec.lookups {
        used.push(own(Kind::Sync, &lookup.sync_ref.name));
    }
    used
}

fn remove_user(users: &mut Users, used: &ResourceName, user: &ResourceName) {
    if let Some(by) = users.get_mut(used) {
        by.remove(user);
        if by.is_empty() {
            users.remove(used);
        }
    }
}
