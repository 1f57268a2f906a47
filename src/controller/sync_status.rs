//! What a Sync's status says. Pure: now is given.
//! Used by `sync`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::conditions::{Draft, Outlook, Summary, Truth, conditions, shorten};
use super::status::conditions_of;
use crate::api::condition::{DEAD_LETTERS_EMPTY, FRESH, READY, STALLED, find, reason};
use crate::api::sync::{GuaranteeStatus, LastRun, RunCounts, SyncStatus};
use crate::plan::{Guarantee, Plan};
use crate::record::Moment;
use crate::runtime::order::{Ailment, AilmentKind, Snapshot};
use crate::state::{Millis, RunReport};

/// What is known of a Sync.
pub struct View<'a> {
    pub generation: i64,
    pub suspended: bool,
    /// The Plan, or why there is none.
    pub usable: &'a Result<Arc<Plan>, Summary>,
    /// The value of `syncline.dev/requestedAt`.
    pub requested: Option<&'a str>,
    /// What is so where the newest version of the Sync cannot be read.
    pub unread: Option<&'a Summary>,
    /// What is not as it should be while the Sync works.
    pub notes: Vec<String>,
    pub snapshot: &'a Snapshot,
    /// The status as it is.
    pub before: &'a Value,
    pub now: Timestamp,
}

/// The status of a Sync.
pub fn build(view: &View<'_>) -> SyncStatus {
    let snapshot = view.snapshot;
    let plan = view.usable.as_ref().ok();
    let mut others = vec![fresh(view)];
    others.push(dead_letters(snapshot));
    let totals = &snapshot.totals;
    let on_their_way = totals.retrying + totals.unknown + totals.waiting;
    let text = |field: &str| view.before[field].as_str().map(str::to_owned);
    let active = plan.is_some() && !view.suspended;
    let handled = snapshot.handled.clone();
    let handled = handled.or_else(|| text("lastHandledReconcileAt"));
    let open = |request: &&str| !active && handled.as_deref() != Some(request);
    SyncStatus {
        observed_generation: Some(view.generation),
        conditions: conditions(
            summary(view),
            others,
            view.generation,
            &conditions_of(view.before),
            view.now,
        ),
        last_run: snapshot.last_run.as_ref().map(last_run),
        last_success_time: snapshot.scanned.and_then(moment),
        watermark: snapshot.watermark.as_ref().map(watermark),
        dead_letters_open: Some(number(totals.dead_letters())),
        records_open: Some(number(on_their_way)),
        guarantees: plan.map(|plan| guarantees(plan)),
        // Until this process has computed when it is, what the one before wrote stands.
        next_run: match snapshot.next_run {
            _ if !active => None,
            Some(at) => moment(at),
            None => text("nextRun"),
        },
        next_attempt_time: match &snapshot.ailment {
            _ if !active => None,
            Some(ailment) => ailment.next_attempt.and_then(moment),
            None => inherited(view).and_then(|_| text("nextAttemptTime")),
        },
        pending_reconcile_at: view.requested.filter(open).map(str::to_owned),
        last_handled_reconcile_at: handled,
    }
}

/// How long until the status changes although nothing happens.
pub fn next_look(view: &View<'_>) -> Option<Duration> {
    let plan = view.usable.as_ref().ok().filter(|_| !view.suspended)?;
    let stale = view
        .snapshot
        .fresh_as_of?
        .saturating_add(millis(plan.max_age));
    let rest = stale.saturating_sub(view.now.as_millisecond());
    (rest > 0).then(|| Duration::from_millis(rest.unsigned_abs()) + Duration::from_secs(1))
}

fn summary(view: &View<'_>) -> Summary {
    let mut summary = state(view);
    if summary.outlook != Outlook::Good {
        return summary;
    }
    let unread = view.unread;
    if let Some(unread) = unread.filter(|u| !view.suspended || u.outlook != Outlook::Good) {
        summary = unread.clone();
    }
    for note in &view.notes {
        summary.message = format!("{}; {note}", summary.message);
    }
    summary
}

fn state(view: &View<'_>) -> Summary {
    let plan = match view.usable {
        Ok(plan) => plan,
        Err(summary) => return summary.clone(),
    };
    if view.suspended {
        return Summary::new(
            Outlook::Good,
            reason::SUSPENDED,
            "suspended: nothing is read or written until spec.suspend is false",
        );
    }
    match &view.snapshot.ailment {
        Some(ailment) => ill(ailment),
        None => inherited(view)
            .unwrap_or_else(|| Summary::new(Outlook::Good, reason::SUPERVISED, supervised(plan))),
    }
}

/// What the status says of a worker's trouble that another process had, while this one has not tried yet: a
/// restart of the operator is no recovery.
fn inherited(view: &View<'_>) -> Option<Summary> {
    if view.snapshot.tried || view.before["observedGeneration"] != view.generation {
        return None;
    }
    let before = conditions_of(view.before);
    let ready = find(&before, READY).filter(|ready| ready.status != "True")?;
    let known = [
        reason::CREDENTIAL_REJECTED,
        reason::MISCONFIGURED,
        reason::FORBIDDEN,
        reason::TARGET_SUSPECT,
        reason::DELETE_GUARD,
        reason::MAPPING_SUSPECT,
        reason::STATE_MISMATCH,
        reason::STORE_FAILED,
        reason::WORKER_FAILED,
    ];
    let reason = known.into_iter().find(|known| *known == ready.reason)?;
    let outlook = match find(&before, STALLED) {
        Some(_) => Outlook::Stalled,
        None => Outlook::Recovering,
    };
    Some(Summary::new(outlook, reason, ready.message.clone()))
}

