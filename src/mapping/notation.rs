//! One notation of dates and times: RFC 3339, Unix time, or a strftime pattern.
//! Pure; used by `date` alone.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use rust_decimal::Decimal;
use serde_json::Value;

use super::day::Days;

/// How a date is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Notation {
    Rfc3339,
    UnixSeconds,
    UnixMillis,
    Pattern(Pattern),
}

/// A strftime pattern and the conversions in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    text: String,
    conversions: Vec<char>,
    precision: Precision,
    /// The same, where it is plain.
    days: Option<Days>,
}

/// The smallest part of a time that a notation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
    Nanosecond,
}

/// What a text means.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// A day of the calendar, without a time.
    Day(Date),
    Moment(Zoned),
}

impl Notation {
    /// Compiles a notation of source values.
    pub fn source(text: Option<&str>, field: &str) -> Result<Self, (String, String)> {
        let notation = Self::compile(text, field)?;
        if let Self::Pattern(pattern) = &notation {
            pattern
                .can_be_read()
                .map_err(|what| (field.to_owned(), format!("{:?} {what}", pattern.text)))?;
        }
        Ok(notation)
    }

    /// Compiles the notation of the target.
    pub fn target(text: Option<&str>, field: &str) -> Result<Self, (String, String)> {
        Self::compile(text, field)
    }

    fn compile(text: Option<&str>, field: &str) -> Result<Self, (String, String)> {
        let pattern = match text {
            None | Some("RFC3339") => return Ok(Self::Rfc3339),
            Some("UnixSeconds") => return Ok(Self::UnixSeconds),
            Some("UnixMillis") => return Ok(Self::UnixMillis),
            Some(pattern) => pattern,
        };
        let problem = |what: String| {
            (
                field.to_owned(),
                format!(
                    "{pattern:?} {what}; write RFC3339, UnixSeconds, UnixMillis or a strftime pattern such as %m/%d/%Y"
                ),
            )
        };
        let conversions = conversions(pattern);
        if conversions.is_empty() {
            return Err(problem("is no notation".into()));
        }
        strtime::format(pattern, &Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC))
            .map_err(|e| problem(format!("is no pattern: {e}")))?;
        Ok(Self::Pattern(Pattern {
            text: pattern.to_owned(),
            precision: precision(&conversions),
            conversions,
            days: Days::compile(pattern),
        }))
    }

    /// What a text means; `zone` where it names none.
    pub fn read(&self, text: &str, zone: &TimeZone) -> Option<Found> {
        let moment = |at: Timestamp| Found::Moment(at.to_zoned(zone.clone()));
        match self {
            Self::Rfc3339 => {
                if let Ok(at) = text.parse::<Timestamp>() {
                    return Some(moment(at));
                }
                // A text without a time is a day; jiff reads it as midnight.
                if text.len() <= "+002024-11-25".len() && !text.contains(':') {
                    return text.parse::<Date>().ok().map(Found::Day);
                }
                local(text.parse::<DateTime>().ok()?, zone)
            }
            Self::UnixSeconds => unix(text, 1_000_000_000).map(moment),
            Self::UnixMillis => unix(text, 1_000_000).map(moment),
            Self::Pattern(pattern) => {
                if let Some(day) = pattern.days.as_ref().and_then(|days| days.read(text)) {
                    return Some(Found::Day(day));
                }
                let parsed: BrokenDownTime = strtime::parse(&pattern.text, text).ok()?;
                if parsed.offset().is_some() || pattern.names('s') {
                    return parsed.to_timestamp().ok().map(moment);
                }
                if pattern.precision == Precision::Day {
                    return parsed.to_date().ok().map(Found::Day);
                }
                local(parsed.to_datetime().ok()?, zone)
            }
        }
    }

    /// Writes a day, where this notation is a plain one of days.
    pub fn write_day(&self, day: Date) -> Option<String> {
        match self {
            Self::Pattern(pattern) => pattern.days.as_ref()?.write(day),
            _ => None,
        }
    }

    /// Writes a moment as its time zone shows it.
    pub fn write(&self, at: &Zoned) -> Result<Value, String> {
        Ok(match self {
            Self::Rfc3339 if *at.time_zone() == TimeZone::UTC => at.timestamp().to_string().into(),
            Self::Rfc3339 => strtime::format("%Y-%m-%dT%H:%M:%S%.f%:z", at)
                .map_err(|e| e.to_string())?
                .into(),
            Self::UnixSeconds => at.timestamp().as_second().into(),
            Self::UnixMillis => at.timestamp().as_millisecond().into(),
            Self::Pattern(pattern) => strtime::format(&pattern.text, at)
                .map_err(|e| e.to_string())?
                .into(),
        })
    }

    pub fn precision(&self) -> Precision {
        match self {
            Self::Rfc3339 => Precision::Nanosecond,
            Self::UnixSeconds => Precision::Second,
            Self::UnixMillis => Precision::Millisecond,
            Self::Pattern(pattern) => pattern.precision,
        }
    }

    pub fn is_unix(&self) -> bool {
        matches!(self, Self::UnixSeconds | Self::UnixMillis)
    }

    /// Whether a text in this notation says how far it is from UTC.
    pub fn names_offset(&self) -> bool {
        match self {
            Self::Pattern(pattern) => ['z', 's', 'Q'].into_iter().any(|c| pattern.names(c)),
            _ => true,
        }
    }

    /// Whether a date can be read back from what this notation writes.
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.can_be_read().is_ok() && !pattern.names('y'),
            _ => true,
        }
    }
}

