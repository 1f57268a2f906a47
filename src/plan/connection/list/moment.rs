//! How a moment is read from a record and written into a request.
//! Pure, and quick: it runs for every record. Used by `pipeline`, `worker` and `connector::pages`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expression::Path;
use crate::record::Moment;

const SECOND: i128 = 1_000_000_000;
const MILLI: i128 = 1_000_000;

/// Where a moment stands in a record and how it is written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MomentPlan {
    pub path: Path,
    /// In the order of trying; never empty.
    pub formats: Vec<MomentFormat>,
}

impl MomentPlan {
    /// The moment of a record; `None` when it is missing or written in no known format.
    pub fn read(&self, record: &Value) -> Option<Moment> {
        self.read_value(self.path.get(record)?)
    }

    /// The moment of the field's own value.
    pub fn read_value(&self, value: &Value) -> Option<Moment> {
        self.formats.iter().find_map(|format| format.read(value))
    }
}

/// How a moment is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MomentFormat {
    /// Any offset, up to nine digits of a second (RFC 3339).
    Rfc3339,
    /// A number or its text, with or without decimals.
    UnixSeconds,
    UnixMillis,
    Integer,
    Text,
    /// A strftime pattern; without an offset in it, UTC.
    Pattern(String),
}

impl MomentFormat {
    /// The format of its name or pattern; the error says what can be written.
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "RFC3339" => Self::Rfc3339,
            "UnixSeconds" => Self::UnixSeconds,
            "UnixMillis" => Self::UnixMillis,
            "Integer" => Self::Integer,
            "Text" => Self::Text,
            pattern if pattern.contains('%') => {
                // A pattern that cannot read what it writes itself would read no record.
                let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
                let sample = strtime::format(pattern, &now)
                    .map_err(|e| format!("{text:?} is no strftime pattern: {e}"))?;
                if read_pattern(pattern, &sample).is_none() {
                    return Err(format!(
                        "{text:?} does not hold a whole date: write %Y, %m and %d, or %s"
                    ));
                }
                Self::Pattern(pattern.to_owned())
            }
            _ => {
                return Err(format!(
                    "{text:?} is no format; write RFC3339, UnixSeconds, UnixMillis, Integer, Text, or a strftime pattern such as %Y-%m-%d"
                ));
            }
        })
    }

    /// Whether moments of this format are points in time.
    pub fn is_time(&self) -> bool {
        !matches!(self, Self::Integer | Self::Text)
    }

    pub fn read(&self, value: &Value) -> Option<Moment> {
        match (self, value) {
            (Self::Rfc3339, Value::String(text)) => {
                let at = in_utc(text.as_bytes()).or_else(|| text.parse().ok())?;
                Some(Moment::Time(at.as_nanosecond()))
            }
            (Self::UnixSeconds, value) => read_decimal(value, SECOND).map(Moment::Time),
            (Self::UnixMillis, value) => read_decimal(value, MILLI).map(Moment::Time),
            (Self::Integer, Value::Number(number)) => number.as_i64().map(Moment::Integer),
            (Self::Integer, Value::String(text)) => text.parse().ok().map(Moment::Integer),
            (Self::Text, Value::String(text)) if !text.is_empty() => {
                Some(Moment::Text(text.clone()))
            }
            (Self::Pattern(pattern), Value::String(text)) => {
                read_pattern(pattern, text).map(Moment::Time)
            }
            (Self::Pattern(pattern), Value::Number(number)) => {
                read_pattern(pattern, &number.to_string()).map(Moment::Time)
            }
            _ => None,
        }
    }

    /// The moment as requests carry it; `None` when it is of another kind or beyond the year 9999.
    pub fn write(&self, moment: &Moment) -> Option<Value> {
        match (self, moment) {
            (Self::Rfc3339, Moment::Time(nanos)) => Some(timestamp(*nanos)?.to_string().into()),
            (Self::UnixSeconds, Moment::Time(nanos)) => write_decimal(*nanos, SECOND),
            (Self::UnixMillis, Moment::Time(nanos)) => write_decimal(*nanos, MILLI),
            (Self::Pattern(pattern), Moment::Time(nanos)) => {
                let zoned = timestamp(*nanos)?.to_zoned(TimeZone::UTC);
                strtime::format(pattern, &zoned).ok().map(Value::String)
            }
            (Self::Integer, Moment::Integer(count)) => Some((*count).into()),
            (Self::Text, Moment::Text(text)) => Some(text.clone().into()),
            _ => None,
        }
    }

    /// The smallest difference that this format writes, at least a millisecond: many systems refuse more
    /// digits of a second than three.
    pub fn granularity(&self) -> Duration {
        match self {
            Self::UnixSeconds => Duration::from_secs(1),
            Self::Pattern(pattern) => pattern_granularity(pattern),
            Self::Rfc3339 | Self::UnixMillis | Self::Integer | Self::Text => {
                Duration::from_millis(1)
            }
        }
    }
}

