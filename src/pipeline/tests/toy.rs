//! An engine that keeps everything durably and leaves every decision to the pure rooms, and a target
//! that remembers what was done to it.

use proptest::prelude::*;

use super::plans::{Kind, PLANS};
use crate::pipeline::decide::{Attempt, Next, decide, lost_create};
use crate::pipeline::observe::{Newest, Stage, Verdict, observe};
use crate::pipeline::route::{Step, route, route_unmatched};
use crate::plan::Plan;
use crate::record::{Class, Failure, Fingerprint, Verb};

pub const HOUR: i64 = 3_600_000;
/// How long the target remembers an idempotency key, and how long a search may miss a new record.
const TTL: i64 = 24 * HOUR;
pub const LAG: i64 = 1000;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Good,
    /// Nothing left the machine.
    NotSent,
    /// It arrived at nobody, and nobody answered.
    LostBefore,
    /// It was carried out, and nobody answered.
    LostAfter,
    Refused,
    Forbidden,
    /// The plug is pulled after T2, before the request; or after the request, before T3.
    CrashBefore,
    CrashAfter,
}

/// What the adversary does.
#[derive(Clone, Copy, Debug)]
pub enum Move {
    Change(u8),
    Scan,
    Work(Fate),
    /// Milliseconds pass.
    Wait(i64),
}

/// The target: one record is all that there should be.
#[derive(Default)]
struct Target {
    records: Vec<u8>,
    /// When each was created, for the search's lag.
    created: Vec<i64>,
    /// Idempotency keys: when each came first, and its record.
    keys: Vec<(u64, i64, usize)>,
    log: Vec<u8>,
}

/// One version in the outbox.
#[derive(Clone, Debug, Default)]
struct Entry {
    version: u8,
    key: u64,
    attempts: u32,
    first_sent: Option<i64>,
    /// A create may have arrived; durable before the request, as T2.
    in_doubt: bool,
    negative_reads: u32,
    /// When it is due.
    next: i64,
    /// A dead letter; ambiguous while `in_doubt`.
    dead: bool,
}

/// The engine, as far as the pure rooms decide for it. All of this is durable.
pub struct Toy {
    plan: &'static Plan,
    kind: Kind,
    now: i64,
    source: u8,
    history: Vec<u8>,
    target: Target,
    /// What is under way, and what waits behind it.
    open: Vec<Entry>,
    link: Option<usize>,
    /// The version that was dealt with last, and whether the target surely has it.
    applied: Option<(u8, bool)>,
    keys: u64,
}

fn raw(version: u8) -> Fingerprint {
    Fingerprint(u128::from(version) + 1)
}

impl Toy {
    pub fn new(kind: Kind) -> Self {
        Self {
            plan: &PLANS[kind as usize],
            kind,
            now: 0,
            source: 0,
            history: vec![0],
            target: Target::default(),
            open: Vec::new(),
            link: None,
            applied: None,
            keys: 0,
        }
    }

    pub fn play(&mut self, what: Move) {
        match what {
            Move::Change(version) if version != self.source => {
                self.source = version;
                self.history.push(version);
            }
            Move::Change(_) => {}
            Move::Scan => self.scan(),
            Move::Work(fate) => self.work(fate),
            Move::Wait(time) => self.now += time,
        }
        self.now += 1;
    }

    fn scan(&mut self) {
        let stage = |entry: &Entry| match entry.in_doubt {
            true => Stage::InDoubt,
            false => Stage::Unsent,
        };
        let newest = match (self.open.as_slice(), self.applied) {
            ([one], _) => Some((stage(one), one.version)),
            // What waits behind one in doubt waits with it.
            ([.., last], _) => Some((Stage::InDoubt, last.version)),
            ([], Some((version, _))) => Some((Stage::Applied, version)),
            ([], None) => None,
        };
        let newest = newest.map(|(stage, version)| Newest {
            stage,
            raw: raw(version),
            moment: None,
        });
        self.keys += 1;
        let entry = Entry {
            version: self.source,
            key: self.keys,
            ..Entry::default()
        };
        match observe(newest, raw(self.source), None) {
            Verdict::Unchanged => {}
            Verdict::Superseded => panic!("nothing here has an order"),
            Verdict::Fresh => self.open = vec![entry],
            Verdict::Behind => {
                self.open.truncate(1);
                self.open.push(entry);
            }
        }
    }

