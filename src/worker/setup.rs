//! What a worker is given, what it shows while it runs, and why it may end early.
//! Data only; used by `runtime`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::connector::{Connector, Fence};
use crate::plan::{DeleteGuard, Plan};
use crate::record::{Class, Failure};
use crate::state::{Counts, Store, StoreError};
use crate::telemetry::SyncMeter;

use super::target::Target;
use super::witness::Witness;

/// How a worker runs.
#[derive(Clone, Debug)]
pub enum Mode {
    /// One run: a scan and all that follows from it. Retries are waited for until this long after
    /// the last progress.
    Once { patience: Duration },
    /// Runs forever, a scan at each interval.
    Watch,
}

/// What a worker needs beside its Plan.
#[derive(Clone)]
pub struct Setup {
    pub plan: Arc<Plan>,
    pub source: Connector,
    pub target: Target,
    pub store: Arc<dyn Store>,
    pub board: Arc<Board>,
    pub progress: Arc<Progress>,
    /// Is told what becomes of each record.
    pub witness: Option<Arc<dyn Witness>>,
    pub mode: Mode,
    /// Begins with a scan; otherwise only what was left over is dealt with.
    pub scan: bool,
    /// Reads everything in the next scan, whatever the cursor says.
    pub full: bool,
    pub allow_deletes: AllowDeletes,
    pub stop: watch::Receiver<bool>,
    pub fence: Fence,
}

/// What a person said about removals that the delete guard holds back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowDeletes {
    #[default]
    No,
    /// Those that this token names.
    These(String),
    /// All of this run.
    All,
}

/// How often something new was received, by Connection.
pub type News = std::collections::BTreeMap<String, u64>;

/// Tells the workers of one process that links were made, and that something was told.
#[derive(Debug)]
pub struct Board {
    pub(super) links: watch::Sender<u64>,
    /// How often something new was received for each Connection (`NAMESPACE/NAME`).
    pub news: watch::Sender<News>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            links: watch::Sender::new(0),
            news: watch::Sender::new(News::new()),
        }
    }
}

impl Board {
    /// Raised by every link that is made.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.links.subscribe()
    }
}

/// Live figures of a worker, for progress bars and metrics.
#[derive(Debug, Default)]
pub struct Progress {
    pub read: AtomicU64,
    pub created: AtomicU64,
    pub updated: AtomicU64,
    pub deleted: AtomicU64,
    pub unchanged: AtomicU64,
    pub skipped: AtomicU64,
    pub superseded: AtomicU64,
    pub dead: AtomicU64,
    /// Records on their way.
    pub open: AtomicU64,
    /// What is added up over all runs.
    meter: Arc<SyncMeter>,
}

impl Progress {
    /// Figures that are also added to those of the Sync.
    pub fn metered(meter: Arc<SyncMeter>) -> Self {
        Self {
            meter,
            ..Self::default()
        }
    }

    /// The figures of the Sync over all runs.
    pub fn meter(&self) -> &SyncMeter {
        &self.meter
    }

    pub(super) fn show(&self, counts: &Counts, open: usize) {
        for (cell, value) in [
            (&self.read, counts.read),
            (&self.created, counts.created),
            (&self.updated, counts.updated),
            (&self.deleted, counts.deleted),
            (&self.unchanged, counts.unchanged),
            (&self.skipped, counts.skipped),
            (&self.superseded, counts.superseded),
            (&self.dead, counts.dead),
            (&self.open, open as u64),
        ] {
            cell.store(value, Ordering::Relaxed);
        }
    }
}

/// Why a run ended early. What was confirmed is kept; the next run goes on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("reading {object} of Connection {connection}: {failure}")]
    Source {
        connection: String,
        object: String,
        failure: Failure,
    },
    #[error("writing {object} of Connection {connection}: {failure}")]
    Target {
        connection: String,
        object: String,
        failure: Failure,
    },
    #[error(
        "{count} records of Connection {connection} object {object} would be deleted or set, because their source \
         records are gone or have left: more than write.deleteGuard {guard} allows ({most} of {linked} linked), so none \
         is. Correct the source, and what it shows again is kept; or allow these once: run with --allow-deletes SYNC, in \
         a cluster with the annotation syncline.dev/allowDeletes: {token}"
    )]
    DeleteGuard {
        connection: String,
        object: String,
        count: u64,
        guard: DeleteGuard,
        most: u64,
        linked: u64,
        token: String,
    },
    #[error(
        "{count} records of Connection {connection} object {object} are gone from the target (404): is it another \
         tenant, or was it emptied? Nothing more is recreated; look at the target, then run again"
    )]
    TargetSuspect {
        connection: String,
        object: String,
        count: u64,
    },
    #[error(
        "{whose} {rejected} of {of} records of this run, most often {reason} ({count}), so the Sync pauses before more \
         become dead letters. Correct the Mapping, or Connection {connection} object {object}: with a changed manifest it \
         goes on, and `syncline deadletters replay {sync} --all` sends what was rejected. To go on as it is, run it again \
         (in a cluster: syncline sync now {sync}), or raise failures.suspectMappingAt"
    )]
    MappingSuspect {
        /// Who says no, as the beginning of a sentence.
        whose: &'static str,
        sync: Box<str>,
        connection: Box<str>,
        object: Box<str>,
        rejected: u64,
        of: u64,
        reason: Box<str>,
        count: u64,
    },
}

impl RunError {
    /// Whether the next run fails as well, unless somebody corrects something first.
    pub fn needs_a_person(&self) -> bool {
        match self {
            Self::Store(
                StoreError::Locked { .. }
                | StoreError::Busy { .. }
                | StoreError::Fenced { .. }
                | StoreError::Running { .. }
                | StoreError::Lost { .. }
                | StoreError::Unreachable { .. },
            ) => false,
            Self::Store(_)
            | Self::TargetSuspect { .. }
            | Self::DeleteGuard { .. }
            | Self::MappingSuspect { .. } => true,
            Self::Source { failure, .. } | Self::Target { failure, .. } => matches!(
                failure.class,
                Class::Authentication | Class::Configuration | Class::Forbidden
            ),
        }
    }
}
