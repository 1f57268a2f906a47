//! Whether records that a source's list does not show any more count as deleted, and whether its scans can tell.
//! Pure. Called by `plan::sync`; asked by `worker`.

use super::connection::{ChangesPlan, ListPlan};
use super::validate::SyncChecker;
use super::{Backfill, Endpoint, ObjectPlan, Plan, WritePlan};

impl Plan {
    /// Whether the Sync does something about a record that the source's list does not show any more.
    pub fn looks_for_absent(&self) -> bool {
        looks(&self.source.object, &self.write)
    }

    /// Whether others than the list tell of records, perhaps late.
    pub fn is_told(&self) -> bool {
        self.webhook.is_some() || self.source.object.changes.is_some()
    }

    /// Whether a scan reads the list from end to end; `full`: it reads everything, whatever the cursor says.
    pub fn reads_everything(&self, full: bool) -> bool {
        let object = &self.source.object;
        let goes_on = |list: &ListPlan| list.goes_on() || object.changes.is_some();
        let whole = object
            .list
            .as_ref()
            .is_some_and(|list| full || !goes_on(list));
        whole && !matches!(self.backfill, Backfill::Since(_))
    }
}

fn looks(source: &ObjectPlan, write: &WritePlan) -> bool {
    let absent = source.list.as_ref().is_some_and(|list| list.absent);
    absent && !write.removals.on_delete.is_ignore()
}

/// The source's scans can tell what is absent from its list, where the Sync does something about it.
pub(super) fn check_absence(
    source: &Endpoint,
    write: &WritePlan,
    backfill: Option<&Backfill>,
    refreshes: bool,
    checker: &mut SyncChecker,
) {
    let Some(list) = &source.object.list else {
        return;
    };
    if !looks(&source.object, write) {
        return;
    }
    let object = format!(
        "object {:?} of {}",
        source.object.name,
        source.connection.resource()
    );
    if matches!(backfill, Some(Backfill::Since(_))) {
        let problem = format!(
            "no scan reads all of {object}, so none can tell which records are absent: choose backfill All or None, or \
             remove list.absent there"
        );
        checker.error("spec.source.backfill", problem);
    }
    if list.is_bounded() && source.object.get.is_none() {
        let problem = format!(
            "even a full refresh of {object} asks for a part of its records (list.cursor.field has start, step or \
             sendUntilAs), so a record that is not shown may be there: add get, which is asked about each, or remove \
             list.absent there"
        );
        checker.error("spec.source.object", problem);
    }
    let changes = source.object.changes.as_ref();
    if (list.goes_on() || changes.is_some()) && !refreshes {
        let problem = format!(
            "a scan of {object} reads what has changed ({}), and only a full refresh can tell which records \
             are absent: add trigger.fullRefresh",
            match changes {
                Some(_) => "changes",
                None => "list.cursor",
            }
        );
        let told = changes.is_some_and(ChangesPlan::tells_deleted);
        match source.object.deleted.is_some() || told {
            true => checker.warning("spec.trigger", problem),
            false => checker.error("spec.trigger", problem),
        }
    }
}
