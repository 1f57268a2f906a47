//! Reconciles a Sync: resolves what it refers to, compiles its Plan, tells its worker what to do, and
//! shows how it is doing. `resolve` reads, `sync_status` decides (pure), `reconcile` applies.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::conditions::{Outlook, Summary};
use super::connection::{invalid, list, malformed, unverified};
use super::context::{Context, Credentials, sync_name};
use super::index::{Index, Kind, Meta, Target};
use super::sync_status::{View, build, next_look};
use crate::api::condition::{STALLED, find, reason};
use crate::intake::Endpoint;
use crate::plan::{Plan, Problem, ResourceName, compile_with, connection_of};
use crate::record::{Fingerprint, SyncName};
use crate::runtime::order::{Desired, Order};
use crate::telemetry::Declared;

/// Least time between two writes of a status in which only numbers and times are new.
const CALM: Duration = Duration::from_secs(10);
/// How long state is kept of a Sync whose spec cannot be read any more.
pub const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was computed of a Sync.
pub(super) struct Cached {
    /// The revision of the index that it was computed at.
    revision: u64,
    resolved: Resolved,
    retention: Duration,
    /// When its status was last written.
    wrote: Option<Instant>,
}

/// A Sync with what it refers to.
#[derive(Clone)]
pub(super) struct Resolved {
    meta: Meta,
    suspend: bool,
    /// Of all specs that made the Plan.
    version: Fingerprint,
    /// The Connections that it uses.
    connections: Vec<ResourceName>,
    plan: Result<Arc<Plan>, Summary>,
}

/// Brings a Sync's worker and status in line; answers when to look again.
pub fn reconcile(cx: &Context, name: &ResourceName) -> Result<Option<Instant>, String> {
    let target = Target::new(Kind::Sync, name);
    let Some((resolved, wrote)) = resolve(cx, &target) else {
        remove(cx, &target);
        return Ok(None);
    };
    let before = cx.statuses.current(&target);
    let usable = match credentials(cx, &resolved) {
        // Its Connections were not looked at yet: it is reconciled again when they were.
        None => return Ok(None),
        Some(usable) => usable,
    };
    let sync = sync_name(name);
    serve_webhook(cx, &sync, &resolved);
    cx.tasks.tell(&sync, desired(&resolved, &usable, &before));
    let snapshot = cx.tasks.snapshot(&sync).unwrap_or_default();
    if !snapshot.loaded {
        // The worker's memory is being read: it is reconciled again when it was.
        return Ok(None);
    }
    let now = Timestamp::now();
    let view = View {
        generation: resolved.meta.generation,
        suspended: resolved.suspend,
        usable: &usable,
        requested: resolved.meta.requested.as_deref(),
        note: note(cx, &resolved, &usable),
        snapshot: &snapshot,
        before: &before,
        now,
    };
    let status = build(&view);
    cx.tasks.site().metrics().sync(&sync).declared(Declared {
        max_age: usable.as_ref().ok().map(|plan| plan.max_age),
        suspended: resolved.suspend,
        stalled: find(&status.conditions, STALLED).is_some_and(|c| c.status == "True"),
    });
    let status = serde_json::to_value(status).map_err(|e| e.to_string())?;
    let look = next_look(&view).map(|rest| Instant::now() + rest);
    if status == before {
        return Ok(look);
    }
    if only_numbers(&before, &status)
        && let Some(wrote) = wrote
        && wrote.elapsed() < CALM
    {
        let calm = wrote + CALM;
        return Ok(Some(look.map_or(calm, |look| look.min(calm))));
    }
    cx.statuses.write(&target, &resolved.meta.uid, status);
    let mut plans = cx.plans.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cached) = plans.get_mut(name) {
        cached.wrote = Some(Instant::now());
    }
    Ok(look)
}

