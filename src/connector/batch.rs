//! The answer to several records in one request: one result for each of them.
//! Pure. Used by `write`.

use std::collections::HashMap;

use http::StatusCode;
use serde_json::Value;

use super::Done;
use super::batch_plain;
use super::classify::{self, Asked, Purpose, Verdict, unsure};
use super::client::Reply;
use super::failure::shorten;
use super::write::{Shape, no_id};
use crate::expression::Path;
use crate::plan::ConnectionPlan;
use crate::plan::connection::{BatchPlan, Correlate, read_id};
use crate::record::{Class, Failure, scalar_text};

/// One result for each item, in order. The error says why the answer as a whole cannot be read.
pub(super) fn results(
    connection: &ConnectionPlan,
    shape: Shape<'_>,
    plan: &BatchPlan,
    asked: &Asked<'_>,
    sent: &[Option<String>],
    reply: &Reply,
    count: usize,
) -> Result<Vec<Result<Done, Failure>>, String> {
    let judge = Judge {
        connection,
        shape,
        plan,
        asked,
        reply,
    };
    if judge.nothing_to_read() {
        return Ok((0..count).map(|_| Ok(Done::default())).collect());
    }
    if let Some(done) = judge.all_done(count) {
        return Ok(done.into_iter().map(Ok).collect());
    }
    let body: Value =
        serde_json::from_slice(&reply.body).map_err(|_| "the answer is not JSON".to_owned())?;
    let list = |path: &Path| path.get(&body).and_then(Value::as_array);
    let good = list(&plan.results);
    let bad = plan.errors.as_ref().and_then(list);
    if good.is_none() && bad.is_none() {
        return Err(format!(
            "the answer has no list of results at {:?}; check batch.results",
            plan.results.to_string()
        ));
    }
    let (good, bad) = (
        good.map(Vec::as_slice).unwrap_or_default(),
        bad.map(Vec::as_slice).unwrap_or_default(),
    );
    let Correlate::ByKey { answered, .. } = &plan.correlate else {
        if good.len() > count {
            return Err(format!(
                "the answer has {} results for {count} records",
                good.len()
            ));
        }
        return Ok((0..count)
            .map(|i| judge.result(good.get(i), false, &body))
            .collect());
    };
    let mut by_key: HashMap<String, (&Value, bool)> =
        HashMap::with_capacity(good.len() + bad.len());
    for (results, failed) in [(good, false), (bad, true)] {
        for result in results {
            if let Some(key) = answered.get(result).and_then(scalar_text) {
                // Two results of one key: the failure is the one that must not be overlooked.
                by_key
                    .entry(key)
                    .and_modify(|known| known.1 |= failed)
                    .or_insert((result, failed));
            }
        }
    }
    let result = |key: &Option<String>| match key.as_ref().and_then(|key| by_key.get(key)) {
        Some((result, failed)) => judge.result(Some(result), *failed, &body),
        None => judge.result(None, false, &body),
    };
    Ok(sent.iter().map(result).collect())
}

/// Judges the results of one answer.
struct Judge<'a> {
    connection: &'a ConnectionPlan,
    shape: Shape<'a>,
    plan: &'a BatchPlan,
    asked: &'a Asked<'a>,
    reply: &'a Reply,
}

impl Judge<'_> {
    /// Whether a success of the whole is one of every item: no ids, statuses, errors or rules to look at.
    fn nothing_to_read(&self) -> bool {
        let plain =
            self.shape.ids.is_empty() && self.plan.status.is_none() && self.plan.errors.is_none();
        plain
            && self.plan.results.is_root()
            && !self.connection.responses.iter().any(|r| r.per_item)
    }

    /// The results, where the whole answer is a success and says at a glance that all its items are.
    fn all_done(&self, count: usize) -> Option<Vec<Done>> {
        let judged = self.connection.responses.iter().any(|r| r.per_item);
        if judged || !self.reply.status.is_success() {
            return None;
        }
        let Shape { purpose, ids, .. } = self.shape;
        batch_plain::all_done(self.plan, purpose, ids, &self.reply.body, count)
    }

    fn result(&self, result: Option<&Value>, failed: bool, body: &Value) -> Result<Done, Failure> {
        let Some(result) = result else {
            return Err(self.failure(
                unsure(self.shape.purpose),
                None,
                "the answer says nothing about this record of the batch",
                None,
            ));
        };
        let own = self
            .plan
            .status
            .as_ref()
            .and_then(|path| path.get(result))
            .and_then(status_of);
        let status = own.unwrap_or(self.reply.status);
        let rules = &self.connection.responses;
        let headers = &self.reply.headers;
        let by_rule = classify::judge_item(rules, self.asked, status, headers, body, result);
        let verdict = match (by_rule, own) {
            (Some(verdict), _) => verdict,
            (None, Some(status)) => classify::by_status(self.shape.purpose, status, headers),
            (None, None) if failed => Verdict::Failed {
                class: Class::Permanent,
                wait: None,
            },
            (None, None) => Verdict::Success,
        };
        match verdict {
            // An item in the list of errors failed even where its own status says nothing of it.
            Verdict::Success if failed && by_rule.is_none() => {
                Err(self.refused(Class::Permanent, own, result))
            }
            Verdict::Success => {
                let ids = self.shape.ids;
                let id = match ids.is_empty() {
                    true => None,
                    false => read_id(ids, result),
                };
                if id.is_none() && self.shape.purpose == Purpose::Create {
                    return Err(self.failure(Class::Ambiguous, own, &no_id(ids), Some(result)));
                }
                Ok(Done { id, before: None })
            }
            Verdict::Ignored => Ok(Done::default()),
            Verdict::Failed { class, wait } => {
                let mut failure = self.refused(class, own, result);
                failure.retry_after_ms = wait.map(|w| w.as_millis() as u64);
                Err(failure)
            }
        }
    }

    fn refused(&self, class: Class, status: Option<StatusCode>, result: &Value) -> Failure {
        let what = match status {
            Some(status) => format!("the record was answered {status} within the batch"),
            None => "the record was refused within the batch".to_owned(),
        };
        self.failure(class, status, &what, Some(result))
    }

    fn failure(
        &self,
        class: Class,
        status: Option<StatusCode>,
        what: &str,
        result: Option<&Value>,
    ) -> Failure {
        let operation = self.shape.operation;
        let text = format!(
            "{}: {} {}: {what}",
            self.connection.resource(),
            operation.method,
            operation.path.source()
        );
        let mut failure = Failure::new(class, true, text);
        failure.status = Some(status.unwrap_or(self.reply.status).as_u16());
        failure.excerpt = result.map(|result| {
            let mut text = self.reply.credential.hide(result.to_string());
            shorten(&mut text);
            text.into()
        });
        failure
    }
}

/// An item's status, as a number or as text.
fn status_of(value: &Value) -> Option<StatusCode> {
    let text = scalar_text(value)?;
    let digits = text
        .get(..3)
        .filter(|_| text.as_bytes().get(3).is_none_or(|b| !b.is_ascii_digit()))?;
    StatusCode::from_u16(digits.parse().ok()?).ok()
}
