//! A pace learned from refusals and shared by all senders of a Connection, so that a system with a limit is
//! used near that limit and seldom refuses. Pure; time is passed in. Used by `limit`.
//!
//! The first refusal says how much the system takes at once. What it takes in the long run may be the same (so
//! much in a window) or more (a bucket that fills while it is emptied): after the pause the pace grows quickly
//! once, until the next refusal tells which. From then on it is held a little below what was found, and tried
//! out seldom.

mod history;
mod quota;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::Instant;

use history::History;
use quota::{Quota, Wait};

/// The wait after a refusal that names none; it and every named one double while nothing is taken in between.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// A pause of less is not worth the next refusal.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// What is kept of the rate that was found.
const MARGIN: f64 = 0.97;
/// What is kept of a held rate that was refused: at least, at most.
const DECREASE: (f64, f64) = (0.5, 0.95);
/// A held rate grows by this share in one length of the window, and by the second one times the cube of the
/// lengths since the last refusal: slowly near that refusal, quickly long after it (as CUBIC, RFC 9438).
const GROWTH: (f64, f64) = (0.002, 1e-6);
/// A rate that is refused again near where it was before is tried out this much more seldom, at most.
const SELDOM: f64 = 16.0;
/// Share of a window in which the pace doubles while it is searched for.
const DOUBLING: f64 = 0.1;
/// A burst that took this share of the window or more was no burst: its rate is known.
const SPREAD: f64 = 0.25;
/// Less than this share of the burst since the last refusal: a bucket that had no time to fill.
const FEW: f64 = 0.1;
/// Beyond this many requests a second a pace holds nobody back.
const UNBOUNDED: f64 = 50_000.0;
/// The lowest pace.
const LOWEST: f64 = 1.0 / 60.0;
/// How far the pace may catch up when a timer came late.
const CATCH_UP: Duration = Duration::from_millis(5);

pub(super) struct Adaptive {
    phase: Phase,
    quota: Quota,
    /// Requests let go so far.
    sent: u64,
    /// The last refusal that told something new; requests below its number belong to it.
    event: Event,
    /// Nobody sends before.
    paused_until: Instant,
    /// When the next request may be sent under the pace.
    next: Instant,
    /// What was let go since the last pause.
    history: History,
    /// Refusals in a row without a request that was taken.
    in_a_row: u32,
    /// The last pause was too short: one request asks before the others follow.
    probing: bool,
}

/// How the pace is chosen. Rates are requests a second.
enum Phase {
    /// Nothing was refused: nobody is held back.
    Free,
    /// Quickly upwards from here; `tried` requests were held back by it.
    Search { from: f64, tried: f64 },
    /// Near what was found. `active`: for so many seconds it held somebody back.
    Hold { base: f64, active: f64, seldom: f64 },
}

struct Event {
    below: u64,
    at: Instant,
    wait: Duration,
}

/// A request that may be sent: its place among all of them, and when.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub number: u64,
    pub at: Instant,
}

