//! References between resources, and the small value types that several kinds share.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One key of a Secret in the resource's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key within the Secret's data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A resource of a known kind in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalRef {
    /// Name of the resource.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A Connection, in the same namespace unless `namespace` says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionRef {
    /// Name of the Connection.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; its `allowedNamespaces` must allow the namespace of whoever refers to it. Without
    /// it, the resource's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// A length of time as Kubernetes users write it: `300ms`, `30s`, `5m`, `2h`, `1h30m`; at most 10 years.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct DurationText(
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]+(ms|s|m|h))+$"))] String,
);

const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl DurationText {
    /// Checks the text; the error says what a duration looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        read(text).map(|_| Self(text.to_owned())).ok_or_else(|| {
            format!("{text:?} is not a duration; write it as 300ms, 30s, 5m, 2h or 1h30m")
        })
    }

    /// A duration of the program itself, such as a default.
    pub(crate) fn literal(text: &'static str) -> Self {
        debug_assert!(read(text).is_some(), "{text:?} is not a duration");
        Self(text.to_owned())
    }

    pub fn to_std(&self) -> Duration {
        read(&self.0).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The duration of a text like `1h30m`, or `None` when it is not one.
fn read(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let (unit, length) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total = total.checked_add(Duration::from_millis(count.checked_mul(length)?))?;
    }
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

impl fmt::Debug for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_kubernetes_users_write_them() {
        assert_eq!(read("300ms"), Some(Duration::from_millis(300)));
        assert_eq!(read("1h30m"), Some(Duration::from_secs(5400)));
        for bad in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "1d",
            "99999999999999999999h",
            "9999999h",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
