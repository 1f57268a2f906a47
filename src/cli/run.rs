//! `syncline run`: the manifests on this machine, with live progress.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::connector::{Guard, SecretSource};
use crate::plan::Plan;
use crate::runtime::local::{Finished, Local, Options};
use crate::runtime::outlook::Outlook;
use crate::runtime::serve;
use crate::worker::Mode;

use super::hint::Hint;
use super::output::{OutputFormat, print};
use super::progress::{self, Lines};
use super::project::{Project, RunArgs};
use super::state::{KeyArgs, StateArgs, key_file};
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
    #[command(flatten)]
    seal: KeyArgs,
    #[command(flatten)]
    how: RunArgs,
    /// Run only these Syncs; all without a name
    #[arg(value_name = "SYNC")]
    pub syncs: Vec<String>,
    /// One run of each Sync, then end: what happens without --watch, too
    #[arg(long, conflicts_with = "watch")]
    pub once: bool,
    /// Keep running, with a scan at each Sync's interval, until Ctrl-C or SIGTERM
    #[arg(long)]
    pub watch: bool,
    /// Let this Sync delete more records than its write.deleteGuard allows, in this run
    #[arg(long, value_name = "SYNC")]
    pub allow_deletes: Vec<String>,
    /// Serve /healthz, /readyz and /metrics here while it runs, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS", env = "SYNCLINE_METRICS_ADDRESS")]
    pub metrics_address: Option<SocketAddr>,
    /// Receive the webhooks that the Syncs use at this address: POST /hooks/NAMESPACE/CONNECTION/WEBHOOK
    #[arg(long, value_name = "ADDRESS", requires = "watch")]
    pub webhooks: Option<SocketAddr>,
}

impl Run {
    pub async fn run(mut self, output: OutputFormat) -> anyhow::Result<Exit> {
        let manifests = std::mem::take(&mut self.manifests);
        let hint = Hint::new(&manifests.files, &self.state);
        let Some(project) = Project::open(manifests) else {
            return Ok(Exit::Problems);
        };
        let plans = project.pick(&self.syncs)?;
        let secrets: Arc<dyn SecretSource> = project.secrets.clone();
        run(&self, plans, secrets, output, &hint).await
    }
}

/// Runs and reports.
async fn run(
    args: &Run,
    plans: Vec<Arc<Plan>>,
    secrets: Arc<dyn SecretSource>,
    output: OutputFormat,
    hint: &Hint,
) -> anyhow::Result<Exit> {
    let (stop, stopped) = watch::channel(false);
    let mode = if args.watch {
        Mode::Watch
    } else {
        Mode::Once {
            patience: args.how.wait.to_std(),
        }
    };
    let options = Options {
        mode,
        full: args.how.full_refresh,
        guard: Guard::default(),
        adopt: args.how.adopt_state.clone(),
        reset: args.how.reset_state.clone(),
        allow_deletes: args.allow_deletes.clone(),
        stop: stopped,
        metrics: Arc::default(),
    };
    let (location, store) = args.state.open().await?;
    let key = key_file(args.seal.key_file.as_deref(), &location);
    let stop_receiving = options.stop.clone();
    let local = Local::open(plans, &secrets, store, &key, options)?;
    super::signal::stop_on_signal(stop);
    if let Some(address) = args.webhooks {
        receive(&local, &secrets, address, stop_receiving).await?;
    }
    let server = match args.metrics_address {
        Some(address) => Some(answer(address, local.outlook()).await?),
        None => None,
    };
    let shows = progress::show(local.progress(), output, Lines::Some);
    let finished = local
        .run(|one| {
            if output == OutputFormat::Json {
                // Nobody listens any more: the run itself goes on.
                let _ = print(&format!("{}\n", line(one)));
            }
        })
        .await;
    if let Some(server) = server {
        server.abort();
    }
    shows.end().await;
    if output == OutputFormat::Text {
        print(&super::table::runs(&finished, hint))?;
    }
    let clean = finished.iter().all(|one| one.report.outcome == "Succeeded");
    Ok(if clean { Exit::Good } else { Exit::Problems })
}

/// Answers those who ask how it is going, until it is over.
async fn answer(
    address: SocketAddr,
    outlook: Outlook,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--metrics-address: cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving /healthz, /readyz and /metrics");
    Ok(tokio::spawn(serve::serve(listener, Arc::new(outlook))))
}

/// Takes in webhooks until told to stop; says where.
async fn receive(
    local: &Local,
    secrets: &Arc<dyn SecretSource>,
    address: SocketAddr,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (receiver, paths) = local.receiver(secrets);
    if paths.is_empty() {
        anyhow::bail!("--webhooks: no Sync that runs names a webhook in spec.source.webhook");
    }
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--webhooks: cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    for path in paths {
        eprintln!("receiving webhooks at http://{address}{path}");
    }
    tokio::spawn(async move {
        if let Err(error) = receiver.serve(listener, stop).await {
            tracing::error!("webhooks are not received any more: {error}");
        }
    });
    Ok(())
}

/// One Sync's result as a line of JSON.
fn line(one: &Finished) -> serde_json::Value {
    json!({
        "event": "Finished",
        "sync": one.sync,
        "outcome": one.report.outcome,
        "message": one.report.message,
        "milliseconds": one.report.ended - one.report.started,
        "counts": one.report.counts,
        "totals": one.totals,
    })
}
