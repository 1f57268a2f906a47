//! All metrics of a process and how they are written, as OpenMetrics or Prometheus text.
//! One value that is passed in, no global. Filled by `connector`, `worker`, `runtime`, `controller`.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use super::connection::ConnectionMeter;
use super::encode::{Durations, Meters};
use super::sync::SyncMeter;
use super::table::{self, Family};
use super::webhook::WebhookMeter;
use crate::record::SyncName;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    meters: Arc<Meters>,
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
    pub watch_silence: Gauge<f64, AtomicU64>,
    /// Watches that the API server refuses.
    pub watches_refused: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let meters = Arc::new(Meters::default());
        let mut registry = Registry::with_prefix(table::PREFIX);
        registry.register_collector(Box::new(Arc::clone(&meters)));
        Self {
            registry,
            meters,
            leader: Gauge::default(),
            reconciles: Counter::default(),
            reconcile_errors: Counter::default(),
            queue: Gauge::default(),
            status_writes: Counter::default(),
            status_write_errors: Counter::default(),
            events_dropped: Counter::default(),
            watch_silence: Gauge::default(),
            watches_refused: Gauge::default(),
        }
    }
}

impl Metrics {
    /// The media type of [`Metrics::render`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    /// The media type of [`Metrics::render_plain`].
    pub const PLAIN_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

    pub fn new() -> Self {
        Self::default()
    }

    /// With the figures that only a controller has.
    pub fn of_controller() -> Self {
        let mut metrics = Self::default();
        let (leader, queue) = (metrics.leader.clone(), metrics.queue.clone());
        let silence = metrics.watch_silence.clone();
        let refused = metrics.watches_refused.clone();
        metrics.register(&table::CONTROLLER_LEADER, leader);
        metrics.register(&table::CONTROLLER_QUEUE, queue);
        metrics.register(&table::CONTROLLER_WATCH_SILENCE, silence);
        metrics.register(&table::CONTROLLER_WATCHES_REFUSED, refused);
        for (family, counter) in [
            (&table::CONTROLLER_RECONCILES, metrics.reconciles.clone()),
            (
                &table::CONTROLLER_RECONCILE_ERRORS,
                metrics.reconcile_errors.clone(),
            ),
            (
                &table::CONTROLLER_STATUS_WRITES,
                metrics.status_writes.clone(),
            ),
            (
                &table::CONTROLLER_STATUS_WRITE_ERRORS,
                metrics.status_write_errors.clone(),
            ),
            (
                &table::CONTROLLER_EVENTS_DROPPED,
                metrics.events_dropped.clone(),
            ),
        ] {
            metrics.register(family, counter);
        }
        let durations = Durations(Arc::clone(&metrics.meters));
        metrics.registry.register_collector(Box::new(durations));
        metrics
    }

    fn register(&mut self, family: &Family, metric: impl Metric) {
        self.registry.register(family.name, family.help, metric);
    }

    /// The figures of a Sync, from now on shown.
    pub fn sync(&self, name: &SyncName) -> Arc<SyncMeter> {
        self.meters.syncs.entry(name)
    }

    /// A Sync is gone: it is not shown any more.
    pub fn forget_sync(&self, name: &SyncName) {
        self.meters.syncs.remove(name);
    }

    /// The figures of a Connection, from now on shown.
    pub fn connection(&self, namespace: &str, name: &str) -> Arc<ConnectionMeter> {
        let name = (namespace.to_owned(), name.to_owned());
        self.meters.connections.entry(&name)
    }

    /// A Connection is gone: it is not shown any more.
    pub fn forget_connection(&self, namespace: &str, name: &str) {
        let name = (namespace.to_owned(), name.to_owned());
        self.meters.connections.remove(&name);
    }

    /// The figures of a webhook of a Connection, from now on shown.
    pub fn webhook(&self, namespace: &str, connection: &str, webhook: &str) -> Arc<WebhookMeter> {
        let name = (namespace.into(), connection.into(), webhook.into());
        self.meters.webhooks.entry(&name)
    }

    /// The figures of deliveries for webhooks that there are not.
    pub fn nowhere(&self) -> &WebhookMeter {
        &self.meters.nowhere
    }

    /// A webhook is not served any more: it is not shown any more.
    pub fn forget_webhook(&self, namespace: &str, connection: &str, webhook: &str) {
        let name = (namespace.into(), connection.into(), webhook.into());
        self.meters.webhooks.remove(&name);
    }