fn supervised(plan: &Plan) -> String {
    match &plan.trigger.runs {
        crate::plan::Schedule::Every(interval) => {
            format!("runs every {}", duration(*interval))
        }
        crate::plan::Schedule::Cron(_) => "runs by its cron".to_owned(),
    }
}

/// What keeps a Sync from working.
fn ill(ailment: &Ailment) -> Summary {
    let (outlook, reason) = match ailment.kind {
        // About the data, not about the manifest: the run shows it, and Fresh when it lasts.
        AilmentKind::Unreachable => (Outlook::Good, reason::SUPERVISED),
        AilmentKind::CredentialRejected => (Outlook::Stalled, reason::CREDENTIAL_REJECTED),
        AilmentKind::Misconfigured => (Outlook::Stalled, reason::MISCONFIGURED),
        AilmentKind::Forbidden => (Outlook::Stalled, reason::FORBIDDEN),
        AilmentKind::TargetSuspect => (Outlook::Stalled, reason::TARGET_SUSPECT),
        AilmentKind::DeleteGuard => (Outlook::Stalled, reason::DELETE_GUARD),
        AilmentKind::MappingSuspect => (Outlook::Stalled, reason::MAPPING_SUSPECT),
        AilmentKind::StateMismatch => (Outlook::Stalled, reason::STATE_MISMATCH),
        AilmentKind::Store => (Outlook::Recovering, reason::STORE_FAILED),
        AilmentKind::Panic => (Outlook::Recovering, reason::WORKER_FAILED),
    };
    let message = match ailment.kind {
        AilmentKind::Unreachable => format!("the last run failed: {}", ailment.message),
        _ => ailment.message.clone(),
    };
    Summary::new(outlook, reason, message)
}

fn fresh(view: &View<'_>) -> Draft {
    let draft = |truth, reason, message: String| Draft {
        kind: FRESH,
        truth,
        reason,
        message,
    };
    if view.suspended {
        return draft(Truth::Unknown, reason::SUSPENDED, "suspended".to_owned());
    }
    let Some(since) = view.snapshot.fresh_as_of else {
        let message = "no scan has been completed yet";
        return draft(Truth::Unknown, reason::NEVER_SCANNED, message.to_owned());
    };
    let Ok(plan) = view.usable else {
        // What it was compared with is not known now: the age alone says nothing.
        let shown = moment(since).unwrap_or_default();
        let message = format!("fresh as of {shown}; it does not run");
        return draft(Truth::Unknown, reason::REFERENCE_NOT_READY, message);
    };
    let age = view.now.as_millisecond().saturating_sub(since);
    let wanted = duration(plan.max_age);
    if age <= millis(plan.max_age) {
        let message = format!("not older than {wanted}");
        return draft(Truth::True, reason::WITHIN_MAX_AGE, message);
    }
    let shown = moment(since).unwrap_or_default();
    let message = format!("fresh as of {shown}, which is longer ago than {wanted}");
    draft(Truth::False, reason::STALE, message)
}

fn dead_letters(snapshot: &Snapshot) -> Draft {
    let totals = &snapshot.totals;
    let (truth, reason, message) = match totals.dead_letters() {
        0 => (Truth::True, reason::NONE, "no dead letters".to_owned()),
        count => {
            let reasons: Vec<String> = totals
                .dead
                .iter()
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            let records = if count == 1 {
                "record waits"
            } else {
                "records wait"
            };
            let message = format!("{count} {records} for a person: {}", reasons.join(", "));
            (Truth::False, reason::DEAD_LETTERS, message)
        }
    };
    Draft {
        kind: DEAD_LETTERS_EMPTY,
        truth,
        reason,
        message,
    }
}

fn last_run(report: &RunReport) -> LastRun {
    let counts = &report.counts;
    LastRun {
        started: moment(report.started),
        ended: moment(report.ended),
        outcome: report.outcome.clone(),
        message: report.message.clone().map(shorten),
        counts: RunCounts {
            read: number(counts.read),
            created: number(counts.created),
            updated: number(counts.updated),
            deleted: number(counts.deleted),
            unchanged: number(counts.unchanged),
            skipped: number(counts.skipped),
            dead: number(counts.dead),
        },
    }
}

fn guarantees(plan: &Plan) -> GuaranteeStatus {
    let text = |guarantee: Option<Guarantee>| guarantee.map(|g| g.to_string());
    GuaranteeStatus {
        create: text(plan.guarantees.create),
        update: text(plan.guarantees.update),
        upsert: text(plan.guarantees.upsert),
        delete: text(plan.guarantees.delete),
    }
}

fn watermark(watermark: &Moment) -> String {
    let mut text = match watermark {
        Moment::Time(nanos) => match Timestamp::from_nanosecond(*nanos) {
            Ok(at) => at.to_string(),
            Err(_) => nanos.to_string(),
        },
        Moment::Integer(number) => number.to_string(),
        Moment::Text(text) => text.clone(),
    };
    if text.len() > 1024 {
        text = shorten(text);
    }
    text
}

/// A moment as the API shows it, in whole seconds.
fn moment(at: Millis) -> Option<String> {
    let at = Timestamp::from_second(at.div_euclid(1000)).ok()?;
    Some(at.to_string())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A length of time as people write it.
fn duration(length: Duration) -> String {
    let (hours, rest) = (length.as_secs() / 3600, length.as_secs() % 3600);
    let parts = [(hours, "h"), (rest / 60, "m"), (rest % 60, "s")];
    let text: String = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}
