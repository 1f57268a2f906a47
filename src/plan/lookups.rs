//! Syncs that would wait for each other for ever. Pure.
//! Called by `plan::validate`.

use super::validate::{ResourceName, Resources, SyncChecker};
use crate::api::mapping::{OnMissing, OnUnlinked};
use crate::api::sync::SyncSpec;

/// Reports a circle of Syncs in which every record must wait for a link of the next: none can ever be
/// the first. A lookup that may be missing or left out breaks the circle; so a Sync may look up its own
/// links where the root records have no parent.
pub(super) fn endless_waits(
    resources: &Resources,
    id: &ResourceName,
    spec: &SyncSpec,
    checker: &mut SyncChecker,
) {
    for (i, lookup) in spec.lookups.iter().enumerate() {
        if !must_wait(resources, id, spec, &lookup.name) {
            continue;
        }
        let Some(way) = way_back(resources, id, &lookup.sync_ref.name) else {
            continue;
        };
        checker.error(
            &format!("spec.lookups[{i}]"),
            format!(
                "no record can ever be the first: {} → {}; set onMissing: Omit or onUnlinked: Omit on one of the fields with these lookups",
                id.name,
                way.join(" → ")
            ),
        );
    }
}

/// The Syncs from `from` back to `id` over lookups that must wait, `id` last.
fn way_back(resources: &Resources, id: &ResourceName, from: &str) -> Option<Vec<String>> {
    let mut open = vec![vec![from.to_owned()]];
    let mut seen = vec![from.to_owned()];
    while let Some(way) = open.pop() {
        let here = way.last()?;
        if *here == id.name {
            return Some(way);
        }
        let here = ResourceName::new(&id.namespace, here.as_str());
        let Some(spec) = resources.syncs.get(&here) else {
            continue;
        };
        for lookup in &spec.lookups {
            let next = &lookup.sync_ref.name;
            if !seen.contains(next) && must_wait(resources, &here, spec, &lookup.name) {
                seen.push(next.clone());
                open.push([way.as_slice(), std::slice::from_ref(next)].concat());
            }
        }
    }
    None
}

/// Whether every record of the Sync waits until this lookup has a link.
fn must_wait(resources: &Resources, id: &ResourceName, spec: &SyncSpec, lookup: &str) -> bool {
    let mapping = ResourceName::new(&id.namespace, &spec.mapping_ref.name);
    let Some(mapping) = resources.mappings.get(&mapping) else {
        return false;
    };
    // Fields inside `each` don't count: a list may be empty.
    mapping.fields.iter().any(|field| {
        field.lookup.as_deref() == Some(lookup)
            && field.on_unlinked.unwrap_or_default() == OnUnlinked::Wait
            && field.on_missing.unwrap_or_default() == OnMissing::Reject
    })
}
