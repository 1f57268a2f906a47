//! How the figures are written: each metric of the table with all its series, read when somebody asks.
//! Freshness is computed here, by the clock. Used by `metrics`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, MetricEncoder,
    NoLabelSet,
};

use super::connection::ConnectionMeter;
use super::histogram::{Histogram, RECONCILE};
use super::sync::SyncMeter;
use super::table::{self, Family};
use super::webhook::{Delivery, WebhookMeter};
use crate::record::SyncName;

/// Namespace and name of a Connection.
type ConnectionName = (String, String);

/// Namespace, Connection and webhook.
type WebhookName = (String, String, String);

type Named<K, M> = (K, Arc<M>);

/// Meters by name.
#[derive(Debug)]
pub struct Map<K, M>(RwLock<BTreeMap<K, Arc<M>>>);

impl<K: Ord + Clone, M: Default> Map<K, M> {
    fn new() -> Self {
        Self(RwLock::new(BTreeMap::new()))
    }

    /// The one of this name.
    pub fn entry(&self, key: &K) -> Arc<M> {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(map.entry(key.clone()).or_default())
    }

    pub fn remove(&self, key: &K) {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.remove(key);
    }

    pub fn clear(&self) {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.clear();
    }

    fn all(&self) -> Vec<Named<K, M>> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.iter()
            .map(|(k, m)| (k.clone(), Arc::clone(m)))
            .collect()
    }
}

/// The figures of all Syncs and Connections, by name: a bounded number of series for each.
#[derive(Debug)]
pub struct Meters {
    pub syncs: Map<SyncName, SyncMeter>,
    pub connections: Map<ConnectionName, ConnectionMeter>,
    pub webhooks: Map<WebhookName, WebhookMeter>,
    /// Deliveries for webhooks that there are not: whoever sends them chooses no label.
    pub nowhere: Arc<WebhookMeter>,
    pub reconciles: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            syncs: Map::new(),
            connections: Map::new(),
            webhooks: Map::new(),
            nowhere: Arc::default(),
            reconciles: Histogram::new(RECONCILE),
        }
    }
}

impl Collector for Meters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let build = describe(&mut encoder, &table::BUILD_INFO);
        gauge(&mut build?, &[("version", env!("CARGO_PKG_VERSION"))], 1)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_millis());
        encode_syncs(&mut encoder, &self.syncs.all(), now)?;
        encode_connections(&mut encoder, &self.connections.all())?;
        encode_webhooks(&mut encoder, &self.webhooks.all(), &self.nowhere)
    }
}

/// How long reconciliations took; shown by controllers only.
#[derive(Debug)]
pub struct Durations(pub Arc<Meters>);

