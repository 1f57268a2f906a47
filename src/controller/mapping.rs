//! Reconciles a Mapping: it was compiled and its tests were run when it was seen; this shows the result.

use jiff::Timestamp;
use serde_json::Value;

use super::conditions::{Draft, Outlook, Summary, Truth, conditions};
use super::connection::{invalid, list};
use super::context::Context;
use super::index::{Entry, Kind, Target};
use super::status::conditions_of;
use crate::api::condition::{TESTS_PASSED, reason};
use crate::api::mapping::MappingStatus;
use crate::plan::ResourceName;

/// Brings a Mapping's status in line.
pub async fn reconcile(cx: &Context, name: &ResourceName) -> Result<(), String> {
    let target = Target::new(Kind::Mapping, name);
    cx.kept.recover(cx, &target).await?;
    if !cx.kept.is_settled(cx, &target) {
        // It is reconciled again when it is known whether a former version is in use.
        return Ok(());
    }
    let facts = {
        let index = cx.index();
        let in_use = index.in_use(&target);
        index.entry(&target).map(|entry| (entry.clone(), in_use))
    };
    let Some((entry, in_use)) = facts else {
        cx.statuses.forget(&target);
        return cx.kept.forget(&target).await;
    };
    let before = cx.statuses.current(&target);
    let status = build(&entry, in_use, &before, Timestamp::now());
    let status = serde_json::to_value(status).map_err(|e| e.to_string())?;
    cx.statuses.write(&target, &entry.meta.uid, status);
    cx.kept.keep(cx, &target).await
}

/// `in_use`: there is a version that Syncs use.
fn build(entry: &Entry, in_use: bool, before: &Value, now: Timestamp) -> MappingStatus {
    let generation = entry.meta.generation;
    MappingStatus {
        observed_generation: Some(generation),
        conditions: conditions(
            summary(entry, in_use),
            tests(entry).into_iter().collect(),
            generation,
            &conditions_of(before),
            now,
        ),
    }
}

fn summary(entry: &Entry, in_use: bool) -> Summary {
    if let Some(unread) = &entry.unread {
        return Summary::unread(entry, &unread.problem, in_use);
    }
    let mut summary = match entry.problems.as_slice() {
        [] => return Summary::new(Outlook::Good, reason::COMPILED, "compiled"),
        problems if entry.tests_failed => {
            Summary::new(Outlook::Stalled, reason::TESTS_FAILED, list(problems))
        }
        problems => invalid(problems),
    };
    if in_use {
        summary.message = format!(
            "Syncs go on with the last version that was good, generation {}. {}",
            entry.used.generation, summary.message
        );
    }
    summary
}

fn tests(entry: &Entry) -> Option<Draft> {
    let (truth, reason, message) = match (entry.problems.as_slice(), entry.tests) {
        (_, 0) if !entry.is_good() => return None,
        (_, 0) => (Truth::True, reason::NO_TESTS, "it has no tests".to_owned()),
        ([], count) => (Truth::True, reason::TESTS_PASSED, format!("{count} passed")),
        (problems, count) => (
            Truth::False,
            reason::TESTS_FAILED,
            format!("{} of {count} failed: {}", problems.len(), list(problems)),
        ),
    };
    Some(Draft {
        kind: TESTS_PASSED,
        truth,
        reason,
        message,
    })
}
