//! A rate learned from refusals: additive increase, multiplicative decrease, shared by all senders of
//! a Connection, so that a system with a limit is used near that limit and seldom refuses.
//! Pure; time is passed in. Used by `limit`.

use std::time::Duration;

use tokio::time::Instant;

/// The wait after a refusal that names none, doubling while refusals follow each other.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// What is kept of the measured rate, so that the next window is not overrun at once.
const MARGIN: f64 = 0.97;
/// What is kept of a learned rate that was refused: at least, at most.
const DECREASE: (f64, f64) = (0.7, 0.95);
/// Increase in a second, below and near the rate that was last refused.
const RECOVER: f64 = 0.03;
const EXPLORE: f64 = 0.005;
/// Beyond this many requests a second a learned rate holds nobody back.
const UNBOUNDED: f64 = 50_000.0;
/// The lowest learned rate.
const LOWEST: f64 = 1.0 / 60.0;
/// How far the pace may catch up when a timer came late.
const CATCH_UP: Duration = Duration::from_millis(5);

pub(super) struct Adaptive {
    /// Requests a second; `None` until a refusal.
    rate: Option<f64>,
    /// The rate at which the last refusal came.
    refused_at: f64,
    /// Nobody sends before.
    paused_until: Instant,
    /// When the next request may be sent under `rate`.
    next: Instant,
    /// The last refusal that told something new.
    since: Instant,
    /// What was taken lately, over several lengths of time: a system's window may be a second or an hour,
    /// and a quiet hour before a burst says nothing about the limit.
    windows: [Window; 4],
    /// Refusals in a row without a request that was taken, for waits of our own choice.
    in_a_row: u32,
}

/// Requests taken in the running window and the one before it.
struct Window {
    length: Duration,
    start: Instant,
    count: u32,
    before: Option<(Instant, u32)>,
}

impl Window {
    fn new(seconds: u64, now: Instant) -> Self {
        Self {
            length: Duration::from_secs(seconds),
            start: now,
            count: 0,
            before: None,
        }
    }

    fn add(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.start);
        if age > self.length {
            self.before = (age < self.length * 2).then_some((self.start, self.count));
            (self.start, self.count) = (now, 0);
        }
        self.count = self.count.saturating_add(1);
    }

    /// Requests a second, were nothing sent until `until`.
    fn rate(&self, until: Instant) -> f64 {
        let (start, count) = self.before.unwrap_or((self.start, 0));
        let count = f64::from(count.saturating_add(self.count).max(1));
        count
            / until
                .saturating_duration_since(start)
                .as_secs_f64()
                .max(0.001)
    }
}

/// Windows of a second, ten, a minute and an hour.
fn windows(now: Instant) -> [Window; 4] {
    [1, 10, 60, 3600].map(|seconds| Window::new(seconds, now))
}

impl Adaptive {
    pub fn new(now: Instant) -> Self {
        Self {
            rate: None,
            refused_at: 0.0,
            paused_until: now,
            next: now,
            since: now,
            windows: windows(now),
            in_a_row: 0,
        }
    }

    /// A request was sent while nothing holds anybody back.
    pub fn sent(&mut self, now: Instant) {
        for window in &mut self.windows {
            window.add(now);
        }
    }

    /// Takes the next slot (`None`: send now), or says until when to wait.
    pub fn next(&mut self, now: Instant) -> Option<Instant> {
        let until = self.paused_until.max(self.next);
        if until > now {
            return Some(until);
        }
        self.sent(now);
        if let Some(rate) = &mut self.rate {
            let growth = if *rate < self.refused_at * DECREASE.1 {
                RECOVER
            } else {
                EXPLORE
            };
            let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
            let behind = self.next < earliest;
            self.next = self.next.max(earliest) + Duration::from_secs_f64(1.0 / *rate);
            // Only a rate that holds somebody back is tried out; an idle one says nothing.
            if !behind {
                *rate = (*rate + growth).min(*rate * (1.0 + growth));
            }
        }
        None
    }

    /// A request that was sent at `sent` was refused.
    pub fn refused(&mut self, sent: Instant, wait: Option<Duration>, now: Instant) {
        for window in &mut self.windows {
            window.count = window.count.saturating_sub(1);
        }
        // Requests that were under way at the first refusal tell nothing new about the rate.
        let same_event = self.rate.is_some() && sent <= self.since;
        if !same_event {
            self.in_a_row = self.in_a_row.saturating_add(1);
        }
        let wait = wait.unwrap_or_else(|| {
            (FIRST_WAIT * 2_u32.saturating_pow(self.in_a_row.clamp(1, 10) - 1)).min(LONGEST_WAIT)
        });
        let until = now + wait;
        if !same_event {
            self.learn(until, now);
            self.since = now;
        }
        self.paused_until = self.paused_until.max(until);
    }

