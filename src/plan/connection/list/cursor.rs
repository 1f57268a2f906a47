//! How only what changed since the last scan is read, compiled.
//! Pure. Run by `connector::pages`; the worker reads the moment of each record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moment::{MomentFormat, MomentPlan};
use super::pages::{ANSWER_VARIABLES, field_path};
use crate::api::connection::{FieldCursor, MomentFormatText, MomentSpec, TokenCursor};
use crate::expression::{Expression, Path};
use crate::plan::connection::{Checker, InjectionPlan, Operation};
use crate::record::Moment;

/// A field that grows with every change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CursorPlan {
    pub moment: MomentPlan,
    /// Subtracted from the watermark when asking.
    pub overlap: Duration,
    /// Where the first scan begins, as it is written in the first format.
    pub start: Option<String>,
    /// Length of a window.
    pub step: Option<Duration>,
    pub granularity: Duration,
    pub send_as: Option<InjectionPlan>,
    pub send_until_as: Option<InjectionPlan>,
    /// Everything is read; records before the watermark are dropped here.
    pub client_side: bool,
}

impl CursorPlan {
    /// Where the first scan begins.
    pub fn start(&self) -> Option<Moment> {
        self.moment
            .read_value(&serde_json::Value::String(self.start.clone()?))
    }

    /// The format that is sent.
    pub fn format(&self) -> &MomentFormat {
        self.moment
            .formats
            .first()
            .unwrap_or(&MomentFormat::Rfc3339)
    }
}

/// A token or URL on the last page with which the next scan begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenCursorPlan {
    pub from: Path,
    /// Where requests carry the token; `None`: it is the URL of the next scan's first page.
    pub send_as: Option<InjectionPlan>,
    pub reset_when: Option<Expression>,
}

