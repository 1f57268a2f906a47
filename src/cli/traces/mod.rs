//! Exports spans by OTLP over HTTP when the environment variables of OpenTelemetry ask for it; without them there
//! is no thread, no connection and no span. Called by `cli::main`, shown to `logging` as a layer.
//!
//! Spans wait in a bounded queue (`OTEL_BSP_MAX_QUEUE_SIZE`) for a thread of their own: a collector that is slow or
//! down costs spans, never time.

mod collector;
mod exporter;
mod settings;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

use crate::telemetry::spans::TARGET;
use collector::Collector;
use exporter::Exporter;
use settings::Settings;

/// Longest time that the end of the program waits for the spans that are left.
const FLUSH: Duration = Duration::from_secs(5);

/// What takes spans, for the subscriber.
pub type SpanLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The exporter, while the program runs.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// What the environment asks for; `None`: nothing is to be exported.
    ///
    /// # Errors
    /// A setting that cannot be used: which one, and why. Nothing is exported then.
    pub fn from_env() -> Result<Option<(Self, SpanLayer)>, String> {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(settings) = Settings::read(get)? else {
            return Ok(None);
        };
        let collector = Collector::new(&settings)?;
        let inner = SpanExporter::builder()
            .with_http()
            .with_http_client(collector.clone())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(settings.endpoint.as_str())
            .build()
            .map_err(|error| error.to_string())?;
        let exporter = Exporter::new(inner, collector);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_span_processor(BatchSpanProcessor::builder(exporter).build())
            .build();
        let layer = layer(&provider);
        Ok(Some((Self(provider), layer)))
    }

    /// Sends what is left, within [`FLUSH`]. To be called when no span is open any more.
    pub fn end(self) {
        // The exporter has said what it could not send; here it can only be that time is over.
        let _ = self.0.shutdown_with_timeout(FLUSH);
    }
}

/// Takes the spans of `telemetry::spans` and nothing else: no event, no span of another crate.
fn layer(provider: &SdkTracerProvider) -> SpanLayer {
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET);
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("syncline"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
        .boxed()
}

/// Who sends the spans: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, and otherwise the program.
fn resource() -> Resource {
    let asked = Resource::builder().build();
    let name = asked.get(&Key::new("service.name"));
    let named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let version = asked.get(&Key::new("service.version"));
    let mut resource = Resource::builder();
    if !named {
        resource = resource.with_service_name("syncline");
    }
    if version.is_none() {
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        resource = resource.with_attribute(version);
    }
    resource.build()
}