impl Adaptive {
    pub fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Free,
            quota: Quota::new(now),
            sent: 0,
            event: Event {
                below: 0,
                at: now,
                wait: FIRST_WAIT,
            },
            paused_until: now,
            next: now,
            history: History::default(),
            in_a_row: 0,
            probing: false,
        }
    }

    /// A request was sent while nothing holds anybody back.
    pub fn sent(&mut self, now: Instant) -> Slot {
        let slot = Slot {
            number: self.sent,
            at: now,
        };
        self.history.add(slot);
        self.sent += 1;
        slot
    }

    /// Requests a second.
    fn rate(&self) -> f64 {
        let rate = match self.phase {
            Phase::Free => UNBOUNDED,
            Phase::Search { from, tried } => {
                from + tried * std::f64::consts::LN_2 / (DOUBLING * self.quota.length())
            }
            Phase::Hold {
                base,
                active,
                seldom,
            } => {
                let lengths = active / (self.quota.length().max(1.0) * seldom);
                base * (1.0 + GROWTH.0 * lengths + GROWTH.1 * lengths.powi(3))
            }
        };
        rate.clamp(LOWEST, UNBOUNDED)
    }

    /// Takes the next slot, or says until when to wait.
    pub fn next(&mut self, now: Instant) -> Result<Slot, Instant> {
        let until = self.paused_until.max(self.next);
        if until > now {
            return Err(until);
        }
        let slot = self.sent(now);
        let rate = self.rate();
        let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
        let behind = self.next < earliest;
        self.next = self.next.max(earliest) + Duration::from_secs_f64(1.0 / rate);
        if self.probing {
            let answer = (self.event.wait / 10).clamp(SHORTEST_WAIT, FIRST_WAIT);
            self.next = self.next.max(now + answer);
        }
        // Only a pace that holds somebody back is tried out; an idle one says nothing.
        match &mut self.phase {
            Phase::Search { tried, .. } if !behind => *tried += 1.0,
            Phase::Hold { active, .. } if !behind => *active += 1.0 / rate,
            _ => {}
        }
        Ok(slot)
    }

    /// The request of this slot was refused.
    pub fn refused(&mut self, slot: Slot, wait: Option<Duration>, now: Instant) {
        // Requests that were under way at the first refusal tell nothing new about the rate.
        let new = slot.number >= self.event.below;
        if new {
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        let again = 2_u32.saturating_pow(self.in_a_row.clamp(1, 10) - 1);
        // A wait of nothing names none.
        let wait = match wait.filter(|wait| !wait.is_zero()) {
            Some(named) => Wait {
                time: named.max((named.max(SHORTEST_WAIT) * again).min(LONGEST_WAIT)),
                whole: named.subsec_nanos() == 0,
            },
            None => Wait {
                time: (FIRST_WAIT * again).min(LONGEST_WAIT),
                whole: true,
            },
        };
        let until = now + wait.time;
        if new {
            self.phase = self.learned(slot, wait);
            self.event = Event {
                below: self.sent,
                at: slot.at,
                wait: wait.time,
            };
            self.history.clear();
            self.next = until;
            self.probing = self.in_a_row > 1;
        }
        self.paused_until = self.paused_until.max(until);
    }

    /// How to go on after a refusal.
    fn learned(&mut self, slot: Slot, wait: Wait) -> Phase {
        let hold = |base: f64, seldom: f64| Phase::Hold {
            base,
            active: 0.0,
            seldom,
        };
        let rate = self.rate();
        let taken = slot.number.saturating_sub(self.event.below) as f64;
        match self.phase {
            Phase::Free => {
                self.quota = Quota::first(&self.history, slot, wait);
                let from = self.quota.rate();
                if self.quota.over >= SPREAD * self.quota.length() {
                    hold(from * MARGIN, 1.0)
                } else {
                    Phase::Search { from, tried: 0.0 }
                }
            }
            // Nothing was taken after the pause: it was too short, and so was the window that it was part of.
            Phase::Search { .. } if taken < 1.0 => {
                self.quota.longer(slot, wait);
                let from = self.quota.rate();
                Phase::Search { from, tried: 0.0 }
            }
            Phase::Hold { seldom, .. } if taken < 1.0 => hold(rate, seldom),
            _ if taken < FEW * self.quota.burst => {
                let from = match self.phase {
                    Phase::Search { from, .. } => from,
                    _ => rate,
                };
                let filled = self.since(slot, taken) * MARGIN;
                hold(filled.max(from * DECREASE.0).min(rate * DECREASE.1), 1.0)
            }
            _ => {
                let found = self.quota.next(&self.history, slot, taken, wait);
                let found = found.max(self.since(slot, taken)).min(rate) * MARGIN;
                match self.phase {
                    Phase::Hold { base, seldom, .. } => {
                        let kept = found.clamp(rate * DECREASE.0, rate * DECREASE.1);
                        let confirmed = kept >= base * 0.9;
                        let more = (seldom * 2.0).min(SELDOM);
                        hold(kept, if confirmed { more } else { 1.0 })
                    }
                    _ => hold(found, 1.0),
                }
            }
        }
    }

    /// What was taken in a second since the last refusal, when there was nothing left.
    fn since(&self, slot: Slot, taken: f64) -> f64 {
        taken / quota::seconds(self.event.at, slot.at).max(0.001)
    }

    /// A request was taken; true when nothing holds anybody back any more.
    pub fn taken(&mut self, now: Instant) -> bool {
        self.in_a_row = 0;
        if std::mem::take(&mut self.probing) {
            self.next = self.next.min(now);
        }
        if self.rate() < UNBOUNDED {
            return false;
        }
        self.phase = Phase::Free;
        true
    }
}