    /// This process has nothing to do with any of them any more.
    pub fn forget_all(&self) {
        self.meters.syncs.clear();
        self.meters.connections.clear();
        self.meters.webhooks.clear();
    }

    /// A reconciliation has ended.
    pub fn reconciled(&self, took: Duration) {
        self.meters.reconciles.observe(took);
    }

    /// All metrics as OpenMetrics text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }

    /// All metrics as the older Prometheus text, for those who don't ask for OpenMetrics.
    pub fn render_plain(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Answered, Declared, Delivery, Seen, Standing};

    fn name() -> SyncName {
        SyncName {
            namespace: "shop".to_owned(),
            name: "orders".to_owned(),
        }
    }

    #[test]
    fn a_sync_is_shown_until_it_is_gone() {
        let metrics = Metrics::new();
        let meter = metrics.sync(&name());
        let seen = Seen {
            read: 7,
            created: 5,
            ..Seen::default()
        };
        meter.records(seen, 2);
        meter.run("Succeeded", Duration::from_secs(3));
        meter.stands(Standing {
            fresh_as_of: Some(0),
            waiting: 4,
            ..Standing::default()
        });
        meter.declared(Declared {
            max_age: Some(Duration::from_secs(3600)),
            ..Declared::default()
        });
        let text = metrics.render();
        for line in [
            r#"syncline_sync_records_total{namespace="shop",sync="orders",outcome="read"} 7"#,
            r#"syncline_sync_records_total{namespace="shop",sync="orders",outcome="created"} 5"#,
            r#"syncline_sync_records_open{namespace="shop",sync="orders",state="waiting"} 4"#,
            r#"syncline_sync_runs_total{namespace="shop",sync="orders",outcome="Succeeded"} 1"#,
            r#"syncline_sync_run_duration_seconds_sum{namespace="shop",sync="orders"} 3.0"#,
            r#"syncline_sync_freshness_max_age_seconds{namespace="shop",sync="orders"} 3600.0"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
        metrics.forget_sync(&name());
        assert!(!metrics.render().contains("orders"));
    }

    #[test]
    fn a_suspended_sync_has_no_objective() {
        let metrics = Metrics::new();
        metrics.sync(&name()).declared(Declared {
            max_age: Some(Duration::from_secs(60)),
            suspended: true,
            stalled: false,
        });
        let text = metrics.render();
        assert!(!text.contains("max_age_seconds{"), "{text}");
        assert!(text.contains(r#"sync_suspended{namespace="shop",sync="orders"} 1"#));
    }

    #[test]
    fn a_connection_counts_only_what_it_has_seen() {
        let metrics = Metrics::new();
        let meter = metrics.connection("shop", "crm");
        meter.answered(Answered::Success);
        meter.waited(Duration::from_millis(1500));
        let text = metrics.render_plain();
        let line = r#"syncline_connection_requests_total{namespace="shop",connection="crm",class="Success"} 1"#;
        assert!(text.contains(line), "{text}");
        assert!(!text.contains("RateLimited"), "{text}");
        assert!(
            text.contains(r#"limit_wait_seconds_total{namespace="shop",connection="crm"} 1.5"#)
        );
    }

    #[test]
    fn a_webhook_is_shown_with_all_that_can_become_of_a_delivery() {
        let metrics = Metrics::new();
        metrics
            .webhook("shop", "crm", "events")
            .add(Delivery::Forged, 2);
        metrics.nowhere().add(Delivery::UnknownWebhook, 3);
        let text = metrics.render();
        let hook = r#"namespace="shop",connection="crm",webhook="events""#;
        for line in [
            format!(r#"syncline_webhook_deliveries_total{{{hook},outcome="Forged"}} 2"#),
            format!(r#"syncline_webhook_deliveries_total{{{hook},outcome="Kept"}} 0"#),
            r#"syncline_webhook_deliveries_total{outcome="UnknownWebhook"} 3"#.to_owned(),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
        metrics.forget_webhook("shop", "crm", "events");
        assert!(!metrics.render().contains("Forged"));
    }

    #[test]
    fn every_metric_of_the_table_is_shown_by_a_controller() {
        let text = Metrics::of_controller().render();
        for family in table::ALL {
            let head = format!("# HELP {}_{} ", table::PREFIX, family.name);
            assert!(text.contains(&head), "{head}\n{text}");
            let twice = text.matches(&head).count();
            assert_eq!(twice, 1, "{head}");
        }
    }
}
