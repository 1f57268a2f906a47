//! Holds the lines of a preview against the truth: what the CRM held before and after the run, and what
//! the state knows of each key. Called by the tests in `main`.

use std::collections::BTreeMap;

use serde_json::Value;
use syncline::record::{Key, SyncName};
use syncline::state::sqlite::SqliteStore;
use syncline::state::{Known, Store};

use crate::demo::{Demo, Records, leaves};

/// The Syncs with the object that they write and its key in the CRM.
const SYNCS: [(&str, &str, &str); 2] = [
    ("customers-to-contacts", "contacts", "id"),
    ("orders-to-deals", "deals", "external_id"),
];

/// The lines of a preview.
pub struct Preview {
    pub code: i32,
    records: BTreeMap<(String, String), Value>,
    summary: Value,
}

impl Preview {
    pub fn new(mut lines: Vec<Value>, code: i32) -> Self {
        let last = lines.pop().expect("a summary");
        let mut records = BTreeMap::new();
        for line in lines {
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let name = (text(&line["sync"]["name"]), text(&line["key"]));
            assert!(
                records.insert(name.clone(), line).is_none(),
                "two lines for {name:?}"
            );
        }
        let summary = last["summary"].clone();
        assert!(summary.is_array(), "the last line is the summary: {last}");
        Self {
            code,
            records,
            summary,
        }
    }

    /// The lines of one Sync by their key.
    pub fn of(&self, sync: &str) -> BTreeMap<&str, &Value> {
        let of = self.records.iter().filter(|((name, _), _)| name == sync);
        of.map(|((_, key), line)| (key.as_str(), line)).collect()
    }

    pub fn count(&self, sync: &str, action: &str) -> usize {
        self.of(sync)
            .values()
            .filter(|line| line["action"] == action)
            .count()
    }

    /// Records that would be written or get into trouble.
    pub fn changes(&self) -> usize {
        let known = ["Unchanged", "Skip", "Superseded"];
        let changes = |line: &&Value| !known.iter().any(|k| line["action"] == *k);
        self.records.values().filter(changes).count()
    }
}

/// What there is.
pub struct Truth {
    held: BTreeMap<&'static str, Records>,
    store: Option<SqliteStore>,
    runtime: tokio::runtime::Runtime,
}

impl Truth {
    pub fn look(demo: &Demo) -> Self {
        let held = SYNCS.map(|(_, object, key)| (object, demo.held(object, key)));
        Self {
            held: held.into(),
            store: SqliteStore::attach(&demo.state()).expect("the state can be read"),
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime"),
        }
    }

    /// What the state knows of a key.
    fn known(&self, sync: &str, key: &str) -> Known {
        let Some(store) = &self.store else {
            return Known::default();
        };
        let name = SyncName {
            namespace: "default".into(),
            name: sync.into(),
        };
        self.runtime.block_on(async {
            let all = store.list().await.expect("a list");
            let session = all.into_iter().find(|(session, _)| session.sync == name);
            let Some((session, _)) = session else {
                return Known::default();
            };
            let known = store.known(&session, vec![Key::from_text(key)], true).await;
            known.expect("an answer").pop().unwrap_or_default()
        })
    }

    fn target(&self, sync: &str, key: &str) -> Option<Value> {
        Some(self.known(sync, key).link?.target?.to_value())
    }
}

/// How a run differs from the preview.
#[derive(Default)]
pub struct Differences {
    pub wrong: Vec<String>,
    /// Records that the target itself refused, which no preview can know, with what was previewed.
    pub refused: BTreeMap<(String, String), String>,
    /// Records that wait because the one that they look up was refused.
    pub waiting: BTreeMap<(String, String), String>,
}

