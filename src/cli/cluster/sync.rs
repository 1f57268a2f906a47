//! `syncline sync`: asks the controller for a run now, or to leave a Sync alone for a while.
//! Writes an annotation or `spec.suspend`, nothing else; the controller acts.

use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};

use super::{Cluster, ClusterArgs, within};
use crate::api::condition::{READY, REQUESTED_AT};
use crate::api::reference::DurationText;
use crate::cli::Exit;
use crate::cli::hint::program;
use crate::cli::output::{OutputFormat, print, print_json};

/// Who wrote it, as managedFields show it.
const MANAGER: &str = "syncline-cli";

/// Ask the controller of a cluster to run a Sync now, to suspend or to resume it
#[derive(Debug, Args)]
pub struct SyncCommand {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Place {
    /// Namespace of the Syncs; without it, that of the context
    #[arg(long, short, value_name = "NAMESPACE", global = true)]
    namespace: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    Now(Now),
    Suspend(Names),
    Resume(Names),
}

/// Start a run now, whatever the trigger says
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 it is asked for, or with --wait the run succeeded, 1 something failed or no run can start, 2 wrong usage.\nExample: syncline sync now --context prod customers-to-contacts --wait"
)]
struct Now {
    #[command(flatten)]
    names: Names,
    /// Wait until the run has ended, and tell how
    #[arg(long)]
    wait: bool,
    /// How long that is waited for
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = DurationText::parse)]
    timeout: DurationText,
}

/// Which Syncs. Suspended ones keep their state; a Sync whose manifest is applied again is as the manifest says
#[derive(Debug, Args)]
struct Names {
    #[arg(required = true, value_name = "SYNC")]
    syncs: Vec<String>,
}

impl SyncCommand {
    pub async fn run(self, format: OutputFormat) -> anyhow::Result<Exit> {
        let namespace = self.place.namespace.as_deref();
        let cluster = self.place.cluster.connect(namespace).await?;
        match self.command {
            Command::Now(now) => now.run(&cluster, format).await,
            Command::Suspend(names) => suspend(&cluster, &names.syncs, true, format).await,
            Command::Resume(names) => suspend(&cluster, &names.syncs, false, format).await,
        }
    }
}

async fn patch(cluster: &Cluster, name: &str, patch: &Value) -> anyhow::Result<DynamicObject> {
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let syncs = cluster.syncs();
    within(syncs.patch(name, &params, &Patch::Merge(patch)))
        .await
        .with_context(|| format!("changing Sync {}/{name}", cluster.namespace))
}

async fn suspend(
    cluster: &Cluster,
    names: &[String],
    suspend: bool,
    format: OutputFormat,
) -> anyhow::Result<Exit> {
    cluster.find_syncs(names).await?;
    for name in names {
        patch(cluster, name, &json!({"spec": {"suspend": suspend}})).await?;
        let word = if suspend { "suspended" } else { "resumed" };
        match format {
            OutputFormat::Json => print_json(&json!({"sync": name, "suspended": suspend}))?,
            OutputFormat::Text => print(&format!("{name}: {word}\n"))?,
        }
    }
    Ok(Exit::Good)
}

impl Now {
    async fn run(&self, cluster: &Cluster, format: OutputFormat) -> anyhow::Result<Exit> {
        let found = cluster.find_syncs(&self.names.syncs).await?;
        let rests = |s: &&DynamicObject| s.data["spec"]["suspend"] == true;
        if let Some(name) = found
            .iter()
            .find(rests)
            .and_then(|s| s.metadata.name.as_ref())
        {
            anyhow::bail!(
                "Sync {name} is suspended: `{} sync resume {name}` comes first",
                program()
            );
        }
        // A moment, as Flux has it: any new value is a new request.
        let moment = jiff::Timestamp::now().to_string();
        for name in &self.names.syncs {
            let request = json!({"metadata": {"annotations": {REQUESTED_AT: moment}}});
            patch(cluster, name, &request).await?;
        }
        if !self.wait {
            if format == OutputFormat::Text {
                let not_ready: String = found.iter().filter_map(not_ready).collect();
                print(&format!("requested at {moment}\n{not_ready}"))?;
            } else {
                print_json(&json!({"requestedAt": moment}))?;
            }
            return Ok(Exit::Good);
        }
        let end = tokio::time::Instant::now() + self.timeout.to_std();
        let mut exit = Exit::Good;
        for name in &self.names.syncs {
            let rest = end.saturating_duration_since(tokio::time::Instant::now());
            let status = wait(cluster, name, &moment, rest).await?;
            let told = match status["lastHandledReconcileAt"] == moment.as_str() {
                true => tell(name, &status, format)?,
                false => tell_pending(name, &status, format)?,
            };
            if told == Exit::Problems {
                exit = Exit::Problems;
            }
        }
        Ok(exit)
    }
}

