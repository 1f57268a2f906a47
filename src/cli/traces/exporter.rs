//! The exporter of the libraries, and what is said when the collector takes nothing: at most once in a while.
//! Used by `traces`, on the thread of the batch processor.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::collector::Collector;

/// Shortest time between two lines of the log about a collector that takes nothing.
const SAY_EVERY: Duration = Duration::from_secs(300);

/// Exports, and reports what it cannot.
#[derive(Debug)]
pub struct Exporter {
    inner: Otlp,
    collector: Collector,
    trouble: Mutex<Trouble>,
}

/// How it stands with the collector.
#[derive(Debug, Default)]
struct Trouble {
    /// Spans that it did not take since it was last said, or since it last took some.
    lost: usize,
    said: Option<Instant>,
}

impl Trouble {
    /// It did not take these; answers how many are to be said lost now.
    fn more(&mut self, spans: usize, now: Instant) -> Option<usize> {
        self.lost += spans;
        if self.said.is_some_and(|at| now - at < SAY_EVERY) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.lost))
    }
}

impl Exporter {
    pub fn new(inner: Otlp, collector: Collector) -> Self {
        Self {
            inner,
            collector,
            trouble: Mutex::default(),
        }
    }
}

impl SpanExporter for Exporter {
    /// What cannot be sent is lost and was reported: for the processor that is no failure.
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        if let Err(error) = self.inner.export(batch).await {
            let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(lost) = trouble.more(spans, Instant::now()) {
                let problem = self.collector.problem();
                let problem = problem.unwrap_or_else(|| error.to_string());
                tracing::warn!(
                    collector = self.collector.place(),
                    lost,
                    "traces are not taken by the collector, and are dropped: {problem}"
                );
            }
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_stays_down_is_spoken_of_once_in_a_while() {
        let (mut trouble, begun) = (Trouble::default(), Instant::now());
        assert_eq!(trouble.more(10, begun), Some(10));
        assert_eq!(trouble.more(20, begun + SAY_EVERY / 2), None);
        assert_eq!(trouble.more(5, begun + SAY_EVERY), Some(25));
    }
}
