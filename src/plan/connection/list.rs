//! How an object is listed, compiled: request, records, pages, cursor, parents, and how a version is read.
//! Pure. Made by `plan::connection`, run by `connector::pages`.

mod cursor;
mod moment;
mod pages;
mod records;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::check::{Checker, RequestParts};
use super::request::{Operation, compile_request};
use crate::api::connection::{AbsentRecords, ForEachSpec, ListSpec, Method};
use crate::expression::Path;

pub(super) use cursor::compile_moment;
pub use cursor::{CursorPlan, TokenCursorPlan};
pub use moment::{MomentFormat, MomentPlan};
pub use pages::{PageWay, PagesPlan, StopPlan};
pub use records::{RecordsPath, RecordsPlan, RecordsStep, ShapePlan};

/// Most levels of parents.
const MAX_LEVELS: usize = 4;

/// How an object is listed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListPlan {
    pub request: Operation,
    pub records: RecordsPlan,
    /// One page when absent.
    pub pages: Option<PagesPlan>,
    /// A field that grows with every change.
    pub cursor: Option<CursorPlan>,
    /// A token of the last page with which the next scan begins; never together with `cursor`.
    pub token: Option<TokenCursorPlan>,
    /// A record that does not stand in the list any more was deleted.
    pub absent: bool,
    /// For what the list is read again and again; once when empty.
    pub for_each: Vec<ForEachPlan>,
    /// Fields that are added to every record: name and path in the parent.
    pub include: Vec<(String, Path)>,
    /// What of a parent is used, and so kept in positions.
    pub parent_paths: Vec<Path>,
}

/// For what a list is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ForEachPlan {
    Values(Vec<String>),
    Object { name: String, list: Arc<ListPlan> },
}

impl ListPlan {
    /// The paths of the answer, outside the records, that pages and cursors read.
    pub fn envelope_paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        if let Some(pages) = &self.pages {
            match &pages.way {
                PageWay::Token { from, .. } | PageWay::NextUrl { from } => paths.push(from),
                PageWay::Link
                | PageWay::Page { .. }
                | PageWay::Offset { .. }
                | PageWay::LastKey { .. } => {}
            }
            match &pages.stop {
                StopPlan::Flag { path, .. } | StopPlan::Total { path } => paths.push(path),
                StopPlan::NoNext | StopPlan::Empty | StopPlan::Short { .. } | StopPlan::When(_) => {
                }
            }
        }
        paths.extend(self.token.as_ref().map(|t| &t.from));
        if let ShapePlan::Columns {
            from: Some(from), ..
        } = &self.records.shape
        {
            paths.push(from);
        }
        paths
    }

    /// Whether a scan may read less than the whole list, because it goes on where the last one ended.
    pub fn goes_on(&self) -> bool {
        self.cursor.is_some() || self.token.is_some()
    }

    /// Whether even a scan that reads everything asks for a part of the records only: those since a moment, or those
    /// that have not changed since the scan began.
    pub fn is_bounded(&self) -> bool {
        let until = |path: &Path| path.to_string() == "until";
        self.cursor.as_ref().is_some_and(|cursor| {
            cursor.start.is_some()
                || cursor.step.is_some()
                || cursor.send_until_as.is_some()
                || self.request.paths_of("cursor").iter().any(until)
        })
    }

    /// Whether an expression looks at the whole body of each answer.
    pub fn judges_body(&self) -> bool {
        matches!(
            &self.pages,
            Some(PagesPlan {
                stop: StopPlan::When(_),
                ..
            })
        ) || self.token.as_ref().is_some_and(|t| t.reset_when.is_some())
    }
}