impl Differences {
    /// Takes a record that the target refused, or that waits for such a one.
    fn excuse(&mut self, sync: &str, key: &str, line: &Value, after: &Truth) -> bool {
        let name = (sync.to_owned(), key.to_owned());
        let action = line["action"].as_str().unwrap_or_default().to_owned();
        let Some(open) = after.known(sync, key).exception else {
            return false;
        };
        let status = open.detail.failure.and_then(|failure| failure.status);
        if action == "Create" && open.detail.reason == "Permanent" && status == Some(422) {
            self.refused.insert(name, action);
            return true;
        }
        let refused = open.detail.awaits.is_some_and(|awaits| {
            let other = (awaits.sync.name, awaits.lookup.key.as_str().to_owned());
            self.refused.contains_key(&other)
        });
        if refused {
            self.waiting.insert(name, action);
        }
        refused
    }

    /// How many records of a Sync were previewed as `action` and became something else.
    fn moved(&self, sync: &str, action: &str) -> u64 {
        let both = self.refused.iter().chain(&self.waiting);
        both.filter(|((of, _), was)| of == sync && *was == action)
            .count() as u64
    }
}

/// Everything in which the run differs from the preview.
pub fn compare(preview: &Preview, before: &Truth, after: &Truth) -> Differences {
    let mut differences = Differences::default();
    for (sync, object, _) in SYNCS {
        let (old, new) = (&before.held[object], &after.held[object]);
        let mut touched = Vec::new();
        for (key, line) in preview.of(sync) {
            if differences.excuse(sync, key, line, after) {
                continue;
            }
            let problem = match line["action"].as_str() {
                Some("Create") => created(sync, key, line, old, after, new, &mut touched),
                Some("Update") => updated(sync, key, line, old, after, new, &mut touched),
                Some("DeadLetter" | "Wait") => troubled(sync, key, line, after),
                Some("Unchanged" | "Skip" | "Superseded") => Ok(()),
                other => Err(format!("unknown action {other:?}")),
            };
            differences
                .wrong
                .extend(problem.err().map(|what| format!("{sync} {key}: {what}")));
        }
        for (id, record) in new {
            if !touched.contains(id) && old.get(id) != Some(record) {
                differences.wrong.push(format!(
                    "{object} {id}: the run wrote what no preview named: {record}"
                ));
            }
        }
    }
    differences
}

/// The record that the run has linked to a key.
fn linked<'a>(
    sync: &str,
    key: &str,
    after: &Truth,
    new: &'a Records,
    touched: &mut Vec<String>,
) -> Result<(String, &'a Value), String> {
    let known = after.known(sync, key);
    if known.exception.is_some() {
        return Err(format!("is in trouble: {:?}", known.exception));
    }
    let target = known
        .link
        .and_then(|link| link.target)
        .ok_or("isn't linked")?;
    let id = target.to_string();
    let record = new.get(&id).ok_or(format!("the CRM has no {id}"))?;
    touched.push(id.clone());
    Ok((id, record))
}

fn created(
    sync: &str,
    key: &str,
    line: &Value,
    old: &Records,
    after: &Truth,
    new: &Records,
    touched: &mut Vec<String>,
) -> Result<(), String> {
    let (id, record) = linked(sync, key, after, new, touched)?;
    if old.contains_key(&id) {
        return Err(format!("{id} was there before"));
    }
    let mut expected = leaves(record);
    // What the CRM adds by itself.
    expected.remove("id");
    expected.remove("external_id");
    let named = fields(line, "to", after)?;
    if named != expected {
        return Err(format!("would have {named:?}, has {expected:?}"));
    }
    Ok(())
}

