//! A Sync whose references are resolved becomes a Plan: operations, guarantees, fingerprints.
//! Pure. Called by `plan::validate`.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::absence::check_absence;
use super::failures::compile_failures;
use super::guarantee::{check_blind, guarantees};
use super::matching;
use super::operations::{check_find, check_keeps, check_natural_key, check_source, check_target};
use super::removal::{check_removals, compile_removals};
use super::suggest::hint;
use super::validate::{Parts, ResourceName, SyncChecker};
use super::{Backfill, Endpoint, LookupPlan, ObjectPlan, Plan, Schedule, TriggerPlan, WritePlan};
use crate::api::mapping::MappingSpec;
use crate::api::reference::DurationText;
use crate::api::sync::{self, SyncSpec};
use crate::expression::{Expression, Path};
use crate::plan::connection::{ConnectionWithObjects, WebhookPlan};
use crate::record::{Fingerprint, Moment, SyncName};

/// Shortest time between two runs.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two runs where the trigger says nothing.
const USUAL_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// Compiles one Sync; `None` when that is impossible, with the reasons in `checker`.
pub(super) fn compile_sync(
    id: &ResourceName,
    spec: &SyncSpec,
    parts: Parts,
    mapping: &MappingSpec,
    checker: &mut SyncChecker,
) -> Option<Plan> {
    let source = endpoint(&parts.source, &spec.source.object, "spec.source", checker);
    let target = endpoint(&parts.target, &spec.target.object, "spec.target", checker);
    let filter = compile_filter(spec, checker);
    let matching = spec
        .matching
        .as_ref()
        .map(|m| matching::compile(m, mapping, checker));
    let lookups = compile_lookups(id, spec, &parts, checker);
    let trigger = compile_trigger(spec, checker);
    let (source, target) = (source?, target?);
    check_source(&source, checker);
    let backfill = compile_backfill(spec, &source, checker);
    let matching = match matching {
        Some(matching) => Some(matching?),
        None => None,
    };
    let webhook = match &spec.source.webhook {
        Some(reference) => Some(compile_webhook(
            &reference.name,
            &parts.source,
            &source,
            checker,
        )?),
        None => None,
    };
    let write = WritePlan {
        mode: spec.write.mode,
        on_gone: spec.write.on_gone,
        on_ambiguous: spec.write.on_ambiguous,
        removals: compile_removals(spec, checker),
    };
    check_target(&target, &write, matching.as_ref(), checker);
    check_removals(&source, &target, &write, filter.is_some(), checker);
    let refreshes = spec.trigger.full_refresh.is_some();
    check_absence(&source, &write, backfill.as_ref(), refreshes, checker);
    check_find(&target.object, matching.as_ref(), checker);
    if let Some(matching) = &matching {
        matching::check_written(matching, mapping, &target.object, checker);
    }
    check_natural_key(&source.object, &target.object, checker);
    let guarantees = guarantees(&target.object, &write, matching.as_ref());
    check_blind(spec, &guarantees, checker);
    let source_paths = source_paths(&target.object);
    let trigger = trigger?;
    check_keeps(&source, &trigger, checker);
    Some(Plan {
        max_age: max_age(spec, &trigger),
        name: SyncName {
            namespace: id.namespace.clone(),
            name: id.name.clone(),
        },
        hash: hash(spec, mapping, &target)?,
        identity: identity(&source, &target)?,
        source,
        target,
        webhook,
        filter,
        backfill: backfill?,
        mapping: parts.mapping,
        lookups,
        source_paths,
        matching,
        write,
        guarantees,
        failures: compile_failures(&spec.failures, checker),
        trigger,
        suspend: spec.suspend,
    })
}

/// The object of that name in a Connection.
fn endpoint(
    connection: &ConnectionWithObjects,
    object: &str,
    field: &str,
    checker: &mut SyncChecker,
) -> Option<Endpoint> {
    let Some(found) = connection.objects.get(object) else {
        let known = connection.objects.keys().map(String::as_str);
        checker.error(
            &format!("{field}.object"),
            format!(
                "{} has no object {object:?}{}",
                connection.connection.resource(),
                hint(object, known)
            ),
        );
        return None;
    };
    Some(Endpoint {
        connection: Arc::clone(&connection.connection),
        object: Arc::clone(found),
    })
}

