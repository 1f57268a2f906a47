//! Dead letters for people: a list by Sync and key, or everything about one. Pure but for the clock.

use std::fmt::Write;

use serde_json::Value;

use crate::cli::hint::Hint;
use crate::cli::moment::ago;
use crate::cli::table::table;

/// A row for each, and how many are not shown.
pub fn list(rows: &[Value], count: usize, hint: &Hint) -> String {
    let mut table = table(["SYNC", "KEY", "SINCE", "REASON", "MESSAGE"]);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for row in rows {
        table.add_row([
            text(&row["sync"]["name"]),
            text(&row["key"]),
            text(&row["since"]),
            text(&row["reason"]),
            text(&row["message"]),
        ]);
    }
    let mut all = format!("{table}\n");
    if count > rows.len() {
        let _ = writeln!(
            all,
            "{} of {count} are shown; --limit shows more, --reason chooses",
            rows.len()
        );
    }
    let _ = writeln!(
        all,
        "next: {}",
        hint.on_state("deadletters show", "SYNC KEY")
    );
    all
}

/// A row for each that is gone.
pub fn closed(rows: &[Value], count: usize) -> String {
    let mut table = table(["SYNC", "KEY", "REASON", "CLOSED", "AT", "NOTE"]);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for row in rows {
        table.add_row([
            text(&row["sync"]["name"]),
            text(&row["key"]),
            text(&row["reason"]),
            text(&row["closed"]),
            text(&row["at"]),
            text(&row["note"]),
        ]);
    }
    let mut all = format!("{table}\n");
    if count > rows.len() {
        let _ = writeln!(
            all,
            "{} of {count} are shown; --limit shows more",
            rows.len()
        );
    }
    all
}

/// Everything about one dead letter; `value` is what JSON shows.
pub fn one(value: &Value, since: i64) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut all = format!(
        "dead letter {} of Sync {}/{}\n\n",
        text(&value["key"]),
        text(&value["sync"]["namespace"]),
        text(&value["sync"]["name"])
    );
    let mut line = |name: &str, what: String| {
        let _ = writeln!(all, "{name:<9} {what}");
    };
    line("reason", text(&value["reason"]));
    line("message", text(&value["message"]));
    line(
        "since",
        format!("{} ({})", text(&value["since"]), ago(since)),
    );
    if value["attempts"] != 0 {
        line("attempts", text(&value["attempts"]));
    }
    for tried in value["tried"].as_array().into_iter().flatten() {
        let status = tried["status"].as_u64().map(|status| format!("{status} "));
        let class = text(&tried["class"]);
        line(
            "",
            format!(
                "{} {}{class}",
                text(&tried["at"]),
                status.unwrap_or_default()
            ),
        );
    }
    if !value["target"].is_null() {
        line("target", text(&value["target"]));
    }
    if let Some(request) = value["request"].as_object() {
        let records = request["records"].as_u64().filter(|count| *count != 1);
        let many = records.map_or(String::new(), |count| format!(" ({count} records)"));
        line(
            "request",
            format!(
                "{} {}{many}",
                text(&request["method"]),
                text(&request["url"])
            ),
        );
        if let Some(body) = request.get("body") {
            line("", text(body));
        }
    }
    if let Some(status) = value["answer"]["status"].as_u64() {
        let excerpt = value["answer"]["excerpt"].as_str().unwrap_or_default();
        line("answer", format!("{status} {excerpt}"));
    }
    if value["redacted"] == true {
        line(
            "redacted",
            "values were taken out; they are read again before it is sent".into(),
        );
    }
    line("next", text(&value["next"]));
    for (name, title) in [
        ("source", "source record"),
        ("mapped", "mapped record"),
        (
            "newerVersion",
            "newer version of the source record, which waits behind it",
        ),
    ] {
        if let Some(record) = value.get(name) {
            let pretty = serde_json::to_string_pretty(record).unwrap_or_default();
            let _ = write!(all, "\n{title}\n{pretty}\n");
        }
    }
    all
}