    /// Takes one step with the version under way.
    fn work(&mut self, fate: Fate) {
        let Some(entry) = self.open.first().filter(|e| !e.dead && e.next <= self.now) else {
            return;
        };
        if entry.in_doubt && self.link.is_none() {
            let attempt = self.attempt(Verb::Create, true);
            match lost_create(self.plan, attempt) {
                Next::Resend => return self.create(fate),
                Next::Resolve => return self.search(fate),
                Next::Ambiguous => return self.bury(),
                other => panic!("a create in doubt became {other:?}"),
            }
        }
        self.open[0].in_doubt = false;
        let surely = self
            .applied
            .is_some_and(|(version, surely)| surely && version == self.open[0].version);
        if surely {
            return self.done(self.link);
        }
        match route(self.plan, self.link.is_some()) {
            Step::Update => self.update(fate),
            Step::Upsert => self.upsert(fate),
            Step::Create => self.create(fate),
            Step::Find => match self.found() {
                Some(id) => self.link = Some(id),
                None if route_unmatched(self.plan) == Step::Create => self.create(fate),
                None => self.done(None),
            },
            Step::Skip => self.done(self.link),
        }
    }

    fn attempt(&self, verb: Verb, in_doubt: bool) -> Attempt {
        let entry = &self.open[0];
        Attempt {
            verb,
            attempts: entry.attempts,
            age_ms: 0,
            batched: false,
            sent_ms: self.now - entry.first_sent.unwrap_or(self.now),
            searchable: true,
            in_doubt,
        }
    }

    fn create(&mut self, fate: Fate) {
        let entry = &mut self.open[0];
        let noted_before = entry.in_doubt;
        entry.first_sent.get_or_insert(self.now);
        entry.in_doubt = true;
        let (version, key, now) = (entry.version, entry.key, self.now);
        let keyed = matches!(self.kind, Kind::Keyed | Kind::KeyedAndSearchable);
        let target = &mut self.target;
        let mut carry_out = || {
            let known = target
                .keys
                .iter()
                .find(|(k, at, _)| keyed && *k == key && now - at <= TTL)
                .map(|(_, _, id)| *id);
            known.unwrap_or_else(|| {
                target.records.push(version);
                target.created.push(now);
                target.log.push(version);
                target.keys.push((key, now, target.records.len() - 1));
                target.records.len() - 1
            })
        };
        match fate {
            Fate::Good => {
                let id = carry_out();
                self.done(Some(id));
            }
            Fate::CrashBefore => {}
            Fate::CrashAfter => drop(carry_out()),
            Fate::LostAfter => {
                carry_out();
                self.failed(Verb::Create, Class::Ambiguous, true, noted_before);
            }
            Fate::LostBefore => self.failed(Verb::Create, Class::Ambiguous, true, noted_before),
            Fate::NotSent => {
                self.open[0].in_doubt = noted_before;
                self.failed(Verb::Create, Class::Transient, false, noted_before);
            }
            // A create that arrived before is not refused when it comes again.
            Fate::Forbidden => self.failed(Verb::Create, Class::Forbidden, true, noted_before),
            Fate::Refused if noted_before => {
                self.failed(Verb::Create, Class::Ambiguous, true, noted_before)
            }
            Fate::Refused => self.failed(Verb::Create, Class::Permanent, true, noted_before),
        }
    }

    fn update(&mut self, fate: Fate) {
        let id = self.link.unwrap();
        self.write(Verb::Update, fate, id);
    }

    fn upsert(&mut self, fate: Fate) {
        if self.target.records.is_empty()
            && !matches!(
                fate,
                Fate::LostBefore
                    | Fate::NotSent
                    | Fate::CrashBefore
                    | Fate::Refused
                    | Fate::Forbidden
            )
        {
            self.target.records.push(self.open[0].version);
            self.target.created.push(self.now);
        }
        self.write(Verb::Upsert, fate, 0);
    }

