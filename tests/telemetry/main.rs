//! What the real binary tells those who watch it: figures that agree with its report, in a text that
//! Prometheus reads, and spans for a collector of OpenTelemetry, without a secret.

mod collector;
mod scrape;
mod secured;
mod systems;
mod traces;
mod watched;
