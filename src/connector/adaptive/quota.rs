//! What a system is believed to take: so many requests at once, in a window of about this length.
//! Used by `adaptive`.

use std::time::Duration;

use tokio::time::Instant;

use super::history::History;
use super::{FIRST_WAIT, Slot};

/// The windows that systems have, in seconds.
const USUAL: [f64; 4] = [1.0, 10.0, 60.0, 3600.0];
/// Up to this multiple of the burst, what was taken is the same burst again.
const SAME: f64 = 1.25;
/// Share of an exact wait by which clocks and the way of the answer may shorten it.
const UNSURE: f64 = 0.1;
/// Fewer requests than this tell nothing of a limit: somebody else may have used it up.
const TELLING: f64 = 3.0;

/// For how long a refusal asks to wait. One in whole seconds may be rounded up from anything above the next
/// smaller number.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    pub time: Duration,
    pub whole: bool,
}

impl Wait {
    /// The shortest and the longest time that may be meant, in seconds.
    fn bounds(self) -> (f64, f64) {
        let time = self.time.as_secs_f64();
        let unsure = if self.whole {
            time.min(FIRST_WAIT.as_secs_f64())
        } else {
            time * UNSURE
        };
        (time - unsure, time)
    }
}

pub(super) struct Quota {
    /// Requests that are taken at once.
    pub burst: f64,
    /// For how long the requests of the burst were sent, in seconds.
    pub over: f64,
    /// When the first one was sent.
    start: Instant,
    window: Window,
}

/// Length of the window in seconds: more than the shortest, at most the longest.
#[derive(Clone, Copy)]
struct Window {
    shortest: f64,
    longest: f64,
    whole: bool,
}

impl Window {
    /// Of requests that were sent for so long before they were refused.
    fn of(over: f64, wait: Wait) -> Self {
        let (shortest, longest) = wait.bounds();
        Self {
            shortest: over + shortest,
            longest: over + longest,
            whole: wait.whole,
        }
    }

    /// A usual length if one fits.
    fn length(self) -> f64 {
        let fits = |length: &f64| *length > self.shortest && *length <= self.longest;
        let otherwise = if self.whole {
            (self.shortest + self.longest) / 2.0
        } else {
            self.longest
        };
        USUAL.into_iter().find(fits).unwrap_or(otherwise).max(0.001)
    }
}

impl Quota {
    /// Of a system that has refused nothing yet.
    pub fn new(now: Instant) -> Self {
        Self {
            burst: 1.0,
            over: 0.0,
            start: now,
            window: Window {
                shortest: 0.0,
                longest: 1.0,
                whole: true,
            },
        }
    }

    /// After the first refusal, of this slot. What was sent long before may be of another window: that part
    /// of the history counts in which most was sent for its length.
    pub fn first(history: &History, slot: Slot, wait: Wait) -> Self {
        let burst = |first: Slot| {
            let over = seconds(first.at, slot.at);
            Self {
                burst: (slot.number.saturating_sub(first.number) as f64).max(1.0),
                over,
                start: first.at,
                window: Window::of(over, wait),
            }
        };
        let all = history.slots().map(burst);
        let mut most = all
            .max_by(|a, b| a.rate().total_cmp(&b.rate()))
            .unwrap_or_else(|| burst(slot));
        if most.burst < TELLING {
            most.window.shortest = 0.0;
            most.window.longest = most.window.longest.min(1.0);
        }
        most
    }

    /// The pause was too short: the window reaches from the first request to the end of the next pause.
    pub fn longer(&mut self, slot: Slot, wait: Wait) {
        self.window = Window::of(seconds(self.start, slot.at), wait);
    }

    /// After a later refusal, before which so many were taken since the pause. Gives requests a second.
    pub fn next(&mut self, history: &History, slot: Slot, taken: f64, wait: Wait) -> f64 {
        if taken <= SAME * self.burst {
            let began = history.slots().next().unwrap_or(slot).at;
            let over = seconds(began, slot.at);
            let (old, new) = (self.window, Window::of(over, wait));
            self.window = Window {
                shortest: new.shortest.max(old.shortest),
                longest: new.longest.min(old.longest),
                whole: new.whole,
            };
            if self.window.shortest >= self.window.longest {
                self.window = new;
            }
            if taken < self.burst {
                (self.burst, self.over) = (taken, over);
            }
        }
        // More than a burst: the bucket was filled meanwhile, and it was also filled during the burst itself.
        let filled = |first: Slot| {
            let (count, over) = (
                slot.number.saturating_sub(first.number),
                seconds(first.at, slot.at),
            );
            if over > 0.0 {
                (count as f64 - self.burst) / (over - self.over.min(over / 2.0))
            } else {
                0.0
            }
        };
        history.slots().map(filled).fold(self.rate(), f64::max)
    }

    /// Seconds.
    pub fn length(&self) -> f64 {
        self.window.length()
    }

    /// Requests a second, if a burst is all that a window takes.
    pub fn rate(&self) -> f64 {
        self.burst / self.length()
    }
}

pub(super) fn seconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64()
}