    fn write(&mut self, verb: Verb, fate: Fate, id: usize) {
        let version = self.open[0].version;
        if matches!(fate, Fate::Good | Fate::LostAfter | Fate::CrashAfter) {
            self.target.records[id] = version;
            self.target.log.push(version);
        }
        match fate {
            Fate::Good => self.done(Some(id)),
            // A crash leaves the version in the outbox, and what is found there may have been sent.
            Fate::CrashBefore | Fate::CrashAfter => self.doubt(true),
            Fate::LostBefore | Fate::LostAfter => self.failed(verb, Class::Transient, true, false),
            Fate::NotSent => self.failed(verb, Class::Transient, false, false),
            Fate::Forbidden => self.failed(verb, Class::Forbidden, true, false),
            Fate::Refused => self.failed(verb, Class::Permanent, true, false),
        }
    }

    fn found(&self) -> Option<usize> {
        let seen = |at: &i64| self.now - at >= LAG;
        self.target.created.iter().position(seen)
    }

    /// Looks for what may have arrived. What is there is linked, and gets the version as an update.
    fn search(&mut self, fate: Fate) {
        if !matches!(fate, Fate::Good) {
            return;
        }
        match self.found() {
            Some(id) => self.link = Some(id),
            None if self.open[0].negative_reads == 0 => {
                self.open[0].negative_reads = 1;
                self.open[0].next = self.now + LAG;
            }
            None => {
                self.open[0].negative_reads = 0;
                self.open[0].in_doubt = false;
            }
        }
    }

    fn failed(&mut self, verb: Verb, class: Class, sent: bool, in_doubt: bool) {
        let failure = Failure::new(class, sent, "");
        let next = decide(self.plan, self.attempt(verb, in_doubt), &failure);
        let entry = &mut self.open[0];
        entry.attempts += 1;
        match next {
            Next::Hold => {}
            Next::Retry { in_doubt } => self.doubt(in_doubt && verb != Verb::Create),
            Next::Resend => {}
            Next::Resolve => entry.next = self.now + LAG,
            Next::Ambiguous => self.bury(),
            Next::Dead(_) => {
                entry.in_doubt = false;
                self.bury();
            }
            other => panic!("{verb:?} answered {class:?} became {other:?}"),
        }
    }

    /// What the target has is not known any more.
    fn doubt(&mut self, doubt: bool) {
        if let Some((_, surely)) = &mut self.applied
            && doubt
        {
            *surely = false;
        }
    }

    /// A dead letter: a definite one gives way to what waits behind it.
    fn bury(&mut self) {
        self.open[0].dead = true;
        if !self.open[0].in_doubt && self.open.len() > 1 {
            self.open.remove(0);
        }
    }

    fn done(&mut self, link: Option<usize>) {
        let entry = self.open.remove(0);
        self.link = link.or(self.link);
        self.applied = Some((entry.version, true));
    }

    pub fn check(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.target.records.len() <= 1, "created twice");
        // Versions may be left out and repeated, but never come in another order.
        let mut at = 0;
        for version in &self.target.log {
            let ahead = self.history[at..].iter().position(|v| v == version);
            prop_assert!(
                ahead.is_some(),
                "{:?} is no way through {:?}",
                self.target.log,
                self.history
            );
            at += ahead.unwrap_or_default();
        }
        Ok(())
    }

    /// Without any more trouble everything comes to rest, and the target has what the source has.
    pub fn settle(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..12 {
            self.play(Move::Scan);
            self.play(Move::Work(Fate::Good));
            self.play(Move::Wait(LAG));
            self.check()?;
        }
        match self.open.as_slice() {
            [] => prop_assert_eq!(&self.target.records, &[self.source]),
            [dead, ..] => {
                prop_assert!(dead.dead, "{:?} never comes to an end", self.open);
                let newest = self.open.last().map(|e| e.version);
                prop_assert_eq!(
                    newest,
                    Some(self.source),
                    "the dead letter is not the newest version"
                );
                prop_assert!(
                    !dead.in_doubt || matches!(self.kind, Kind::Blind | Kind::Keyed),
                    "only what cannot be found waits for a person"
                );
            }
        }
        Ok(())
    }
}
