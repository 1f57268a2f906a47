//! Which operation a changed record needs, from what the target can do and what is linked.

use crate::plan::{ObjectPlan, OnNone, Plan, WriteMode};

/// The next step for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Update,
    Upsert,
    Create,
    /// Look for the match value first: among our own links, and in the target where it has `find`.
    Find,
    /// Nothing may be written.
    Skip,
}

/// Chooses by design section 1, "Which write": a linked record is updated, else upserted; an unlinked
/// one is upserted where that may create, else searched, else created.
pub fn route(plan: &Plan, linked: bool) -> Step {
    let target: &ObjectPlan = &plan.target.object;
    let mode = plan.write.mode;
    if linked {
        return match mode {
            WriteMode::CreateOnly => Step::Skip,
            _ if target.update.is_some() => Step::Update,
            _ if target.upsert.is_some() => Step::Upsert,
            _ => Step::Skip,
        };
    }
    let may_create = mode != WriteMode::UpdateOnly
        && plan
            .matching
            .as_ref()
            .is_none_or(|m| m.on_none == OnNone::Create);
    if may_create && target.upsert.is_some() && mode == WriteMode::Upsert {
        Step::Upsert
    } else if plan.matching.is_some() {
        Step::Find
    } else {
        route_unmatched(plan)
    }
}

/// The step for a record that has no match in the target.
pub fn route_unmatched(plan: &Plan) -> Step {
    let may_create = plan.write.mode != WriteMode::UpdateOnly
        && plan
            .matching
            .as_ref()
            .is_none_or(|m| m.on_none == OnNone::Create);
    match may_create {
        true if plan.target.object.create.is_some() => Step::Create,
        true if plan.target.object.upsert.is_some() => Step::Upsert,
        _ => Step::Skip,
    }
}
