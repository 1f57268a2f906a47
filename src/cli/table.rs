//! Tables for people: the result of a run, and what to type next.

use comfy_table::{CellAlignment, Table, presets};

use super::hint::{Hint, quoted};
use super::moment::lasted;
use crate::runtime::local::Finished;
use crate::state::Totals;
use crate::worker::RunError;

/// An empty table of the house.
pub fn table(header: impl IntoIterator<Item = impl Into<comfy_table::Cell>>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table.set_header(
        header
            .into_iter()
            .map(Into::into)
            .collect::<Vec<comfy_table::Cell>>(),
    );
    table
}

/// Aligns numbers to the right, from the column `from` on.
pub fn numbers(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// Columns that only stand there when somebody has something in them.
type Figures = fn(&Finished) -> u64;
const RARE: [(&str, Figures); 3] = [
    ("DELETED", |one| one.report.counts.deleted),
    ("SUPERSEDED", |one| one.report.counts.superseded),
    ("RETRYING", |one| one.totals.retrying + one.totals.unknown),
];

/// The result of a run: a row for each Sync, dead letters by reason, and the next command.
pub fn runs(finished: &[Finished], hint: &Hint) -> String {
    let rare: Vec<_> = RARE
        .into_iter()
        .filter(|(_, figure)| finished.iter().any(|one| figure(one) > 0))
        .collect();
    let usual = [
        "SYNC",
        "OUTCOME",
        "TIME",
        "READ",
        "CREATED",
        "UPDATED",
        "UNCHANGED",
        "SKIPPED",
    ];
    let header = usual.into_iter().chain(rare.iter().map(|(name, _)| *name));
    let mut table = table(header.chain(["WAITING", "DEAD"]));
    for one in finished {
        let counts = one.report.counts;
        let mut row = vec![
            one.sync.name.clone(),
            one.report.outcome.clone(),
            lasted(one.report.ended - one.report.started),
        ];
        let figures = [
            counts.read,
            counts.created,
            counts.updated,
            counts.unchanged,
            counts.skipped,
        ];
        row.extend(figures.map(|figure| figure.to_string()));
        row.extend(rare.iter().map(|(_, figure)| figure(one).to_string()));
        row.push(one.totals.waiting.to_string());
        row.push(dead(one));
        table.add_row(row);
    }
    numbers(&mut table, 2);
    let mut text = format!("{table}\n");
    for one in finished {
        if let Some(reasons) = reasons(&one.totals) {
            text.push_str(&format!("{}: dead letters: {reasons}\n", one.sync.name));
        }
        if let Some(message) = &one.report.message {
            text.push_str(&format!("{}: {message}\n", one.sync.name));
        }
    }
    text.push_str(&format!("next: {}\n", next(finished, hint)));
    text
}

/// All that are open, and how many of them are new.
fn dead(one: &Finished) -> String {
    match (one.totals.dead_letters(), one.report.counts.dead) {
        (open, new) if new == 0 || new >= open => open.to_string(),
        (open, new) => format!("{open} ({new} new)"),
    }
}

/// `3 Missing, 1 BadDate`, most frequent first; `None` when there is no dead letter.
pub fn reasons(totals: &Totals) -> Option<String> {
    let mut reasons: Vec<(&String, &u64)> = totals.dead.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let parts: Vec<String> = reasons
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// What the person would do next.
fn next(finished: &[Finished], hint: &Hint) -> String {
    if finished.iter().any(|one| one.report.outcome != "Succeeded") {
        let person = |one: &Finished| one.error.as_ref().is_some_and(RunError::needs_a_person);
        let again = match finished.iter().any(person) {
            true => "first correct what is said above; it goes on where it stopped",
            false => "it goes on where it stopped",
        };
        return format!("{} ({again})", hint.with_files("run", "--once"));
    }
    match finished.iter().find(|one| one.totals.dead_letters() > 0) {
        Some(one) => hint.on_state("deadletters list", &quoted(&one.sync.name)),
        None => hint.with_files("run", "--watch"),
    }
}
