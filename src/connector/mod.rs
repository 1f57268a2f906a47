//! Talks to one system over HTTP: requests, credentials, pages, limits, retries of reads, and the
//! meaning of answers. Knows no store and no Kubernetes. Used by `worker`, `runtime` and `cli`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Value;

use crate::plan::{ConnectionPlan, ObjectPlan};
use crate::record::{Failure, Moment, TargetId};

/// Where credentials come from: a cluster's Secrets, or manifests, variables and files.
pub trait SecretSource: Send + Sync {
    /// The value of `key` in the Secret `namespace/name`; the error is one line for a person and never
    /// holds a value.
    fn read(&self, namespace: &str, name: &str, key: &str) -> BoxFuture<'_, Result<SecretString, String>>;
}

/// Where rotated refresh tokens are kept between processes, sealed by the implementation.
pub trait TokenStore: Send + Sync {
    /// The token last saved for this Connection together with the fingerprint of the Secret that it
    /// grew from (a changed Secret wins over it).
    fn load(&self, connection: &str) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>>;
    fn save(&self, connection: &str, origin: String, token: SecretString) -> BoxFuture<'_, Result<(), String>>;
}

/// Where a scan begins.
#[derive(Clone, Debug, Default)]
pub struct ScanStart {
    /// Field cursor: the watermark, before the overlap is subtracted. `None` reads everything.
    pub since: Option<Moment>,
    /// Token cursor: what the last scan ended with.
    pub token: Option<String>,
    /// Position after the last committed page, to go on with an interrupted scan.
    pub resume: Option<Value>,
}

/// One page of a scan.
#[derive(Debug)]
pub struct Page {
    /// The raw JSON of each record.
    pub records: Vec<Bytes>,
    /// Where to go on after this page.
    pub position: Value,
    /// Nothing follows.
    pub last: bool,
    /// Token cursor: what the next scan begins with (on the last page).
    pub token: Option<String>,
    /// Whether every record of the parents and pages was seen (no answer was ignored by a rule).
    pub ignored: u32,
}

/// Reads an object page by page.
pub struct PageReader {}

impl PageReader {
    /// The next page; `None` after the last. Temporary failures are retried inside, within bounds.
    pub async fn next(&mut self) -> Result<Option<Page>, Failure> {
        Ok(None)
    }
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
}

/// What the target did with one record.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// The id of a created or upserted record, when the answer tells it.
    pub id: Option<TargetId>,
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
    plan: Arc<ConnectionPlan>,
}

impl Connector {
    /// Most writes that are worth having under way at once.
    pub fn concurrency(&self) -> usize {
        self.plan.concurrency
    }

    /// How long until the circuit lets a request through; `None`: now.
    pub fn blocked_for(&self) -> Option<Duration> {
        None
    }

    /// Reads the object's list from `start`.
    pub fn pages(&self, object: Arc<ObjectPlan>, start: ScanStart) -> PageReader {
        let _ = (object, start);
        PageReader {}
    }

    /// One record by its id; `None` when the system says 404 or 410.
    pub async fn get(&self, object: &ObjectPlan, id: &TargetId) -> Result<Option<Found>, Failure> {
        let _ = (object, id);
        Ok(None)
    }

    /// The records that `find` returns for these match values (an object: target path → value).
    pub async fn find(&self, object: &ObjectPlan, matching: &Value, source: &Value) -> Result<Vec<Found>, Failure> {
        let _ = (object, matching, source);
        Ok(vec![])
    }

    /// Sends one write. Waits for the limits first; a rate-limited answer is waited out and sent again.
    /// Everything else that fails is the caller's to decide.
    pub async fn write(&self, object: &ObjectPlan, write: Write<'_>) -> Answer {
        let _ = (object, write);
        Answer::Items(vec![])
    }
}
