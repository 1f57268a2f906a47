//! When something is due again: an interval, or cron in a time zone. Pure: the moment is given.
//! Compiled by `plan::sync`, asked by `worker` and `runtime`.

use std::time::Duration;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// When runs start.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// This long after the start of the one before.
    Every(Duration),
    /// When the clock of a time zone shows this.
    Cron(Box<CronSchedule>),
}

/// Five fields of cron and a time zone.
#[derive(Clone, Debug)]
pub struct CronSchedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads five fields of cron and the name of a time zone (UTC without one).
    ///
    /// # Errors
    /// The name of the field that is wrong, `cron` or `timeZone`, and what is wrong with it.
    pub fn cron(pattern: &str, zone: Option<&str>) -> Result<Self, (&'static str, String)> {
        let zone = match zone {
            None => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                let text = format!(
                    "{name:?} is not a time zone; write an IANA name such as Europe/Berlin"
                );
                ("timeZone", text)
            })?,
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(pattern).map_err(|error| {
            let text = format!(
                "{pattern:?} is not cron ({error}); write minute, hour, day of month, month and day of week, such as 30 6 * * MON-FRI"
            );
            ("cron", text)
        })?;
        let schedule = CronSchedule { cron, zone };
        if schedule.next(Timestamp::UNIX_EPOCH).is_none() {
            return Err(("cron", format!("{pattern:?} never comes")));
        }
        Ok(Self::Cron(Box::new(schedule)))
    }

    /// The first moment after `after`, in milliseconds since 1970, at which it is due again; runs that
    /// were missed in between are not made up for one by one.
    pub fn next(&self, after: i64) -> i64 {
        match self {
            Self::Every(interval) => {
                after.saturating_add(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Cron(cron) => Timestamp::from_millisecond(after)
                .ok()
                .and_then(|after| cron.next(after))
                .map_or(i64::MAX, Timestamp::as_millisecond),
        }
    }

    /// Whether it is due at `now` when it last began at `last`; never begun is due.
    pub fn is_due(&self, last: Option<i64>, now: i64) -> bool {
        last.is_none_or(|last| self.next(last) <= now)
    }

    /// About how long it is from one to the next, as seen from `from`.
    pub fn period(&self, from: i64) -> Duration {
        let first = self.next(from);
        let length = self.next(first).saturating_sub(first).max(0);
        Duration::from_millis(length.unsigned_abs())
    }
}

impl CronSchedule {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[track_caller]
    fn check(cron: &str, zone: &str, after: &str, expected: &str) {
        let schedule = Schedule::cron(cron, Some(zone)).unwrap();
        let next = Timestamp::from_millisecond(schedule.next(millis(after))).unwrap();
        assert_eq!(next.to_string(), expected, "{cron} in {zone} after {after}");
    }

    #[test]
    fn cron_follows_the_clock_of_its_time_zone_through_the_change_of_summer_time() {
        check(
            "0 3 * * *",
            "Europe/Berlin",
            "2026-01-10T00:00:00Z",
            "2026-01-10T02:00:00Z",
        );
        check(
            "0 3 * * *",
            "Europe/Berlin",
            "2026-07-10T00:00:00Z",
            "2026-07-10T01:00:00Z",
        );
        // 02:30 isn't on the clock on 2026-03-29: it comes when the clock has jumped.
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T12:00:00Z",
            "2026-03-29T01:00:00Z",
        );
        // 02:30 is there twice on 2026-10-25: it comes once.
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-25T00:30:00Z",
            "2026-10-26T01:30:00Z",
        );
        check(
            "*/15 * * * *",
            "UTC",
            "2026-01-01T00:15:00Z",
            "2026-01-01T00:30:00Z",
        );
        check(
            "0 9 * * MON-FRI",
            "UTC",
            "2026-11-27T10:00:00Z",
            "2026-11-30T09:00:00Z",
        );
    }

    #[test]
    fn missed_runs_are_one_run() {
        let hourly = Schedule::cron("0 * * * *", None).unwrap();
        let (last, now) = (
            millis("2026-01-01T00:00:00Z"),
            millis("2026-01-02T00:30:00Z"),
        );
        assert!(hourly.is_due(Some(last), now));
        assert_eq!(hourly.next(now), millis("2026-01-02T01:00:00Z"));
        let every = Schedule::Every(Duration::from_secs(60));
        assert!(!every.is_due(Some(now - 59_000), now));
        assert!(every.is_due(Some(now - 60_000), now) && every.is_due(None, now));
        assert_eq!(every.period(now), Duration::from_secs(60));
    }

    #[test]
    fn what_is_no_schedule_is_refused_by_its_field() {
        for (cron, zone, field) in [
            ("* * * *", None, "cron"),
            ("0 0 3 * * *", None, "cron"),
            ("61 * * * *", None, "cron"),
            ("0 0 31 2 *", None, "cron"),
            ("0 3 * * *", Some("Berlin"), "timeZone"),
        ] {
            assert_eq!(
                Schedule::cron(cron, zone).unwrap_err().0,
                field,
                "{cron} {zone:?}"
            );
        }
    }
}
