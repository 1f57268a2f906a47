//! Moments for people and for programs. Used by the commands that show state.

use jiff::Timestamp;

/// RFC 3339 in UTC, to the second; empty for what is no time.
pub fn time(millis: i64) -> String {
    Timestamp::from_second(millis.div_euclid(1000))
        .map(|t| t.to_string())
        .unwrap_or_default()
}

/// How long ago, in one unit: `40 s ago`, `5 min ago`, `3 h ago`, `2 days ago`.
pub fn ago(millis: i64) -> String {
    let now = Timestamp::now().as_millisecond();
    let seconds = now.saturating_sub(millis).max(0) / 1000;
    match seconds {
        0..100 => format!("{seconds} s ago"),
        100..6_000 => format!("{} min ago", seconds / 60),
        6_000..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A duration: `0.4 s`, `12 s`, `5 min 3 s`.
pub fn lasted(millis: i64) -> String {
    let millis = millis.max(0);
    match millis {
        0..10_000 => format!("{:.1} s", millis as f64 / 1000.0),
        10_000..120_000 => format!("{} s", millis / 1000),
        _ => format!("{} min {} s", millis / 60_000, millis / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_at_a_glance() {
        assert_eq!(
            [400, 12_300, 303_000].map(lasted),
            ["0.4 s", "12 s", "5 min 3 s"]
        );
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        let now = Timestamp::now().as_millisecond();
        assert!(ago(now - 7_200_000).starts_with("120 min") || ago(now - 7_200_000) == "2 h ago");
    }
}
