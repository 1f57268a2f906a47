//! The source system: records with a history, pages of them, and lies about pages. Pure state; `world` puts
//! it on the network, `judge` reads what really was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::case::Case;

/// Records of a page.
const PAGE: usize = 3;

/// How far an old replica is behind, in milliseconds: less than the overlap of the cursor.
const REPLICA_LAG: i64 = 1000;

/// Contents that a record can have.
pub const VARIANTS: u64 = 3;

/// One state of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub variant: u64,
    pub updated: i64,
}

pub struct Source {
    case: Case,
    /// All states of each record, in order; the last one is now.
    pub history: BTreeMap<String, Vec<Version>>,
    /// The newest state of a record of which a webhook's delivery was answered with 2xx.
    pub told: BTreeMap<String, usize>,
    /// Records that are deleted now, and those that were at any time.
    pub gone: BTreeSet<String>,
    pub ever_gone: BTreeSet<String>,
    /// What happened, in order: the record, and whether it was deleted.
    entries: Vec<(String, bool)>,
    clock: i64,
}

/// Whether lists leave this record out, so that only a webhook tells of it.
pub fn is_hidden(id: &str) -> bool {
    id.starts_with('h')
}

impl Source {
    pub fn new(case: Case) -> Self {
        Self {
            case,
            history: BTreeMap::new(),
            told: BTreeMap::new(),
            gone: BTreeSet::new(),
            ever_gone: BTreeSet::new(),
            entries: Vec::new(),
            clock: 0,
        }
    }

    pub fn add(&mut self, hidden: bool, variant: u64) -> String {
        let kind = if hidden { "h" } else { "r" };
        let id = format!("{kind}{:03}", self.history.len());
        self.set(&id, variant);
        id
    }

    pub fn set(&mut self, id: &str, variant: u64) {
        let now = now();
        let least = if self.case.granularity == 1 {
            self.clock + 1
        } else {
            self.clock
        };
        self.clock = least.max(now - now % self.case.granularity);
        let version = Version {
            variant,
            updated: self.clock,
        };
        self.history.entry(id.to_owned()).or_default().push(version);
        self.entries.push((id.to_owned(), false));
    }

    /// Gives a record another content, and sometimes then the old one again.
    pub fn change(&mut self, id: &str, step: u64, back: bool) {
        if self.gone.contains(id) {
            return;
        }
        let Some(now) = self.history.get(id).and_then(|history| history.last()) else {
            return;
        };
        let old = now.variant;
        self.set(id, (old + 1 + step % (VARIANTS - 1)) % VARIANTS);
        if back {
            self.set(id, old);
        }
    }

    /// Deletes a record that is listed.
    pub fn vanish(&mut self, id: &str) {
        if !is_hidden(id) {
            self.gone.insert(id.to_owned());
            self.ever_gone.insert(id.to_owned());
            self.entries.push((id.to_owned(), true));
        }
    }

    /// A deleted record is there again, with another content.
    pub fn come_back(&mut self, step: u64) {
        if let Some(id) = self.gone.pop_first() {
            self.change(&id, step, false);
        }
    }

    pub fn ids(&self) -> Vec<String> {
        self.history.keys().cloned().collect()
    }

    /// Whether the list shows this record, read as a whole.
    pub fn lists(&self, id: &str) -> bool {
        self.history.contains_key(id) && !is_hidden(id) && !self.gone.contains(id)
    }

    pub fn get(&self, id: &str) -> Option<Value> {
        if self.gone.contains(id) {
            return None;
        }
        let version = self.history.get(id)?.last()?;
        Some(self.json(id, *version))
    }

    /// The n-th state of a record.
    pub fn at(&self, id: &str, index: usize) -> Option<Value> {
        let version = self.history.get(id)?.get(index)?;
        Some(self.json(id, *version))
    }

