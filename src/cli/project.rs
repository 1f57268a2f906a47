//! What `-f` names, ready to be run: manifests checked and compiled, credentials found. Used by the
//! commands that talk to systems or look at state.

use std::collections::BTreeSet;
use std::sync::Arc;

use clap::Args;

use super::Manifests;
use super::cluster::Cluster;
use super::manifest::{Finding, Loaded, load};
use super::secrets::{Secrets, missing};
use super::validate::run_tests;
use crate::api::reference::DurationText;
use crate::plan::{
    Checked, ConnectionPlan, ObjectPlan, Plan, ResourceName, Resources, check, connection_of,
};

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
        let values = std::mem::take(&mut loaded.secrets);
        let secrets = Secrets::new(values, manifests.secrets);
        let mut checked = check(&loaded.resources);
        for (name, connection) in &checked.connections {
            let absent = missing(connection, &secrets);
            checked
                .problems
                .extend(absent.into_iter().map(|p| (name.namespace.clone(), p)));
        }
        Self::of(loaded, checked, secrets, matters)
    }

    /// The same of what a cluster declares, with manifests in place of what has their names there. Only what
    /// these Syncs need must be without errors; where none is named, everything.
    ///
    /// # Errors
    /// The cluster cannot be read.
    pub async fn open_declared(
        cluster: &Cluster,
        manifests: Manifests,
        syncs: &[String],
    ) -> anyhow::Result<Option<Self>> {
        let mut loaded = match manifests.files.is_empty() {
            true => Loaded::default(),
            false => load(&manifests.files, &manifests.namespace),
        };
        let values = std::mem::take(&mut loaded.secrets);
        let secrets = Secrets::new(values, manifests.secrets);
        let mut declared = cluster.declared(&loaded.resources).await?;
        let changed = std::mem::take(&mut loaded.resources);
        declared.resources.replace_by(changed);
        loaded.resources = declared.resources;
        let mut checked = check(&loaded.resources);
        checked.problems.extend(declared.problems);
        let needed = needed_by(&loaded.resources, &manifests.namespace, syncs);
        let matters = |finding: &Finding| {
            let resource = &finding.problem.resource;
            syncs.is_empty() || resource.is_empty() || needed.contains(resource)
        };
        Ok(Self::of(loaded, checked, secrets, matters))
    }

    fn of(
        mut loaded: Loaded,
        mut checked: Checked,
        secrets: Secrets,
        matters: impl Fn(&Finding) -> bool,
    ) -> Option<Self> {
        run_tests(&mut checked);
        let mut findings = std::mem::take(&mut loaded.findings);
        let problems = std::mem::take(&mut checked.problems);
        findings.extend(
            problems
                .into_iter()
                .map(|(namespace, p)| loaded.place(&namespace, p)),
        );
        findings.retain(|finding| matters(finding));
        if complain(&findings) {
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

/// Says what was found; whether an error is among it.
pub fn complain(findings: &[Finding]) -> bool {
    for finding in findings {
        eprintln!("{finding}");
    }
    findings.iter().any(|f| f.problem.is_error())
}

/// The resources that these Syncs need, themselves among them, as problems name them.
fn needed_by(resources: &Resources, namespace: &str, syncs: &[String]) -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for name in syncs {
        needed.insert(format!("Sync/{name}"));
        let Some(sync) = resources.syncs.get(&ResourceName::new(namespace, name)) else {
            continue;
        };
        needed.insert(format!("Mapping/{}", sync.mapping_ref.name));
        for end in [&sync.source.connection_ref, &sync.target.connection_ref] {
            let connection = connection_of(namespace, end);
            needed.insert(format!("Connection/{}", connection.name));
        }
        let lookups = sync.lookups.iter();
        needed.extend(lookups.map(|lookup| format!("Sync/{}", lookup.sync_ref.name)));
    }
    needed
}
