//! The time of day, and delays between tries. The only places of the worker that ask for them.
//! Used by all of `worker`, and by `runtime` for its own delays.

use std::time::Duration;

use crate::state::Millis;
use crate::trial::off_by;

/// Milliseconds since 1970.
pub fn now() -> Millis {
    jiff::Timestamp::now().as_millisecond() + off_by()
}

/// A delay before the next try: full jitter over `initial` × 2^attempts, at most `longest`
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).
pub fn backoff(initial: Duration, longest: Duration, attempts: u32) -> Duration {
    let ceiling = initial
        .saturating_mul(2_u32.saturating_pow(attempts.min(20)))
        .min(longest)
        .max(Duration::from_millis(1));
    Duration::from_millis(1 + random() % (ceiling.as_millis() as u64).max(1))
}

/// 64 random bits; zero where the system has none, which only makes delays short.
fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}
