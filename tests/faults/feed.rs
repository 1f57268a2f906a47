//! The source's feed of changes, and what goes wrong with it and with the records that it names. Part of `world`.

use std::collections::HashMap;

use crate::case::Fault;
use crate::killer::Moment;
use crate::world::{Fate, World, bad, good};

impl World {
    /// Whether this record, of which a feed tells, cannot be fetched for longer than a read is tried again.
    pub fn is_away(&mut self, id: &str) -> bool {
        let nth = self.nth(&format!("fetch {id}"));
        let away = self.case.dice().chance(&format!("away {id}"), nth / 6, 20);
        let away = away && self.trouble && self.case.has(Fault::Feed) && self.case.feed.is_some();
        self.faults += u64::from(away);
        away
    }

    /// A request for a page of the source's feed of changes.
    pub fn tell(&mut self, query: &HashMap<String, String>) -> Fate {
        if self.killer.passes(Moment::Page) {
            return Fate::Hang;
        }
        if let Some(fate) = self.read_fault("events") {
            return fate;
        }
        let number = |name: &str| query.get(name).and_then(|text| text.parse().ok());
        let (since, page) = (number("since"), number("page"));
        let lies = self.case.has(Fault::Feed);
        // What was deleted before a feed forgot is not in the list that is read then.
        let forgets = lies && !self.case.vanishes;
        if forgets && since.is_some() && page.is_none() && self.chance("forgets", 8) {
            self.faults += 1;
            return bad(410);
        }
        let short = lies && self.chance("short events", 30);
        let (mut told, ids) =
            self.source
                .entries(since.unwrap_or(1), page, if short { 1 } else { 3 });
        if lies && self.chance("repeated events", 20) {
            let (before, _) = self.source.entries(1, None, 3);
            let mut entries = told["data"].as_array().cloned().unwrap_or_default();
            entries.extend(before["data"].as_array().cloned().unwrap_or_default());
            told["data"] = entries.into();
            self.faults += 1;
        }
        self.faults += u64::from(short);
        if self.chance("stir told", 30) {
            self.stir(&ids);
        }
        if self.case.vanishes && self.chance("vanish told", 25) {
            self.vanish(&ids);
        }
        good(told)
    }
}
