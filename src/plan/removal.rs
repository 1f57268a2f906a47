//! What becomes of a target record when its source record is gone or has left, and whether the target can
//! do that and may. Pure. Called by `plan::sync`; carried out by `worker`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::connection::ChangesPlan;
use super::validate::SyncChecker;
use super::{Amount, Endpoint, WritePlan};
use crate::api::connection::Method;
use crate::api::sync::{Adopted, RemovalSpec, SyncSpec};
use crate::record::{Fingerprint, Removal};

/// What becomes of a target record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RemovalPlan {
    /// It stays as it is.
    #[default]
    Ignore,
    /// It is deleted; `adopted`: also where the Sync found it in the target.
    Delete { adopted: bool },
    /// These fields are written.
    Set(Map<String, Value>),
}

impl RemovalPlan {
    pub fn is_ignore(&self) -> bool {
        matches!(self, Self::Ignore)
    }

    /// Of this way to remove: a removal that was carried out in another way is to be done again.
    fn print(&self) -> Fingerprint {
        Fingerprint::of(format!("{self:?}").as_bytes())
    }
}

/// What becomes of target records, by why their source records are not to be there any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovalPlans {
    pub on_delete: RemovalPlan,
    pub on_leave: RemovalPlan,
    pub guard: DeleteGuard,
}

/// The most removals between the starts of two scans; a share is one of the linked records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteGuard(pub Amount);

/// A share of few records is at least this many.
const LEAST: u64 = 5;

impl Default for DeleteGuard {
    fn default() -> Self {
        Self(Amount::Percent(10))
    }
}

impl DeleteGuard {
    /// The most that may be removed when so many records are linked.
    pub fn most(self, linked: u64) -> u64 {
        match self.0 {
            Amount::Records(most) => most,
            Amount::Percent(0) => 0,
            Amount::Percent(percent) => (linked.saturating_mul(percent) / 100).max(LEAST),
        }
    }
}

impl fmt::Display for DeleteGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl RemovalPlans {
    pub fn of(&self, removal: Removal) -> &RemovalPlan {
        match removal {
            Removal::Deleted | Removal::Absent => &self.on_delete,
            Removal::Left => &self.on_leave,
        }
    }

    /// Under what a source version is known once it counts as a removal.
    pub fn print(&self, removal: Removal, version: Fingerprint) -> Fingerprint {
        version.under(self.of(removal).print())
    }

    /// Whether records may be deleted.
    pub fn deletes(&self) -> bool {
        [&self.on_delete, &self.on_leave]
            .into_iter()
            .any(|plan| matches!(plan, RemovalPlan::Delete { .. }))
    }
}

pub(super) fn compile_removals(spec: &SyncSpec, checker: &mut SyncChecker) -> RemovalPlans {
    let guard = spec.write.delete_guard.as_ref().map(Amount::parse);
    if guard == Some(None) {
        checker.error(
            "spec.write.deleteGuard",
            "write a number of records, such as 50, or a share of the linked ones, such as 10%",
        );
    }
    RemovalPlans {
        guard: guard.flatten().map(DeleteGuard).unwrap_or_default(),
        on_delete: compile_removal(spec.write.on_delete.as_ref()),
        on_leave: compile_removal(spec.write.on_leave.as_ref()),
    }
}

fn compile_removal(spec: Option<&RemovalSpec>) -> RemovalPlan {
    let Some(spec) = spec else {
        return RemovalPlan::Ignore;
    };
    match (&spec.delete, &spec.set) {
        (Some(delete), _) => RemovalPlan::Delete {
            adopted: delete.adopted == Adopted::Delete,
        },
        (None, Some(fields)) => RemovalPlan::Set(fields.clone()),
        (None, None) => RemovalPlan::Ignore,
    }
}