/// What most systems write of RFC 3339, `2024-11-25T15:04:05Z` with or without parts of a second.
fn in_utc(text: &[u8]) -> Option<Timestamp> {
    let (
        &[
            y,
            e,
            a,
            r,
            b'-',
            m,
            o,
            b'-',
            d,
            w,
            b'T',
            h,
            i,
            b':',
            n,
            u,
            b':',
            s,
            c,
        ],
        rest,
    ) = text.split_first_chunk::<19>()?
    else {
        return None;
    };
    let number = |digits: &[u8]| {
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| i32::from(byte - b'0'));
        digits
            .iter()
            .try_fold(0, |all, byte| Some(all * 10 + digit(byte)?))
    };
    let two = |tens, ones| number(&[tens, ones]).and_then(|n| i8::try_from(n).ok());
    let nanos = match rest {
        b"Z" => 0,
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => {
            number(digits)? * 10_i32.pow(9 - digits.len() as u32)
        }
        _ => return None,
    };
    let year = i16::try_from(number(&[y, e, a, r])?).ok()?;
    let (month, day, hour) = (two(m, o)?, two(d, w)?, two(h, i)?);
    let time = DateTime::new(year, month, day, hour, two(n, u)?, two(s, c)?, nanos).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

fn timestamp(nanos: i128) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanos).ok()
}

/// What the pattern can tell apart, so that the end of a window is rounded up to it and not cut off.
fn pattern_granularity(pattern: &str) -> Duration {
    let holds = |letters: &[char]| {
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                continue;
            }
            // Flags, widths and the dot of `%.3f` stand between the percent sign and its letter.
            let letter = chars
                .by_ref()
                .find(|c| c.is_ascii_alphabetic() || *c == '%');
            if letter.is_some_and(|l| letters.contains(&l)) {
                return true;
            }
        }
        false
    };
    if holds(&['f', 'N']) {
        Duration::from_millis(1)
    } else if holds(&['S', 'T', 's', 'c', 'r', 'X']) {
        Duration::from_secs(1)
    } else if holds(&['M', 'R']) {
        Duration::from_secs(60)
    } else if holds(&['H', 'I', 'k', 'l']) {
        Duration::from_secs(3_600)
    } else {
        Duration::from_secs(86_400)
    }
}

fn read_pattern(pattern: &str, text: &str) -> Option<i128> {
    let parts = BrokenDownTime::parse(pattern, text).ok()?;
    if let Ok(time) = parts.to_timestamp() {
        return Some(time.as_nanosecond());
    }
    let time = match parts.to_datetime() {
        Ok(time) => time,
        // A date alone is its first moment.
        Err(_) => parts.to_date().ok()?.at(0, 0, 0, 0),
    };
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_nanosecond())
}

/// The nanoseconds of a number or its text, counted in units of `unit` nanoseconds, without going through
/// floating point: the ninth digit of a second survives.
fn read_decimal(value: &Value, unit: i128) -> Option<i128> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Some(i128::from(whole) * unit),
            None => read_decimal_text(&number.to_string(), unit),
        },
        Value::String(text) => read_decimal_text(text, unit),
        _ => None,
    }
}

fn read_decimal_text(text: &str, unit: i128) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 18 || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let mut nanos = whole.parse::<i128>().ok()? * unit;
    let mut place = unit / 10;
    for digit in fraction.bytes() {
        nanos += i128::from(digit - b'0') * place;
        place /= 10;
    }
    Some(if negative { -nanos } else { nanos })
}

/// A whole number where it is one, else its text with decimals.
fn write_decimal(nanos: i128, unit: i128) -> Option<Value> {
    let (whole, rest) = (nanos.div_euclid(unit), nanos.rem_euclid(unit));
    if rest == 0 {
        return i64::try_from(whole).ok().map(Value::from);
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let (whole, rest) = (nanos.abs() / unit, nanos.abs() % unit);
    let width = unit.ilog10() as usize;
    let digits = format!("{rest:0width$}");
    Some(format!("{sign}{whole}.{}", digits.trim_end_matches('0')).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_moment_in_utc_is_read_as_its_standard_says(
            seconds in -62_167_219_200_i64..253_402_207_200,
            nanos in prop_oneof![Just(0), 0..1_000_000_000_i32, (0..1_000_i32).prop_map(|n| n * 1_000_000)],
        ) {
            let at = Timestamp::new(seconds, nanos).unwrap();
            prop_assert_eq!(in_utc(at.to_string().as_bytes()), Some(at), "{}", at);
        }

        #[test]
        fn what_is_read_quickly_is_what_jiff_reads(
            text in r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,10})?(Z|z|\+00:00)?"
        ) {
            if let Some(at) = in_utc(text.as_bytes()) {
                prop_assert_eq!(text.parse::<Timestamp>().ok(), Some(at));
            }
        }
    }
}
