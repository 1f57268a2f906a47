//! `syncline status` of a cluster: what the controller says of each Sync.
//! Reads statuses, nothing else.

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::Cluster;
use crate::api::condition::{FRESH, READY, STALLED, find};
use crate::api::status::{LastRun, SyncStatus};
use crate::cli::Exit;
use crate::cli::moment::ago;
use crate::cli::output::{OutputFormat, print, print_json};
use crate::cli::table::{numbers, table};

/// One Sync with what is known of it; a status that cannot be read counts as none.
struct Row {
    name: String,
    namespace: String,
    suspended: bool,
    status: SyncStatus,
}

impl Row {
    fn new(object: DynamicObject) -> Self {
        let status = object.data.get("status").cloned().unwrap_or_default();
        Self {
            name: object.metadata.name.unwrap_or_default(),
            namespace: object.metadata.namespace.unwrap_or_default(),
            suspended: object.data["spec"]["suspend"] == true,
            status: serde_json::from_value(status).unwrap_or_default(),
        }
    }

    /// The status of a condition, `Unknown` where there is none.
    fn truth(&self, kind: &str) -> &str {
        find(&self.status.conditions, kind).map_or("Unknown", |c| c.status.as_str())
    }

    fn is_good(&self) -> bool {
        let ran = |run: &LastRun| run.outcome == "Succeeded";
        self.truth(READY) == "True"
            && self.truth(FRESH) != "False"
            && self.status.dead_letters_open.unwrap_or(0) == 0
            && self.status.last_run.as_ref().is_none_or(ran)
    }

    /// What stands in the way, and what to do.
    fn message(&self) -> Option<&str> {
        let conditions = &self.status.conditions;
        let told = [STALLED, READY, FRESH]
            .into_iter()
            .filter_map(|kind| find(conditions, kind))
            .find(|c| (c.type_ == STALLED) == (c.status == "True"));
        let run = self.status.last_run.as_ref();
        let run = run.and_then(|run| run.message.as_deref());
        told.map(|c| c.message.as_str()).or(run)
    }

    fn json(&self) -> Value {
        json!({
            "sync": {"namespace": self.namespace, "name": self.name},
            "suspended": self.suspended,
            "status": self.status,
        })
    }

    fn cells(&self) -> Vec<String> {
        let status = &self.status;
        let run = status.last_run.as_ref();
        vec![
            self.name.clone(),
            if self.suspended {
                "Suspended".to_owned()
            } else {
                self.truth(READY).to_owned()
            },
            self.truth(FRESH).to_owned(),
            run.map_or_else(|| "none".to_owned(), |run| run.outcome.clone()),
            when(run.and_then(|run| run.ended.as_deref())),
            when(status.last_success_time.as_deref()),
            status.records_open.unwrap_or(0).to_string(),
            status.dead_letters_open.unwrap_or(0).to_string(),
        ]
    }
}

fn when(moment: Option<&str>) -> String {
    let moment = moment.and_then(|text| text.parse::<Timestamp>().ok());
    moment.map_or_else(|| "never".to_owned(), |at| ago(at.as_millisecond()))
}

/// Prints what the controller says of these Syncs, or of all; problems are exit code 1.
pub async fn run(
    cluster: &Cluster,
    names: &[String],
    format: OutputFormat,
) -> anyhow::Result<Exit> {
    let rows: Vec<Row> = cluster
        .find_syncs(names)
        .await?
        .into_iter()
        .map(Row::new)
        .collect();
    match format {
        OutputFormat::Json => print_json(&rows.iter().map(Row::json).collect::<Vec<_>>())?,
        OutputFormat::Text if rows.is_empty() => {
            print(&format!("namespace {}: no Syncs\n", cluster.namespace))?;
        }
        OutputFormat::Text => print(&text(&rows))?,
    }
    Ok(match rows.iter().all(Row::is_good) {
        true => Exit::Good,
        false => Exit::Problems,
    })
}

fn text(rows: &[Row]) -> String {
    let mut table = table([
        "SYNC",
        "READY",
        "FRESH",
        "LAST RUN",
        "ENDED",
        "LAST SCAN",
        "OPEN",
        "DEAD",
    ]);
    for row in rows {
        table.add_row(row.cells());
    }
    numbers(&mut table, 6);
    let mut text = format!("{table}\n");
    for row in rows.iter().filter(|row| !row.is_good()) {
        if let Some(message) = row.message() {
            text.push_str(&format!("{}: {message}\n", row.name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ready: &str, fresh: &str, dead: i64) -> Row {
        let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": format!("about {kind}"), "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let status = json!({
            "conditions": [condition(READY, ready), condition(FRESH, fresh)],
            "deadLettersOpen": dead,
        });
        Row {
            name: "a".to_owned(),
            namespace: "b".to_owned(),
            suspended: false,
            status: serde_json::from_value(status).unwrap(),
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_a_problem_and_says_why() {
        assert!(row("True", "True", 0).is_good());
        assert!(row("True", "Unknown", 0).is_good(), "nothing has run yet");
        for (bad, message) in [
            (row("False", "True", 0), Some("about Ready")),
            (row("True", "False", 0), Some("about Fresh")),
            (row("True", "True", 1), None),
        ] {
            assert!(!bad.is_good());
            assert_eq!(bad.message(), message);
        }
    }
}
