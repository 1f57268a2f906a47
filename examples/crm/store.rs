//! What the CRM holds: contacts with numeric ids, deals by the id of another system, and the answers to
//! creates that carried an Idempotency-Key. In memory only; used by `contacts`, `deals` and `check`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// A record's fields.
pub type Fields = Map<String, Value>;

/// Everything that the CRM holds.
#[derive(Default)]
pub struct Crm {
    pub contacts: BTreeMap<u64, Fields>,
    /// By the id that the other system gave.
    pub deals: BTreeMap<String, Fields>,
    /// Contacts that were there before any Sync ran, as they were.
    pub known: BTreeMap<u64, Fields>,
    by_email: HashMap<String, Vec<u64>>,
    last_id: u64,
}

impl Crm {
    /// The contacts that the sales team has typed in over the years.
    pub fn with_known(known: Vec<Fields>) -> Self {
        let mut crm = Self::default();
        for fields in known {
            let id = crm.add_contact(fields);
            crm.known.insert(id, crm.contacts[&id].clone());
        }
        crm
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        1000 + self.last_id
    }

    /// Adds a contact, whatever others there are; its id.
    pub fn add_contact(&mut self, mut fields: Fields) -> u64 {
        let id = self.next_id();
        fields.insert("id".to_owned(), json!(id));
        self.index(&fields, id);
        self.contacts.insert(id, fields);
        id
    }

    /// Replaces the given fields of a contact, which must be there; all of its fields.
    pub fn patch_contact(&mut self, id: u64, changes: Fields) -> Option<&Fields> {
        let contact = self.contacts.get_mut(&id)?;
        let before = email(contact);
        contact.extend(changes);
        let after = contact.clone();
        if email(&after) != before {
            if let Some(ids) = before.and_then(|email| self.by_email.get_mut(&email)) {
                ids.retain(|other| *other != id);
            }
            self.index(&after, id);
        }
        self.contacts.get(&id)
    }

    fn index(&mut self, fields: &Fields, id: u64) {
        if let Some(email) = email(fields) {
            self.by_email.entry(email).or_default().push(id);
        }
    }

    /// The contacts with this email, whatever the case of its letters, oldest first.
    pub fn find(&self, email: &str) -> Vec<&Fields> {
        let ids = self
            .by_email
            .get(&email.to_lowercase())
            .map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.contacts.get(id)).collect()
    }

    /// Makes or replaces the deal that another system calls `external`; the deal, and whether it is new.
    pub fn put_deal(&mut self, external: &str, mut fields: Fields) -> (&Fields, bool) {
        let known = self
            .deals
            .get(external)
            .and_then(|deal| deal["id"].as_u64());
        let id = known.unwrap_or_else(|| self.next_id());
        fields.insert("id".to_owned(), json!(id));
        fields.insert("external_id".to_owned(), json!(external));
        self.deals.insert(external.to_owned(), fields);
        (&self.deals[external], known.is_none())
    }
}

/// A contact's email in small letters.
pub fn email(fields: &Fields) -> Option<String> {
    Some(fields.get("email")?.as_str()?.to_lowercase())
}

/// A create that was answered: what was sent and what the answer was.
pub struct Answered {
    pub sent: Value,
    pub answer: Value,
    at: Instant,
}

/// Answers to creates by their Idempotency-Key, kept for some time.
pub struct Answers {
    ttl: Option<Duration>,
    kept: HashMap<String, Answered>,
}

impl Answers {
    /// `None` for a CRM that ignores the header.
    pub fn new(ttl: Option<Duration>) -> Self {
        Self {
            ttl,
            kept: HashMap::new(),
        }
    }

    /// The answer that was given to this key before, unless that is too long ago.
    pub fn get(&self, key: &str) -> Option<&Answered> {
        let ttl = self.ttl?;
        self.kept
            .get(key)
            .filter(|answered| answered.at.elapsed() < ttl)
    }

    pub fn keep(&mut self, key: &str, sent: Value, answer: Value) {
        if let Some(ttl) = self.ttl {
            if self.kept.len() % 4096 == 4095 {
                self.kept.retain(|_, answered| answered.at.elapsed() < ttl);
            }
            self.kept.insert(
                key.to_owned(),
                Answered {
                    sent,
                    answer,
                    at: Instant::now(),
                },
            );
        }
    }

    pub fn clear(&mut self) {
        self.kept.clear();
    }
}

/// Contacts whose email occurs more than once among the given ones.
pub fn repeated<'a>(contacts: impl Iterator<Item = &'a Fields>) -> HashSet<String> {
    let mut seen = HashSet::new();
    contacts
        .filter_map(email)
        .filter(|email| !seen.insert(email.clone()))
        .collect()
}
