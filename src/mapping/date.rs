//! Dates and times from one notation to another. A date without a time is a day of the calendar: it
//! does not move when the time zone changes. Pure; compiled by `compile`, applied by `field`.

use std::borrow::Cow;

use jiff::Zoned;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::api::mapping::DateSpec;
use crate::record::scalar_text;

use super::field::shown;
use super::notation::{Found, Notation, Precision};

#[derive(Debug)]
pub struct DateMap {
    parse: Vec<Notation>,
    format: Notation,
    zone: TimeZone,
    to_zone: TimeZone,
}

impl DateMap {
    pub fn compile(spec: &DateSpec, field: &str) -> Result<Self, (String, String)> {
        let mut parse = vec![Notation::source(
            spec.parse.as_deref(),
            &format!("{field}.parse"),
        )?];
        for (index, other) in spec.or_parse.iter().enumerate() {
            let place = format!("{field}.orParse[{index}]");
            let notation = Notation::source(Some(other), &place)?;
            if parse.contains(&notation) {
                return Err((place, format!("{other:?} is listed already")));
            }
            parse.push(notation);
        }
        let format = Notation::target(spec.format.as_deref(), &format!("{field}.format"))?;
        let zone = zone(spec.time_zone.as_deref(), &format!("{field}.timeZone"))?;
        let to_zone = zone_of_target(spec, &parse, &format, field)?;
        let zone = zone.unwrap_or(TimeZone::UTC);
        Ok(Self {
            parse,
            format,
            to_zone: to_zone.unwrap_or_else(|| zone.clone()),
            zone,
        })
    }

    pub fn apply(&self, value: &Value) -> Result<Value, String> {
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => scalar_text(other)
                .map(Cow::Owned)
                .ok_or_else(|| format!("{} is not a date", shown(value)))?,
        };
        let text = text.trim();
        let found = self
            .parse
            .iter()
            .find_map(|notation| notation.read(text, &self.zone))
            .ok_or_else(|| {
                format!(
                    "{} is not a date in the notation that `date.parse` says",
                    shown(value)
                )
            })?;
        if let Found::Day(day) = found
            && let Some(text) = self.format.write_day(day)
        {
            return Ok(Value::String(text));
        }
        self.format.write(&self.target(found)?)
    }

    /// A day as the target writes it, where that takes neither a time zone nor a second notation of the source.
    pub fn day(&self, text: &str) -> Option<String> {
        match self.parse.first()?.read(text.trim(), &self.zone)? {
            Found::Day(day) => self.format.write_day(day),
            Found::Moment(_) => None,
        }
    }

    /// The moment as the target's time zone shows it; a day without a time stays that day where the
    /// target has no time either, and is its midnight in the source's time zone where it has one.
    fn target(&self, found: Found) -> Result<Zoned, String> {
        let day = match found {
            Found::Moment(at) => return Ok(at.with_time_zone(self.to_zone.clone())),
            Found::Day(day) => day,
        };
        let midnight = |zone: &TimeZone| {
            day.to_datetime(Time::midnight())
                .to_zoned(zone.clone())
                .map_err(|e| e.to_string())
        };
        if self.format.precision() == Precision::Day {
            midnight(&self.to_zone)
        } else {
            Ok(midnight(&self.zone)?.with_time_zone(self.to_zone.clone()))
        }
    }

    /// The map from the target to the source; `None` when the source has several notations.
    pub fn inverse(&self) -> Option<Self> {
        let [parse] = self.parse.as_slice() else {
            return None;
        };
        Some(Self {
            parse: vec![self.format.clone()],
            format: parse.clone(),
            zone: self.to_zone.clone(),
            to_zone: self.zone.clone(),
        })
    }

    /// Whether the source can be told from the target.
    pub fn invertible(&self) -> Result<(), &'static str> {
        let [parse] = self.parse.as_slice() else {
            return Err("the source has several notations");
        };
        for notation in [parse, &self.format] {
            if !notation.is_whole() {
                return Err("the target does not hold the whole date");
            }
        }
        match (parse.precision(), self.format.precision()) {
            (from, Precision::Day) if from > Precision::Day => {
                return Err("the time of day is lost");
            }
            (from, to) if from > to => return Err("small parts of the time are lost"),
            (Precision::Day, to) if to > Precision::Day && self.zone != self.to_zone => {
                return Err("a day becomes a moment, which is another day elsewhere");
            }
            _ => {}
        }
        for (notation, zone) in [(parse, &self.zone), (&self.format, &self.to_zone)] {
            let local = notation.precision() > Precision::Day && !notation.names_offset();
            if local && zone.to_fixed_offset().is_err() {
                return Err("a local time is two moments when clocks are set back");
            }
        }
        Ok(())
    }
}

fn zone(name: Option<&str>, field: &str) -> Result<Option<TimeZone>, (String, String)> {
    name.map(|name| {
        TimeZone::get(name).map_err(|_| {
            (
                field.to_owned(),
                format!("there is no time zone {name:?}; write an IANA name such as Europe/Berlin"),
            )
        })
    })
    .transpose()
}

/// The target's time zone. A zone that nothing would look at is a mistake.
fn zone_of_target(
    spec: &DateSpec,
    parse: &[Notation],
    format: &Notation,
    field: &str,
) -> Result<Option<TimeZone>, (String, String)> {
    let days_only = format.precision() == Precision::Day
        && parse.iter().all(|n| n.precision() == Precision::Day);
    let unix_target = format.is_unix();
    if spec.to_time_zone.is_some() && (days_only || unix_target) {
        let why = if days_only {
            "has no effect on days without a time, which are the same everywhere"
        } else {
            "has no effect on Unix time, which is the same everywhere"
        };
        return Err((format!("{field}.toTimeZone"), why.into()));
    }
    let zone_unused = days_only
        || (parse.iter().all(Notation::is_unix) && (unix_target || spec.to_time_zone.is_some()));
    if spec.time_zone.is_some() && zone_unused {
        return Err((
            format!("{field}.timeZone"),
            "has no effect here: no source value needs it".into(),
        ));
    }
    zone(spec.to_time_zone.as_deref(), &format!("{field}.toTimeZone"))
}
