//! What stays in use of a resource whose newest version cannot be: the last one that could, out of memory or out
//! of the store, less what the newest one takes away. Pure, as `index`, of which it is a part.

use serde::Deserialize;
use serde_json::Value;

use super::{Effects, Entry, Index, Kind, Target};
use crate::api::connection::{Access, AllowedNamespaces};
use crate::plan::ResourceName;

/// A version of a resource, as it is kept.
#[derive(Clone, Debug, PartialEq, serde::Serialize, Deserialize)]
pub struct Version {
    pub uid: String,
    pub generation: i64,
    pub spec: Value,
}

/// What a Connection grants: read even where the rest cannot be, because it may take rights away.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rights {
    access: Option<Vec<Access>>,
    #[serde(default)]
    allowed_namespaces: AllowedNamespaces,
}

impl Index {
    /// Whether any version of it is in use.
    pub fn in_use(&self, target: &Target) -> bool {
        let name = &target.name;
        match target.kind {
            Kind::Connection => self.compiled.connections.contains_key(name),
            Kind::Mapping => self.compiled.mappings.contains_key(name),
            Kind::Sync => self.resources.syncs.contains_key(name),
        }
    }

    /// The uid of a resource whose newest version cannot be used, and that has no other in use.
    pub fn lacks(&self, target: &Target) -> Option<&str> {
        let entry = self.entries.get(target).filter(|_| !self.in_use(target))?;
        let may_go_on = entry.unread.is_some() || target.kind == Kind::Mapping;
        may_go_on.then_some(entry.meta.uid.as_str())
    }

    /// The newest version of a resource, if that is the one in use.
    pub fn newest(&self, target: &Target) -> Option<Version> {
        let entry = self.entries.get(target)?;
        if !entry.is_good() || !self.in_use(target) {
            return None;
        }
        let name = &target.name;
        let spec = match target.kind {
            Kind::Connection => serde_json::to_value(self.resources.connections.get(name)?),
            Kind::Mapping => serde_json::to_value(self.resources.mappings.get(name)?),
            Kind::Sync => serde_json::to_value(self.resources.syncs.get(name)?),
        };
        Some(Version {
            uid: entry.meta.uid.clone(),
            generation: entry.meta.generation,
            spec: spec.ok()?,
        })
    }

    /// Takes a version that was kept into use, if nothing else is and it is of this very resource and good.
    /// Reaches those that use it either way: they have waited for it.
    pub fn restore(&mut self, target: &Target, kept: Option<Version>) -> Effects {
        let uid = self.lacks(target).map(str::to_owned);
        if let Some(kept) = kept.filter(|kept| uid.as_ref() == Some(&kept.uid))
            && let Some(entry) = self.entries.get(target)
        {
            let mut entry = entry.clone();
            if self.take(target, &kept, &mut entry) {
                entry.used.generation = kept.generation;
                self.revision += 1;
                self.put(target.clone(), entry);
            }
        }
        self.reaching(target.clone())
    }

    /// Whether a kept version can be used.
    fn take(&mut self, target: &Target, kept: &Version, entry: &mut Entry) -> bool {
        let name = &target.name;
        match target.kind {
            Kind::Connection => {
                let Ok(spec) = Deserialize::deserialize(&kept.spec) else {
                    return false;
                };
                let unread = entry.unread.clone().unwrap_or_default().spec;
                let good = self.use_connection(name, spec).is_empty();
                if !good || !self.narrow(name, &unread, entry) {
                    self.forget_connection(name);
                }
            }
            Kind::Mapping => {
                let Ok(spec) = Deserialize::deserialize(&kept.spec) else {
                    return false;
                };
                // What is wrong with the newest stays what its status says.
                self.try_mapping(name, spec, &mut Entry::default());
            }
            Kind::Sync => {
                let Ok(spec) = Deserialize::deserialize(&kept.spec) else {
                    return false;
                };
                self.use_sync(name, spec);
                let unread = entry.unread.clone().unwrap_or_default().spec;
                self.suspend(name, &unread);
            }
        }
        self.in_use(target)
    }

    /// Takes from the Connection in use what a version that cannot be read grants no more. False: there is none
    /// in use, or what the new one grants cannot be read either.
    pub(super) fn narrow(
        &mut self,
        name: &ResourceName,
        unread: &Value,
        entry: &mut Entry,
    ) -> bool {
        let used = self.compiled.connections.contains_key(name);
        let used = self.resources.connections.get(name).filter(|_| used);
        let (Some(used), Ok(rights)) = (used, Rights::deserialize(unread)) else {
            return false;
        };
        let mut spec = used.clone();
        let access = rights.access.unwrap_or_else(|| vec![Access::Read]);
        spec.access.retain(|right| access.contains(right));
        spec.allowed_namespaces = rights.allowed_namespaces;
        if spec == *used {
            return true;
        }
        entry.used.narrowed += 1;
        self.forget_connection(name);
        self.use_connection(name, spec).is_empty()
    }

    /// Suspends or resumes the Sync in use as a version says that cannot be read.
    pub(super) fn suspend(&mut self, name: &ResourceName, unread: &Value) {
        if let Some(used) = self.resources.syncs.get_mut(name) {
            used.suspend = unread["suspend"] == true;
        }
    }
}
