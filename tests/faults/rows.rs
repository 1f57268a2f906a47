//! Which rows a reading of the numbered list has shown, so that none slides past two readings in a row: where the
//! list is all that the engine can ask, such a row cannot be told from one that is deleted.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// The readings of the list, as the source sees them.
#[derive(Default)]
pub struct Rows {
    /// What each page of this reading has shown; from a page that is asked for again on, they are read anew.
    shown: BTreeMap<usize, Vec<String>>,
    /// Whether the last page of this reading was empty: then the engine has seen it all.
    complete: bool,
    /// All that was ever shown: nothing else can be missed.
    known: BTreeSet<String>,
    /// What earlier readings may have left out and none since has shown.
    owed: BTreeSet<String>,
}

impl Rows {
    /// A page is about to be read.
    pub fn begin(&mut self, number: usize) {
        if number == 1 {
            let shown: BTreeSet<String> = std::mem::take(&mut self.shown)
                .into_values()
                .flatten()
                .collect();
            if std::mem::take(&mut self.complete) {
                self.owed.retain(|id| !shown.contains(id));
            }
            let missing = self.known.iter().filter(|id| !shown.contains(*id));
            self.owed.extend(missing.cloned());
        }
        self.shown.split_off(&number);
    }

    /// A page was read.
    pub fn shown(&mut self, number: usize, ids: &[String]) {
        self.complete = ids.is_empty();
        self.known.extend(ids.iter().cloned());
        self.shown.insert(number, ids.to_vec());
    }

    /// Whether a row may slide now: no reading before has left one out that this one has yet to show.
    pub fn may_slide(&self, source: &Source) -> bool {
        let shown = |id: &&String| self.shown.values().any(|page| page.contains(id));
        let mut owed = self.owed.iter().filter(|id| source.lists(id));
        owed.all(|id| shown(&id))
    }
}
