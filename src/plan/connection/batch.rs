//! Several records in one request, compiled.
//! Pure. Made by `write`, run by `connector::batch`.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use crate::api::connection::{BatchSpec, CorrelateSpec};
use crate::expression::Path;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPlan {
    /// Most records in one request.
    pub max: usize,
    /// Where the list stands in the body.
    pub at: Path,
    /// Where the record stands in an item of the list.
    pub item: Path,
    /// Where the target record's id is put in an item, for updates.
    pub key: Option<Path>,
    /// Where the list of results stands in the answer.
    pub results: Path,
    /// Where a second list with the failed items stands.
    pub errors: Option<Path>,
    /// Where an item's own status stands in its result.
    pub status: Option<Path>,
    pub correlate: Correlate,
}

/// How a result finds its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Correlate {
    Index,
    /// A value of the sent item stands in its result.
    ByKey {
        sent: Path,
        answered: Path,
    },
}

/// Compiles `batch` of the operation at `field`.
pub(super) fn compile_batch(
    spec: Option<&BatchSpec>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<BatchPlan> {
    let spec = spec?;
    let field = format!("{field}.batch");
    if spec.max == 0 {
        checker.problem(&format!("{field}.max"), "must be more than 0");
    }
    let mut path = |name: &str, text: &Option<String>| {
        checker.path(
            &format!("{field}.{name}"),
            text.as_deref().unwrap_or_default(),
        )
    };
    let (at, item, results) = (
        path("at", &spec.at),
        path("item", &spec.item),
        path("results", &spec.results),
    );
    let mut optional = |name: &str, text: &Option<String>| {
        checker.optional_path(&format!("{field}.{name}"), text.as_deref())
    };
    let (key, errors, status) = (
        optional("key", &spec.key),
        optional("errors", &spec.errors),
        optional("status", &spec.status),
    );
    let correlate = compile_correlate(
        spec.correlate.as_ref(),
        &format!("{field}.correlate"),
        checker,
    );
    if errors.is_some() && matches!(correlate, Some(Correlate::Index)) {
        checker.problem(
            &format!("{field}.errors"),
            "results in two lists have no common index: correlate byKey",
        );
    }
    Some(BatchPlan {
        max: spec.max as usize,
        at: at?,
        item: item?,
        key,
        results: results?,
        errors,
        status,
        correlate: correlate?,
    })
}

fn compile_correlate(
    spec: Option<&CorrelateSpec>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<Correlate> {
    let Some(spec) = spec else {
        return Some(Correlate::Index);
    };
    match (&spec.index, &spec.by_key) {
        (Some(_), None) => Some(Correlate::Index),
        (None, Some(by_key)) => {
            let sent = checker.path(&format!("{field}.byKey.sent"), &by_key.sent);
            let answered = checker.path(&format!("{field}.byKey.answered"), &by_key.answered);
            sent.zip(answered)
                .map(|(sent, answered)| Correlate::ByKey { sent, answered })
        }
        _ => {
            checker.problem(field, "give exactly one of index, byKey");
            None
        }
    }
}
