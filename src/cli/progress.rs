//! Live figures of a run: bars on a terminal, lines otherwise. Used by `run` and `preview`.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::output::{OutputFormat, print};
use crate::record::SyncName;
use crate::worker::Progress;

/// How often bars move.
const EVERY: Duration = Duration::from_millis(100);

/// How often lines are written.
const LINES_EVERY: Duration = Duration::from_secs(5);

/// What is written where there is no terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// To standard error as text, or to standard output as JSON.
    Some,
    None,
}

type Syncs = Vec<(SyncName, Arc<Progress>)>;

/// Figures that are being shown.
pub struct Shown {
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Shown {
    /// Takes them off the terminal.
    pub async fn end(self) {
        self.end.send_replace(true);
        // A task that only shows has nothing to report.
        let _ = self.task.await;
    }
}

/// Shows the figures until [`Shown::end`].
pub fn show(syncs: Syncs, output: OutputFormat, lines: Lines) -> Shown {
    let (end, ended) = watch::channel(false);
    let terminal = std::io::stderr().is_terminal();
    let task = tokio::spawn(async move {
        match output {
            OutputFormat::Text if terminal => bars(syncs, ended).await,
            _ if lines == Lines::None => {}
            output => write_lines(syncs, output, ended).await,
        }
    });
    Shown { end, task }
}

/// Waits; `true`: it is over.
async fn over(ended: &mut watch::Receiver<bool>, after: Duration) -> bool {
    tokio::time::timeout(after, ended.wait_for(|end| *end))
        .await
        .is_ok()
}

async fn bars(syncs: Syncs, mut ended: watch::Receiver<bool>) {
    let all = MultiProgress::new();
    let style = ProgressStyle::with_template("{spinner} {prefix:.bold}  {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let width = syncs
        .iter()
        .map(|(name, _)| name.name.chars().count())
        .max();
    let width = width.unwrap_or_default();
    let rows: Vec<(ProgressBar, Arc<Progress>)> = syncs
        .into_iter()
        .map(|(name, progress)| {
            let bar = ProgressBar::new_spinner()
                .with_style(style.clone())
                .with_prefix(format!("{:width$}", name.name));
            (all.add(bar), progress)
        })
        .collect();
    loop {
        for (bar, progress) in &rows {
            bar.set_message(figures(progress));
            bar.tick();
        }
        if over(&mut ended, EVERY).await {
            break;
        }
    }
    for (bar, _) in &rows {
        bar.finish_and_clear();
    }
    // The terminal may be gone; then there is nothing to clear.
    let _ = all.clear();
}

/// A line for each Sync whose figures have moved.
async fn write_lines(syncs: Syncs, output: OutputFormat, mut ended: watch::Receiver<bool>) {
    let mut before: Vec<String> = syncs.iter().map(|(_, p)| figures(p)).collect();
    while !over(&mut ended, LINES_EVERY).await {
        for ((name, progress), last) in syncs.iter().zip(&mut before) {
            let now = figures(progress);
            if now == *last {
                continue;
            }
            *last = now;
            match output {
                OutputFormat::Text => eprintln!("{}: {last}", name.name),
                // Nobody listens any more: the run itself goes on.
                OutputFormat::Json => drop(print(&format!("{}\n", line(name, progress)))),
            }
        }
    }
}

fn value(cell: &AtomicU64) -> u64 {
    cell.load(Ordering::Relaxed)
}

/// The figures that aren't zero.
fn figures(progress: &Progress) -> String {
    let named = [
        (&progress.created, "created"),
        (&progress.updated, "updated"),
        (&progress.deleted, "deleted"),
        (&progress.unchanged, "unchanged"),
        (&progress.skipped, "skipped"),
        (&progress.superseded, "superseded"),
        (&progress.dead, "dead"),
        (&progress.open, "on their way"),
    ];
    let mut text = format!("read {}", value(&progress.read));
    for (cell, name) in named {
        if value(cell) > 0 {
            text.push_str(&format!("  {name} {}", value(cell)));
        }
    }
    text
}

fn line(sync: &SyncName, progress: &Progress) -> serde_json::Value {
    json!({
        "event": "Progress",
        "sync": sync,
        "counts": {
            "read": value(&progress.read),
            "created": value(&progress.created),
            "updated": value(&progress.updated),
            "deleted": value(&progress.deleted),
            "unchanged": value(&progress.unchanged),
            "skipped": value(&progress.skipped),
            "superseded": value(&progress.superseded),
            "dead": value(&progress.dead),
        },
        "open": value(&progress.open),
    })
}
