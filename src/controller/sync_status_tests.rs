//! What a Sync's status says of each state that it can be in.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::conditions::{Outlook, Summary};
use super::sync_status::{View, build, next_look};
use crate::api::condition::{find, reason};
use crate::api::sync::SyncStatus;
use crate::plan::Plan;
use crate::runtime::order::{Ailment, AilmentKind, Snapshot};
use crate::state::RunReport;

const NOW: i64 = 1_800_000_000_000;

fn snapshot() -> Snapshot {
    Snapshot {
        loaded: true,
        last_run: Some(RunReport {
            started: NOW - 60_000,
            ended: NOW - 50_000,
            outcome: "Succeeded".to_owned(),
            ..RunReport::default()
        }),
        scanned: Some(NOW - 60_000),
        fresh_as_of: Some(NOW - 60_000),
        next_run: Some(NOW + 60_000),
        ..Snapshot::default()
    }
}

fn status(
    usable: &Result<Arc<Plan>, Summary>,
    suspended: bool,
    snapshot: &Snapshot,
    before: &Value,
    now: i64,
) -> SyncStatus {
    build(&View {
        generation: 7,
        suspended,
        usable,
        requested: Some("r2"),
        unread: None,
        notes: Vec::new(),
        snapshot,
        before,
        now: Timestamp::from_millisecond(now).unwrap(),
    })
}

/// `Ready=True/Supervised Fresh=…`, without messages.
fn shape(status: &SyncStatus) -> String {
    let one = |c: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        assert_eq!(c.observed_generation, Some(7));
        format!("{}={}/{}", c.type_, c.status, c.reason)
    };
    status
        .conditions
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_sync_that_runs_is_ready_fresh_and_has_no_dead_letters() {
    let plan = Ok(crate::runtime::tests::plan());
    let status = status(&plan, false, &snapshot(), &Value::Null, NOW);
    assert_eq!(
        shape(&status),
        "Ready=True/Supervised Fresh=True/WithinMaxAge DeadLettersEmpty=True/None"
    );
    assert_eq!(status.observed_generation, Some(7));
    assert_eq!(status.next_run.as_deref(), Some("2027-01-15T08:01:00Z"));
    assert_eq!(
        status.guarantees.unwrap().update.as_deref(),
        Some("Repeatable")
    );
}

#[test]
fn the_same_state_gives_the_same_status_whatever_the_time() {
    let plan = Ok(crate::runtime::tests::plan());
    let first = serde_json::to_value(status(&plan, false, &snapshot(), &Value::Null, NOW)).unwrap();
    let later =
        serde_json::to_value(status(&plan, false, &snapshot(), &first, NOW + 5_000)).unwrap();
    assert_eq!(first, later);
}

#[test]
fn each_ailment_says_who_has_to_do_something() {
    let plan = Ok(crate::runtime::tests::plan());
    for (kind, wanted) in [
        (AilmentKind::Unreachable, "Ready=True/Supervised"),
        (
            AilmentKind::CredentialRejected,
            "Ready=False/CredentialRejected Stalled=True/CredentialRejected",
        ),
        (
            AilmentKind::Misconfigured,
            "Ready=False/Misconfigured Stalled=True/Misconfigured",
        ),
        (
            AilmentKind::Forbidden,
            "Ready=False/Forbidden Stalled=True/Forbidden",
        ),
        (
            AilmentKind::TargetSuspect,
            "Ready=False/TargetSuspect Stalled=True/TargetSuspect",
        ),
        (
            AilmentKind::DeleteGuard,
            "Ready=False/DeleteGuard Stalled=True/DeleteGuard",
        ),
        (
            AilmentKind::MappingSuspect,
            "Ready=False/MappingSuspect Stalled=True/MappingSuspect",
        ),
        (
            AilmentKind::StateMismatch,
            "Ready=False/StateMismatch Stalled=True/StateMismatch",
        ),
        (
            AilmentKind::Store,
            "Ready=Unknown/StoreFailed Reconciling=True/StoreFailed",
        ),
        (
            AilmentKind::Panic,
            "Ready=Unknown/WorkerFailed Reconciling=True/WorkerFailed",
        ),
    ] {
        let ill = Snapshot {
            ailment: Some(Ailment {
                kind,
                message: "it is so".to_owned(),
                next_attempt: Some(NOW + 120_000),
            }),
            ..snapshot()
        };
        let status = status(&plan, false, &ill, &Value::Null, NOW);
        assert!(
            shape(&status).starts_with(&format!("{wanted} Fresh")),
            "{}",
            shape(&status)
        );
        assert_eq!(
            status.next_attempt_time.as_deref(),
            Some("2027-01-15T08:02:00Z")
        );
    }
}

