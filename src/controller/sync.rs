//! Reconciles a Sync: resolves what it refers to, compiles its Plan, tells its worker what to do, and
//! shows how it is doing. `resolve` and `sync_status` decide (pure), `reconcile` applies.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::conditions::{Outlook, Summary};
use super::connection::unverified;
use super::context::{Context, Credentials, sync_name};
use super::index::{Kind, Target};
use super::resolve::{Resolved, connections_of, look_up, mapping_of, parts};
use super::sync_status::{View, build, next_look};
use crate::api::condition::{STALLED, find, reason};
use crate::intake::Endpoint;
use crate::plan::{Plan, ResourceName};
use crate::record::SyncName;
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

/// Brings a Sync's worker and status in line; answers when to look again.
pub async fn reconcile(cx: &Context, name: &ResourceName) -> Result<Option<Instant>, String> {
    let target = Target::new(Kind::Sync, name);
    cx.kept.recover(cx, &target).await?;
    if !is_settled(cx, &target) {
        // It is reconciled again when it is known which versions are in use.
        return Ok(None);
    }
    let Some((resolved, wrote)) = resolve(cx, &target) else {
        remove(cx, &target);
        return cx.kept.forget(&target).await.map(|()| None);
    };
    let before = cx.statuses.current(&target);
    let usable = match credentials(cx, &resolved) {
        // Its Connections were not looked at yet: it is reconciled again when they were.
        None => return Ok(None),
        Some(usable) => usable,
    };
    let usable = settle(cx, &target, &resolved, usable).await?;
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
        unread: resolved.unread.as_ref(),
        notes: notes(cx, &resolved, &usable),
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

/// Whether it is known which version of the Sync and of all that it uses is in use.
fn is_settled(cx: &Context, target: &Target) -> bool {
    let parts = {
        let index = cx.index();
        let spec = index.resources.syncs.get(&target.name);
        spec.map(|spec| parts(&connections_of(target, spec), &mapping_of(target, spec)))
    };
    let all = parts.into_iter().flatten().chain([target.clone()]);
    all.into_iter().all(|part| cx.kept.is_settled(cx, &part))
}

/// Keeps what has a Plan of newest versions; refuses a Plan with a part that cannot be read to a Sync that did not
/// have one before: what the part means for it now is not known.
async fn settle(
    cx: &Context,
    target: &Target,
    resolved: &Resolved,
    usable: Result<Arc<Plan>, Summary>,
) -> Result<Result<Arc<Plan>, Summary>, String> {
    if usable.is_err() {
        return Ok(usable);
    }
    if !resolved.leans {
        if let Err(problem) = cx.kept.keep(cx, target).await {
            // What runs needs it only when something breaks later.
            tracing::warn!(sync = %target.name, "{problem}");
        }
        return Ok(usable);
    }
    if cx
        .kept
        .has(target, &resolved.meta.uid, resolved.used)
        .await?
    {
        return Ok(usable);
    }
    let message = format!(
        "a Sync that is new or changed waits until its parts can be read: {}",
        resolved.older.join("; ")
    );
    Ok(Err(Summary::new(
        Outlook::Blocked,
        reason::REFERENCE_NOT_READY,
        message,
    )))
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

/// What is not as it should be while the Sync works.
fn notes(cx: &Context, resolved: &Resolved, usable: &Result<Arc<Plan>, Summary>) -> Vec<String> {
    let mut notes = resolved.older.clone();
    let webhook = usable.as_ref().ok().and_then(|plan| plan.webhook.as_ref());
    if let (Some(used), Some(source)) = (webhook, resolved.connections.first())
        && let Some(Credentials::WebhookMissing { webhook, what }) = cx.credentials(source)
        && webhook == used.name
    {
        let unverified = unverified(&webhook, &what);
        notes.push(format!("Connection {}: {unverified}", source.name));
    }
    notes
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
