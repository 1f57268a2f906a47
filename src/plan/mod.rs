//! Resolved specs become a [`Plan`]: a value with nothing left to decide, or a list of [`Problem`]s.
//! Pure: no I/O, no clock, no `async fn`. Made by the controller and by `cli`, run by `worker`.

mod absence;
mod amount;
pub mod connection;
mod failures;
mod guarantee;
mod lookups;
mod matching;
mod operations;
mod removal;
mod resources;
mod schedule;
pub mod suggest;
mod sync;
#[cfg(test)]
mod tests;
mod validate;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::expression::{Expression, Path};
use crate::mapping::Mapping;
use crate::record::{Fingerprint, SyncName};

pub use crate::api::sync::{OnAmbiguous, OnGone, OnMany, OnNone, OnShared, WriteMode};
pub use amount::Amount;
pub use connection::{AuthPlan, ConnectionPlan, Grant, ObjectPlan};
pub use failures::{FailurePlan, SuspectAt};
pub use removal::{DeleteGuard, RemovalPlan, RemovalPlans};
pub use schedule::Schedule;
pub use validate::{
    Checked, Compiled, ResourceName, Resources, check, compile, compile_connection,
    compile_mapping, compile_with, connection_of,
};

/// Whether a problem keeps a Sync from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It runs, perhaps not as meant.
    Warning,
}

/// What is wrong with a resource, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `Sync/customers-to-crm`.
    pub resource: String,
    /// `spec.target.object`; empty for the resource as a whole.
    pub field: String,
    /// What is wrong and what to do, in one line.
    pub message: String,
    pub severity: Severity,
}

impl Problem {
    /// A problem that keeps the resource from being used.
    pub fn error(
        resource: impl Into<String>,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        // Parsers draw the place below their first line; a problem is one line.
        let mut message: String = message.into();
        if let Some(end) = message.find('\n') {
            message.truncate(end);
        }
        Self {
            resource: resource.into(),
            field: field.into(),
            message,
            severity: Severity::Error,
        }
    }

    /// A problem that the resource can be used with.
    pub fn warning(
        resource: impl Into<String>,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(resource, field, message)
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "{}: {}", self.resource, self.message),
            field => write!(f, "{}: {field}: {}", self.resource, self.message),
        }
    }
}

/// One Sync with everything it refers to, resolved and compiled.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: SyncName,
    /// Of all that decides what a source record becomes: mapping, `where`, lookups. A record whose
    /// fingerprint under this hash is known needs no mapping.
    pub hash: Fingerprint,
    /// Of both systems' base URLs, settings, objects and keys: state is only used by the Plan that
    /// has the same identity (a sandbox URL that became production has another).
    pub identity: Fingerprint,
    pub source: Endpoint,
    pub target: Endpoint,
    /// The source's webhook whose events flow too.
    pub webhook: Option<Arc<connection::WebhookPlan>>,
    /// Which source records take part; all when absent.
    pub filter: Option<Expression>,
    pub backfill: Backfill,
    pub mapping: Arc<Mapping>,
    pub lookups: Vec<LookupPlan>,
    /// The `${source.…}` paths that the target's operations use.
    pub source_paths: Vec<Path>,
    pub matching: Option<MatchPlan>,
    pub write: WritePlan,
    pub guarantees: Guarantees,
    pub failures: FailurePlan,
    pub trigger: TriggerPlan,
    /// The oldest that the target may be.
    pub max_age: Duration,
    pub suspend: bool,
}

/// One side of a Sync.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub connection: Arc<ConnectionPlan>,
    pub object: Arc<ObjectPlan>,
}

/// What the first run does with the records that exist already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backfill {
    /// Every record flows.
    All,
    /// Records that exist at the first scan are noted as seen and not written.
    None,
    /// The first scan begins at this moment.
    Since(crate::record::Moment),
}

/// A lookup's name and the Sync whose links answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupPlan {
    pub name: String,
    pub sync: SyncName,
}

/// How an unlinked source record is recognized in the target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchPlan {
    pub fields: Vec<MatchField>,
    pub on_none: OnNone,
    pub on_many: OnMany,
    pub on_shared: OnShared,
}

impl MatchPlan {
    /// Whether a value of the mapped record takes part.
    pub fn looks_at_mapped(&self) -> bool {
        self.fields.iter().any(|field| field.source.is_none())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchField {
    /// Path in the source record; `None`: the value is what the Mapping writes at `target`.
    pub source: Option<Path>,
    /// Path in the target record; `${match.TARGET}` in `find` stands for the value.
    pub target: Path,
    pub ignore_case: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WritePlan {
    pub mode: WriteMode,
    pub on_gone: OnGone,
    pub on_ambiguous: OnAmbiguous,
    /// What becomes of target records whose source records are gone, or have left.
    pub removals: RemovalPlans,
}

/// What can be promised about sending an operation again, from weakest wish to strongest fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guarantee {
    /// Sending it again changes nothing: updates by id, upserts by a natural key.
    Repeatable,
    /// The target drops a repeated key.
    IdempotencyKey,
    /// A lost answer is resolved by reading the target.
    Searchable,
    /// A lost answer cannot be resolved by a machine.
    Blind,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Repeatable => "Repeatable",
            Self::IdempotencyKey => "IdempotencyKey",
            Self::Searchable => "Searchable",
            Self::Blind => "Blind",
        })
    }
}

/// The guarantee of each operation that the Sync may use; `None`: it is never used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guarantees {
    pub create: Option<Guarantee>,
    pub update: Option<Guarantee>,
    pub upsert: Option<Guarantee>,
    pub delete: Option<Guarantee>,
}

#[derive(Clone, Debug)]
pub struct TriggerPlan {
    /// When runs start.
    pub runs: Schedule,
    /// When scans start that read everything, whatever the cursor says.
    pub full_refresh: Option<Schedule>,
}
