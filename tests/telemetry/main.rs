//! What the real binary tells those who watch it: figures that agree with its report, in a text that
//! Prometheus reads, without a secret.

mod scrape;
mod systems;
mod watched;
