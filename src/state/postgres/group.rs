//! The changes of a group, folded into what remains of them: one row for each key, in key order. Pure; the
//! writer makes one statement of each kind of row.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Fingerprint, Key};
use crate::state::{Change, Exception, Link, Presence, SyncState, Trouble, mark};

/// What a group leaves behind in each table, by Sync and key.
#[derive(Debug, Default, PartialEq)]
pub struct Group {
    pub links: BTreeMap<(i64, Key), LinkChange>,
    /// Links of which nothing else is left to change, and whether they were missed or seen.
    pub missed: BTreeMap<(i64, Key), bool>,
    /// `None`: the exception goes.
    pub exceptions: BTreeMap<(i64, Key), Option<Box<Exception>>>,
    pub segments: BTreeMap<(i64, u64), SegmentChange>,
    pub states: BTreeMap<i64, Box<SyncState>>,
    /// Syncs whose held exceptions are let go; what the group puts after that stays as it is put.
    pub released: BTreeSet<i64>,
}

#[derive(Debug, PartialEq)]
pub enum LinkChange {
    Put(Link),
    Forget { target_gone: bool },
}

#[derive(Debug, PartialEq)]
pub enum SegmentChange {
    New { body: Vec<u8>, states: Vec<u8> },
    Marks(Vec<u8>),
    Gone,
}

impl Group {
    /// Takes in one more change of a Sync; later ones win over earlier ones of the same key.
    pub fn add(&mut self, sync: i64, change: Change) {
        match change {
            Change::Segment {
                number,
                body,
                states,
            } => {
                let new = SegmentChange::New { body, states };
                self.segments.insert((sync, number), new);
            }
            Change::Marks { number, states } => self.mark(sync, number, states),
            Change::Link(link) => {
                let place = (sync, link.key.clone());
                self.missed.remove(&place);
                self.links.insert(place, LinkChange::Put(link));
            }
            Change::Missed(key) => self.miss(sync, key, true),
            Change::Seen(key) => self.miss(sync, key, false),
            Change::Forget { key, target_gone } => self.forget(sync, key, target_gone),
            Change::Exception(exception) => {
                let key = exception.entry.key.clone();
                self.exceptions.insert((sync, key), Some(exception));
            }
            Change::Resolved(key) => {
                self.exceptions.insert((sync, key), None);
            }
            Change::Release => self.release(sync),
            Change::State(state) => {
                self.states.insert(sync, state);
            }
        }
    }

    fn miss(&mut self, sync: i64, key: Key, missed: bool) {
        let place = (sync, key);
        match self.links.get_mut(&place) {
            Some(LinkChange::Put(link)) => match (link.presence, missed) {
                (Presence::Here, true) => link.presence = Presence::Missed,
                (Presence::Missed, false) => link.presence = Presence::Here,
                _ => {}
            },
            _ => {
                self.missed.insert(place, missed);
            }
        }
    }

    fn release(&mut self, sync: i64) {
        self.released.insert(sync);
        let put = self.exceptions.iter_mut().filter(|(of, _)| of.0 == sync);
        for exception in put.filter_map(|(_, exception)| exception.as_mut()) {
            if exception.trouble == Trouble::Held {
                (exception.trouble, exception.next) = (Trouble::Retry, 0);
            }
        }
    }

    fn mark(&mut self, sync: i64, number: u64, states: Vec<u8>) {
        let done = states.iter().all(|state| *state == mark::DONE);
        let place = (sync, number);
        match self.segments.get_mut(&place) {
            // Came and went in one group.
            Some(SegmentChange::New { .. }) if done => {
                self.segments.remove(&place);
            }
            Some(SegmentChange::New { states: old, .. }) => *old = states,
            _ if done => {
                self.segments.insert(place, SegmentChange::Gone);
            }
            _ => {
                self.segments.insert(place, SegmentChange::Marks(states));
            }
        }
    }

    fn forget(&mut self, sync: i64, key: Key, target_gone: bool) {
        match self.links.get_mut(&(sync, key.clone())) {
            Some(LinkChange::Put(link)) => {
                link.mapped = Fingerprint::UNKNOWN;
                link.fields.clear();
                if target_gone {
                    link.target = None;
                }
            }
            Some(LinkChange::Forget { target_gone: gone }) => *gone |= target_gone,
            None => {
                self.links
                    .insert((sync, key), LinkChange::Forget { target_gone });
            }
        }
    }
}