/// Compiles `modified`.
pub(in crate::plan::connection) fn compile_moment(
    spec: &MomentSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<MomentPlan> {
    moment(
        &spec.path,
        spec.format.as_ref(),
        spec.formats.as_deref(),
        field,
        checker,
    )
}

fn moment(
    path: &str,
    format: Option<&MomentFormatText>,
    formats: Option<&[MomentFormatText]>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<MomentPlan> {
    let path = field_path(&format!("{field}.path"), path, checker)?;
    let texts: Vec<&str> = match (format, formats) {
        (None, None) => vec!["RFC3339"],
        (Some(one), None) => vec![&one.0],
        (None, Some(several)) if !several.is_empty() => {
            several.iter().map(|f| f.0.as_str()).collect()
        }
        _ => {
            checker.problem(field, "give format, or formats with at least one");
            return None;
        }
    };
    let mut all = Vec::with_capacity(texts.len());
    for text in texts {
        match MomentFormat::parse(text) {
            Ok(format) => all.push(format),
            Err(error) => checker.problem(&format!("{field}.format"), error),
        }
    }
    let kind = |format: &MomentFormat| match format {
        MomentFormat::Integer => 1,
        MomentFormat::Text => 2,
        _ => 0,
    };
    if all.iter().any(|f| kind(f) != all.first().map_or(0, kind)) {
        checker.problem(
            &format!("{field}.formats"),
            "times, Integer and Text do not compare: use formats of one kind",
        );
        return None;
    }
    (!all.is_empty()).then_some(MomentPlan { path, formats: all })
}

/// Compiles `cursor.field`; `request` is where `${cursor.…}` may stand.
pub(super) fn compile_field(
    spec: &FieldCursor,
    request: &Operation,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<CursorPlan> {
    let before = checker.problems.len();
    let moment = moment(
        &spec.path,
        spec.format.as_ref(),
        spec.formats.as_deref(),
        field,
        checker,
    )?;
    let format = moment.formats.first()?.clone();
    let mut inject = |spec: Option<&crate::api::connection::Injection>, name: &str| {
        spec.and_then(|s| InjectionPlan::compile(s, &format!("{field}.{name}"), checker))
    };
    let send_as = inject(spec.send_as.as_ref(), "sendAs");
    let send_until_as = inject(spec.send_until_as.as_ref(), "sendUntilAs");
    let plan = CursorPlan {
        overlap: spec.overlap.as_ref().map_or(Duration::ZERO, |d| d.to_std()),
        start: spec.start.clone(),
        step: spec.step.as_ref().map(|d| d.to_std()),
        granularity: spec
            .granularity
            .as_ref()
            .map_or_else(|| format.granularity(), |d| d.to_std()),
        client_side: spec.client_side == Some(true),
        moment,
        send_as,
        send_until_as,
    };
    if plan.start.is_some() && plan.start().is_none() {
        checker.problem(
            &format!("{field}.start"),
            format!("is not written as {}", name_of(&format)),
        );
    }
    check_time(spec, &plan, &format, field, checker);
    check_sent(&plan, request, field, checker);
    (checker.problems.len() == before).then_some(plan)
}

fn name_of(format: &MomentFormat) -> String {
    match format {
        MomentFormat::Rfc3339 => "RFC 3339, such as 2024-01-31T00:00:00Z".to_owned(),
        MomentFormat::Pattern(pattern) => pattern.clone(),
        other => format!("{other:?}"),
    }
}

/// What is a length of time means something for times only.
fn check_time(
    spec: &FieldCursor,
    plan: &CursorPlan,
    format: &MomentFormat,
    field: &str,
    checker: &mut Checker<'_>,
) {
    let lengths = [
        ("overlap", &spec.overlap),
        ("step", &spec.step),
        ("granularity", &spec.granularity),
    ];
    for (name, length) in lengths {
        let at = format!("{field}.{name}");
        match length {
            Some(_) if !format.is_time() => checker.problem(
                &at,
                "is a length of time, and the cursor is none: remove it",
            ),
            Some(length) if name != "overlap" && length.to_std().is_zero() => {
                checker.problem(&at, "must be more than 0")
            }
            _ => {}
        }
    }
    if spec.send_until_as.is_some() && !format.is_time() {
        checker.problem(
            &format!("{field}.sendUntilAs"),
            "only a time has an end: remove it",
        );
    }
    if let Some(step) = plan.step {
        if plan.start.is_none() {
            checker.problem(
                &format!("{field}.step"),
                "needs start: where the first window begins",
            );
        }
        if step < plan.granularity {
            checker.problem(
                &format!("{field}.step"),
                "is shorter than the granularity: a window would never end",
            );
        }
    }
}

/// A cursor that is sent nowhere would read everything each time.
fn check_sent(plan: &CursorPlan, request: &Operation, field: &str, checker: &mut Checker<'_>) {
    let named: Vec<String> = request
        .paths_of("cursor")
        .iter()
        .map(ToString::to_string)
        .collect();
    let since = plan.send_as.is_some() || named.iter().any(|n| n == "since");
    let until = plan.send_until_as.is_some() || named.iter().any(|n| n == "until");
    if plan.client_side {
        if since || until || plan.step.is_some() {
            checker.problem(
                &format!("{field}.clientSide"),
                "reads everything: remove step, sendAs, sendUntilAs and ${cursor.…}",
            );
        }
    } else if !since {
        checker.problem(
            &format!("{field}.sendAs"),
            "the cursor is sent nowhere: give sendAs, write ${cursor.since} into query or body, or set clientSide: true",
        );
    }
    if plan.step.is_some() && !until {
        checker.problem(
            &format!("{field}.sendUntilAs"),
            "step needs the end of the window: give sendUntilAs or write ${cursor.until}",
        );
    }
}

/// Compiles `cursor.token`.
pub(super) fn compile_token(
    spec: &TokenCursor,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<TokenCursorPlan> {
    let reset_when = match &spec.reset_when {
        Some(text) => {
            Some(checker.expression(&format!("{field}.resetWhen"), text, &ANSWER_VARIABLES)?)
        }
        None => None,
    };
    match (&spec.next_url, &spec.from, &spec.send_as) {
        (Some(url), None, None) => Some(TokenCursorPlan {
            from: field_path(&format!("{field}.nextURL"), url, checker)?,
            send_as: None,
            reset_when,
        }),
        (None, Some(from), Some(send_as)) => Some(TokenCursorPlan {
            from: field_path(&format!("{field}.from"), from, checker)?,
            send_as: Some(InjectionPlan::compile(
                send_as,
                &format!("{field}.sendAs"),
                checker,
            )?),
            reset_when,
        }),
        _ => {
            checker.problem(field, "give nextURL, or from together with sendAs");
            None
        }
    }
}
