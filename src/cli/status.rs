//! `syncline status`: what is known of each Sync.

use clap::Args;
use serde_json::json;

use crate::record::SyncName;
use crate::state::{SyncState, Totals};

use super::Exit;
use super::cluster::{self, ClusterArgs};
use super::hint::{Hint, quoted};
use super::moment::{ago, lasted, time};
use super::output::{OutputFormat, print, print_json};
use super::state::StateArgs;
use super::table::{numbers, reasons, table};

/// Show what is known of each Sync: last run, links, what waits and what is dead
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all is well, 1 a run failed or there are dead letters, 2 wrong usage."
)]
pub struct Status {
    #[command(flatten)]
    state: StateArgs,
    /// Show only the Syncs of this namespace; of a cluster, without it, that of the context
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Show only these Syncs; all without a name
    #[arg(value_name = "SYNC")]
    syncs: Vec<String>,
}

/// What is known of one Sync.
struct Row {
    sync: SyncName,
    known: SyncState,
    totals: Totals,
}

impl Row {
    fn is_good(&self) -> bool {
        let ran = |run: &crate::state::RunReport| run.outcome == "Succeeded";
        self.totals.dead_letters() == 0 && self.known.last_run.as_ref().is_none_or(ran)
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "sync": self.sync,
            "lastRun": self.known.last_run,
            "watermark": self.known.watermark,
            "lastScan": self.known.scanned.map(time),
            "scanUnderWay": self.known.scan.is_some(),
            "totals": self.totals,
        })
    }

    fn cells(&self) -> Vec<String> {
        let (run, totals) = (self.known.last_run.as_ref(), &self.totals);
        let when = |millis: Option<i64>| millis.map(ago).unwrap_or_else(|| "never".into());
        vec![
            self.sync.to_string(),
            run.map_or_else(|| "none".into(), |run| run.outcome.clone()),
            when(run.map(|run| run.ended)),
            run.map_or_else(String::new, |run| lasted(run.ended - run.started)),
            when(self.known.scanned),
            totals.links.to_string(),
            totals.waiting.to_string(),
            (totals.retrying + totals.unknown).to_string(),
            totals.dead_letters().to_string(),
        ]
    }
}

impl Status {
    /// Prints the last run, the links and the open exceptions of each Sync; problems are exit code 1.
    pub async fn run(self, format: OutputFormat) -> anyhow::Result<Exit> {
        if self.cluster.wanted() {
            let cluster = self.cluster.connect(self.namespace.as_deref()).await?;
            return cluster::status::run(&cluster, &self.syncs, format).await;
        }
        let (location, store) = self.state.attach().await?;
        let mut rows = Vec::new();
        if let Some(store) = store {
            for (session, known) in store.list().await? {
                let totals = store.totals(&session).await?;
                let sync = session.sync;
                rows.push(Row {
                    sync,
                    known,
                    totals,
                });
            }
        }
        let names: Vec<String> = rows.iter().map(|row| row.sync.name.clone()).collect();
        if let Some(unknown) = self.syncs.iter().find(|sync| !names.contains(sync)) {
            anyhow::bail!(
                "{location}: nothing is known of Sync {unknown:?}; there is state of: {}",
                names.join(", ")
            );
        }
        if let Some(namespace) = &self.namespace {
            rows.retain(|row| row.sync.namespace == *namespace);
        }
        if !self.syncs.is_empty() {
            rows.retain(|row| self.syncs.contains(&row.sync.name));
        }
        match format {
            OutputFormat::Json => {
                print_json(&rows.iter().map(Row::json).collect::<Vec<_>>())?;
            }
            OutputFormat::Text if rows.is_empty() => {
                print(&format!("{location}: nothing has run yet\n"))?;
            }
            OutputFormat::Text => print(&text(&rows, &Hint::new(&[], &self.state)))?,
        }
        Ok(match rows.iter().all(Row::is_good) {
            true => Exit::Good,
            false => Exit::Problems,
        })
    }
}

fn text(rows: &[Row], hint: &Hint) -> String {
    let mut table = table([
        "SYNC",
        "LAST RUN",
        "ENDED",
        "TOOK",
        "LAST SCAN",
        "LINKS",
        "WAITING",
        "RETRYING",
        "DEAD",
    ]);
    for row in rows {
        table.add_row(row.cells());
    }
    numbers(&mut table, 5);
    let mut text = format!("{table}\n");
    for row in rows {
        let name = &row.sync.name;
        if let Some(message) = row
            .known
            .last_run
            .as_ref()
            .and_then(|run| run.message.as_ref())
        {
            text.push_str(&format!("{name}: {message}\n"));
        }
        if let Some(reasons) = reasons(&row.totals) {
            text.push_str(&format!("{name}: dead letters: {reasons}\n"));
            let next = hint.on_state("deadletters list", &quoted(name));
            text.push_str(&format!("  next: {next}\n"));
        }
    }
    text
}
