//! What became of what a system told through one webhook: events that were kept, deliveries that were refused.
//! Atomics only, because every delivery passes here. Written by `intake`.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! deliveries {
    ($($name:ident $text:literal)*) => {
        /// What became of a delivery, or of an event of one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Delivery { $($name),* }

        /// All of them, in the order of their cells.
        pub const ALL: &[Delivery] = &[$(Delivery::$name),*];

        impl Delivery {
            /// As the label says it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

deliveries! {
    // Events.
    Kept "Kept"
    Repeated "Repeated"
    Unrouted "Unrouted"
    // Deliveries.
    Challenge "Challenge"
    UnknownWebhook "UnknownWebhook"
    NotPost "NotPost"
    TooLarge "TooLarge"
    WrongContentType "WrongContentType"
    Unsigned "Unsigned"
    Forged "Forged"
    Stale "Stale"
    NotJson "NotJSON"
    Interrupted "Interrupted"
    BadKey "BadKey"
    Busy "Busy"
    NotKept "NotKept"
}

/// The figures of one webhook.
#[derive(Debug)]
pub struct WebhookMeter {
    cells: [AtomicU64; ALL.len()],
}

impl Default for WebhookMeter {
    fn default() -> Self {
        Self {
            cells: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl WebhookMeter {
    /// This became of so many.
    pub fn add(&self, what: Delivery, count: u64) {
        self.cells[what as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (Delivery, u64)> + '_ {
        let cells = self.cells.iter().map(|cell| cell.load(Ordering::Relaxed));
        ALL.iter().copied().zip(cells)
    }
}
