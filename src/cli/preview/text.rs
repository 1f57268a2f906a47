//! A preview as text: the records that are shown, field by field, then a table by Sync and action with
//! reasons. Pure.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::Value;

use super::record::{Action, Change, Record};
use super::report::Tally;
use crate::record::SyncName;

/// The columns of the table after READ.
const COLUMNS: [(Action, &str); 9] = [
    (Action::Create, "CREATE"),
    (Action::Update, "UPDATE"),
    (Action::Delete, "DELETE"),
    (Action::Unchanged, "UNCHANGED"),
    (Action::Skip, "SKIP"),
    (Action::Superseded, "SUPERSEDED"),
    (Action::Wait, "WAIT"),
    (Action::DeadLetter, "DEAD LETTER"),
    (Action::Undecided, "UNDECIDED"),
];

/// Longest value in a line, in characters.
const LONGEST: usize = 80;

/// Everything that is said about one Sync's records; nothing when there is nothing to show.
pub fn records(sync: &SyncName, tally: &Tally) -> String {
    let mut text = String::new();
    for (group, shown) in &tally.shown {
        for record in shown {
            text.push_str(&one(record));
        }
        let all = tally.reasons.get(group).copied().unwrap_or_default();
        let more = all.saturating_sub(shown.len() as u64);
        if more > 0 {
            let what = match group {
                (Action::DeadLetter, reason) => format!("dead letters: {reason}"),
                (action, _) => format!("to {action}"),
            };
            let _ = writeln!(text, "  … {more} more {what} (--limit shows more)\n");
        }
    }
    if text.is_empty() {
        return text;
    }
    let upserts = match tally.upserts && tally.of(Action::Create) > 0 {
        true => "creates are upserts: a record that the target has under this key is updated\n",
        false => "",
    };
    format!("{} ({})\n{upserts}\n{text}", sync.name, tally.way)
}

fn one(record: &Record) -> String {
    let mut text = format!("  {} {} {}", sign(record.action), record.action, record.key);
    if let Some(target) = &record.target {
        let _ = write!(text, " → {}", plain(target));
    }
    if !record.reason.is_empty() && record.action == Action::DeadLetter {
        let _ = write!(text, ": {}", record.reason);
    }
    text.push('\n');
    if let Some(message) = &record.message {
        let _ = writeln!(text, "      {message}");
    }
    let mut lines = Vec::new();
    for Change { change, .. } in record.changes.as_deref().unwrap_or_default() {
        spread(&change.field, change.from.as_ref(), &change.to, &mut lines);
    }
    let width = lines.iter().map(|(field, ..)| field.chars().count()).max();
    for (field, from, to) in lines {
        let _ = writeln!(
            text,
            "      {field:width$}  {}",
            values(from, to, record.compared),
            width = width.unwrap_or_default()
        );
    }
    if record.changes.as_ref().is_some_and(Vec::is_empty) {
        text.push_str("      the target has these values already; they are sent again\n");
    }
    text.push('\n');
    text
}

/// A field that would be written: its path, what the target has, what it gets.
type Line<'a> = (String, Option<&'a Value>, &'a Value);

/// Lists of one length are compared item by item, so that what differs is not beyond the end of the line.
fn spread<'a>(field: &str, from: Option<&'a Value>, to: &'a Value, lines: &mut Vec<Line<'a>>) {
    match (from, to) {
        (Some(Value::Array(old)), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                if old != new {
                    spread(&format!("{field}[{index}]"), Some(old), new, lines);
                }
            }
        }
        (Some(Value::Object(old)), Value::Object(new)) => {
            for (name, to) in new {
                if old.get(name) != Some(to) {
                    spread(&format!("{field}.{name}"), old.get(name), to, lines);
                }
            }
        }
        (from, to) => lines.push((field.to_owned(), from, to)),
    }
}

fn values(from: Option<&Value>, to: &Value, compared: Option<bool>) -> String {
    let to = shown(to);
    match (from, compared) {
        (Some(from), _) => format!("{} → {to}", shown(from)),
        (None, Some(true)) => format!("(nothing) → {to}"),
        (None, Some(false)) => format!("(not known) → {to}"),
        (None, None) => to,
    }
}

fn sign(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Update => '~',
        Action::Delete => '-',
        Action::Wait => '…',
        Action::DeadLetter => '!',
        Action::Undecided => '?',
        Action::Unchanged | Action::Skip | Action::Superseded => ' ',
    }
}

/// A value in one line, shortened; control characters are escaped as JSON does.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// The table and what is to be said about it.
pub fn summary<'a>(tallies: impl Iterator<Item = (&'a SyncName, &'a Tally)> + Clone) -> String {
    let columns: Vec<(Action, &str)> = COLUMNS
        .into_iter()
        .filter(|(action, _)| {
            use Action::{Create, DeadLetter, Unchanged, Update};
            let always = matches!(action, Create | Update | Unchanged | DeadLetter);
            always || tallies.clone().any(|(_, tally)| tally.of(*action) > 0)
        })
        .collect();
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    let names = columns.iter().map(|(_, name)| *name);
    table.set_header(["SYNC", "READ"].into_iter().chain(names));
    for (sync, tally) in tallies.clone() {
        let mut row = vec![sync.name.clone(), tally.read.to_string()];
        row.extend(
            columns
                .iter()
                .map(|(action, _)| tally.of(*action).to_string()),
        );
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    for (sync, tally) in tallies {
        text.push_str(&reasons(sync, tally));
        if tally.of(Action::Wait) > 0 && !tally.absent.is_empty() {
            let _ = writeln!(
                text,
                "{}: what waits needs links of {}; preview both together to see it go on",
                sync.name,
                tally.absent.join(", ")
            );
        }
        if let Some(message) = &tally.message {
            let _ = writeln!(text, "{}: {}: {message}", sync.name, tally.outcome);
        }
    }
    text
}

/// `orders: dead letter: 12 Missing, 3 BadDate; skip: 4 Where`
fn reasons(sync: &SyncName, tally: &Tally) -> String {
    let mut parts: Vec<(Action, Vec<String>)> = Vec::new();
    for ((action, reason), count) in &tally.reasons {
        if reason.is_empty() {
            continue;
        }
        let of = format!("{count} {reason}");
        match parts.last_mut() {
            Some((last, list)) if last == action => list.push(of),
            _ => parts.push((*action, vec![of])),
        }
    }
    // A record that waits says no more by its reason.
    parts.retain(|(action, _)| *action != Action::Wait);
    if parts.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = parts
        .into_iter()
        .map(|(action, list)| format!("{action}: {}", list.join(", ")))
        .collect();
    format!("{}: {}\n", sync.name, parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_in_a_list_is_shown_by_itself() {
        let old = json!([{"sku": "a", "qty": 1}, {"sku": "b", "qty": 2}]);
        let new = json!([{"sku": "a", "qty": 1}, {"sku": "b", "qty": 3}]);
        let mut lines = Vec::new();
        spread("lines", Some(&old), &new, &mut lines);
        let (field, from, to) = &lines[0];
        assert_eq!((lines.len(), field.as_str()), (1, "lines[1].qty"));
        assert_eq!(values(*from, to, Some(true)), "2 → 3");
    }

    #[test]
    fn a_list_of_another_length_is_shown_as_a_whole() {
        let (old, new) = (json!([1]), json!([1, 2]));
        let mut lines = Vec::new();
        spread("tags", Some(&old), &new, &mut lines);
        assert_eq!(lines, [("tags".to_owned(), Some(&old), &new)]);
    }
}
