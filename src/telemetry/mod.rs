//! What the program tells those who run it: metrics, and the events that are a log line and a metric at once.
//! Knows no Kubernetes and no store, and sends nothing. Written by `connector`, `worker`, `runtime` and
//! `controller`, shown by `runtime::serve`.

mod connection;
mod encode;
pub mod events;
mod histogram;
mod metrics;
mod sync;
mod table;
mod webhook;

pub use connection::{Answered, ConnectionMeter};
pub use metrics::Metrics;
pub use sync::{Declared, Seen, Standing, SyncMeter};
pub use table::reference;
pub use webhook::{Delivery, WebhookMeter};