/// The webhook of that name, which must say something about the source's object.
fn compile_webhook(
    name: &str,
    connection: &ConnectionWithObjects,
    source: &Endpoint,
    checker: &mut SyncChecker,
) -> Option<Arc<WebhookPlan>> {
    let field = "spec.source.webhook.name";
    let resource = connection.connection.resource();
    let Some(webhook) = connection.webhooks.get(name) else {
        let known = connection.webhooks.keys().map(String::as_str);
        let problem = format!("{resource} has no webhook {name:?}{}", hint(name, known));
        checker.error(field, problem);
        return None;
    };
    let object = &source.object.name;
    if webhook.routes.iter().all(|route| route.object != *object) {
        let problem = format!(
            "no route of webhook {name:?} of {resource} is about object {object}; add one, or remove webhook"
        );
        checker.error(field, problem);
        return None;
    }
    Some(Arc::clone(webhook))
}

fn compile_filter(spec: &SyncSpec, checker: &mut SyncChecker) -> Option<Expression> {
    let text = spec.source.filter.as_ref()?;
    Expression::compile(text, &["record"])
        .map_err(|error| checker.error("spec.source.where", error.to_string()))
        .ok()
}

/// Lookups that the Mapping uses are declared, and the other way round.
fn compile_lookups(
    id: &ResourceName,
    spec: &SyncSpec,
    parts: &Parts,
    checker: &mut SyncChecker,
) -> Vec<LookupPlan> {
    let used = parts.mapping.lookup_names();
    let declared = || spec.lookups.iter().map(|l| l.name.as_str());
    for name in used.iter().filter(|n| !declared().any(|d| d == **n)) {
        checker.error(
            "spec.lookups",
            format!(
                "Mapping/{} uses the lookup {name:?}, which is not declared here{}; add {{name: {name}, syncRef: {{name: …}}}}",
                spec.mapping_ref.name,
                super::suggest::closest(name, declared())
                    .map_or(String::new(), |d| format!(" (there is {d:?})")),
            ),
        );
    }
    let mut seen: Vec<&str> = Vec::new();
    for (i, lookup) in spec.lookups.iter().enumerate() {
        let field = format!("spec.lookups[{i}].name");
        if seen.contains(&lookup.name.as_str()) {
            checker.error(
                &field,
                format!("there are two lookups named {:?}", lookup.name),
            );
        } else if !used.iter().any(|u| u == &lookup.name) {
            checker.warning(
                &field,
                format!(
                    "no field of Mapping/{} uses the lookup {:?}",
                    spec.mapping_ref.name, lookup.name
                ),
            );
        }
        seen.push(&lookup.name);
    }
    let plan = |l: &sync::LookupSpec| LookupPlan {
        name: l.name.clone(),
        sync: SyncName {
            namespace: id.namespace.clone(),
            name: l.sync_ref.name.clone(),
        },
    };
    spec.lookups.iter().map(plan).collect()
}

fn compile_trigger(spec: &SyncSpec, checker: &mut SyncChecker) -> Option<TriggerPlan> {
    let trigger = &spec.trigger;
    let cron = trigger.cron.as_deref();
    let runs = compile_schedule(
        "spec.trigger",
        trigger.interval.as_ref(),
        cron,
        trigger.time_zone.as_deref(),
        checker,
    );
    let full_refresh = trigger.full_refresh.as_ref().map(|full| {
        compile_schedule(
            "spec.trigger.fullRefresh",
            full.interval.as_ref(),
            full.cron.as_deref(),
            full.time_zone.as_deref(),
            checker,
        )
    });
    if let (Some(Schedule::Every(runs)), Some(Some(Schedule::Every(full)))) = (&runs, &full_refresh)
        && full < runs
    {
        checker.error(
            "spec.trigger.fullRefresh.interval",
            "is shorter than trigger.interval: a full refresh takes the place of a run",
        );
    }
    Some(TriggerPlan {
        runs: runs?,
        full_refresh: match full_refresh {
            Some(full) => Some(full?),
            None => None,
        },
    })
}

