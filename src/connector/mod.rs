//! Talks to one system over HTTP: requests, credentials, pages, limits, retries of reads, and the
//! meaning of answers. Knows no store and no Kubernetes. Used by `worker`, `runtime` and `cli`.

mod adaptive;
mod auth;
mod batch;
mod batch_body;
mod batch_plain;
mod body;
mod build;
mod circuit;
mod classify;
mod client;
mod dial;
mod failure;
mod fence;
#[cfg(test)]
mod fuzz_tests;
mod guard;
mod hidden;
mod limit;
mod login;
mod pages;
mod probe;
mod read;
mod retry;
mod retry_after;
mod stall;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod unpack;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Value;

use crate::expression::RecordText;
use crate::plan::{ConnectionPlan, ObjectPlan};
use crate::record::{Failure, Moment, TargetId};
use crate::telemetry::ConnectionMeter;

pub use fence::Fence;
pub use guard::Guard;
pub use pages::PageReader;
pub use probe::Question;
pub use read::Look;
pub use transport::innermost;

/// Time from a rejected credential to the next try, where the Connection has no probe.
const FIRST_TRY: Duration = Duration::from_secs(300);
/// The longest that a request waits for a system that asks for fewer requests.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Why the value of a Secret cannot be had, in one line for a person that never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    /// It is not there, or is no credential: a person has to do something.
    #[error("{0}")]
    Missing(String),
    /// Where Secrets are kept cannot be asked now.
    #[error("{0}")]
    Unavailable(String),
}

/// Where credentials come from: a cluster's Secrets, or manifests, variables and files.
pub trait SecretSource: Send + Sync {
    /// The value of `key` in the Secret `namespace/name`.
    fn read(
        &self,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> BoxFuture<'_, Result<SecretString, NoSecret>>;

    /// How long a value may be used before it is read again. A source that tells of changes
    /// ([`Connector::forget_credential`]) may allow more than one that doesn't.
    fn fresh_for(&self) -> Duration {
        Duration::from_secs(5)
    }
}

/// Where rotated refresh tokens are kept between processes, sealed by the implementation.
pub trait TokenStore: Send + Sync {
    /// The token last saved for this Connection together with the fingerprint of the Secret that it
    /// grew from (a changed Secret wins over it).
    fn load(
        &self,
        connection: &str,
    ) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>>;
    fn save(
        &self,
        connection: &str,
        origin: String,
        token: SecretString,
    ) -> BoxFuture<'_, Result<(), String>>;
}

/// Where a scan begins.
#[derive(Clone, Debug, Default)]
pub struct ScanStart {
    /// Field cursor: the watermark, before the overlap is subtracted. `None` reads everything.
    pub since: Option<Moment>,
    /// The same for each parent of a `forEach` that a completed scan has read; `since` holds for no
    /// parent then but bounds these.
    pub parents: Arc<Parents>,
    /// Where a parent begins that no completed scan has read; `None`: at the cursor's `start`.
    pub new_parents: Option<Moment>,
    /// Token cursor: what the last scan ended with.
    pub token: Option<String>,
    /// Position after the last committed page, to go on with an interrupted scan.
    pub resume: Option<Value>,
    /// Reads the object's `changes` instead of its list. A feed that has forgotten where it is to be read from is
    /// not read from its beginning: it fails with [`crate::record::Class::Gone`].
    pub feed: bool,
}

/// What each parent's list was read up to. A parent is named by a hash of what is used of it.
pub type Parents = std::collections::HashMap<u64, Moment>;

/// One page of a scan.
#[derive(Debug)]
pub struct Page {
    /// The raw JSON of each record.
    pub records: Vec<RecordText>,
    /// Where to go on after this page.
    pub position: Value,
    /// Nothing follows.
    pub last: bool,
    /// Token cursor: what the next scan begins with (on the last page).
    pub token: Option<String>,
    /// Parents whose lists were read to their end since the page before.
    pub parents: Vec<u64>,
    /// What was left out since the page before: answers that a rule ignores, parents that were passed over, records
    /// of which the list's filter cannot be told. 0: every record was seen.
    pub ignored: u32,
}

pub use crate::record::Verb;

/// One record of a write.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The target record, for updates.
    pub id: Option<&'a TargetId>,
    /// The mapped record, JSON object text.
    pub body: &'a [u8],
    /// The values that `${source.…}` stands for in the operation, JSON object text; empty for none.
    pub source: &'a [u8],
}

