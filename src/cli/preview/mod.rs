//! `syncline preview`: what a run would do, record by record. A rehearsal: the engine itself, with targets
//! that are read and never written, on a copy of the state.

mod record;
mod remote;
mod report;
mod text;

use std::fs::Permissions;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory};
use tokio::sync::watch;

use crate::connector::{Guard, SecretSource};
use crate::runtime::local::{Local, Options};
use crate::runtime::tokens::LateTokens;
use crate::worker::{Mode, Witness};

use super::cluster::ClusterArgs;
use super::hint::Hint;
use super::output::{OutputFormat, print};
use super::progress;
use super::project::{Project, RunArgs};
use super::state::{KeyArgs, StateArgs, key_file};
use super::{Exit, Manifests};
use report::Report;

/// Show what a run would do, record by record and field by field; nothing is written
#[derive(Debug, Args)]
#[command(
    long_about = "Show what a run would do, record by record and field by field; nothing is written.\n\n\
        The source is read, records are mapped and looked for in the target exactly as a run would, with what \
        earlier runs left in the state directory. Nothing is sent to a target but reads, and the state is not \
        changed. What only the target can know, such as a value that it refuses, is not foreseen. Syncs \
        whose links others look up are taken first, so preview them together.\n\n\
        In a cluster, it runs in the Pod of the operator that leads, with what is declared there, its Secrets and \
        the operator's state; manifests of -f go along and win over what has their names, so that a change is \
        seen before it is applied. With --here it runs on this machine.",
    after_help = "Exit codes: 0 a run would deliver everything or let it wait, 1 records would become dead letters or \
        a system cannot be read, 2 wrong usage.\nExample: syncline preview -f examples/shop-to-crm --limit 3"
)]
pub struct Preview {
    /// A folder (with all below it), a file, or - for standard input; may be given several times. Without a
    /// cluster it is needed
    #[arg(long = "filename", short, value_name = "DIR|FILE|-")]
    files: Vec<PathBuf>,
    /// The namespace of the Syncs and of resources that name none; without it default, and of a cluster that of
    /// the context
    #[arg(long, short)]
    namespace: Option<String>,
    /// A folder with credentials: DIR/NAME/KEY is the key KEY of the Secret NAME. Environment
    /// variables SYNCLINE_SECRET_NAME_KEY win over it, and it wins over Secret manifests
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Of a cluster: the namespace that the operator is installed in; without it, that of the Syncs
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "here")]
    operator_namespace: Option<String>,
    /// Of a cluster: run on this machine, with your own rights to read resources and Secrets, and with the state
    /// of --state
    #[arg(long)]
    here: bool,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    seal: KeyArgs,
    #[command(flatten)]
    how: RunArgs,
    /// Preview only these Syncs; all without a name
    #[arg(value_name = "SYNC")]
    syncs: Vec<String>,
    /// How many records are shown as text, of each Sync, action and reason; all are counted, and JSON has
    /// all
    #[arg(long, value_name = "N", default_value_t = 3)]
    limit: usize,
}

impl Preview {
    pub async fn run(self, output: OutputFormat) -> anyhow::Result<Exit> {
        if self.cluster.wanted() && !self.here {
            return self.run_in_pod(output).await;
        }
        let hint = Hint::new(&self.files, &self.state);
        let Some((project, secrets)) = self.open().await? else {
            return Ok(Exit::Problems);
        };
        let plans = project.pick(&self.syncs)?;
        let (stop, stopped) = watch::channel(false);
        let report = Arc::new(Report::new(&plans, output, self.limit, stop.clone()));
        let scratch = tempfile::Builder::new()
            .prefix("syncline-preview-")
            .permissions(private())
            .tempdir()
            .context("cannot make a temporary folder")?;
        let options = Options {
            mode: Mode::Once {
                patience: self.how.wait.to_std(),
            },
            full: self.how.full_refresh,
            guard: Guard {
                in_cluster: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
                ..Guard::default()
            },
            adopt: self.how.adopt_state,
            reset: self.how.reset_state,
            allow_deletes: Vec::new(),
            stop: stopped,
            metrics: Arc::default(),
        };
        let witness: Arc<dyn Witness> = report.clone();
        let location = self.state.location()?;
        let copy = location.copy(scratch.path())?;
        let seal = key_file(self.seal.key_file.as_deref(), &location);
        let tokens = Arc::new(LateTokens::new(location, seal));
        let local = Local::rehearse(plans, &secrets, tokens, copy, options, witness)?;
        super::signal::stop_on_signal(stop);
        let shows = progress::show(local.progress(), output, progress::Lines::None);
        local.run(|one| report.finish(one)).await;
        shows.end().await;
        if let Some(failure) = report.failure() {
            return Err(failure);
        }
        match output {
            OutputFormat::Json => print(&format!("{}\n", report.summary()))?,
            OutputFormat::Text => {
                let next = match self.here {
                    true => super::hint::next(),
                    false => Some(next(&report, &hint)),
                };
                print(&whole(&report, self.limit, next))?;
            }
        }
        Ok(match report.good() {
            true => Exit::Good,
            false => Exit::Problems,
        })
    }

    /// What is previewed, and where its credentials come from; nothing where it has errors, which were told.
    async fn open(&self) -> anyhow::Result<Option<(Project, Arc<dyn SecretSource>)>> {
        if self.files.is_empty() && !self.here {
            let message = "name manifests with -f, or a cluster with --kubeconfig or --context";
            let kind = ErrorKind::MissingRequiredArgument;
            super::Cli::command().error(kind, message).exit();
        }
        let manifests = |namespace: &str| Manifests {
            files: self.files.clone(),
            namespace: namespace.to_owned(),
            secrets: self.secrets.clone(),
        };
        if !self.here {
            let namespace = self.namespace.as_deref().unwrap_or("default");
            let project = Project::open(manifests(namespace));
            return Ok(project.map(|project| {
                let secrets: Arc<dyn SecretSource> = project.secrets.clone();
                (project, secrets)
            }));
        }
        let cluster = self.cluster.connect(self.namespace.as_deref()).await?;
        let manifests = manifests(&cluster.namespace);
        let project = Project::open_declared(&cluster, manifests, &self.syncs).await?;
        Ok(project.map(|project| {
            let secrets = cluster.secrets(project.secrets.clone());
            (project, secrets)
        }))
    }
}

/// A folder that holds personal data for a while: for its owner only.
#[cfg(unix)]
fn private() -> Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o700)
}

fn whole(report: &Report, limit: usize, next: Option<String>) -> String {
    let tallies = report.tallies();
    let mut all = String::new();
    if limit > 0 {
        all.extend(
            tallies
                .iter()
                .map(|(sync, tally)| text::records(sync, tally)),
        );
    }
    all.push_str(&text::summary(tallies.iter()));
    all.push_str("Nothing was written.");
    all.extend(next.map(|next| format!(" next: {next}")));
    all.push('\n');
    all
}

/// What a person types next.
fn next(report: &Report, hint: &Hint) -> String {
    match report.is_complete() {
        true => hint.with_files("run", "--once"),
        false => hint.with_files("preview", "") + " (when what stopped it is mended)",
    }
}
