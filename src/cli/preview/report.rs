//! Collects what a rehearsal decides: counts everything, keeps as many records as are shown, and prints
//! lines of JSON as they come. The memory it takes does not grow with the number of records, except for
//! those that may still change their fate.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::record::{Action, Record, reason};
use crate::cli::output::{OutputFormat, print};
use crate::pipeline::route::{Step, route};
use crate::plan::Plan;
use crate::record::{Key, SyncName};
use crate::runtime::local::Finished;
use crate::state::Trouble;
use crate::worker::{Fate, Witness};

/// What is known of one Sync's records.
#[derive(Debug, Default)]
pub struct Tally {
    /// `shop customers → crm contacts`
    pub way: String,
    /// What is new is sent as an upsert, which may find it there.
    pub upserts: bool,
    pub counts: BTreeMap<Action, u64>,
    /// By action and reason, which is empty where the action says it all.
    pub reasons: BTreeMap<(Action, String), u64>,
    /// The first records of each.
    pub shown: BTreeMap<(Action, String), Vec<Record>>,
    /// How the rehearsal ended: outcome, and what stopped it.
    pub outcome: String,
    pub message: Option<String>,
    pub read: u64,
    /// Syncs whose links are looked up and that are not previewed.
    pub absent: Vec<String>,
    /// Records wait for others of the same Sync, which may come on a later page.
    waits_for_itself: bool,
    /// Records whose fate may still change.
    held: HashMap<Key, Record>,
}

/// Is told everything by the rehearsal.
pub struct Report {
    format: OutputFormat,
    limit: usize,
    tallies: Mutex<BTreeMap<SyncName, Tally>>,
    /// Ends the rehearsal when nobody reads what is printed.
    stop: watch::Sender<bool>,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Report {
    /// Shows `limit` records of each action and reason; all where the format is JSON.
    pub fn new(
        plans: &[std::sync::Arc<Plan>],
        format: OutputFormat,
        limit: usize,
        stop: watch::Sender<bool>,
    ) -> Self {
        let tally = |plan: &Plan| Tally {
            way: format!(
                "{} {} → {} {}",
                plan.source.connection.name,
                plan.source.object.name,
                plan.target.connection.name,
                plan.target.object.name
            ),
            upserts: route(plan, false) == Step::Upsert,
            absent: plan
                .lookups
                .iter()
                .filter(|lookup| plans.iter().all(|other| other.name != lookup.sync))
                .map(|lookup| lookup.sync.name.clone())
                .collect(),
            waits_for_itself: plan.lookups.iter().any(|lookup| lookup.sync == plan.name),
            ..Tally::default()
        };
        let tallies = plans.iter().map(|p| (p.name.clone(), tally(p))).collect();
        Self {
            format,
            limit,
            tallies: Mutex::new(tallies),
            stop,
            failure: Mutex::default(),
        }
    }

    pub fn tallies(&self) -> MutexGuard<'_, BTreeMap<SyncName, Tally>> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A Sync has ended: what was held has its last fate now.
    pub fn finish(&self, one: &Finished) {
        let mut tallies = self.tallies();
        let Some(tally) = tallies.get_mut(&one.sync) else {
            return;
        };
        let mut held: Vec<Record> = std::mem::take(&mut tally.held).into_values().collect();
        held.sort_by(|a, b| a.key.cmp(&b.key));
        for record in held {
            tally.count(record.action, record.reason.clone());
            self.put(tally, record);
        }
        tally.outcome.clone_from(&one.report.outcome);
        tally.message.clone_from(&one.report.message);
        tally.read = one.report.counts.read;
    }

    /// Why nothing could be printed any more.
    pub fn failure(&self) -> Option<anyhow::Error> {
        let mut slot = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }

    fn put(&self, tally: &mut Tally, record: Record) {
        if self.format == OutputFormat::Text {
            let group = (record.action, record.reason.clone());
            let shown = tally.shown.entry(group).or_default();
            if shown.len() < self.limit {
                shown.push(record);
            }
            return;
        }
        let line = serde_json::to_string(&record).map_err(anyhow::Error::from);
        if let Err(error) = line.and_then(|line| print(&format!("{line}\n"))) {
            let mut slot = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            slot.get_or_insert(error);
            self.stop.send_replace(true);
        }
    }

    /// The last line of JSON.
    pub fn summary(&self) -> Value {
        let syncs: Vec<Value> = self
            .tallies()
            .iter()
            .map(|(sync, tally)| {
                let mut reasons: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
                let named = tally
                    .reasons
                    .iter()
                    .filter(|((_, reason), _)| !reason.is_empty());
                for ((action, reason), count) in named {
                    let of = reasons.entry(format!("{action:?}")).or_default();
                    of.insert(reason, *count);
                }
                json!({
                    "sync": sync,
                    "outcome": tally.outcome,
                    "message": tally.message,
                    "read": tally.read,
                    "actions": tally.counts,
                    "reasons": reasons,
                })
            })
            .collect();
        json!({ "summary": syncs })
    }

    /// Whether every Sync was previewed to its end.
    pub fn is_complete(&self) -> bool {
        self.tallies()
            .values()
            .all(|tally| tally.outcome == "Succeeded")
    }

    /// Whether a run would do all that there is to do without a person.
    pub fn good(&self) -> bool {
        self.tallies()
            .values()
            .all(|tally| tally.outcome == "Succeeded" && tally.of(Action::DeadLetter) == 0)
    }
}

impl Tally {
    pub fn of(&self, action: Action) -> u64 {
        self.counts.get(&action).copied().unwrap_or_default()
    }

    fn count(&mut self, action: Action, reason: String) {
        *self.counts.entry(action).or_default() += 1;
        *self.reasons.entry((action, reason)).or_default() += 1;
    }

    /// Whether this may not be the last that is heard of the record.
    fn holds(&self, fate: &Fate<'_>) -> bool {
        match fate {
            Fate::Trouble(Trouble::Retry | Trouble::Unknown, _) => true,
            Fate::Trouble(Trouble::Waiting, _) => self.waits_for_itself,
            _ => false,
        }
    }
}

impl Witness for Report {
    fn see(&self, plan: &Plan, key: &Key, fate: Fate<'_>) {
        let mut tallies = self.tallies();
        let Some(tally) = tallies.get_mut(&plan.name) else {
            return;
        };
        if !matches!(fate, Fate::Superseded | Fate::Unchanged { .. }) {
            tally.held.remove(key);
        }
        if tally.holds(&fate) {
            tally
                .held
                .insert(key.clone(), Record::new(plan, key, &fate));
            return;
        }
        let action = Action::of(&fate);
        let group = (action, reason(&fate));
        let full = tally
            .shown
            .get(&group)
            .is_some_and(|shown| shown.len() >= self.limit);
        let wanted = match self.format {
            OutputFormat::Json => true,
            OutputFormat::Text => action.is_shown() && !full,
        };
        tally.count(action, group.1);
        if wanted {
            self.put(tally, Record::new(plan, key, &fate));
        }
    }
}