    /// Lowers the rate to what the system took until this pause ends. The next measure begins now, so
    /// that it has this pause in it.
    fn learn(&mut self, until: Instant, now: Instant) {
        let measured = self
            .windows
            .iter()
            .map(|w| w.rate(until))
            .fold(0.0, f64::max);
        let rate = match self.rate {
            None => measured * MARGIN,
            Some(rate) => (measured * MARGIN).clamp(rate * DECREASE.0, rate * DECREASE.1),
        };
        self.refused_at = self.rate.unwrap_or(measured);
        self.rate = Some(rate.clamp(LOWEST, UNBOUNDED));
        self.next = until;
        self.windows = windows(now);
    }

    /// A request was taken; true when nothing holds anybody back any more.
    pub fn taken(&mut self) -> bool {
        self.in_a_row = 0;
        if self.rate.is_some_and(|rate| rate < UNBOUNDED) {
            return false;
        }
        self.rate = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system that takes `limit` requests in each second of the clock, and sixteen senders on it.
    /// Answers the seconds that it took and the refusals.
    fn drive(total: u32, limit: u32) -> (f64, u32) {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(start);
        let (mut now, mut window, mut used) = (start, 0, 0);
        let (mut taken, mut refused) = (0, 0);
        while taken < total {
            let held = adaptive.next(now);
            if let Some(until) = held {
                now = until;
                continue;
            }
            let second = (now - start).as_secs();
            if second != window {
                (window, used) = (second, 0);
            }
            used += 1;
            if used <= limit {
                taken += 1;
                adaptive.taken();
            } else {
                refused += 1;
                let rest = start + Duration::from_secs(second + 1) - now;
                adaptive.refused(
                    now,
                    Some(Duration::from_secs(rest.as_secs_f64().ceil() as u64)),
                    now,
                );
            }
            now += Duration::from_micros(60);
        }
        ((now - start).as_secs_f64(), refused)
    }

    #[test]
    fn a_system_with_a_limit_is_used_near_it_and_seldom_refuses() {
        let (seconds, refused) = drive(3000, 300);
        assert!(seconds < 13.0, "{seconds} s");
        assert!(refused < 60, "{refused} refused");
    }

    #[test]
    fn a_lower_limit_is_learned_as_well() {
        let (seconds, refused) = drive(200, 10);
        assert!(seconds < 26.0, "{seconds} s");
        assert!(refused <= 10, "{refused} refused");
    }

    #[test]
    fn a_pause_holds_everybody_until_it_ends() {
        let now = Instant::now();
        let mut adaptive = Adaptive::new(now);
        adaptive.sent(now);
        adaptive.refused(now, Some(Duration::from_secs(7)), now);
        assert_eq!(adaptive.next(now), Some(now + Duration::from_secs(7)));
        assert_eq!(adaptive.next(now + Duration::from_secs(7)), None);
    }

    #[test]
    fn refusals_of_requests_that_were_under_way_count_once() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut adaptive = Adaptive::new(now);
        for _ in 0..100 {
            adaptive.sent(now);
        }
        adaptive.refused(now, Some(Duration::from_secs(1)), later);
        let rate = adaptive.rate;
        for _ in 0..15 {
            adaptive.refused(now, Some(Duration::from_secs(1)), later);
        }
        assert_eq!(adaptive.rate, rate);
    }

    #[test]
    fn without_a_named_wait_it_doubles() {
        let now = Instant::now();
        let mut adaptive = Adaptive::new(now);
        adaptive.refused(now, None, now);
        assert_eq!(adaptive.paused_until, now + Duration::from_secs(1));
        let later = now + Duration::from_secs(1);
        adaptive.refused(later, None, later);
        assert_eq!(adaptive.paused_until, later + Duration::from_secs(2));
    }

    #[test]
    fn a_quiet_hour_before_a_burst_does_not_lower_what_is_learned() {
        let mut now = Instant::now();
        let mut adaptive = Adaptive::new(now);
        for _ in 0..60 {
            adaptive.sent(now);
            now += Duration::from_secs(60);
        }
        for _ in 0..301 {
            adaptive.sent(now);
        }
        adaptive.refused(now, Some(Duration::from_secs(1)), now);
        let rate = adaptive.rate.unwrap();
        assert!((200.0..310.0).contains(&rate), "{rate}");
    }

    #[test]
    fn a_limit_by_the_minute_is_learned_from_a_slow_start() {
        let start = Instant::now();
        let mut adaptive = Adaptive::new(start);
        for i in 0..121 {
            adaptive.sent(start + Duration::from_millis(i * 100));
        }
        let now = start + Duration::from_secs(12);
        adaptive.refused(now, Some(Duration::from_secs(48)), now);
        let rate = adaptive.rate.unwrap();
        assert!((1.5..2.1).contains(&rate), "{rate}");
    }
}
