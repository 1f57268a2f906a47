//! `syncline validate`: everything that can be known about manifests without calling anybody.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;

use super::manifest::{Finding, Loaded, load};
use super::output::{OutputFormat, print, print_json};
use super::secrets::{Secrets, missing};
use super::{Exit, Manifests};
use crate::plan::connection::Operation;
use crate::plan::{Checked, Guarantee, Guarantees, Plan, Problem, ResourceName, Severity, check};
use crate::record::SyncName;

/// Check manifests: schema, references, operations, and the tests of Mappings
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 no errors (there may be warnings), 1 errors, 2 wrong usage.")]
pub struct Validate {
    #[command(flatten)]
    manifests: Manifests,
}

impl Validate {
    pub fn run(self, format: OutputFormat) -> anyhow::Result<Exit> {
        let Manifests {
            files,
            namespace,
            secrets,
        } = self.manifests;
        let mut loaded = load(&files, &namespace);
        let secrets = Secrets::new(std::mem::take(&mut loaded.secrets), secrets);
        let report = Report::of(loaded, &secrets);
        match format {
            OutputFormat::Text => print(&report.text())?,
            OutputFormat::Json => print_json(&report)?,
        }
        Ok(match report.valid {
            true => Exit::Good,
            false => Exit::Problems,
        })
    }
}

/// Runs the tests of the Mappings: how many passed, by Mapping; failures become problems.
pub fn run_tests(checked: &mut Checked) -> BTreeMap<ResourceName, usize> {
    let mut passed = BTreeMap::new();
    for (name, mapping) in &checked.mappings {
        let failures = mapping.run_tests();
        passed.insert(name.clone(), mapping.test_count() - failures.len());
        for failure in failures {
            let field = format!("spec.tests[{}]", failure.index);
            let message = format!("test {:?} fails: {}", failure.test, failure.message);
            let problem = Problem::error(format!("Mapping/{}", name.name), field, message);
            checked.problems.push((name.namespace.clone(), problem));
        }
    }
    passed
}

/// What was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    valid: bool,
    problems: Vec<Finding>,
    resources: Vec<Checkmark>,
}

/// A resource and whether it can be used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checkmark {
    kind: String,
    namespace: String,
    name: String,
    file: String,
    valid: bool,
    /// What can be promised about each operation of a Sync.
    #[serde(skip_serializing_if = "Option::is_none")]
    guarantees: Option<Guarantees>,
    /// How a Sync learns what has changed, where that is not its source's list.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<String>,
    /// How many tests of a Mapping were run.
    #[serde(skip_serializing_if = "Option::is_none")]
    tests: Option<usize>,
}

impl Report {
    fn of(mut loaded: Loaded, secrets: &Secrets) -> Self {
        let mut checked = check(&loaded.resources);
        let tests = run_tests(&mut checked);
        for (name, connection) in &checked.connections {
            // The credentials may well be elsewhere than where manifests are checked.
            let absent = missing(connection, secrets).into_iter().map(|p| Problem {
                severity: Severity::Warning,
                ..p
            });
            let absent: Vec<_> = absent.map(|p| (name.namespace.clone(), p)).collect();
            checked.problems.extend(absent);
        }
        let mut problems = std::mem::take(&mut loaded.findings);
        let found = std::mem::take(&mut checked.problems);
        problems.extend(
            found
                .into_iter()
                .map(|(namespace, p)| loaded.place(&namespace, p)),
        );
        problems.sort_by(|a, b| place(a).cmp(&place(b)));
        let resources = loaded
            .origins()
            .map(|(kind, name, origin)| {
                let resource = format!("{kind}/{}", name.name);
                let wrong = |f: &Finding| {
                    f.problem.is_error()
                        && f.problem.resource == resource
                        && f.file.as_deref() == Some(origin.file.as_str())
                };
                let sync = SyncName {
                    namespace: name.namespace.clone(),
                    name: name.name.clone(),
                };
                let plan = checked.plans.get(&sync).filter(|_| kind == "Sync");
                Checkmark {
                    kind: kind.to_owned(),
                    namespace: name.namespace.clone(),
                    name: name.name.clone(),
                    file: origin.file.clone(),
                    valid: match kind {
                        "Sync" => plan.is_some(),
                        _ => !problems.iter().any(wrong),
                    },
                    guarantees: plan.map(|p: &Plan| p.guarantees),
                    changes: plan.and_then(changes),
                    tests: tests.get(name).copied().filter(|_| kind == "Mapping"),
                }
            })
            .collect();
        Self {
            valid: !problems.iter().any(|f| f.problem.is_error()),
            problems,
            resources,
        }
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        for resource in &self.resources {
            lines.extend(resource.lines());
        }
        let errors = self
            .problems
            .iter()
            .filter(|f| f.problem.is_error())
            .count();
        let warnings = self.problems.len() - errors;
        lines.push(format!(
            "{}, {}, {}",
            count(self.resources.len(), "resource"),
            count(errors, "error"),
            count(warnings, "warning")
        ));
        lines.join("\n") + "\n"
    }
}

/// Files first that could not be read, then by place, then as they were found.
fn place(finding: &Finding) -> (Option<&str>, Option<usize>, Option<usize>) {
    (finding.file.as_deref(), finding.line, finding.column)
}

fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

impl Checkmark {
    fn lines(&self) -> Vec<String> {
        let (kind, name) = (&self.kind, &self.name);
        if !self.valid {
            return vec![format!("not ok {kind}/{name}")];
        }
        let tests = match self.tests {
            Some(tests) if tests > 0 => format!(" ({} passed)", count(tests, "test")),
            _ => String::new(),
        };
        let mut lines = vec![format!("ok {kind}/{name}{tests}")];
        let changes = self.changes.as_ref();
        lines.extend(changes.map(|changes| format!("   changes: {changes}")));
        if let Some(guarantees) = self.guarantees {
            lines.extend(explain(guarantees));
        }
        lines
    }
}

/// What a Sync reads to learn what has changed, where its source has a feed for that.
fn changes(plan: &Plan) -> Option<String> {
    let object = &plan.source.object;
    let feed = object.changes.as_ref()?;
    let request = |operation: &Operation| {
        let path = operation.path.source();
        format!("{} {path}", operation.method)
    };
    let each = match (
        &object.get,
        feed.routes.iter().all(|r| r.route.record.is_some()),
    ) {
        (Some(get), false) => format!(", then {} for each record", request(get)),
        _ => String::new(),
    };
    let list = match plan.trigger.full_refresh {
        Some(_) => "the list is read at first and by trigger.fullRefresh",
        None => "the list is read at first only, since there is no trigger.fullRefresh",
    };
    Some(format!("{}{each}; {list}", request(&feed.list.request)))
}

/// Each operation that a Sync uses, its guarantee and what that means.
fn explain(guarantees: Guarantees) -> impl Iterator<Item = String> {
    let Guarantees {
        create,
        update,
        upsert,
        delete,
    } = guarantees;
    [
        ("create", create),
        ("update", update),
        ("upsert", upsert),
        ("delete", delete),
    ]
    .into_iter()
    .filter_map(|(name, guarantee): (_, Option<Guarantee>)| {
        let guarantee = guarantee?;
        let name_of = guarantee.to_string();
        Some(format!("   {name}: {name_of:<14} {}", guarantee.meaning()))
    })
}
