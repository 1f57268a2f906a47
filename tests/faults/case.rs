//! A seed becomes a case: which guarantee on which store, under which fault, and every later choice. Pure;
//! a choice depends on the seed and on what is asked for, never on the order in which requests come.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// What the target lets a client do about a create whose answer was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Guarantee {
    Repeatable,
    IdempotencyKey,
    Searchable,
    /// `onAmbiguous: Hold`.
    BlindHold,
    /// `onAmbiguous: Retry`, which may create twice and says so.
    BlindRetry,
}

pub const GUARANTEES: [Guarantee; 5] = [
    Guarantee::Repeatable,
    Guarantee::IdempotencyKey,
    Guarantee::Searchable,
    Guarantee::BlindHold,
    Guarantee::BlindRetry,
];

/// Where the engine keeps what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub const KINDS: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    LostReply,
    LateReply,
    NotCarriedOut,
    Throttled,
    Refused,
    Conflict,
    Token,
    Pages,
    Changes,
    Webhooks,
    Feed,
    Vanishing,
    Crash,
    Takeover,
    Store,
    Clock,
    Twins,
    Everything,
}

pub const FAULTS: [Fault; 18] = [
    Fault::LostReply,
    Fault::LateReply,
    Fault::NotCarriedOut,
    Fault::Throttled,
    Fault::Refused,
    Fault::Conflict,
    Fault::Token,
    Fault::Pages,
    Fault::Changes,
    Fault::Webhooks,
    Fault::Feed,
    Fault::Vanishing,
    Fault::Crash,
    Fault::Takeover,
    Fault::Store,
    Fault::Clock,
    Fault::Twins,
    Fault::Everything,
];

impl Guarantee {
    /// As the table says it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Repeatable => "Repeatable",
            Self::IdempotencyKey => "IdempotencyKey",
            Self::Searchable => "Searchable",
            Self::BlindHold => "Blind, Hold",
            Self::BlindRetry => "Blind, Retry",
        }
    }
}

impl Fault {
    /// As the table says it.
    pub fn title(self) -> &'static str {
        match self {
            Self::LostReply => "the write is carried out and its reply is lost (reset, 500, no id)",
            Self::LateReply => "the reply comes after the timeout",
            Self::NotCarriedOut => {
                "the write is not carried out (reset, 408, 425, 500, 502, 503, 504), and somebody else may do it"
            }
            Self::Throttled => "429, 503 with Retry-After, 403 with a used-up quota",
            Self::Refused => {
                "400, 403, 413, 415, 422; some records are refused for good, also after a lost reply or a crash"
            }
            Self::Conflict => "409, 412, 404 and 410 of a record that is gone",
            Self::Token => "tokens expire (401)",
            Self::Pages => "pages are repeated, cut short, shifted, from an old replica",
            Self::Changes => "records change meanwhile, also A → B → A",
            Self::Webhooks => "webhooks are lost, repeated, late, in another order",
            Self::Feed => {
                "a feed of changes fails, repeats entries, gives few at a time, forgets; its records cannot be fetched; the engine ends at any commit, page or write"
            }
            Self::Vanishing => {
                "records are deleted while they are listed, so that rows slide into pages already read, and some come back"
            }
            Self::Crash => "the engine ends at any commit, page or write; commits are slow",
            Self::Takeover => "another worker takes over while the first still commits",
            Self::Store => {
                "commits fail (database locked, disk full, connection lost), or their answer is lost"
            }
            Self::Clock => {
                "the engine's clock jumps by hours, forward and back, between two runs and within one"
            }
            Self::Twins => "records with one match value, with lost replies and crashes",
            Self::Everything => "everything at once",
        }
    }
}

/// One life of an engine between two systems.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub seed: u64,
    pub guarantee: Guarantee,
    pub store: Kind,
    pub fault: Fault,
    /// Records tell when they were changed.
    pub ordered: bool,
    /// Only what was changed is read; needs `ordered`.
    pub cursor: bool,
    /// Resolution of that time in milliseconds.
    pub granularity: i64,
    pub hook: Option<Hook>,
    /// The source has a feed of changes.
    pub feed: Option<Feed>,
    /// Records vanish from the source: what its list does not show counts as deleted, or its feed tells.
    pub vanishes: bool,
    /// The source answers for single records.
    pub gets: bool,
    /// Several records have one match value.
    pub twins: bool,
    /// Creates have an idempotency key, and records can be looked for as well.
    pub finds: bool,
    /// Updates and creates under way at once.
    pub concurrency: u64,
}

