//! The last good version of each resource, kept in the store: what goes on when the newest one cannot be used and
//! this process has seen no other. Manifests hold no Secrets. Used by the reconcilers and by `lead`.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};

use super::context::Context;
use super::index::{Kind, Target, Version};
use crate::plan::ResourceName;
use crate::state::{Store, StoreError};

/// Begins the name of every value that is kept here.
const PREFIX: &str = "manifest/";
/// Largest manifest that is kept: somewhat more than an API server stores of one object.
const MOST_BYTES: u64 = 2 << 20;

/// What is kept, and what is known of it.
pub struct Kept {
    store: Arc<dyn Store>,
    /// uid and generation of what the store has.
    known: Mutex<HashMap<Target, (String, i64)>>,
    /// Resources, by uid, that the store was asked for because they have no version in use.
    asked: Mutex<HashSet<(Target, String)>>,
}

impl Kept {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            known: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Target, (String, i64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, HashSet<(Target, String)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, target: &Target) -> Result<Option<Version>, StoreError> {
        let kept = self.store.load_value(&name(target)).await?;
        let kept = kept.and_then(|bytes| open(&bytes));
        if let Some(kept) = &kept {
            let version = (kept.uid.clone(), kept.generation);
            self.known().insert(target.clone(), version);
        }
        Ok(kept)
    }

    /// Whether the store has this very version.
    pub async fn has(&self, target: &Target, uid: &str, generation: i64) -> Result<bool, String> {
        let is = |(known, of): &(String, i64)| known == uid && *of == generation;
        if let Some(known) = self.known().get(target) {
            return Ok(is(known));
        }
        let kept = self.load(target).await.map_err(unread)?;
        Ok(kept.is_some_and(|kept| is(&(kept.uid, kept.generation))))
    }

    /// Keeps the newest version of a resource, if that is the one in use.
    pub async fn keep(&self, cx: &Context, target: &Target) -> Result<(), String> {
        let version = {
            let index = cx.index();
            let entry = index.entry(target).filter(|entry| entry.is_good());
            entry.map(|entry| (entry.meta.uid.clone(), entry.meta.generation))
        };
        let Some((uid, generation)) = version else {
            return Ok(());
        };
        if self.has(target, &uid, generation).await? {
            return Ok(());
        }
        let Some(newest) = cx.index().newest(target) else {
            return Ok(());
        };
        let known = (newest.uid.clone(), newest.generation);
        let saved = self.store.save_value(&name(target), Some(pack(&newest)));
        let kept = |error| format!("its last good version cannot be kept: {error}");
        saved.await.map_err(kept)?;
        self.known().insert(target.clone(), known);
        Ok(())
    }

    /// A resource is gone.
    pub async fn forget(&self, target: &Target) -> Result<(), String> {
        self.asked().retain(|(asked, _)| asked != target);
        let forgotten = |error| format!("its last good version cannot be forgotten: {error}");
        let forget = self.store.save_value(&name(target), None).await;
        self.known().remove(target);
        forget.map_err(forgotten)
    }

    /// Whether it is known which version of a resource is in use: it has one, or the store was asked.
    pub fn is_settled(&self, cx: &Context, target: &Target) -> bool {
        let index = cx.index();
        let lacks = index.lacks(target);
        lacks.is_none_or(|uid| self.asked().contains(&(target.clone(), uid.to_owned())))
    }

    /// Has a resource that lacks a version the last good one, if there is one. Whoever uses it hears of it.
    pub async fn recover(&self, cx: &Context, target: &Target) -> Result<(), String> {
        let uid = cx.index().lacks(target).map(str::to_owned);
        let Some(uid) = uid else { return Ok(()) };
        if self.asked().contains(&(target.clone(), uid.clone())) {
            return Ok(());
        }
        let kept = self.load(target).await.map_err(unread)?;
        let target = target.clone();
        cx.see(Box::new(move |cx| {
            let effects = cx.write_index().restore(&target, kept);
            cx.kept.asked().insert((target, uid));
            cx.follow(effects);
        }))
        .await;
        Ok(())
    }

    /// Forgets what is kept of resources that are not there any more, where `gone` knows so.
    pub async fn sweep(&self, gone: impl Fn(&Target) -> bool) -> Result<(), StoreError> {
        for name in self.store.value_names(PREFIX).await? {
            if target(&name).is_some_and(|target| gone(&target)) {
                self.store.save_value(&name, None).await?;
            }
        }
        Ok(())
    }
}

fn unread(error: StoreError) -> String {
    format!("its last good version cannot be read: {error}")
}

/// The name under which a resource is kept.
fn name(target: &Target) -> String {
    let kind = target.kind.as_str();
    format!(
        "{PREFIX}{kind}/{}/{}",
        target.name.namespace, target.name.name
    )
}

/// The resource that is kept under a name.
fn target(name: &str) -> Option<Target> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '/');
    let kind = parts.next()?;
    let kinds = [Kind::Connection, Kind::Mapping, Kind::Sync];
    let kind = kinds.into_iter().find(|k| k.as_str() == kind)?;
    let name = ResourceName::new(parts.next()?, parts.next()?);
    Some(Target { kind, name })
}

fn pack(version: &Version) -> Vec<u8> {
    let json = serde_json::to_vec(version).unwrap_or_default();
    let mut packed = Vec::new();
    // A slice never fails to be read.
    let _ = DeflateEncoder::new(json.as_slice(), Compression::fast()).read_to_end(&mut packed);
    packed
}

/// What was packed; `None`: it is not what this version of the program has written.
fn open(packed: &[u8]) -> Option<Version> {
    let mut json = Vec::new();
    let mut reader = DeflateDecoder::new(packed).take(MOST_BYTES);
    reader.read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_comes_back_as_it_was_and_under_the_name_of_its_resource() {
        let version = Version {
            uid: "u".to_owned(),
            generation: 7,
            spec: json!({"fields": [{"to": "a", "value": 1.5}]}),
        };
        assert_eq!(open(&pack(&version)), Some(version));
        assert_eq!(open(b"not packed"), None);
        for kind in [Kind::Connection, Kind::Mapping, Kind::Sync] {
            let wanted = Target::new(kind, &ResourceName::new("team-a", "crm.v2"));
            assert_eq!(target(&name(&wanted)), Some(wanted));
        }
        assert_eq!(target("token/default/crm"), None);
    }

    #[test]
    fn what_unpacks_to_more_than_a_manifest_is_not_read() {
        let version = Version {
            uid: "u".to_owned(),
            generation: 7,
            spec: json!("x".repeat(3 << 20)),
        };
        let packed = pack(&version);
        assert!(packed.len() < 1 << 16);
        assert_eq!(open(&packed), None);
    }
}
