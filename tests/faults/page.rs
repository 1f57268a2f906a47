//! docs/promise.md holds the tables as this suite printed them: written with `UPDATE=1`, else held against what
//! the suite promises. Called by `main`.

use std::fmt::Write;
use std::path::PathBuf;

use crate::case::{Case, FAULTS, Fault, GUARANTEES, Guarantee, KINDS, Kind};
use crate::judge::reasons;
use crate::planted;
use crate::suite::{Cell, Outcome};

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/promise.md")
}

/// The table of one store: lost, duplicated, stale, and dead letters by reason.
pub fn table(outcome: &Outcome, store: Kind) -> String {
    let mut text = "| What goes wrong |".to_owned();
    for guarantee in GUARANTEES {
        let _ = write!(text, " {} |", guarantee.title());
    }
    text += "\n|---|---|---|---|---|---|\n";
    for fault in FAULTS {
        let _ = write!(text, "| {} |", fault.title());
        for guarantee in GUARANTEES {
            let cell = outcome.cells.get(&(store, fault, guarantee));
            let _ = write!(text, " {} |", cell.map_or("–".into(), show));
        }
        text.push('\n');
    }
    text
}

fn show(cell: &Cell) -> String {
    let mut text = format!("{} · {} · {}", cell.lost, cell.duplicates, cell.stale);
    for (reason, count) in &cell.dead {
        let _ = write!(text, ", {reason} {count}");
    }
    text
}

/// The text between two marks of the page.
fn between<'a>(page: &'a str, name: &str) -> &'a str {
    let begin = format!("<!-- begin: {name} -->\n");
    let end = format!("<!-- end: {name} -->");
    let start = page.find(&begin).map(|at| at + begin.len());
    let found = start.and_then(|start| Some(&page[start..start + page[start..].find(&end)?]));
    found.unwrap_or_else(|| panic!("docs/promise.md has no {begin}"))
}

/// Writes what a run has shown into the page.
pub fn update(outcome: &Outcome) {
    let mut page = std::fs::read_to_string(file()).expect("docs/promise.md");
    let (seeds, faults) = (outcome.seeds(), outcome.faults());
    let parts = [
        (
            "figures",
            format!("{seeds} seeds with {faults} faults in the systems:\n"),
        ),
        ("SQLite", table(outcome, Kind::Sqlite)),
        ("PostgreSQL", table(outcome, Kind::Postgres)),
        ("planted", planted::table()),
    ];
    for (name, text) in parts {
        let old = between(&page, name);
        let start = old.as_ptr() as usize - page.as_ptr() as usize;
        let end = start + old.len();
        page.replace_range(start..end, &text);
    }
    std::fs::write(file(), page).expect("docs/promise.md can be written");
}

#[test]
fn the_page_says_what_the_suite_promises() {
    let page = std::fs::read_to_string(file()).expect("docs/promise.md");
    assert_eq!(
        between(&page, "planted"),
        planted::table(),
        "UPDATE=1 writes it"
    );
    for (store, name) in KINDS.into_iter().zip(["SQLite", "PostgreSQL"]) {
        let rows: Vec<&str> = between(&page, name).lines().skip(2).collect();
        assert_eq!(
            rows.len(),
            FAULTS.len(),
            "a row for each fault in the table of {name}"
        );
        for (fault, row) in FAULTS.into_iter().zip(rows) {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            assert_eq!(cells[0], fault.title());
            for (guarantee, cell) in GUARANTEES.into_iter().zip(&cells[1..]) {
                check(store, fault, guarantee, cell);
            }
        }
    }
}

/// Nothing but zeros, duplicates only where they are said to be possible, and no reason that the judge would
/// not let pass.
fn check(store: Kind, fault: Fault, guarantee: Guarantee, cell: &str) {
    if cell == "–" {
        return;
    }
    let place = format!("{store:?} {fault:?} {guarantee:?}: {cell}");
    let mut parts = cell.split(", ");
    let figures = parts.next().unwrap_or_default().replace(' ', "");
    let figures: Vec<&str> = figures.split('·').collect();
    assert_eq!((figures[0], figures[2]), ("0", "0"), "{place}");
    assert!(
        figures[1] == "0" || guarantee == Guarantee::BlindRetry,
        "{place}"
    );
    let fits =
        |case: &Case| case.store == store && case.fault == fault && case.guarantee == guarantee;
    let allowed: Vec<&str> = (0..4800)
        .map(Case::of)
        .filter(fits)
        .flat_map(|c| reasons(&c))
        .collect();
    for part in parts {
        let reason = part.split(' ').next().unwrap_or_default();
        assert!(allowed.contains(&reason), "{place}: {reason}");
    }
}