/// How the source's webhook speaks of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Fetch,
    Payload,
}

/// How a feed is told where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// By the number of an entry.
    Number,
    /// By a token of its last page.
    Token,
}

impl Case {
    pub fn of(seed: u64) -> Self {
        let (cell, turn) = (seed % 10, seed / 10 % 26);
        let guarantee = GUARANTEES[cell as usize % 5];
        let mut fault = FAULTS[(turn as usize).min(FAULTS.len() - 1)];
        let searches = matches!(guarantee, Guarantee::Searchable | Guarantee::IdempotencyKey);
        if fault == Fault::Twins && !searches {
            fault = Fault::Everything;
        }
        let dice = Dice(seed);
        let all = fault == Fault::Everything;
        let ordered = dice.roll("ordered", 0, 2) == 0;
        let hook = match dice.roll("hook", 0, 2) {
            _ if fault != Fault::Webhooks && !(all && dice.chance("hooks", 0, 40)) => None,
            0 if ordered => Some(Hook::Payload),
            _ => Some(Hook::Fetch),
        };
        let feed = match dice.roll("feed", 0, 2) {
            _ if fault != Fault::Feed
                && !(all && hook.is_none() && dice.chance("feeds", 0, 25)) =>
            {
                None
            }
            0 => Some(Feed::Number),
            _ => Some(Feed::Token),
        };
        let vanishes = match feed {
            // A row that slides into a page already read is told of by no feed.
            Some(_) => ordered && dice.chance("vanishes", 0, 40),
            None => fault == Fault::Vanishing || (all && dice.chance("vanishes", 0, 30)),
        };
        Self {
            vanishes,
            // What no list shows is kept only because get finds it.
            gets: hook.is_some() || feed.is_some() || !vanishes || dice.chance("gets", 0, 60),
            seed,
            guarantee,
            store: KINDS[cell as usize / 5],
            fault,
            ordered,
            // With a cursor only a full refresh can tell what is absent, and here is none.
            cursor: ordered && !vanishes && feed.is_none() && dice.chance("cursor", 0, 75),
            granularity: if dice.chance("granularity", 0, 50) {
                1000
            } else {
                1
            },
            hook,
            feed,
            finds: guarantee == Guarantee::IdempotencyKey
                && (all || fault == Fault::Refused)
                && dice.chance("finds", 0, 50),
            twins: fault == Fault::Twins || (all && searches && dice.chance("twins", 0, 25)),
            concurrency: [1, 2, 4, 8][dice.roll("concurrency", 0, 4) as usize],
        }
    }

    /// How long a created record stays invisible to the search; the manifests allow for twice as much. Who
    /// shares a match value must not be seen in time by mere luck.
    pub fn index_lag(&self) -> Duration {
        Duration::from_millis(if self.twins { 60 } else { 10 })
    }

    pub fn dice(&self) -> Dice {
        Dice(self.seed)
    }

    /// Whether this fault is at work, by itself or among all others.
    pub fn has(&self, fault: Fault) -> bool {
        self.fault == fault || self.fault == Fault::Everything
    }

    /// Whether records are looked for in the target.
    pub fn searches(&self) -> bool {
        self.guarantee == Guarantee::Searchable
            || (self.guarantee == Guarantee::IdempotencyKey && (self.twins || self.finds))
    }
}

/// Chance from a seed.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A number below `below` for the n-th time that `what` is asked for.
    pub fn roll(self, what: &str, nth: u64, below: u64) -> u64 {
        xxh3_64_with_seed(format!("{what}/{nth}").as_bytes(), self.0) % below
    }

    pub fn chance(self, what: &str, nth: u64, percent: u64) -> bool {
        self.roll(what, nth, 100) < percent
    }
}
