//! Dates and times from one notation to another.

use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::Value;

use crate::api::mapping::DateSpec;
use crate::record::scalar_text;

use super::field::shown;

#[derive(Clone, Debug, PartialEq)]
enum Notation {
    Rfc3339,
    UnixSeconds,
    UnixMillis,
    Pattern(String),
}

#[derive(Debug)]
pub struct DateMap {
    parse: Vec<Notation>,
    format: Notation,
    zone: TimeZone,
    to_zone: TimeZone,
}

impl Notation {
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
        if !pattern.contains('%') {
            return Err(problem("is no notation".into()));
        }
        strtime::format(pattern, &Zoned::new(Timestamp::UNIX_EPOCH, TimeZone::UTC))
            .map_err(|e| problem(format!("is no pattern: {e}")))?;
        Ok(Self::Pattern(pattern.to_owned()))
    }

    /// The moment that a text means; `zone` where it names none.
    fn read(&self, text: &str, zone: &TimeZone) -> Option<Zoned> {
        match self {
            Self::Rfc3339 => {
                if let Ok(at) = text.parse::<Timestamp>() {
                    return Some(at.to_zoned(zone.clone()));
                }
                text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()
            }
            Self::UnixSeconds | Self::UnixMillis => {
                let number: rust_decimal::Decimal = text.parse().ok()?;
                let scale = if *self == Self::UnixSeconds {
                    1_000_000_000
                } else {
                    1_000_000
                };
                let nanos = number.checked_mul(scale.into())?;
                let nanos = i128::try_from(nanos.trunc()).ok()?;
                Timestamp::from_nanosecond(nanos)
                    .ok()
                    .map(|at| at.to_zoned(zone.clone()))
            }
            Self::Pattern(pattern) => {
                let parsed: BrokenDownTime = strtime::parse(pattern, text).ok()?;
                if parsed.offset().is_some() {
                    return parsed
                        .to_timestamp()
                        .ok()
                        .map(|at| at.to_zoned(zone.clone()));
                }
                let at = parsed
                    .to_datetime()
                    .or_else(|_| {
                        parsed
                            .to_date()
                            .map(|date| date.to_datetime(jiff::civil::Time::midnight()))
                    })
                    .ok()?;
                // A time that a change of clocks leaves out is moved forward, as calendars do.
                at.to_zoned(zone.clone()).ok()
            }
        }
    }

    fn write(&self, at: &Zoned) -> Result<Value, String> {
        Ok(match self {
            Self::Rfc3339 if *at.time_zone() == TimeZone::UTC => at.timestamp().to_string().into(),
            Self::Rfc3339 => strtime::format("%Y-%m-%dT%H:%M:%S%.f%:z", at)
                .map_err(|e| e.to_string())?
                .into(),
            Self::UnixSeconds => at.timestamp().as_second().into(),
            Self::UnixMillis => at.timestamp().as_millisecond().into(),
            Self::Pattern(pattern) => strtime::format(pattern, at)
                .map_err(|e| e.to_string())?
                .into(),
        })
    }

    fn names_time(&self) -> bool {
        match self {
            Self::Pattern(pattern) => ["%H", "%I", "%T", "%R", "%s", "%c", "%X"]
                .iter()
                .any(|d| pattern.contains(d)),
            _ => true,
        }
    }
}

impl DateMap {
    pub fn compile(spec: &DateSpec, field: &str) -> Result<Self, (String, String)> {
        let zone = |name: &Option<String>, field: String| match name {
            None => Ok(None),
            Some(name) => TimeZone::get(name).map(Some).map_err(|_| {
                (
                    field,
                    format!(
                        "there is no time zone {name:?}; write an IANA name such as Europe/Berlin"
                    ),
                )
            }),
        };
        let from = zone(&spec.time_zone, format!("{field}.timeZone"))?.unwrap_or(TimeZone::UTC);
        let to = zone(&spec.to_time_zone, format!("{field}.toTimeZone"))?
            .unwrap_or_else(|| from.clone());
        let mut parse = vec![Notation::compile(
            spec.parse.as_deref(),
            &format!("{field}.parse"),
        )?];
        for (index, other) in spec.or_parse.iter().enumerate() {
            parse.push(Notation::compile(
                Some(other),
                &format!("{field}.orParse[{index}]"),
            )?);
        }
        let format = Notation::compile(spec.format.as_deref(), &format!("{field}.format"))?;
        Ok(Self {
            parse,
            format,
            zone: from,
            to_zone: to,
        })
    }

    pub fn apply(&self, value: &Value) -> Result<Value, String> {
        let text = scalar_text(value).ok_or_else(|| format!("{} is not a date", shown(value)))?;
        let text = text.trim();
        let at = self
            .parse
            .iter()
            .find_map(|notation| notation.read(text, &self.zone))
            .ok_or_else(|| {
                format!(
                    "{} is not a date in the notation that `date.parse` says",
                    shown(value)
                )
            })?;
        self.format.write(&at.with_time_zone(self.to_zone.clone()))
    }

    pub fn invertible(&self) -> Result<(), &'static str> {
        if self.parse.len() > 1 {
            return Err("the source has several notations");
        }
        if self.parse[0].names_time() && !self.format.names_time() {
            return Err("the time of day is lost");
        }
        Ok(())
    }
}
