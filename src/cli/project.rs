//! What `-f` names, ready to be run: manifests checked and compiled, credentials found. Used by the
//! commands that talk to systems or look at state.

use std::sync::Arc;

use clap::Args;

use super::Manifests;
use super::manifest::{Finding, load};
use super::secrets::{Secrets, missing};
use super::validate::run_tests;
use crate::api::reference::DurationText;
use crate::plan::{ConnectionPlan, ObjectPlan, Plan, check};

/// How Syncs are run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Read everything in the first scan, whatever the cursor says
    #[arg(long)]
    pub full_refresh: bool,
    /// How long a single run waits for retries after the last progress
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = DurationText::parse)]
    pub wait: DurationText,
    /// Keep the state of this Sync although its systems have changed
    #[arg(long, value_name = "SYNC")]
    pub adopt_state: Vec<String>,
    /// Forget the state of this Sync if its systems have changed
    #[arg(long, value_name = "SYNC")]
    pub reset_state: Vec<String>,
}

/// Manifests without errors.
pub struct Project {
    pub plans: Vec<Arc<Plan>>,
    pub secrets: Arc<Secrets>,
    objects: Vec<(Arc<ConnectionPlan>, Arc<ObjectPlan>)>,
}

impl Project {
    /// Loads, checks and compiles; whatever is wrong goes to standard error, and then there is none.
    pub fn open(manifests: Manifests) -> Option<Self> {
        Self::open_where(manifests, |_| true)
    }

    /// The same where only one Connection is needed: other resources may have errors.
    pub fn open_connection(manifests: Manifests, name: &str) -> Option<Self> {
        let resource = format!("Connection/{name}");
        let matters = |finding: &Finding| {
            let other = ["Connection/", "Mapping/", "Sync/"]
                .iter()
                .any(|kind| finding.problem.resource.starts_with(kind));
            !other || finding.problem.resource == resource
        };
        Self::open_where(manifests, matters)
    }

    fn open_where(manifests: Manifests, matters: impl Fn(&Finding) -> bool) -> Option<Self> {
        let mut loaded = load(&manifests.files, &manifests.namespace);
        let secrets = Secrets::new(std::mem::take(&mut loaded.secrets), manifests.secrets);
        let mut checked = check(&loaded.resources);
        run_tests(&mut checked);
        for (name, connection) in &checked.connections {
            let absent = missing(&connection.connection, &secrets);
            checked
                .problems
                .extend(absent.into_iter().map(|p| (name.namespace.clone(), p)));
        }
        let mut findings = std::mem::take(&mut loaded.findings);
        let problems = std::mem::take(&mut checked.problems);
        findings.extend(
            problems
                .into_iter()
                .map(|(namespace, p)| loaded.place(&namespace, p)),
        );
        findings.retain(|finding| matters(finding));
        for finding in &findings {
            eprintln!("{finding}");
        }
        if findings.iter().any(|f| f.problem.is_error()) {
            return None;
        }
        let objects = checked
            .connections
            .values()
            .flat_map(|c| {
                c.objects
                    .values()
                    .map(|o| (Arc::clone(&c.connection), Arc::clone(o)))
            })
            .collect();
        let plans = checked.plans.into_values().map(Arc::new).collect();
        Some(Self {
            plans,
            secrets: Arc::new(secrets),
            objects,
        })
    }

    /// The Plans of these Syncs, or of all that aren't suspended.
    ///
    /// # Errors
    /// A name that no Sync has.
    pub fn pick(&self, names: &[String]) -> anyhow::Result<Vec<Arc<Plan>>> {
        let known = || {
            self.plans
                .iter()
                .map(|plan| plan.name.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        for name in names {
            if !self.plans.iter().any(|plan| plan.name.name == *name) {
                anyhow::bail!("there is no Sync {name:?}; there is {}", known());
            }
        }
        let wanted = |plan: &Plan| match names {
            [] => !plan.suspend,
            names => names.contains(&plan.name.name),
        };
        Ok(self
            .plans
            .iter()
            .filter(|plan| wanted(plan))
            .cloned()
            .collect())
    }

    /// An object of a Connection.
    ///
    /// # Errors
    /// A name that isn't there, with those that are.
    pub fn object(
        &self,
        connection: &str,
        object: &str,
    ) -> anyhow::Result<(Arc<ConnectionPlan>, Arc<ObjectPlan>)> {
        let found = self
            .objects
            .iter()
            .find(|(c, o)| c.name == connection && o.name == object);
        found.cloned().ok_or_else(|| {
            let known: Vec<String> = self
                .objects
                .iter()
                .map(|(c, o)| format!("{} {}", c.name, o.name))
                .collect();
            anyhow::anyhow!(
                "there is no object {object:?} of Connection {connection:?}; there is {}",
                known.join(", ")
            )
        })
    }
}