    /// Everything that is listed, in the list's order: as it is now, or as an old replica has it.
    fn listed(&self, old: impl Fn(&str) -> bool) -> Vec<(String, String, Version)> {
        let mut rows: Vec<_> = self
            .history
            .iter()
            .filter(|(id, _)| self.lists(id))
            .filter_map(|(id, history)| {
                let newest = history.len() - 1;
                let lags = history[newest].updated + REPLICA_LAG > now();
                let at = if lags && old(id) {
                    newest.saturating_sub(1)
                } else {
                    newest
                };
                let version = *history.get(at)?;
                let position = match self.case.cursor {
                    true => format!("{:015}_{id}", version.updated),
                    false => id.clone(),
                };
                Some((position, id.clone(), version))
            })
            .collect();
        rows.sort();
        rows
    }

    /// A page after a token, of records changed since, and the ids in it.
    pub fn page(
        &self,
        token: Option<&str>,
        since: Option<i64>,
        old: impl Fn(&str) -> bool,
        size: usize,
    ) -> (Value, Vec<String>) {
        let rows: Vec<_> = self
            .listed(old)
            .into_iter()
            .filter(|(_, _, version)| since.is_none_or(|since| version.updated >= since))
            .filter(|(position, _, _)| token.is_none_or(|token| position.as_str() > token))
            .collect();
        let size = size.clamp(1, PAGE);
        let page = &rows[..rows.len().min(size)];
        let next = page.last().filter(|_| rows.len() > size).map(|row| &row.0);
        self.answer(page, json!(next))
    }

    /// The n-th page of everything, with its records shifted by `shift`.
    pub fn numbered(&self, number: usize, shift: usize) -> (Value, Vec<String>) {
        let mut rows = self.listed(|_| false);
        if !rows.is_empty() {
            let places = shift % rows.len();
            rows.rotate_left(places);
        }
        let start = (number.saturating_sub(1) * PAGE).min(rows.len());
        let page = &rows[start..rows.len().min(start + PAGE)];
        self.answer(page, Value::Null)
    }

    /// A page of the feed of changes: entries from number `since` on, or after the token of an earlier page, at most
    /// `size`. And the records in it.
    pub fn entries(&self, since: usize, page: Option<usize>, size: usize) -> (Value, Vec<String>) {
        let end = self.entries.len();
        let start = page.unwrap_or(since.saturating_sub(1)).min(end);
        let after = end.min(start + size.clamp(1, PAGE));
        let entry = |(at, (id, deleted)): (usize, &(String, bool))| {
            let kind = if *deleted { "deleted" } else { "changed" };
            json!({"number": start + at + 1, "type": kind, "record": id})
        };
        let told = &self.entries[start..after];
        let data: Vec<Value> = told.iter().enumerate().map(entry).collect();
        let ids = told.iter().map(|(id, _)| id.clone()).collect();
        let mut page = json!({"data": data, "next": Value::Null});
        match after < end {
            true => page["next"] = after.to_string().into(),
            false => page["token"] = (end + 1).to_string().into(),
        }
        (page, ids)
    }

    fn answer(&self, rows: &[(String, String, Version)], next: Value) -> (Value, Vec<String>) {
        let data: Vec<Value> = rows
            .iter()
            .map(|(_, id, version)| self.json(id, *version))
            .collect();
        let ids = rows.iter().map(|row| row.1.clone()).collect();
        (json!({"data": data, "next": next}), ids)
    }

    fn json(&self, id: &str, version: Version) -> Value {
        let mut json = json!({"id": id, "name": name(version.variant)});
        if self.case.twins {
            json["email"] = email(id).into();
        }
        if self.case.ordered {
            let time =
                jiff::Timestamp::from_millisecond(version.updated).expect("a time of this century");
            json["updated_at"] = time.to_string().into();
        }
        json
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("after 1970").as_millis() as i64
}

fn name(variant: u64) -> &'static str {
    ["Ada", "Grace", "Zoë"][variant as usize % 3]
}

/// The email address of a record; two share one.
pub fn email(id: &str) -> String {
    let number: usize = id[1..].parse().unwrap_or_default();
    format!("e{}@example.com", number / 2)
}

/// What the Mapping makes of a record with this content.
pub fn mapped(case: &Case, id: &str, variant: u64) -> Value {
    let mut mapped = json!({"external_ref": id, "name": name(variant)});
    if case.twins {
        mapped["email"] = email(id).into();
    }
    mapped
}