impl Collector for Durations {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric = describe(&mut encoder, &table::CONTROLLER_RECONCILE_SECONDS)?;
        let (sum, count, buckets) = self.0.reconciles.read();
        metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

fn encode_syncs(
    encoder: &mut DescriptorEncoder<'_>,
    syncs: &[Named<SyncName, SyncMeter>],
    now: u128,
) -> fmt::Result {
    let mut metric = describe(encoder, &table::SYNC_RECORDS)?;
    for (name, meter) in syncs {
        for (outcome, count) in meter.record_counts() {
            counter(&mut metric, &labels(name, "outcome", outcome), count)?;
        }
    }
    let mut metric = describe(encoder, &table::SYNC_DEAD_LETTERS_EXPIRED)?;
    for (name, meter) in syncs {
        counter(&mut metric, &label(name), meter.expired_count())?;
    }
    let mut metric = describe(encoder, &table::SYNC_RUNS)?;
    for (name, meter) in syncs {
        for (outcome, count) in meter.run_counts() {
            counter(&mut metric, &labels(name, "outcome", outcome), count)?;
        }
    }
    let mut metric = describe(encoder, &table::SYNC_RUN_SECONDS)?;
    for (name, meter) in syncs {
        histogram(&mut metric, &label(name), &meter.run_seconds)?;
    }
    let mut metric = describe(encoder, &table::SYNC_SCAN_SECONDS)?;
    for (name, meter) in syncs {
        histogram(&mut metric, &label(name), &meter.scan_seconds)?;
    }
    encode_standing(encoder, syncs, now)
}

fn encode_standing(
    encoder: &mut DescriptorEncoder<'_>,
    syncs: &[Named<SyncName, SyncMeter>],
    now: u128,
) -> fmt::Result {
    let standing: Vec<_> = syncs
        .iter()
        .map(|(name, meter)| (name, meter.in_flight(), meter.standing()))
        .collect();
    let mut metric = describe(encoder, &table::SYNC_RECORDS_OPEN)?;
    for (name, in_flight, (s, _)) in &standing {
        for (state, count) in [
            ("in_flight", *in_flight),
            ("retrying", s.retrying),
            ("unknown", s.unknown),
            ("waiting", s.waiting),
            ("held", s.held),
        ] {
            gauge(&mut metric, &labels(name, "state", state), count)?;
        }
    }
    let mut metric = describe(encoder, &table::SYNC_DEAD_LETTERS)?;
    for (name, _, (s, _)) in &standing {
        for (reason, count) in s.reasons() {
            gauge(&mut metric, &labels(name, "reason", reason), count)?;
        }
    }
    let mut metric = describe(encoder, &table::SYNC_FRESHNESS_AGE)?;
    for (name, _, (s, _)) in &standing {
        if let Some(at) = s.fresh_as_of {
            let age = now.saturating_sub(u128::try_from(at).unwrap_or(0));
            gauge(&mut metric, &label(name), age as f64 / 1e3)?;
        }
    }
    let mut metric = describe(encoder, &table::SYNC_FRESHNESS_MAX_AGE)?;
    for (name, _, (_, d)) in &standing {
        if let Some(age) = d.max_age.filter(|_| !d.suspended) {
            gauge(&mut metric, &label(name), age.as_secs_f64())?;
        }
    }
    let mut metric = describe(encoder, &table::SYNC_SUSPENDED)?;
    for (name, _, (_, d)) in &standing {
        gauge(&mut metric, &label(name), u32::from(d.suspended))?;
    }
    let mut metric = describe(encoder, &table::SYNC_STALLED)?;
    for (name, _, (_, d)) in &standing {
        gauge(&mut metric, &label(name), u32::from(d.stalled))?;
    }
    Ok(())
}

fn encode_connections(
    encoder: &mut DescriptorEncoder<'_>,
    connections: &[Named<ConnectionName, ConnectionMeter>],
) -> fmt::Result {
    let label = |name: &ConnectionName| {
        let (namespace, name) = name.clone();
        [("namespace", namespace), ("connection", name)]
    };
    let mut metric = describe(encoder, &table::CONNECTION_REQUESTS)?;
    for (name, meter) in connections {
        for (answer, count) in meter.answers().filter(|(_, count)| *count > 0) {
            let class = [("class", answer.name())];
            counter(&mut metric, &(label(name), class), count)?;
        }
    }
    let mut metric = describe(encoder, &table::CONNECTION_REQUEST_SECONDS)?;
    for (name, meter) in connections {
        histogram(&mut metric, &label(name), &meter.seconds)?;
    }
    let mut metric = describe(encoder, &table::CONNECTION_LIMIT_WAIT)?;
    for (name, meter) in connections {
        counter(&mut metric, &label(name), meter.wait_seconds())?;
    }
    let mut metric = describe(encoder, &table::CONNECTION_CIRCUIT_OPEN)?;
    for (name, meter) in connections {
        gauge(&mut metric, &label(name), u32::from(meter.is_open()))?;
    }
    Ok(())
}

fn encode_webhooks(
    encoder: &mut DescriptorEncoder<'_>,
    webhooks: &[Named<WebhookName, WebhookMeter>],
    nowhere: &WebhookMeter,
) -> fmt::Result {
    let mut metric = describe(encoder, &table::WEBHOOK_DELIVERIES)?;
    let is_nowhere = |what: Delivery| what == Delivery::UnknownWebhook;
    for ((namespace, connection, webhook), meter) in webhooks {
        for (what, count) in meter.counts().filter(|(what, _)| !is_nowhere(*what)) {
            let labels = [
                ("namespace", namespace.as_str()),
                ("connection", connection.as_str()),
                ("webhook", webhook.as_str()),
                ("outcome", what.name()),
            ];
            counter(&mut metric, &labels, count)?;
        }
    }
    for (what, count) in nowhere.counts().filter(|(what, _)| is_nowhere(*what)) {
        counter(&mut metric, &[("outcome", what.name())], count)?;
    }
    Ok(())
}

fn describe<'e>(
    encoder: &'e mut DescriptorEncoder<'_>,
    family: &'static Family,
) -> Result<MetricEncoder<'e>, fmt::Error> {
    // The registry adds the full stop to the metrics it knows; a collector says it itself.
    let help = format!("{}.", family.help);
    encoder.encode_descriptor(family.name, &help, None, family.kind.metric_type())
}

fn label(name: &SyncName) -> [(&'static str, &str); 2] {
    [
        ("namespace", name.namespace.as_str()),
        ("sync", name.name.as_str()),
    ]
}

fn labels<'a>(
    name: &'a SyncName,
    key: &'static str,
    value: &'a str,
) -> [(&'static str, &'a str); 3] {
    let [namespace, sync] = label(name);
    [namespace, sync, (key, value)]
}

fn counter(
    metric: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    count: impl EncodeCounterValue,
) -> fmt::Result {
    let mut one = metric.encode_family(labels)?;
    one.encode_counter::<NoLabelSet, _, f64>(&count, None)
}

fn gauge(
    metric: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    value: impl EncodeGaugeValue,
) -> fmt::Result {
    metric.encode_family(labels)?.encode_gauge(&value)
}

fn histogram(
    metric: &mut MetricEncoder<'_>,
    labels: &impl EncodeLabelSet,
    histogram: &Histogram,
) -> fmt::Result {
    let (sum, count, buckets) = histogram.read();
    let mut one = metric.encode_family(labels)?;
    one.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
}
