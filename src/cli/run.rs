//! `syncline run`: the manifests on this machine, with live progress.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::watch;

use crate::api::reference::DurationText;
use crate::connector::{Guard, SecretSource};
use crate::plan::Plan;
use crate::record::SyncName;
use crate::runtime::local::{Finished, Local, Options};
use crate::worker::{Mode, Progress};

use super::output::{OutputFormat, print};
use super::project::Project;
use super::state::{StateArgs, key_file};
use super::{Exit, Manifests};

/// Run the Syncs of manifests on this machine
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 every Sync succeeded, 1 one failed or left work for the next run, 2 wrong usage.\nExample: syncline run -f examples/shop-to-crm --once"
)]
pub struct Run {
    #[command(flatten)]
    manifests: Manifests,
    #[command(flatten)]
    state: StateArgs,
    /// A file with the key that seals refresh tokens in the store: 32 random bytes, or base64 of such. Without
    /// it, a state folder gets one of its own; state in PostgreSQL needs it for Connections whose refresh tokens
    /// change
    #[arg(long, value_name = "FILE", env = "SYNCLINE_KEY_FILE")]
    pub key_file: Option<PathBuf>,
    /// Run only these Syncs; all without a name
    pub syncs: Vec<String>,
    /// One run of each Sync, then end (default).
    #[arg(long, conflicts_with = "watch")]
    pub once: bool,
    /// Keep running: a scan at each Sync's interval, until Ctrl-C.
    #[arg(long)]
    pub watch: bool,
    /// Read everything in the first scan, whatever the cursor says.
    #[arg(long)]
    pub full_refresh: bool,
    /// How long a single run waits for retries after the last progress.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = DurationText::parse)]
    pub wait: DurationText,
    /// Keep the state of this Sync although its systems have changed.
    #[arg(long, value_name = "SYNC")]
    pub adopt_state: Vec<String>,
    /// Forget the state of this Sync if its systems have changed.
    #[arg(long, value_name = "SYNC")]
    pub reset_state: Vec<String>,
}

impl Run {
    pub async fn run(mut self, output: OutputFormat) -> anyhow::Result<Exit> {
        let manifests = std::mem::take(&mut self.manifests);
        let Some(project) = Project::open(manifests) else {
            return Ok(Exit::Problems);
        };
        let plans = project.pick(&self.syncs)?;
        let secrets: Arc<dyn SecretSource> = project.secrets.clone();
        run(&self, plans, secrets, output).await
    }
}

/// Runs and reports.
async fn run(
    args: &Run,
    plans: Vec<Arc<Plan>>,
    secrets: Arc<dyn SecretSource>,
    output: OutputFormat,
) -> anyhow::Result<Exit> {
    let (stop, stopped) = watch::channel(false);
    let mode = if args.watch {
        Mode::Watch
    } else {
        Mode::Once {
            patience: args.wait.to_std(),
        }
    };
    let options = Options {
        mode,
        full: args.full_refresh,
        guard: Guard::default(),
        adopt: args.adopt_state.clone(),
        reset: args.reset_state.clone(),
        stop: stopped,
    };
    let (location, store) = args.state.open().await?;
    let key = key_file(args.key_file.as_deref(), &location);
    let local = Local::open(plans, &secrets, store, &key, options)?;
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(true);
        }
    });
    let shows = tokio::spawn(show(local.progress(), output));
    let finished = local
        .run(|one| {
            if output == OutputFormat::Json {
                // Nobody listens any more: the run itself goes on.
                let _ = print(&format!("{}\n", line(one)));
            }
        })
        .await;
    shows.abort();
    // Aborted on purpose; what it showed is complete enough.
    let _ = shows.await;
    if output == OutputFormat::Text {
        print(&super::table::runs(&finished))?;
    }
    let clean = finished.iter().all(|one| one.report.outcome == "Succeeded");
    Ok(if clean { Exit::Good } else { Exit::Problems })
}

/// One Sync's result as a line of JSON.
fn line(one: &Finished) -> serde_json::Value {
    json!({
        "sync": one.sync,
        "outcome": one.report.outcome,
        "message": one.report.message,
        "milliseconds": one.report.ended - one.report.started,
        "counts": one.report.counts,
        "totals": one.totals,
    })
}

/// How often progress is shown.
const EVERY: Duration = Duration::from_millis(200);

/// Live figures until aborted: bars on a terminal, nothing otherwise.
async fn show(syncs: Vec<(SyncName, Arc<Progress>)>, output: OutputFormat) {
    if output != OutputFormat::Text || !std::io::stderr().is_terminal() {
        return std::future::pending().await;
    }
    let bars = MultiProgress::new();
    let style = ProgressStyle::with_template("{spinner} {prefix:.bold} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let rows: Vec<(ProgressBar, Arc<Progress>)> = syncs
        .into_iter()
        .map(|(name, progress)| {
            let bar = bars.add(
                ProgressBar::new_spinner()
                    .with_style(style.clone())
                    .with_prefix(name.name),
            );
            (bar, progress)
        })
        .collect();
    loop {
        for (bar, progress) in &rows {
            let value = |cell: &std::sync::atomic::AtomicU64| cell.load(Ordering::Relaxed);
            bar.set_message(format!(
                "read {}  created {}  updated {}  unchanged {}  dead {}  on their way {}",
                value(&progress.read),
                value(&progress.created),
                value(&progress.updated),
                value(&progress.unchanged),
                value(&progress.dead),
                value(&progress.open),
            ));
            bar.tick();
        }
        tokio::time::sleep(EVERY).await;
    }
}
