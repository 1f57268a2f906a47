//! From when until when one pass through a list reads: the cursor's watermark, overlap and steps.
//! Pure: the time is passed in. Used by `reader`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::plan::connection::CursorPlan;
use crate::record::Moment;

/// One pass through a list. Both ends are inclusive; what two windows share is dropped by fingerprint.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Window {
    pub since: Option<Moment>,
    pub until: Option<Moment>,
}

impl Window {
    /// The first window of a scan that began at `now` (nanoseconds since 1970), after `watermark`.
    pub fn first(cursor: &CursorPlan, watermark: Option<&Moment>, now: i128) -> Self {
        let since = match watermark {
            Some(Moment::Time(nanos)) => Some(Moment::Time(nanos - nanos_of(cursor.overlap))),
            Some(other) => Some(other.clone()),
            None => cursor.start(),
        };
        Self::from(cursor, since, now)
    }

    /// The window after this one; `None` when this one reached `now`.
    pub fn following(&self, cursor: &CursorPlan, now: i128) -> Option<Self> {
        cursor.step?;
        match &self.until {
            Some(Moment::Time(until)) if *until < now => {
                Some(Self::from(cursor, self.until.clone(), now))
            }
            _ => None,
        }
    }

    fn from(cursor: &CursorPlan, since: Option<Moment>, now: i128) -> Self {
        let unit = nanos_of(cursor.granularity).max(1);
        if !cursor.format().is_time() {
            return Self { since, until: None };
        }
        let since = since.map(|moment| match moment {
            Moment::Time(nanos) => Moment::Time(nanos.div_euclid(unit) * unit),
            other => other,
        });
        let end = match (&since, cursor.step) {
            (Some(Moment::Time(since)), Some(step)) => (since + nanos_of(step)).min(now),
            _ => now,
        };
        let up = (end + unit - 1).div_euclid(unit) * unit;
        // A watermark of the future, from a system whose clock is ahead, makes an empty window.
        let until = match &since {
            Some(Moment::Time(since)) => up.max(*since),
            _ => up,
        };
        Self {
            since,
            until: Some(Moment::Time(until)),
        }
    }

    /// The values of `${cursor.…}`.
    pub fn scope(&self, cursor: &CursorPlan) -> Value {
        let mut values = Map::new();
        for (name, moment) in [("since", &self.since), ("until", &self.until)] {
            if let Some(value) = moment.as_ref().and_then(|m| cursor.format().write(m)) {
                values.insert(name.to_owned(), value);
            }
        }
        Value::Object(values)
    }
}

fn nanos_of(duration: Duration) -> i128 {
    duration.as_nanos().try_into().unwrap_or(i128::MAX)
}

/// A moment in a position. Nanoseconds stand as text, since JSON numbers end earlier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Mark {
    Time(String),
    Integer(i64),
    Text(String),
}

impl From<&Moment> for Mark {
    fn from(moment: &Moment) -> Self {
        match moment {
            Moment::Time(nanos) => Self::Time(nanos.to_string()),
            Moment::Integer(count) => Self::Integer(*count),
            Moment::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl Mark {
    pub fn moment(&self) -> Option<Moment> {
        Some(match self {
            Self::Time(nanos) => Moment::Time(nanos.parse().ok()?),
            Self::Integer(count) => Moment::Integer(*count),
            Self::Text(text) => Moment::Text(text.clone()),
        })
    }
}