/// The target can do what `onDelete` and `onLeave` say, and allows it.
pub(super) fn check_removals(
    source: &Endpoint,
    target: &Endpoint,
    write: &WritePlan,
    filtered: bool,
    checker: &mut SyncChecker,
) {
    let plans = &write.removals;
    for (field, plan) in [
        ("spec.write.onDelete", &plans.on_delete),
        ("spec.write.onLeave", &plans.on_leave),
    ] {
        match plan {
            RemovalPlan::Ignore => {}
            RemovalPlan::Delete { .. } => check_delete(target, field, checker),
            RemovalPlan::Set(fields) => check_set(target, fields, field, checker),
        }
    }
    if !plans.on_leave.is_ignore() && !filtered {
        checker.warning(
            "spec.write.onLeave",
            "no record can leave without source.where: add it, or remove onLeave",
        );
    }
    let object = &source.object;
    let changes = object.changes.as_ref();
    let told = object.deleted.is_some()
        || object.list.as_ref().is_none_or(|list| list.absent)
        || changes.is_some_and(ChangesPlan::tells_deleted);
    if !told && !plans.on_delete.is_ignore() {
        checker.error(
            "spec.write.onDelete",
            format!(
                "nothing tells that a record of object {:?} of {} was deleted: say there by `deleted` what a tombstone \
                 looks like, {}or by `list.absent: Deleted` that a record which the list does not show any more was deleted",
                object.name,
                source.connection.resource(),
                changes.map_or("", |_| "by a route of `changes` with `use: Deleted` which entries say it, "),
            ),
        );
    }
}

fn check_delete(target: &Endpoint, field: &str, checker: &mut SyncChecker) {
    let (object, resource) = (&target.object, target.connection.resource());
    let Some(delete) = &object.delete else {
        let problem = format!(
            "object {:?} of {resource} has no delete: add it there, or choose ignore or set",
            object.name
        );
        return checker.error(&format!("{field}.delete"), problem);
    };
    let access = &target.connection.access;
    if !access.delete {
        checker.error(
            "spec.target.connectionRef",
            format!(
                "{resource} does not allow Delete, and {} deletes records: add Delete to its spec.access",
                name(field)
            ),
        );
    }
    if delete.uses_current() && !access.read {
        checker.error(
            "spec.target.connectionRef",
            format!("{resource} does not allow Read, and the delete reads ${{current.…}}: add Read to its spec.access"),
        );
    }
}

fn check_set(
    target: &Endpoint,
    fields: &Map<String, Value>,
    field: &str,
    checker: &mut SyncChecker,
) {
    let (object, resource) = (&target.object, target.connection.resource());
    let place = format!("{field}.set");
    let Some(update) = &object.update else {
        let problem = format!(
            "object {:?} of {resource} has no update: add it there, or choose ignore or delete",
            object.name
        );
        return checker.error(&place, problem);
    };
    if !target.connection.access.update {
        checker.error(
            "spec.target.connectionRef",
            format!(
                "{resource} does not allow Update, and {} updates records: add Update to its spec.access",
                name(field)
            ),
        );
    }
    let set = Value::Object(fields.clone());
    let missing = update.request.paths_of("record").into_iter();
    if let Some(path) = missing.into_iter().find(|path| path.get(&set).is_none()) {
        checker.error(
            &place,
            format!(
                "the update of object {:?} uses ${{record.{path}}}, which is not set here",
                object.name
            ),
        );
    }
    if let Some(path) = update.request.source_paths().first() {
        checker.error(
            &place,
            format!(
                "the update of object {:?} uses ${{source.{path}}}, and a source record that is gone has no values",
                object.name
            ),
        );
    }
    if update.request.method == Method::Put.as_str() {
        checker.warning(
            &place,
            format!(
                "the update of object {:?} is a PUT, which most systems take as the whole record: what is not set here may be emptied",
                object.name
            ),
        );
    }
}

/// `onDelete` of `spec.write.onDelete`.
fn name(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_a_floor_and_a_number_has_none() {
        for (amount, linked, wanted) in [
            (Amount::Records(50), 10, 50),
            (Amount::Records(0), 10, 0),
            (Amount::Percent(0), 1_000, 0),
            (Amount::Percent(10), 1_000, 100),
            (Amount::Percent(10), 5, 5),
            (Amount::Percent(100), 1_000, 1_000),
        ] {
            assert_eq!(DeleteGuard(amount).most(linked), wanted, "{amount}");
        }
    }
}
