//! The records that are on their way: one chain per key, at most one operation per key at a time.
//! Plain data of the engine's task; no I/O.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use slab::Slab;

use crate::pipeline::observe::{Newest, Stage};
use crate::record::Key;
use crate::state::{Entry, Exception, mark};

pub use super::base::Base;
use super::past::Past;
use super::settled::Settled;

pub type FlightId = usize;

/// Where a flight is kept durably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    Segment { number: u64, index: usize },
    Exception,
}

/// What a flight is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Its page is not durable yet, or an older version of its key is under way.
    Held,
    /// In the queue.
    Ready,
    /// Being looked for in the target, or its create is being noted down.
    Preparing,
    Sending,
    /// Its outcome is being committed.
    Settling,
    /// Its outcome is durable; kept while a page that was looked up before is not judged yet.
    Settled,
}

/// The next step of a flight, where it isn't what `route` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// The match was looked for and there is none.
    Create,
    /// A record with this identity stands in the target: look for it.
    Adopt,
    /// A create of this version may have arrived.
    Resolve,
}

/// One version of one record on its way.
#[derive(Debug)]
pub struct Flight {
    pub entry: Box<Entry>,
    pub home: Home,
    pub doing: Doing,
    pub forced: Option<Forced>,
    pub base: Base,
    pub detail: Past,
    /// The store has it as a create that may have been sent, and it surely was not.
    pub noted: bool,
    /// A refused batch is sent record by record.
    pub alone: bool,
    /// The match value that it has for itself.
    pub holding: Option<i64>,
    /// A write of the unlinked record may have arrived.
    pub perhaps_there: bool,
    /// For a removal: no other source record is linked to the target record.
    pub alone_linked: bool,
    /// Its entry is in the store.
    pub durable: bool,
    /// The newer version that waits for this one.
    pub next: Option<FlightId>,
    /// It waits for an older one.
    follows: bool,
    /// For a flight from an exception: the newer version that is kept behind it there.
    pub behind: Option<Box<Entry>>,
    /// An exception of this key that was committed while this version came in.
    pub stored: Option<Box<Exception>>,
    /// What the store knows after the outcome was committed.
    pub settled: Option<Settled>,
}

impl Flight {
    pub fn new(entry: impl Into<Box<Entry>>, home: Home, base: Base) -> Self {
        Self {
            entry: entry.into(),
            home,
            doing: Doing::Held,
            forced: None,
            base,
            detail: Past::default(),
            noted: false,
            alone: false,
            holding: None,
            perhaps_there: false,
            alone_linked: false,
            durable: false,
            next: None,
            follows: false,
            behind: None,
            stored: None,
            settled: None,
        }
    }
}

/// A segment whose entries are not all done.
#[derive(Debug)]
pub struct Segment {
    pub states: Vec<u8>,
    pub left: usize,
    /// Of its source records.
    bytes: usize,
}

/// All flights of one Sync.
#[derive(Debug, Default)]
pub struct Flights {
    all: Slab<Flight>,
    /// First and last flight of each key's chain.
    chains: HashMap<Key, (FlightId, FlightId)>,
    pub segments: BTreeMap<u64, Segment>,
    /// Flights that became ready, in order. One that was replaced or went meanwhile is passed over.
    queue: VecDeque<FlightId>,
    /// Match values that are being looked for or created, with the flights that wait for them.
    matching: HashMap<i64, VecDeque<FlightId>>,
    settled: Vec<FlightId>,
    bytes: usize,
}

impl Flights {
    /// Notes a segment whose entries have these states; `bytes` of source records are held by it.
    pub fn add_segment(&mut self, number: u64, states: Vec<u8>, bytes: usize) {
        let left = states.iter().filter(|s| **s != mark::DONE).count();
        self.bytes += bytes;
        let segment = Segment {
            states,
            left,
            bytes,
        };
        self.segments.insert(number, segment);
    }

