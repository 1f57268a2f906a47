//! Whether both sides of a Sync have the operations that it needs, and allow them. Pure.
//! Called by `plan::sync`.

use super::validate::SyncChecker;
use super::{Endpoint, MatchPlan, ObjectPlan, OnNone, TriggerPlan, WriteMode, WritePlan};

/// The source can be listed, and may be.
pub(super) fn check_source(source: &Endpoint, checker: &mut SyncChecker) {
    let resource = source.connection.resource();
    if source.object.list.is_none() {
        checker.error(
            "spec.source.object",
            format!(
                "object {:?} of {resource} has no list: say there how its records are read",
                source.object.name
            ),
        );
    }
    if !source.connection.access.read {
        checker.error(
            "spec.source.connectionRef",
            format!("{resource} does not allow Read: add it to its spec.access"),
        );
    }
    if !source.object.redact.is_empty() && source.object.get.is_none() {
        checker.warning(
            "spec.source.object",
            format!(
                "object {:?} of {resource} has redact and no get: a dead letter of it cannot be replayed, because the \
                 values that were taken out cannot be read again",
                source.object.name
            ),
        );
    }
}

/// The feed of changes keeps its entries from one run to the next.
pub(super) fn check_keeps(source: &Endpoint, trigger: &TriggerPlan, checker: &mut SyncChecker) {
    let changes = source.object.changes.as_ref();
    let Some(keeps) = changes.and_then(|changes| changes.keeps) else {
        return;
    };
    // The gap of a cron pattern is not always the same: this is about an arbitrary one.
    if keeps <= trigger.runs.period(0) {
        checker.warning(
            "spec.trigger",
            format!(
                "the changes of object {:?} of {} are kept for less than the time between two runs (changes.keeps), so \
                 every run reads the list: run more often",
                source.object.name,
                source.connection.resource()
            ),
        );
    }
}

/// The target has the operations that mode and match need, and allows them.
pub(super) fn check_target(
    target: &Endpoint,
    write: &WritePlan,
    matching: Option<&MatchPlan>,
    checker: &mut SyncChecker,
) {
    let (object, resource) = (&target.object, target.connection.resource());
    let creates =
        write.mode != WriteMode::UpdateOnly && matching.is_none_or(|m| m.on_none == OnNone::Create);
    let updates = write.mode != WriteMode::CreateOnly;
    let mode = write.mode;
    if creates && object.create.is_none() && object.upsert.is_none() {
        checker.error(
            "spec.target.object",
            format!(
                "object {:?} of {resource} has neither create nor upsert, and write.mode {mode:?} needs one: add it there, or set write.mode: UpdateOnly",
                object.name
            ),
        );
    }
    if updates && object.update.is_none() && object.upsert.is_none() {
        checker.error(
            "spec.target.object",
            format!(
                "object {:?} of {resource} has neither update nor upsert, and write.mode {mode:?} needs one: add it there, or set write.mode: CreateOnly",
                object.name
            ),
        );
    }
    if mode == WriteMode::UpdateOnly && matching.is_none() {
        checker.error(
            "spec.match",
            "write.mode UpdateOnly never creates, so a link can only come from a match: add match",
        );
    }
    if matching.is_some() && object.find.is_none() {
        let what = format!("object {:?} of {resource} has no find", object.name);
        if !creates {
            let text = format!("{what}, without which match never finds anything: add it there");
            checker.error("spec.match", text);
        } else if object.upsert.is_none() {
            let text = format!(
                "{what}: match only keeps two source records apart, and what stands in the target already is created again"
            );
            checker.warning("spec.match", text);
        }
    }
    let access = &target.connection.access;
    let finds = matching.is_some() && object.find.is_some();
    let reads_first = object
        .update
        .as_ref()
        .is_some_and(|u| u.request.uses_current());
    for (needed, allowed, name, why) in [
        (
            creates,
            access.create,
            "Create",
            format!("write.mode {mode:?} creates records"),
        ),
        (
            updates,
            access.update,
            "Update",
            format!("write.mode {mode:?} updates records"),
        ),
        (
            finds,
            access.read,
            "Read",
            "match searches for records".to_owned(),
        ),
        (
            updates && reads_first,
            access.read,
            "Read",
            "the update reads ${current.…}".to_owned(),
        ),
    ] {
        if needed && !allowed {
            checker.error(
                "spec.target.connectionRef",
                format!(
                    "{resource} does not allow {name}, and {why}: add {name} to its spec.access"
                ),
            );
        }
    }
}

/// `${match.X}` in `find` names matched fields, and every matched field is used or confirmed.
pub(super) fn check_find(
    object: &ObjectPlan,
    matching: Option<&MatchPlan>,
    checker: &mut SyncChecker,
) {
    let (Some(find), Some(matching)) = (&object.find, matching) else {
        return;
    };
    let used = find.request.paths_of("match");
    for path in &used {
        if !matching.fields.iter().any(|f| &f.target == path) {
            checker.error(
                "spec.match.fields",
                format!(
                    "find of object {:?} uses ${{match.{path}}}, and no field here has target {path}: add {{target: {path}}}",
                    object.name
                ),
            );
        }
    }
    if !matching.fields.iter().any(|f| used.contains(&f.target)) {
        checker.error(
            "spec.match.fields",
            format!(
                "find of object {:?} uses none of these fields, so it cannot search by them: put ${{match.{}}} into its query",
                object.name,
                matching.fields.first().map_or(String::new(), |f| f.target.to_string())
            ),
        );
    }
}

/// A natural key depends on nothing but the source's key: a field that can change (an email) would
/// make a second record.
pub(super) fn check_natural_key(
    source: &ObjectPlan,
    target: &ObjectPlan,
    checker: &mut SyncChecker,
) {
    let Some(upsert) = &target.upsert else { return };
    for path in upsert.request.source_paths() {
        if !source.key.contains(&path) {
            checker.warning(
                "spec.target.object",
                format!(
                    "upsert of object {:?} uses ${{source.{path}}}, which is not in the source's key ({}): when it changes, a second record is made; match on it instead",
                    target.name,
                    source.key_names.join(", ")
                ),
            );
        }
    }
}
