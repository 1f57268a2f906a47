//! What is counted and shown to Prometheus, in OpenMetrics text.
//! Knows no Kubernetes and no store. Written by `controller`.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Whether this process leads.
    pub leader: Gauge,
    /// Reconciliations that were tried.
    pub reconciles: Counter,
    /// Those that failed.
    pub reconcile_errors: Counter,
    /// Resources that wait to be reconciled, now or later.
    pub queue: Gauge,
    /// Patches of a status that were sent.
    pub status_writes: Counter,
    /// Those that failed.
    pub status_write_errors: Counter,
    /// Events that were dropped because too many waited.
    pub events_dropped: Counter,
    /// Seconds since the most silent watch heard anything.
    pub watch_silence: Gauge<f64, std::sync::atomic::AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The media type of [`Metrics::render`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("syncline"),
            leader: Gauge::default(),
            reconciles: Counter::default(),
            reconcile_errors: Counter::default(),
            queue: Gauge::default(),
            status_writes: Counter::default(),
            status_write_errors: Counter::default(),
            events_dropped: Counter::default(),
            watch_silence: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let counters = [
            (
                "controller_reconciles",
                "Reconciliations that were tried",
                &self.reconciles,
            ),
            (
                "controller_reconcile_errors",
                "Reconciliations that failed",
                &self.reconcile_errors,
            ),
            (
                "controller_status_writes",
                "Patches of a status that were sent",
                &self.status_writes,
            ),
            (
                "controller_status_write_errors",
                "Patches of a status that failed",
                &self.status_write_errors,
            ),
            (
                "controller_events_dropped",
                "Events dropped because too many waited",
                &self.events_dropped,
            ),
        ];
        for (name, help, counter) in counters {
            self.registry.register(name, help, counter.clone());
        }
        let leader = self.leader.clone();
        self.registry
            .register("controller_leader", "1 while this process leads", leader);
        let queue = self.queue.clone();
        self.registry.register(
            "controller_queue_length",
            "Resources that wait to be reconciled, now or later",
            queue,
        );
        let silence = self.watch_silence.clone();
        self.registry.register(
            "controller_watch_silence_seconds",
            "Seconds since the most silent watch heard anything",
            silence,
        );
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_openmetrics_text() {
        let metrics = Metrics::new();
        metrics.reconciles.inc();
        let text = metrics.render();
        assert!(
            text.contains("syncline_controller_reconciles_total 1"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