fn updated(
    sync: &str,
    key: &str,
    line: &Value,
    old: &Records,
    after: &Truth,
    new: &Records,
    touched: &mut Vec<String>,
) -> Result<(), String> {
    let (id, record) = linked(sync, key, after, new, touched)?;
    let named = line["target"].to_string();
    if named.trim_matches('"') != id {
        return Err(format!("would update {named}, updated {id}"));
    }
    let before = leaves(old.get(&id).ok_or(format!("{id} was not there before"))?);
    let now = leaves(record);
    let differs = |other: &BTreeMap<String, Value>, (name, value): &(&String, &Value)| {
        other.get(*name) != Some(value)
    };
    let was: BTreeMap<_, _> = before.iter().filter(|f| differs(&now, f)).collect();
    let is: BTreeMap<_, _> = now.iter().filter(|f| differs(&before, f)).collect();
    let (from, to) = (fields(line, "from", after)?, fields(line, "to", after)?);
    if from.iter().collect::<BTreeMap<_, _>>() != was || to.iter().collect::<BTreeMap<_, _>>() != is
    {
        return Err(format!(
            "would change {from:?} to {to:?}, changed {was:?} to {is:?}"
        ));
    }
    Ok(())
}

/// One side of the changes that a line names, with the ids that are known now.
fn fields(line: &Value, side: &str, after: &Truth) -> Result<BTreeMap<String, Value>, String> {
    let changes = line["changes"].as_array().ok_or("names no changes")?;
    let mut found = BTreeMap::new();
    for change in changes {
        let name = change["field"].as_str().unwrap_or_default();
        let Some(value) = change.get(side).filter(|value| !value.is_null()) else {
            continue;
        };
        let value = match value.as_str() {
            Some(text) if side == "to" && change["knownAfterRun"] == true => {
                let inner = text
                    .trim_start_matches("(known after run: ")
                    .trim_end_matches(')');
                let (sync, key) = inner.split_once(' ').ok_or("names no record")?;
                after
                    .target(sync, key)
                    .ok_or(format!("{inner} was not linked"))?
            }
            _ => value.clone(),
        };
        found.insert(name.to_owned(), value);
    }
    Ok(found)
}

fn troubled(sync: &str, key: &str, line: &Value, after: &Truth) -> Result<(), String> {
    let known = after.known(sync, key);
    let open = known.exception.ok_or("is in no trouble")?;
    let dead = open.trouble.is_dead_letter();
    if dead != (line["action"] == "DeadLetter") {
        return Err(format!("{:?} instead", open.trouble));
    }
    let field = line["field"].as_str().map(str::to_owned);
    if line["reason"] != open.detail.reason.as_str() || field != open.detail.field {
        return Err(format!(
            "{}, {:?} instead of {line}",
            open.detail.reason, open.detail.field
        ));
    }
    let awaits = open.detail.awaits.map(|a| a.lookup.key.as_str().to_owned());
    if line["awaits"]["key"].as_str().map(str::to_owned) != awaits {
        return Err(format!("waits for {awaits:?}"));
    }
    Ok(())
}

/// The counts of the summary are those of the run, but for what the target refused.
pub fn counts(preview: &Preview, run: &[Value], differences: &Differences) {
    let finished = run.iter().filter(|line| line["event"] == "Finished");
    let mut compared = 0;
    for line in finished {
        let of = |summary: &&Value| summary["sync"] == line["sync"];
        let all = preview
            .summary
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let summary = all.iter().find(of).expect("the Sync is in the summary");
        let pairs = [
            ("Create", "created"),
            ("Update", "updated"),
            ("Unchanged", "unchanged"),
            ("Skip", "skipped"),
            ("Superseded", "superseded"),
            ("DeadLetter", "dead"),
        ];
        for (action, count) in pairs {
            let previewed = summary["actions"][action].as_u64().unwrap_or(0);
            let sync = line["sync"]["name"].as_str().unwrap_or_default();
            let refused = differences
                .refused
                .keys()
                .filter(|(of, _)| of == sync)
                .count() as u64;
            let more = if action == "DeadLetter" { refused } else { 0 };
            let expected = previewed + more - differences.moved(sync, action);
            assert_eq!(line["counts"][count], expected, "{count} of {sync}");
        }
        assert_eq!(line["counts"]["read"], summary["read"]);
        compared += 1;
    }
    assert_eq!(compared, SYNCS.len());
}