/// Receives for the Sync what its Plan says; a suspended one too, and while there is no Plan what the last one
/// said: what is told meanwhile waits.
fn serve_webhook(cx: &Context, sync: &SyncName, resolved: &Resolved) {
    let Ok(plan) = &resolved.plan else { return };
    let source = &plan.source.connection;
    match &plan.webhook {
        Some(webhook) => cx.hooks.endpoints.serve(
            sync,
            Endpoint::new(&source.namespace, &source.name, Arc::clone(webhook)),
        ),
        None => cx.hooks.endpoints.withdraw(sync),
    }
}

/// The Sync is gone: its worker ends, its state is kept for a while.
fn remove(cx: &Context, target: &Target) {
    let cached = {
        let mut plans = cx.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.remove(&target.name)
    };
    let retention = cached.map_or(RETENTION, |cached| cached.retention);
    cx.hooks.endpoints.withdraw(&sync_name(&target.name));
    cx.tasks
        .tell(&sync_name(&target.name), Desired::Gone { retention });
    cx.statuses.forget(target);
}

/// What the Sync is with what it refers to, computed again only when a spec has changed; and when its
/// status was last written. `None`: it is gone.
fn resolve(cx: &Context, target: &Target) -> Option<(Resolved, Option<Instant>)> {
    let name = &target.name;
    let index = cx.index();
    index.entry(target)?;
    let mut plans = cx.plans.lock().unwrap_or_else(PoisonError::into_inner);
    let cached = plans.get(name);
    if let Some(cached) = cached.filter(|c| c.revision == index.revision()) {
        return Some((cached.resolved.clone(), cached.wrote));
    }
    let wrote = cached.and_then(|c| c.wrote);
    let before = cached.and_then(|c| {
        let plan = c.resolved.plan.as_ref().ok()?;
        Some((c.resolved.version, Arc::clone(plan)))
    });
    let resolved = look_up(&index, target, before)?;
    let spec = index.resources.syncs.get(name);
    let new = Cached {
        revision: index.revision(),
        resolved: resolved.clone(),
        retention: spec.map_or(RETENTION, |s| s.state_retention.to_std()),
        wrote,
    };
    plans.insert(name.clone(), new);
    Some((resolved, wrote))
}

fn look_up(
    index: &Index,
    target: &Target,
    before: Option<(Fingerprint, Arc<Plan>)>,
) -> Option<Resolved> {
    let entry = index.entry(target)?;
    let meta = entry.meta.clone();
    let unusable = |summary| Resolved {
        meta: meta.clone(),
        suspend: false,
        version: Fingerprint::UNKNOWN,
        connections: Vec::new(),
        plan: Err(summary),
    };
    if let Some(error) = &entry.malformed {
        return Some(unusable(malformed(error)));
    }
    let spec = index.resources.syncs.get(&target.name)?;
    let namespace = &target.name.namespace;
    let connections: Vec<ResourceName> = [&spec.source.connection_ref, &spec.target.connection_ref]
        .into_iter()
        .map(|reference| connection_of(namespace, reference))
        .collect();
    let mapping = ResourceName::new(namespace, &spec.mapping_ref.name);
    let version = version(index, target, &connections, &mapping);
    let plan = compile_with(&index.resources, &index.compiled, &sync_name(&target.name));
    let plan = match (plan, before) {
        // The same version is the same Plan: whoever runs it needn't hear of another.
        (Ok(_), Some((known, plan))) if known == version => Ok(plan),
        (Ok(plan), _) => Ok(Arc::new(plan)),
        (Err(problems), _) => Err(why_not(&problems, index, &connections, &mapping)),
    };
    Some(Resolved {
        meta,
        suspend: spec.suspend,
        version,
        connections,
        plan,
    })
}

