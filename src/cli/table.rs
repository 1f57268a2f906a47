//! Tables for people: the result of a run, and what to type next.

use comfy_table::{CellAlignment, Table, presets};

use crate::runtime::local::Finished;

/// The result of a run: a row for each Sync, dead letters by reason, and the next command.
pub fn runs(finished: &[Finished]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header([
        "SYNC",
        "OUTCOME",
        "READ",
        "CREATED",
        "UPDATED",
        "UNCHANGED",
        "SKIPPED",
        "WAITING",
        "RETRYING",
        "DEAD",
        "TIME",
    ]);
    for one in finished {
        let counts = one.report.counts;
        table.add_row([
            one.sync.name.clone(),
            one.report.outcome.clone(),
            counts.read.to_string(),
            counts.created.to_string(),
            counts.updated.to_string(),
            counts.unchanged.to_string(),
            counts.skipped.to_string(),
            one.totals.waiting.to_string(),
            (one.totals.retrying + one.totals.unknown).to_string(),
            one.totals.dead_letters().to_string(),
            format!(
                "{:.1} s",
                (one.report.ended - one.report.started) as f64 / 1000.0
            ),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    for one in finished {
        if !one.totals.dead.is_empty() {
            let reasons: Vec<String> = one
                .totals
                .dead
                .iter()
                .map(|(reason, count)| format!("{count} {reason}"))
                .collect();
            text.push_str(&format!(
                "{}: dead letters: {}\n",
                one.sync.name,
                reasons.join(", ")
            ));
        }
        if let Some(message) = &one.report.message {
            text.push_str(&format!("{}: {message}\n", one.sync.name));
        }
    }
    text.push_str(&next(finished));
    text
}

/// What the person would do next.
fn next(finished: &[Finished]) -> String {
    if let Some(one) = finished.iter().find(|one| one.totals.dead_letters() > 0) {
        return format!(
            "next: syncline deadletters list {} --state DIR\n",
            one.sync.name
        );
    }
    if finished.iter().any(|one| one.report.outcome != "Succeeded") {
        return "next: run the same command again; it goes on where it stopped\n".into();
    }
    "next: syncline run -f DIR --watch\n".into()
}
