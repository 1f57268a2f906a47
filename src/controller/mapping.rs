//! Reconciles a Mapping: it was compiled and its tests were run when it was seen; this shows the result.

use jiff::Timestamp;
use serde_json::Value;

use super::conditions::{Draft, Outlook, Summary, Truth, conditions};
use super::connection::{invalid, list, malformed};
use super::context::Context;
use super::index::{Entry, Kind, Target};
use super::status::conditions_of;
use crate::api::condition::{TESTS_PASSED, reason};
use crate::api::mapping::MappingStatus;
use crate::plan::ResourceName;

/// Brings a Mapping's status in line.
pub fn reconcile(cx: &Context, name: &ResourceName) -> Result<(), String> {
    let target = Target::new(Kind::Mapping, name);
    let facts = {
        let index = cx.index();
        let kept = index.compiled.mappings.contains_key(name);
        index.entry(&target).map(|entry| (entry.clone(), kept))
    };
    let Some((entry, kept)) = facts else {
        cx.statuses.forget(&target);
        return Ok(());
    };
    let before = cx.statuses.current(&target);
    let status = build(&entry, kept, &before, Timestamp::now());
    let status = serde_json::to_value(status).map_err(|e| e.to_string())?;
    cx.statuses.write(&target, &entry.meta.uid, status);
    Ok(())
}

/// `kept`: there is a version that Syncs use.
fn build(entry: &Entry, kept: bool, before: &Value, now: Timestamp) -> MappingStatus {
    let generation = entry.meta.generation;
    MappingStatus {
        observed_generation: Some(generation),
        conditions: conditions(
            summary(entry, kept),
            tests(entry).into_iter().collect(),
            generation,
            &conditions_of(before),
            now,
        ),
    }
}

fn summary(entry: &Entry, kept: bool) -> Summary {
    let mut summary = match (&entry.malformed, entry.problems.as_slice()) {
        (Some(error), _) => malformed(error),
        (None, []) => {
            return Summary::new(Outlook::Good, reason::COMPILED, "compiled");
        }
        (None, problems) if entry.tests_failed => {
            Summary::new(Outlook::Stalled, reason::TESTS_FAILED, list(problems))
        }
        (None, problems) => invalid(problems),
    };
    if kept {
        summary.message = format!(
            "Syncs go on with the last version that was good. {}",
            summary.message
        );
    }
    summary
}

fn tests(entry: &Entry) -> Option<Draft> {
    let (truth, reason, message) = match (entry.problems.as_slice(), entry.tests) {
        (_, 0) if entry.malformed.is_some() || !entry.problems.is_empty() => return None,
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
