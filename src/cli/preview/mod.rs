//! `syncline preview`: what a run would do, record by record. A rehearsal: the engine itself, with targets
//! that are read and never written, on a copy of the state.

mod record;
mod report;
mod text;

use std::fs::Permissions;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::sync::watch;

use crate::connector::{Guard, SecretSource};
use crate::runtime::local::{Local, Options};
use crate::runtime::tokens::LateTokens;
use crate::worker::{Mode, Witness};

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
        whose links others look up are taken first, so preview them together.",
    after_help = "Exit codes: 0 a run would deliver everything or let it wait, 1 records would become dead letters or \
        a system cannot be read, 2 wrong usage.\nExample: syncline preview -f examples/shop-to-crm --limit 3"
)]
pub struct Preview {
    #[command(flatten)]
    manifests: Manifests,
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
        let hint = Hint::new(&self.manifests.files, &self.state);
        let Some(project) = Project::open(self.manifests) else {
            return Ok(Exit::Problems);
        };
        let plans = project.pick(&self.syncs)?;
        let secrets: Arc<dyn SecretSource> = project.secrets.clone();
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
            guard: Guard::default(),
            adopt: self.how.adopt_state,
            reset: self.how.reset_state,
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
            OutputFormat::Text => print(&whole(&report, self.limit, &hint))?,
        }
        Ok(match report.good() {
            true => Exit::Good,
            false => Exit::Problems,
        })
    }
}

/// A folder that holds personal data for a while: for its owner only.
#[cfg(unix)]
fn private() -> Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o700)
}

fn whole(report: &Report, limit: usize, hint: &Hint) -> String {
    let complete = report.is_complete();
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
    let next = match complete {
        true => hint.with_files("run", "--once"),
        false => hint.with_files("preview", "") + " (when what stopped it is mended)",
    };
    all.push_str(&format!("Nothing was written. next: {next}\n"));
    all
}