/// Waits until the run that was asked for has ended, or the controller has seen that none can start; gives the
/// status.
async fn wait(
    cluster: &Cluster,
    name: &str,
    moment: &str,
    bound: Duration,
) -> anyhow::Result<Value> {
    let wanted = moment.to_owned();
    let answered = move |object: Option<&DynamicObject>| {
        let says = |o: &DynamicObject, field: &str| o.data["status"][field] == wanted.as_str();
        object.is_none_or(|o| says(o, "lastHandledReconcileAt") || says(o, "pendingReconcileAt"))
    };
    let waiting = await_condition(cluster.syncs(), name, answered);
    match tokio::time::timeout(bound, waiting).await {
        Ok(Ok(Some(object))) => Ok(object.data["status"].clone()),
        Ok(Ok(None)) => anyhow::bail!("Sync {name} was deleted meanwhile"),
        Ok(Err(error)) => Err(error).with_context(|| format!("watching Sync {name}")),
        Err(_) => anyhow::bail!(
            "Sync {name}: no run has ended within the time of --timeout; is a controller running, and is the Sync Ready? `{} status` says more",
            program()
        ),
    }
}

/// The condition `Ready` of a status.
fn ready(status: &Value) -> Option<&Value> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|c| c["type"] == READY)
}

/// What keeps a Sync from being Ready, in one line.
fn not_ready(sync: &DynamicObject) -> Option<String> {
    let ready = ready(&sync.data["status"]).filter(|r| r["status"] == "False")?;
    let name = sync.metadata.name.as_deref()?;
    let message = ready["message"].as_str().unwrap_or_default();
    Some(format!("{name} is not Ready: {message}\n"))
}

/// Says why the run that was asked for does not start.
fn tell_pending(name: &str, status: &Value, format: OutputFormat) -> anyhow::Result<Exit> {
    let ready = ready(status).unwrap_or(&Value::Null);
    match format {
        OutputFormat::Json => print_json(&json!({
            "sync": name, "pending": true, "reason": ready["reason"], "message": ready["message"],
        }))?,
        OutputFormat::Text => print(&format!(
            "{name}: no run can start: {}; it starts when that is over\n",
            ready["message"]
                .as_str()
                .unwrap_or("its status does not say why"),
        ))?,
    }
    Ok(Exit::Problems)
}

fn tell(name: &str, status: &Value, format: OutputFormat) -> anyhow::Result<Exit> {
    let run = &status["lastRun"];
    let outcome = run["outcome"].as_str().unwrap_or("Unknown");
    match format {
        OutputFormat::Json => print_json(&json!({"sync": name, "lastRun": run}))?,
        OutputFormat::Text => {
            let count = |what: &str| run["counts"][what].as_i64().unwrap_or(0);
            let mut text = format!(
                "{name}: {outcome}: read {}, created {}, updated {}, deleted {}, unchanged {}, skipped {}, dead {}\n",
                count("read"),
                count("created"),
                count("updated"),
                count("deleted"),
                count("unchanged"),
                count("skipped"),
                count("dead")
            );
            if let Some(message) = run["message"].as_str() {
                text.push_str(&format!("{name}: {message}\n"));
            }
            print(&text)?;
        }
    }
    Ok(if outcome == "Succeeded" {
        Exit::Good
    } else {
        Exit::Problems
    })
}
