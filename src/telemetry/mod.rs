//! What the program tells those who run it: metrics, the events that are a log line and a metric at once, and
//! spans. Knows no Kubernetes and no store, and sends nothing. Written by `connector`, `intake`, `worker`, `runtime`
//! and `controller`; `runtime::serve` shows the metrics, `cli::traces` exports the spans.

mod connection;
mod encode;
pub mod events;
mod histogram;
mod metrics;
pub mod spans;
mod sync;
mod table;
mod webhook;

pub use connection::{Answered, ConnectionMeter};
pub use metrics::Metrics;
pub use sync::{Declared, Seen, Standing, SyncMeter};
pub use table::reference;
pub use webhook::{Delivery, WebhookMeter};
