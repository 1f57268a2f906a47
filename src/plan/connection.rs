//! A Connection, checked and compiled: everything the connector needs to talk to one system.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expression::{Expression, Path, Template};
use crate::record::{Key, KeyError, Moment, TargetId};

/// One system.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConnectionPlan {
    pub namespace: String,
    pub name: String,
    /// Base URL with `${settings.…}` resolved, without a trailing slash.
    pub base_url: String,
    pub settings: Value,
    /// Most requests under way at once (default 16).
    pub concurrency: usize,
}

/// One kind of record of a system and the operations on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectPlan {
    pub name: String,
    /// Paths of the fields that identify a record, in order.
    pub key: Vec<Path>,
    /// Orders two versions of one record.
    pub modified: Option<MomentPlan>,
    pub list: Option<ListPlan>,
    pub get: Option<Operation>,
    pub find: Option<FindPlan>,
    pub create: Option<CreatePlan>,
    pub update: Option<UpdatePlan>,
    pub upsert: Option<UpsertPlan>,
}

impl ObjectPlan {
    /// The key of one of this object's records.
    pub fn read_key(&self, record: &Value) -> Result<Key, KeyError> {
        let names: Vec<String> = self.key.iter().map(ToString::to_string).collect();
        Key::from_values(names.iter().map(String::as_str).zip(self.key.iter().map(|p| p.get(record))))
    }

    /// The id of one of this object's records, as a target: the value of its key field with its type,
    /// or an array of them.
    pub fn read_id(&self, record: &Value) -> Option<TargetId> {
        let mut parts: Vec<Value> = self.key.iter().map(|p| p.get(record).cloned()).collect::<Option<_>>()?;
        let value = if parts.len() == 1 { parts.pop()? } else { Value::Array(parts) };
        TargetId::from_value(&value)
    }
}

/// Where a moment stands in a record and how it is written there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MomentPlan {
    pub path: Path,
    pub formats: Vec<MomentFormat>,
}

impl MomentPlan {
    /// The moment of a record; `None` when it is missing or written in no known format.
    pub fn read(&self, record: &Value) -> Option<Moment> {
        let _ = record;
        None
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MomentFormat {
    Rfc3339,
    UnixSeconds,
    UnixMillis,
    Integer,
    Text,
    /// A strftime pattern; without an offset in it, UTC.
    Pattern(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListPlan {
    pub request: Operation,
    pub cursor: Option<CursorPlan>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CursorPlan {
    pub moment: MomentPlan,
    pub overlap: Duration,
}

/// One request shape for every operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Operation {
    pub method: String,
    pub path: Template,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindPlan {
    pub request: Operation,
    /// How long a created record may stay invisible to `find`.
    pub index_lag: Duration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreatePlan {
    pub request: Operation,
    /// How long the target remembers an idempotency key; `None`: it takes none.
    pub idempotency_ttl: Option<Duration>,
    pub batch: Option<BatchPlan>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdatePlan {
    pub request: Operation,
    /// Send only fields that differ from what was sent last.
    pub changed_fields: bool,
    pub batch: Option<BatchPlan>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpsertPlan {
    pub request: Operation,
    pub batch: Option<BatchPlan>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchPlan {
    /// Most records in one request.
    pub max: usize,
}

/// An expression that classifies an answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResponseRule {
    pub when: Expression,
}