/// Compiles `objects[n].list`; `field` is its path in the manifest. Problems go to `checker`.
pub(super) fn compile_list(
    spec: &ListSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<ListPlan> {
    compile_level(spec, field, checker, 1)
}

fn compile_level(
    spec: &ListSpec,
    field: &str,
    checker: &mut Checker<'_>,
    level: usize,
) -> Option<ListPlan> {
    let before = checker.problems.len();
    let parts = RequestParts {
        method: spec.method.unwrap_or(Method::Get),
        path: &spec.path,
        query: &spec.query,
        headers: &spec.headers,
        body: spec.body.as_ref(),
        answer: ("records", None),
    };
    let request = compile_request(parts, &["settings", "cursor", "parent"], field, checker)?;
    let records = records::compile_records(spec, field, checker);
    let pages = spec
        .pagination
        .as_ref()
        .map(|p| pages::compile_pages(p, &format!("{field}.pagination"), checker));
    let (cursor, token) = compile_cursor(spec, &request, field, checker);
    let for_each = compile_parents(&spec.for_each, &format!("{field}.forEach"), checker, level);
    let mut include = Vec::with_capacity(spec.include.len());
    for (i, entry) in spec.include.iter().enumerate() {
        if let Some(path) =
            pages::field_path(&format!("{field}.include[{i}].from"), &entry.from, checker)
        {
            include.push((entry.field.clone(), path));
        }
    }
    check_parents(spec, &request, &for_each, field, checker);
    if checker.problems.len() > before {
        return None;
    }
    let mut parent_paths = request.paths_of("parent");
    for (_, path) in &include {
        if !parent_paths.contains(path) {
            parent_paths.push(path.clone());
        }
    }
    Some(ListPlan {
        request,
        records: records?,
        pages: pages.flatten(),
        cursor,
        token,
        absent: spec.absent == Some(AbsentRecords::Deleted),
        for_each,
        include,
        parent_paths,
    })
}

fn compile_cursor(
    spec: &ListSpec,
    request: &Operation,
    field: &str,
    checker: &mut Checker<'_>,
) -> (Option<CursorPlan>, Option<TokenCursorPlan>) {
    let at = format!("{field}.cursor");
    for path in request.paths_of("cursor") {
        if !["since", "until"].contains(&path.to_string().as_str()) {
            checker.problem(
                field,
                format!("${{cursor.{path}}} does not exist: cursor has since and until"),
            );
        }
        if spec.cursor.as_ref().is_none_or(|c| c.field.is_none()) {
            checker.problem(field, format!("${{cursor.{path}}} needs cursor.field"));
        }
    }
    for path in request.path.paths_of("cursor") {
        checker.problem(
            &format!("{field}.path"),
            format!("${{cursor.{path}}} is not known in the first scan: put it into query or body"),
        );
    }
    let Some(spec_cursor) = &spec.cursor else {
        return (None, None);
    };
    match (&spec_cursor.field, &spec_cursor.token) {
        (Some(spec), None) => (
            cursor::compile_field(spec, request, &format!("{at}.field"), checker),
            None,
        ),
        (None, Some(token)) => {
            if !spec.for_each.is_empty() {
                checker.problem(&at, "a token cursor is about one list and cannot be used with forEach: use cursor.field, or none");
            }
            (
                None,
                cursor::compile_token(token, &format!("{at}.token"), checker),
            )
        }
        _ => {
            checker.problem(&at, "give exactly one of field, token");
            (None, None)
        }
    }
}

fn compile_parents(
    specs: &[ForEachSpec],
    field: &str,
    checker: &mut Checker<'_>,
    level: usize,
) -> Vec<ForEachPlan> {
    let mut plans = Vec::with_capacity(specs.len());
    for (i, spec) in specs.iter().enumerate() {
        let at = format!("{field}[{i}]");
        match (&spec.values, &spec.object) {
            (Some(values), None) if !values.is_empty() => {
                plans.push(ForEachPlan::Values(values.clone()))
            }
            (None, Some(parent)) => {
                if let Some(list) =
                    compile_parent(&parent.name, &format!("{at}.object.name"), checker, level)
                {
                    plans.push(ForEachPlan::Object {
                        name: parent.name.clone(),
                        list: Arc::new(list),
                    });
                }
            }
            _ => checker.problem(&at, "give values (at least one) or object"),
        }
    }
    plans
}

/// The list of another object; what is wrong with it is reported there, not here.
fn compile_parent(
    name: &str,
    field: &str,
    checker: &mut Checker<'_>,
    level: usize,
) -> Option<ListPlan> {
    if level > MAX_LEVELS {
        checker.problem(
            field,
            format!("goes deeper than {MAX_LEVELS} levels; is an object its own parent?"),
        );
        return None;
    }
    let objects = checker.objects;
    let Some(object) = objects.iter().find(|o| o.name == name) else {
        checker.problem(
            field,
            format!("there is no object {name:?} in this Connection"),
        );
        return None;
    };
    let Some(list) = &object.list else {
        checker.problem(
            field,
            format!("the object {name:?} has no list to read its records with"),
        );
        return None;
    };
    let mut aside = Checker::new("", checker.settings);
    aside.objects = objects;
    let plan = compile_level(list, "list", &mut aside, level + 1);
    if plan.is_none() {
        let deep = aside
            .problems
            .iter()
            .find(|p| p.message.starts_with("goes deeper than"));
        let why = deep.map_or_else(
            || format!("the list of the object {name:?} has problems"),
            |p| p.message.clone(),
        );
        checker.problem(field, why);
    }
    plan
}

/// `${parent.…}` and `include` mean something below `forEach` only.
fn check_parents(
    spec: &ListSpec,
    request: &Operation,
    for_each: &[ForEachPlan],
    field: &str,
    checker: &mut Checker<'_>,
) {
    if spec.for_each.is_empty() {
        if let Some(path) = request.paths_of("parent").first() {
            checker.problem(field, format!("${{parent.{path}}} needs forEach"));
        }
        if !spec.include.is_empty() {
            checker.problem(
                &format!("{field}.include"),
                "adds fields of a parent: it needs forEach",
            );
        }
    }
    let named = request
        .paths_of("parent")
        .into_iter()
        .map(|p| p.to_string());
    let included = spec.include.iter().map(|i| i.from.clone());
    let values = for_each.iter().any(|f| matches!(f, ForEachPlan::Values(_)));
    for path in named.chain(included) {
        if values && path != "value" {
            checker.problem(
                field,
                format!("parent.{path} does not exist: forEach.values has parent.value only"),
            );
        }
    }
}