    /// Bytes of the source records of all segments.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn get(&self, id: FlightId) -> &Flight {
        &self.all[id]
    }

    pub fn get_mut(&mut self, id: FlightId) -> &mut Flight {
        &mut self.all[id]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Flight> {
        self.all.iter().map(|(_, flight)| flight)
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The newest flight of a key.
    pub fn newest(&self, key: &Key) -> Option<FlightId> {
        self.chains.get(key).map(|(_, last)| *last)
    }

    /// The newest version of a key as `observe` wants it.
    pub fn newest_version(&self, id: FlightId) -> Newest<'_> {
        let flight = &self.all[id];
        if let Some(behind) = &flight.behind {
            return Newest {
                stage: Stage::InDoubt,
                raw: behind.raw,
                moment: behind.moment.as_ref(),
            };
        }
        // A target record was found by the match value, and no link tells of it yet: were this version
        // replaced, its value would be given back, and another record could be linked to the same.
        let bound = flight.holding.is_some() && flight.base.target.is_some();
        let unsent = flight.forced != Some(Forced::Resolve) && !bound;
        let stage = match flight.doing {
            Doing::Settling | Doing::Settled => Stage::Applied,
            Doing::Held | Doing::Ready if unsent => Stage::Unsent,
            _ => Stage::InDoubt,
        };
        Newest {
            stage,
            raw: flight.entry.raw,
            moment: flight.entry.moment.as_ref(),
        }
    }

    /// Adds a flight; behind the newest of its key where there is one.
    pub fn add(&mut self, flight: Flight) -> FlightId {
        let key = flight.entry.key.clone();
        let id = self.all.insert(flight);
        match self.chains.entry(key) {
            Occupied(mut chain) => {
                let before = std::mem::replace(&mut chain.get_mut().1, id);
                self.all[before].next = Some(id);
                self.all[id].follows = true;
            }
            Vacant(free) => {
                free.insert((id, id));
            }
        }
        id
    }

    /// Whether there is such a flight, and it is about this entry: a newer version that joins it has another one.
    pub fn is_at(&self, id: FlightId, home: Home) -> bool {
        self.all.get(id).is_some_and(|flight| flight.home == home)
    }

    /// Whether nothing older of its key is under way.
    pub fn is_head(&self, id: FlightId) -> bool {
        !self.all[id].follows
    }

    /// Takes a flight off its chain and away; returns the one that waited behind it.
    pub fn remove(&mut self, id: FlightId) -> Option<FlightId> {
        let flight = self.all.remove(id);
        match flight.next {
            _ if flight.follows => {}
            None => {
                self.chains.remove(&flight.entry.key);
            }
            Some(next) => {
                self.all[next].follows = false;
                if let Some((first, _)) = self.chains.get_mut(&flight.entry.key) {
                    *first = next;
                }
            }
        }
        flight.next
    }

    /// Takes the flight behind `before` away; what waited behind it waits behind `before`.
    pub fn detach(&mut self, before: FlightId, id: FlightId) {
        let flight = self.all.remove(id);
        self.all[before].next = flight.next;
        if flight.next.is_none()
            && let Some((_, last)) = self.chains.get_mut(&flight.entry.key)
        {
            *last = before;
        }
    }

    /// The first flight of every chain.
    pub fn heads(&self) -> Vec<FlightId> {
        let mut heads: Vec<_> = self.chains.values().map(|(first, _)| *first).collect();
        heads.sort_unstable();
        heads
    }

    /// Keeps a settled flight until pages that were looked up before its commit are judged.
    pub fn keep_settled(&mut self, id: FlightId) {
        self.all[id].doing = Doing::Settled;
        self.settled.push(id);
    }

    /// Lets go of the settled flights that nothing newer replaced.
    pub fn drop_settled(&mut self) {
        for id in std::mem::take(&mut self.settled) {
            self.remove(id);
        }
    }

    /// The flight that is next to be started; it stays in the queue.
    pub fn front(&mut self) -> Option<FlightId> {
        while let Some(id) = self.queue.front().copied() {
            if self.all.get(id).is_some_and(|f| f.doing == Doing::Ready) {
                return Some(id);
            }
            self.queue.pop_front();
        }
        None
    }

    /// About how many flights are ready.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Takes the flight that is next to be started.
    pub fn pop(&mut self) -> Option<FlightId> {
        let id = self.front()?;
        self.queue.pop_front();
        Some(id)
    }

    /// Makes a flight ready, after all others or before them.
    pub fn enqueue(&mut self, id: FlightId, first: bool) {
        self.all[id].doing = Doing::Ready;
        if first {
            self.queue.push_front(id);
        } else {
            self.queue.push_back(id);
        }
    }

    /// Gives a flight its match value if nobody has it.
    pub fn claim_matching(&mut self, value: i64, id: FlightId) {
        if let Vacant(free) = self.matching.entry(value) {
            free.insert(VecDeque::new());
            self.all[id].holding = Some(value);
        }
    }

    /// Takes the match value for this flight; `false`: another has it, and this one is parked.
    pub fn take_matching(&mut self, value: i64, id: FlightId) -> bool {
        match self.matching.get_mut(&value) {
            None => {
                self.matching.insert(value, VecDeque::new());
                true
            }
            Some(parked) => {
                parked.push_back(id);
                false
            }
        }
    }

    /// Gives back the match value that this flight has; those that are parked become ready. Who is in
    /// doubt gives it back too: the store has it then, and whoever takes it sees that.
    pub fn give_matching(&mut self, id: FlightId) {
        let Some(parked) = self.all[id]
            .holding
            .take()
            .and_then(|value| self.matching.remove(&value))
        else {
            return;
        };
        for id in parked.into_iter().rev() {
            if self
                .all
                .get(id)
                .is_some_and(|f| f.doing == Doing::Preparing)
            {
                self.enqueue(id, true);
            }
        }
    }

    /// The state of a flight in its segment's vector.
    pub fn mark(&self, home: Home) -> Option<u8> {
        let Home::Segment { number, index } = home else {
            return None;
        };
        self.segments.get(&number)?.states.get(index).copied()
    }

    /// Notes the state of a flight in its segment's vector; `true` when it has one.
    pub fn set_mark(&mut self, home: Home, state: u8) -> Option<u64> {
        let Home::Segment { number, index } = home else {
            return None;
        };
        let segment = self.segments.get_mut(&number)?;
        if segment.states[index] != mark::DONE && state == mark::DONE {
            segment.left -= 1;
        }
        segment.states[index] = state;
        Some(number)
    }

    /// The change that makes the marks of these segments durable; finished ones are forgotten.
    pub fn marks(&mut self, numbers: &BTreeSet<u64>) -> Vec<crate::state::Change> {
        let mut changes = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(segment) = self.segments.get(number) else {
                continue;
            };
            changes.push(crate::state::Change::Marks {
                number: *number,
                states: segment.states.clone(),
            });
            if segment.left == 0 {
                self.bytes -= segment.bytes;
                self.segments.remove(number);
            }
        }
        changes
    }
}
