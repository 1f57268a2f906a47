//! What can be promised about sending each operation again (design: "Guarantee of an operation").
//! Pure. Called by `plan::sync`; shown by `cli`.

use super::validate::SyncChecker;
use super::{
    Guarantee, Guarantees, MatchPlan, ObjectPlan, OnAmbiguous, OnNone, WriteMode, WritePlan,
};
use crate::api::sync::SyncSpec;

/// The guarantee of each operation that the Sync may use, as `pipeline::route` chooses them.
pub(super) fn guarantees(
    target: &ObjectPlan,
    write: &WritePlan,
    matching: Option<&MatchPlan>,
) -> Guarantees {
    let creates =
        write.mode != WriteMode::UpdateOnly && matching.is_none_or(|m| m.on_none == OnNone::Create);
    let updates = write.mode != WriteMode::CreateOnly;
    let upserts_new = creates
        && target.upsert.is_some()
        && (write.mode == WriteMode::Upsert || target.create.is_none());
    let create = target
        .create
        .as_ref()
        .filter(|_| creates && !upserts_new)
        .map(|create| {
            // A key would hold for a batch as it was composed, which is not kept: see `compile_create`.
            if create.idempotency.is_some() && create.batch.is_none() {
                Guarantee::IdempotencyKey
            } else if target.find.is_some() && matching.is_some() {
                Guarantee::Searchable
            } else {
                Guarantee::Blind
            }
        });
    let update = (updates && target.update.is_some()).then_some(Guarantee::Repeatable);
    let upserts_linked = updates && target.update.is_none() && target.upsert.is_some();
    let upsert = (upserts_new || upserts_linked).then_some(Guarantee::Repeatable);
    Guarantees {
        create,
        update,
        upsert,
        delete: write.removals.deletes().then_some(Guarantee::Repeatable),
    }
}

/// Where a lost create cannot be resolved, somebody must say what the first run does with history.
pub(super) fn check_blind(spec: &SyncSpec, guarantees: &Guarantees, checker: &mut SyncChecker) {
    if guarantees.create != Some(Guarantee::Blind) {
        return;
    }
    if spec.source.backfill.is_none() {
        checker.error(
            "spec.source.backfill",
            "creates here are Blind (a lost answer cannot be resolved), so say what the first run does with history: All, None or Since",
        );
    }
    if spec.write.on_ambiguous == OnAmbiguous::Retry {
        checker.warning(
            "spec.write.onAmbiguous",
            "Retry sends a create again whose answer was lost: duplicates are possible; an idempotencyKey, or find with match, avoids them",
        );
    }
}

impl Guarantee {
    /// What it means for the person who reads it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Repeatable => "sending it again changes nothing",
            Self::IdempotencyKey => {
                "the target drops a repeated key, so a lost answer is sent again"
            }
            Self::Searchable => "a lost answer is resolved by searching the target",
            Self::Blind => "a lost answer cannot be resolved by a machine",
        }
    }
}
