//! The table of all metrics: name, kind, labels, meaning. `metrics` encodes by it, and the reference in
//! `docs/observability.md` is generated from it.

use std::fmt::Write as _;

use prometheus_client::metrics::MetricType;

/// Stands before every name.
pub const PREFIX: &str = "syncline";

/// One metric with all its series.
#[derive(Debug)]
pub struct Family {
    /// Without the prefix, and without the `_total` of counters.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    /// One sentence without a full stop.
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram => MetricType::Histogram,
        }
    }
}

macro_rules! families {
    ($($id:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub const $id: Family = Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*
        /// All of them, as the reference shows them.
        pub const ALL: &[Family] = &[$($id),*];
    };
}

families! {
    SYNC_RECORDS = Counter "sync_records" ["namespace", "sync", "outcome"]
        "Records by what became of them: read from the source, then created, updated, deleted, unchanged, skipped, superseded by a newer version, or dead (a dead letter was made)";
    SYNC_RECORDS_OPEN = Gauge "sync_records_open" ["namespace", "sync", "state"]
        "Records that are not settled: in_flight now, retrying after a failure that may pass, unknown (no answer to a create is known), waiting for a link of another Sync, held back by the delete guard";
    SYNC_DEAD_LETTERS = Gauge "sync_dead_letters" ["namespace", "sync", "reason"]
        "Open dead letters by reason";
    SYNC_DEAD_LETTERS_EXPIRED = Counter "sync_dead_letters_expired" ["namespace", "sync"]
        "Dead letters dropped because they were older than failures.deadLetterRetention or more than failures.deadLetterLimit";
    SYNC_FRESHNESS_AGE = Gauge "sync_freshness_age_seconds" ["namespace", "sync"]
        "How old the newest state is that the target surely shows: since the start of the last completed scan, or since the oldest record that is pending, unknown, waiting or retrying was first seen; absent before the first completed scan";
    SYNC_FRESHNESS_MAX_AGE = Gauge "sync_freshness_max_age_seconds" ["namespace", "sync"]
        "The objective of that age, freshness.maxAge; absent while the Sync is suspended";
    SYNC_SUSPENDED = Gauge "sync_suspended" ["namespace", "sync"]
        "1 while spec.suspend is true";
    SYNC_STALLED = Gauge "sync_stalled" ["namespace", "sync"]
        "1 while the Sync needs a person: its condition Stalled says why";
    SYNC_RUNS = Counter "sync_runs" ["namespace", "sync", "outcome"]
        "Runs that have ended: Succeeded, Incomplete (work is left for the next one) or Failed; with run --watch, a run lasts until it is stopped";
    SYNC_RUN_SECONDS = Histogram "sync_run_duration_seconds" ["namespace", "sync"]
        "How long runs took";
    SYNC_SCAN_SECONDS = Histogram "sync_scan_duration_seconds" ["namespace", "sync"]
        "How long completed scans of the source took, from their start to the last page";
    CONNECTION_REQUESTS = Counter "connection_requests" ["namespace", "connection", "class"]
        "Requests that were sent, by what their answers meant";
    CONNECTION_REQUEST_SECONDS = Histogram "connection_request_duration_seconds" ["namespace", "connection"]
        "How long requests took, from sending them to the end of the answer";
    CONNECTION_LIMIT_WAIT = Counter "connection_limit_wait_seconds" ["namespace", "connection"]
        "Time that requests waited for the limits: concurrency, rate, and pauses that the system asked for (429, Retry-After), added up over all requests";
    CONNECTION_CIRCUIT_OPEN = Gauge "connection_circuit_open" ["namespace", "connection"]
        "1 while the circuit is open: after many failures nothing is sent, then one request probes";
    WEBHOOK_DELIVERIES = Counter "webhook_deliveries" ["namespace", "connection", "webhook", "outcome"]
        "What was told through webhooks: events that were Kept, Repeated (kept before) or Unrouted (no route wants them), and deliveries that were a Challenge or were refused, by reason; UnknownWebhook has no other labels";
    CONTROLLER_LEADER = Gauge "controller_leader" []
        "1 while this process leads";
    CONTROLLER_RECONCILES = Counter "controller_reconciles" []
        "Reconciliations that were tried";
    CONTROLLER_RECONCILE_ERRORS = Counter "controller_reconcile_errors" []
        "Reconciliations that failed";
    CONTROLLER_RECONCILE_SECONDS = Histogram "controller_reconcile_duration_seconds" []
        "How long reconciliations took";
    CONTROLLER_QUEUE = Gauge "controller_queue_length" []
        "Resources that wait to be reconciled, now or later";
    CONTROLLER_STATUS_WRITES = Counter "controller_status_writes" []
        "Patches of a status that were sent";
    CONTROLLER_STATUS_WRITE_ERRORS = Counter "controller_status_write_errors" []
        "Patches of a status that failed";
    CONTROLLER_EVENTS_DROPPED = Counter "controller_events_dropped" []
        "Events dropped because too many waited";
    CONTROLLER_WATCH_SILENCE = Gauge "controller_watch_silence_seconds" []
        "Seconds since the most silent watch heard anything";
    CONTROLLER_WATCHES_REFUSED = Gauge "controller_watches_refused" []
        "Watches that the API server refuses, four to a namespace: one of the list is gone, or the operator's Role in it; /readyz and the log name them";
    BUILD_INFO = Gauge "build_info" ["version"]
        "1, with the version of the program";
}

/// The reference as a Markdown table.
pub fn reference() -> String {
    let mut text = String::from("| Metric | Kind | Labels | Meaning |\n|---|---|---|---|\n");
    for family in ALL {
        let total = if family.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        let labels = match family.labels {
            [] => "–".to_owned(),
            labels => labels.join(", "),
        };
        let kind = format!("{:?}", family.kind).to_lowercase();
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| `{PREFIX}_{}{total}` | {kind} | {labels} | {} |",
            family.name, family.help
        );
    }
    text
}