#[test]
fn silence_turns_fresh_to_false_at_its_moment() {
    let plan = Ok(crate::runtime::tests::plan());
    let snapshot = snapshot();
    let max_age = plan
        .as_ref()
        .map(|p: &Arc<Plan>| p.max_age.as_millis() as i64)
        .unwrap_or_default();
    let stale = NOW - 60_000 + max_age;
    let view = View {
        generation: 7,
        suspended: false,
        usable: &plan,
        requested: None,
        unread: None,
        notes: Vec::new(),
        snapshot: &snapshot,
        before: &Value::Null,
        now: Timestamp::from_millisecond(NOW).unwrap(),
    };
    let look = next_look(&view).unwrap().as_millis() as i64;
    assert_eq!(NOW + look, stale + 1_000);
    let status = status(&plan, false, &snapshot, &Value::Null, NOW + look);
    let fresh = find(&status.conditions, "Fresh").unwrap();
    assert_eq!(
        (fresh.status.as_str(), fresh.reason.as_str()),
        ("False", reason::STALE)
    );
}

#[test]
fn a_suspended_sync_is_ready_and_promises_no_run() {
    let plan = Ok(crate::runtime::tests::plan());
    let status = status(&plan, true, &snapshot(), &Value::Null, NOW);
    assert_eq!(
        shape(&status),
        "Ready=True/Suspended Fresh=Unknown/Suspended DeadLettersEmpty=True/None"
    );
    assert_eq!(status.next_run, None);
}

#[test]
fn a_sync_without_a_plan_says_why_and_keeps_what_is_known() {
    let missing = Summary::new(
        Outlook::Blocked,
        reason::REFERENCE_MISSING,
        "there is no Mapping",
    );
    let mut known = snapshot();
    known.totals.dead.insert("Permanent".to_owned(), 2);
    let status = status(&Err(missing), false, &known, &Value::Null, NOW);
    assert_eq!(
        shape(&status),
        "Ready=False/ReferenceMissing Fresh=Unknown/ReferenceNotReady DeadLettersEmpty=False/DeadLetters"
    );
    assert_eq!(status.dead_letters_open, Some(2));
    assert!(status.last_run.is_some());
}

#[test]
fn a_request_that_no_run_can_answer_is_seen_until_one_can() {
    let pending = |usable: &Result<Arc<Plan>, Summary>, suspended, before: Value| {
        let status = status(usable, suspended, &snapshot(), &before, NOW);
        status.pending_reconcile_at
    };
    let handled = |request: &str| serde_json::json!({"lastHandledReconcileAt": request});
    let plan = Ok(crate::runtime::tests::plan());
    let missing = || Summary::new(Outlook::Blocked, reason::REFERENCE_MISSING, "m");
    assert_eq!(pending(&plan, true, handled("r1")).as_deref(), Some("r2"));
    assert_eq!(
        pending(&Err(missing()), false, handled("r1")).as_deref(),
        Some("r2")
    );
    assert_eq!(pending(&plan, false, handled("r1")), None, "a run answers");
    assert_eq!(pending(&plan, true, handled("r2")), None, "it was answered");
}

#[test]
fn what_does_not_work_is_told_once_and_only_of_a_sync_that_works() {
    let message = |usable: &Result<Arc<Plan>, Summary>, before: &Value| {
        let status = build(&View {
            generation: 7,
            suspended: false,
            usable,
            requested: None,
            unread: None,
            notes: vec!["no key".to_owned()],
            snapshot: &snapshot(),
            before,
            now: Timestamp::from_millisecond(NOW).unwrap(),
        });
        let ready = find(&status.conditions, "Ready").unwrap().clone();
        (ready.message, serde_json::to_value(status).unwrap())
    };
    let plan = Ok(crate::runtime::tests::plan());
    let (first, before) = message(&plan, &Value::Null);
    assert!(first.ends_with("; no key"), "{first}");
    assert_eq!(message(&plan, &before).0, first);
    let missing = Summary::new(Outlook::Blocked, reason::REFERENCE_MISSING, "m");
    assert_eq!(message(&Err(missing), &before).0, "m");
}