impl Pattern {
    fn names(&self, conversion: char) -> bool {
        self.conversions.contains(&conversion)
    }

    /// Whether this pattern reads what it writes: a whole date, and a whole hour if there is one.
    fn can_be_read(&self) -> Result<(), &'static str> {
        const UNREADABLE: &str = "names no whole date, so that every record would be rejected; it needs a year, a month and a day";
        let sample = jiff::civil::date(2024, 11, 25)
            .at(15, 4, 5, 0)
            .to_zoned(TimeZone::UTC)
            .map_err(|_| UNREADABLE)?;
        let text = strtime::format(&self.text, &sample).map_err(|_| UNREADABLE)?;
        let notation = Notation::Pattern(self.clone());
        match notation.read(&text, &TimeZone::UTC) {
            None => Err(UNREADABLE),
            Some(Found::Day(day)) if day == sample.date() => Ok(()),
            Some(Found::Moment(at)) if at.date() != sample.date() => Err(UNREADABLE),
            Some(Found::Moment(at)) if at.hour() != sample.hour() => Err(
                "names an hour of twelve without %p, so that morning and afternoon are the same",
            ),
            Some(Found::Moment(_)) => Ok(()),
            Some(Found::Day(_)) => Err(UNREADABLE),
        }
    }
}

fn precision(conversions: &[char]) -> Precision {
    let names = |letters: &str| conversions.iter().any(|c| letters.contains(*c));
    if names("fN") {
        Precision::Nanosecond
    } else if names("sScrTX") {
        Precision::Second
    } else if names("MR") {
        Precision::Minute
    } else if names("HIklPp") {
        Precision::Hour
    } else {
        Precision::Day
    }
}

/// The letters after the percent signs, without flags and widths.
fn conversions(pattern: &str) -> Vec<char> {
    let mut found = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            continue;
        }
        let letter = chars.find(|c| !matches!(c, '-' | '_' | '^' | '#' | '.' | ':' | '0'..='9'));
        found.extend(letter.filter(|c| *c != '%'));
    }
    found
}

/// A local time as a moment. One that a change of clocks leaves out moves forward by the change, and
/// of one that comes twice the first is taken, as calendars do (RFC 5545 §3.3.5).
fn local(at: DateTime, zone: &TimeZone) -> Option<Found> {
    at.to_zoned(zone.clone()).ok().map(Found::Moment)
}

fn unix(text: &str, nanoseconds: i64) -> Option<Timestamp> {
    let number: Decimal = match text.contains(['e', 'E']) {
        true => Decimal::from_scientific(text).ok()?,
        false => text.parse().ok()?,
    };
    let nanoseconds = number.checked_mul(nanoseconds.into())?;
    Timestamp::from_nanosecond(i128::try_from(nanoseconds.trunc()).ok()?).ok()
}
