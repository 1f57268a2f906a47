//! `syncline status`: what is known of each Sync.

use serde_json::json;

use super::Exit;
use super::output::{OutputFormat, print, print_json};
use super::state::StateArgs;

/// Prints the last run, the links and the open exceptions of each Sync; problems are exit code 1.
pub async fn run(state: &StateArgs, format: OutputFormat) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    let (location, store) = state.attach().await?;
    if let Some(store) = store {
        for (session, known) in store.list().await? {
            let totals = store.totals(&session).await?;
            rows.push((session.sync, known, totals));
        }
    }
    let good = rows.iter().all(|(_, known, totals)| {
        totals.dead_letters() == 0
            && known
                .last_run
                .as_ref()
                .is_none_or(|run| run.outcome == "Succeeded")
    });
    match format {
        OutputFormat::Json => {
            let list: Vec<_> = rows
                .iter()
                .map(|(sync, known, totals)| {
                    json!({
                        "sync": sync,
                        "lastRun": known.last_run,
                        "watermark": known.watermark,
                        "lastScan": known.scanned.map(time),
                        "scanUnderWay": known.scan.is_some(),
                        "totals": totals,
                    })
                })
                .collect();
            print_json(&list)?;
        }
        OutputFormat::Text if rows.is_empty() => {
            print(&format!("{location}: nothing has run yet\n"))?
        }
        OutputFormat::Text => {
            let mut table = comfy_table::Table::new();
            table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
            table.set_header([
                "SYNC",
                "LAST RUN",
                "LAST SCAN",
                "LINKS",
                "WAITING",
                "RETRYING",
                "DEAD",
                "MESSAGE",
            ]);
            for (sync, known, totals) in &rows {
                let run = known.last_run.clone().unwrap_or_default();
                table.add_row([
                    sync.to_string(),
                    run.outcome,
                    known.scanned.map(time).unwrap_or_default(),
                    totals.links.to_string(),
                    totals.waiting.to_string(),
                    (totals.retrying + totals.unknown).to_string(),
                    totals.dead_letters().to_string(),
                    run.message.unwrap_or_default(),
                ]);
            }
            print(&format!("{table}\n"))?;
        }
    }
    Ok(if good { Exit::Good } else { Exit::Problems })
}

fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map(|t| t.to_string())
        .unwrap_or_default()
}
