//! The source system: records that change between runs and between pages, with their whole history.
//! Pure state; `oracle` puts it on the network, `judge` compares the target with it.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::random::Random;

const PAGE: usize = 10;

/// The contents that a record can have; few, so that A → B → A comes often.
pub const VARIANTS: u8 = 3;

struct Record {
    variant: u8,
    /// Milliseconds since 1970.
    updated: i64,
    /// A tombstone: it is listed, and says that it was deleted.
    deleted: bool,
}

/// In a history: the record was deleted.
pub const DELETED: u8 = u8::MAX;

pub struct Source {
    records: BTreeMap<String, Record>,
    /// Every content that each record ever had, oldest first.
    pub history: BTreeMap<String, Vec<u8>>,
    /// Whether records tell when they were changed and the list takes `updated_since`.
    ordered: bool,
    /// Resolution of `updated_at` in milliseconds: many systems tell whole seconds only.
    granularity: i64,
    /// Whether several records have one email address.
    pub shared: bool,
    /// Whether records are deleted, and come back.
    pub deletes: bool,
    clock: i64,
}

impl Source {
    pub fn new(ordered: bool, granularity: i64) -> Self {
        Self {
            records: BTreeMap::new(),
            history: BTreeMap::new(),
            ordered,
            granularity,
            shared: false,
            deletes: false,
            clock: 0,
        }
    }

    pub fn add(&mut self, random: &mut Random) {
        let kind = if self.shared { "s" } else { "r" };
        let id = format!("{kind}-{:05}", self.records.len());
        self.set(&id, random.below(VARIANTS.into()) as u8);
    }

    /// Gives some record another content; every third time and then the old one again.
    pub fn change(&mut self, random: &mut Random) {
        let ids: Vec<&String> = self.records.keys().collect();
        if let Some(id) = ids.get(random.below(ids.len().max(1) as u64) as usize) {
            let id = (*id).clone();
            self.change_one(&id, random);
        }
    }

    fn change_one(&mut self, id: &str, random: &mut Random) {
        if self.deletes && !self.records[id].deleted && random.percent(25) {
            return self.delete(id);
        }
        let old = self.records[id].variant;
        let new = (old + 1 + random.below(u64::from(VARIANTS) - 1) as u8) % VARIANTS;
        self.set(id, new);
        if random.below(3) == 0 {
            self.set(id, old);
        }
    }

    fn set(&mut self, id: &str, variant: u8) {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_millis() as i64;
        self.clock = self.clock.max(now - now % self.granularity);
        self.records.insert(
            id.to_owned(),
            Record {
                variant,
                updated: self.clock,
                deleted: false,
            },
        );
        self.history.entry(id.to_owned()).or_default().push(variant);
    }

    /// Leaves a tombstone; a later change is the record's return.
    fn delete(&mut self, id: &str) {
        let variant = self.records[id].variant;
        self.set(id, variant);
        if let Some(record) = self.records.get_mut(id) {
            record.deleted = true;
        }
        if let Some(last) = self.history.get_mut(id).and_then(|h| h.last_mut()) {
            *last = DELETED;
        }
    }

    /// Changes up to two records while a scan is under way, one of them just served.
    pub fn stir(&mut self, served: &[String], random: &mut Random) {
        if let Some(id) = served.get(random.below(served.len().max(1) as u64) as usize) {
            self.change_one(id, random);
        }
        if random.percent(50) {
            self.change(random);
        }
    }

    pub fn get(&self, id: &str) -> Option<Value> {
        self.records.get(id).map(|record| self.json(id, record))
    }

    /// A page after `cursor` and the ids in it; oldest change first where there is an order.
    pub fn page(&self, cursor: Option<&str>, since: Option<i64>) -> (Value, Vec<String>) {
        let position = |id: &str, record: &Record| match self.ordered {
            true => format!("{:015}_{id}", record.updated),
            false => id.to_owned(),
        };
        let rows: BTreeMap<String, (&String, &Record)> = self
            .records
            .iter()
            .filter(|(_, record)| since.is_none_or(|since| record.updated >= since))
            .map(|(id, record)| (position(id, record), (id, record)))
            .filter(|(position, _)| cursor.is_none_or(|cursor| position.as_str() > cursor))
            .collect();
        let page: Vec<_> = rows.iter().take(PAGE).collect();
        let next = page
            .last()
            .filter(|_| rows.len() > PAGE)
            .map(|(position, _)| *position);
        let data: Vec<Value> = page
            .iter()
            .map(|(_, (id, record))| self.json(id, record))
            .collect();
        let ids = page.iter().map(|(_, (id, _))| (*id).clone()).collect();
        (json!({"data": data, "next_cursor": next}), ids)
    }

    fn json(&self, id: &str, record: &Record) -> Value {
        let variant = usize::from(record.variant);
        let mut json = json!({
            "id": id,
            "name": (["Ada King Lovelace", "Grace Hopper", "Zoë Müller"][variant]),
            "status": (["new", "complete", "paid"][variant]),
            "amount": format!("{}.50", 10 + variant),
            "currency": "EUR",
        });
        if record.deleted {
            json["deleted"] = true.into();
        }
        if let Some(email) = email(id) {
            json["email"] = email.into();
        }
        if self.ordered {
            let time =
                jiff::Timestamp::from_millisecond(record.updated).expect("a time of this century");
            json["updated_at"] = time.to_string().into();
        }
        json
    }
}

/// The email address of a record: of six whose ids begin with `s`, two share one, three share another,
/// and one has none. Other records have none at all.
pub fn email(id: &str) -> Option<String> {
    let number: usize = id.strip_prefix("s-")?.parse().expect("a number");
    let (block, place) = (number / 6, number % 6);
    match place {
        0 | 1 => Some(format!("two-{block}@example.com")),
        2..5 => Some(format!("three-{block}@example.com")),
        _ => None,
    }
}

/// What the Mapping makes of a record with this content.
pub fn mapped(id: &str, variant: u8) -> Value {
    let variant = usize::from(variant);
    let mut mapped = json!({
        "external_ref": id,
        "first_name": (["Ada", "Grace", "Zoë"][variant]),
        "last_name": (["King Lovelace", "Hopper", "Müller"][variant]),
        "stage": (["open", "fulfilled", "won"][variant]),
        "cents": ([1050, 1150, 1250][variant]),
    });
    if let Some(email) = email(id) {
        mapped["email"] = email.into();
    }
    mapped
}