/// Of all specs that make the Plan.
fn version(
    index: &Index,
    target: &Target,
    connections: &[ResourceName],
    mapping: &ResourceName,
) -> Fingerprint {
    let part = |kind, name: &ResourceName| {
        let entry = index.entry(&Target::new(kind, name));
        entry.map(|e| (e.meta.uid.clone(), e.effective, e.meta.generation))
    };
    let own = index
        .entry(target)
        .map(|e| (&e.meta.uid, e.meta.generation));
    let of_mapping = part(Kind::Mapping, mapping).map(|(uid, effective, _)| (uid, effective));
    let of_connections: Vec<_> = connections
        .iter()
        .map(|c| part(Kind::Connection, c).map(|(uid, _, generation)| (uid, generation)))
        .collect();
    let text = serde_json::to_vec(&(own, of_connections, of_mapping)).unwrap_or_default();
    Fingerprint::of(&text)
}

/// Why there is no Plan.
fn why_not(
    problems: &[Problem],
    index: &Index,
    connections: &[ResourceName],
    mapping: &ResourceName,
) -> Summary {
    let is_reference = |p: &Problem| p.field.ends_with("Ref") || p.field.ends_with("Ref.name");
    let (references, own): (Vec<Problem>, Vec<Problem>) =
        problems.iter().cloned().partition(is_reference);
    if !own.is_empty() {
        return invalid(problems);
    }
    if !references.is_empty() {
        return Summary::new(
            Outlook::Blocked,
            reason::REFERENCE_MISSING,
            list(&references),
        );
    }
    let broken = connections
        .iter()
        .find(|c| !index.compiled.connections.contains_key(c))
        .map(|c| ("Connection", c))
        .unwrap_or(("Mapping", mapping));
    Summary::new(
        Outlook::Blocked,
        reason::REFERENCE_NOT_READY,
        format!(
            "{} {} cannot be used; its own status says why",
            broken.0, broken.1.name
        ),
    )
}

/// The Plan, if the credentials of its Connections are there; `None`: they were not looked at yet.
fn credentials(cx: &Context, resolved: &Resolved) -> Option<Result<Arc<Plan>, Summary>> {
    let plan = match &resolved.plan {
        Ok(plan) => plan,
        Err(summary) => return Some(Err(summary.clone())),
    };
    for connection in &resolved.connections {
        if let Credentials::Missing(what) = cx.credentials(connection)? {
            let message = format!("Connection {}: {what}", connection.name);
            return Some(Err(Summary::new(
                Outlook::Blocked,
                reason::SECRET_MISSING,
                message,
            )));
        }
    }
    Some(Ok(Arc::clone(plan)))
}

/// What keeps a part of what the Sync does from working, while the rest works.
fn note(cx: &Context, resolved: &Resolved, usable: &Result<Arc<Plan>, Summary>) -> Option<String> {
    let used = usable.as_ref().ok()?.webhook.as_ref()?;
    let source = resolved.connections.first()?;
    match cx.credentials(source)? {
        Credentials::WebhookMissing { webhook, what } if webhook == used.name => Some(format!(
            "Connection {}: {}",
            source.name,
            unverified(&webhook, &what)
        )),
        _ => None,
    }
}

/// What the worker is to do.
fn desired(
    resolved: &Resolved,
    usable: &Result<Arc<Plan>, Summary>,
    before: &serde_json::Value,
) -> Desired {
    match usable {
        Ok(plan) if !resolved.suspend => Desired::Run(Order {
            plan: Arc::clone(plan),
            version: resolved.version,
            requested: resolved.meta.requested.clone(),
            handled: before["lastHandledReconcileAt"].as_str().map(str::to_owned),
            state: resolved.meta.state.clone(),
            allow_deletes: resolved.meta.allow_deletes.clone(),
        }),
        _ => Desired::Rest,
    }
}

/// Whether two statuses say the same about everything that somebody may wait for.
fn only_numbers(before: &serde_json::Value, after: &serde_json::Value) -> bool {
    [
        "observedGeneration",
        "conditions",
        "guarantees",
        "lastHandledReconcileAt",
        "pendingReconcileAt",
        "deadLettersOpen",
        "nextAttemptTime",
    ]
    .iter()
    .all(|field| before[field] == after[field])
        && before["lastRun"]["outcome"] == after["lastRun"]["outcome"]
}