/// One request: one record, or several where the operation has a batch.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    pub verb: Verb,
    pub items: &'a [Item<'a>],
    pub idempotency_key: Option<&'a str>,
    /// Don't send it later than this, however long the limits take: the key may be forgotten then.
    pub not_after: Option<Instant>,
    /// Don't send it once this is closed, however long the limits take: somebody else may have begun then.
    pub fence: Option<&'a Fence>,
}

/// What the target did with one record.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// The id of a created or upserted record, when the answer tells it.
    pub id: Option<TargetId>,
    /// What the record held before, where a rehearsal read it.
    pub before: Option<Value>,
}

/// The target's answer to a write.
#[derive(Debug)]
pub enum Answer {
    /// One result for each item, in order.
    Items(Vec<Result<Done, Failure>>),
    /// The request failed as a whole.
    Whole(Failure),
}

/// A record that `find` or `get` returned.
#[derive(Clone, Debug)]
pub struct Found {
    pub id: TargetId,
    pub record: Value,
}

/// One system, shared by all Syncs that use its Connection: cheap to clone.
#[derive(Clone)]
pub struct Connector {
    inner: Arc<Inner>,
}

struct Inner {
    plan: Arc<ConnectionPlan>,
    base: build::Base,
    transport: transport::Transport,
    auth: auth::Authenticator,
    limiter: limit::Limiter,
    circuit: circuit::Circuit,
    stall: stall::Stall,
    budget: retry::Budget,
    meter: Arc<ConnectionMeter>,
    /// The longest that a request waits for a system that asks for fewer.
    longest_wait: Duration,
}

impl Connector {
    /// Makes the one client of a Connection. Nothing is sent and no secret is read yet. Limits, circuit
    /// and credentials are shared by all clones, so there is one connector for each Connection.
    pub fn new(
        plan: Arc<ConnectionPlan>,
        secrets: Arc<dyn SecretSource>,
        tokens: Arc<dyn TokenStore>,
        guard: Guard,
    ) -> Result<Self, Failure> {
        Self::metered(plan, secrets, tokens, guard, Arc::default())
    }

    /// As [`Connector::new`], with the figures that it adds to.
    pub fn metered(
        plan: Arc<ConnectionPlan>,
        secrets: Arc<dyn SecretSource>,
        tokens: Arc<dyn TokenStore>,
        guard: Guard,
        meter: Arc<ConnectionMeter>,
    ) -> Result<Self, Failure> {
        let inner = Inner {
            base: build::Base::new(&plan)?,
            transport: transport::Transport::new(&plan, Arc::new(guard))?,
            auth: auth::Authenticator::new(Arc::clone(&plan), secrets, tokens),
            limiter: limit::Limiter::new(&plan),
            circuit: circuit::Circuit::default(),
            stall: stall::Stall::new(plan.probe.as_ref().map_or(FIRST_TRY, |p| p.interval)),
            budget: retry::Budget::new(),
            meter,
            longest_wait: LONGEST_WAIT,
            plan,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Lets no request wait longer than this for a system that asks for fewer: it fails then. Default:
    /// 24 h. For a connector that was made just now; a clone changes nothing any more.
    #[must_use]
    pub fn waiting_at_most(mut self, longest: Duration) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.longest_wait = longest.min(LONGEST_WAIT);
        }
        self
    }

    /// Most writes that are worth having under way at once.
    pub fn concurrency(&self) -> usize {
        self.inner.plan.concurrency
    }

    /// How long until the circuit lets a request through; `None`: now.
    pub fn blocked_for(&self) -> Option<Duration> {
        self.inner.circuit.blocked_for(Instant::now())
    }

    /// Reads the object's list, or its feed of changes, from `start`.
    pub fn pages(&self, object: Arc<ObjectPlan>, start: ScanStart) -> PageReader {
        PageReader::new(self.clone(), object, start)
    }
}