/// The oldest that the target may be.
fn max_age(spec: &SyncSpec, trigger: &TriggerPlan) -> Duration {
    match &spec.freshness {
        Some(freshness) => freshness.max_age.to_std(),
        // The gap of a cron pattern is not always the same: this is about an arbitrary one.
        None => USUAL_INTERVAL.max(trigger.runs.period(0).saturating_mul(3)),
    }
}

fn compile_schedule(
    field: &str,
    interval: Option<&DurationText>,
    cron: Option<&str>,
    zone: Option<&str>,
    checker: &mut SyncChecker,
) -> Option<Schedule> {
    if let Some(cron) = cron {
        return Schedule::cron(cron, zone)
            .map_err(|(name, problem)| checker.error(&format!("{field}.{name}"), problem))
            .ok();
    }
    let interval = interval.map_or(USUAL_INTERVAL, DurationText::to_std);
    if interval < SHORTEST_INTERVAL {
        checker.error(&format!("{field}.interval"), "must be at least 1s");
    }
    Some(Schedule::Every(interval))
}

fn compile_backfill(
    spec: &SyncSpec,
    source: &Endpoint,
    checker: &mut SyncChecker,
) -> Option<Backfill> {
    match (spec.source.backfill, &spec.source.since) {
        (None | Some(sync::Backfill::All), _) => Some(Backfill::All),
        (Some(sync::Backfill::None), _) => Some(Backfill::None),
        (Some(sync::Backfill::Since), since) => {
            let text = since.as_deref().unwrap_or_default();
            let Ok(moment) = text.parse::<jiff::Timestamp>() else {
                checker.error(
                    "spec.source.since",
                    format!("{text:?} is not a moment; write it as 2026-01-31T00:00:00Z"),
                );
                return None;
            };
            if source
                .object
                .list
                .as_ref()
                .is_some_and(|l| l.cursor.is_none())
            {
                checker.error(
                    "spec.source.backfill",
                    format!(
                        "Since needs a cursor, and object {:?} of {} has none: add list.cursor there, or choose with where",
                        source.object.name,
                        source.connection.resource()
                    ),
                );
                return None;
            }
            Some(Backfill::Since(Moment::Time(moment.as_nanosecond())))
        }
    }
}

/// Of all that decides what a source record becomes.
fn hash(spec: &SyncSpec, mapping: &MappingSpec, target: &Endpoint) -> Option<Fingerprint> {
    fingerprint(&(
        &mapping.fields,
        &spec.source.filter,
        &spec.lookups,
        &spec.matching,
        &target.connection.name,
        &target.object.name,
    ))
}

/// Of what the links are about.
fn identity(source: &Endpoint, target: &Endpoint) -> Option<Fingerprint> {
    let side = |e: &Endpoint| {
        fingerprint(&(
            &e.connection.base_url,
            &e.connection.settings,
            &e.object.name,
            &e.object.key_names,
        ))
    };
    Some(side(source)?.under(side(target)?))
}

/// `None` for what is not JSON, which no spec is: they all came from JSON.
fn fingerprint(content: &impl Serialize) -> Option<Fingerprint> {
    serde_json::to_vec(content)
        .ok()
        .map(|bytes| Fingerprint::of(&bytes))
}

/// The `${source.…}` paths that the target's operations use, each once.
fn source_paths(target: &ObjectPlan) -> Vec<Path> {
    let mut paths: Vec<Path> = [
        target.find.as_ref().map(|o| &o.request),
        target.create.as_ref().map(|o| &o.request),
        target.update.as_ref().map(|o| &o.request),
        target.upsert.as_ref().map(|o| &o.request),
    ]
    .into_iter()
    .flatten()
    .flat_map(|operation| operation.source_paths())
    .collect();
    paths.sort_by_key(ToString::to_string);
    paths.dedup();
    paths
}
