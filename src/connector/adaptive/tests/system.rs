//! Systems that take a limited number of requests: how they count, and what their refusals say. Pure; seconds
//! are numbers since the start. Used by `simulation` and by `benches/rate`.

use std::collections::VecDeque;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// So many in each window of the clock.
    Fixed,
    /// So many in any window.
    Sliding,
    /// So many in a window by and by, and this many at once.
    Bucket(f64),
}

/// How long a refusal asks to wait.
#[derive(Clone, Copy, Debug)]
pub enum Hint {
    /// Whole seconds, rounded up: Retry-After, or RateLimit-Reset alone.
    Seconds,
    /// One second, whatever the window.
    One,
    /// To the nanosecond.
    Exact,
    /// None is named.
    Nothing,
    /// Whole seconds, rounded down.
    Zero,
}

impl Hint {
    /// What a refusal names when the next request is taken after `rest`.
    pub fn wait(self, rest: f64) -> Option<Duration> {
        let seconds = match self {
            Self::Seconds => rest.ceil(),
            Self::One => 1.0,
            Self::Exact => rest,
            Self::Nothing => return None,
            Self::Zero => rest.floor(),
        };
        Some(Duration::from_secs_f64(seconds))
    }
}

#[derive(Clone)]
pub struct System {
    shape: Shape,
    limit: f64,
    window: f64,
    /// How much of the first window is over at the start.
    pub phase: f64,
    /// From this second on the limit is another one.
    pub becomes: Option<(f64, f64)>,
    used: (f64, f64),
    log: VecDeque<f64>,
    tokens: (f64, f64),
}

impl System {
    pub fn new(shape: Shape, limit: f64, window: f64) -> Self {
        let tokens = match shape {
            Shape::Bucket(size) => size,
            _ => 0.0,
        };
        Self {
            shape,
            limit,
            window,
            phase: 0.0,
            becomes: None,
            used: (-1.0, 0.0),
            log: VecDeque::new(),
            tokens: (0.0, tokens),
        }
    }

    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes a request or refuses it; the error: how long until one is taken.
    pub fn ask(&mut self, now: f64) -> Result<(), f64> {
        if let Some((_, limit)) = self.becomes.filter(|(from, _)| now >= *from) {
            self.limit = limit;
        }
        match self.shape {
            Shape::Fixed => {
                let place = now / self.window + self.phase;
                if place.floor() > self.used.0 {
                    self.used = (place.floor(), 0.0);
                }
                if self.used.1 >= self.limit {
                    return Err((1.0 - place.fract()) * self.window);
                }
                self.used.1 += 1.0;
            }
            Shape::Sliding => {
                while self.log.front().is_some_and(|at| at + self.window <= now) {
                    self.log.pop_front();
                }
                let over = (self.log.len() as f64 - self.limit) as usize;
                if self.log.len() as f64 >= self.limit {
                    return Err(self.log[over] + self.window - now);
                }
                self.log.push_back(now);
            }
            Shape::Bucket(size) => {
                let rate = self.limit / self.window;
                let filled = (self.tokens.1 + (now - self.tokens.0) * rate).min(size);
                self.tokens = (now, filled);
                if filled < 1.0 {
                    return Err((1.0 - filled) / rate);
                }
                self.tokens.1 -= 1.0;
            }
        }
        Ok(())
    }
}
