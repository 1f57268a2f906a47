//! The words that every room shares: keys, ids, versions, fingerprints and outcomes of records.
//! Pure data: no I/O, no clock, no Kubernetes types.

mod failure;

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

pub use failure::{Class, Failure, Request};

/// Longest key in bytes; a record with a longer one is a dead letter.
pub const MAX_KEY_BYTES: usize = 1024;

/// Canonical text of a record's key in its source.
///
/// A key of one field is the text of its scalar (`42` and `"42"` are the same key, because many APIs
/// send an id as a number in one place and as a string in another). A key of several fields is a JSON
/// array of such texts, in the order of the object's `key` list.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(Arc<str>);

/// Why a key could not be read from a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("key field {0:?} is missing or null")]
    Missing(String),
    #[error("key field {0:?} is an object or a list; a key must be text, a number or a boolean")]
    NotScalar(String),
    #[error(
        "key field {0:?} is a number with more digits than a JSON number keeps; ask for it as a text"
    )]
    Inexact(String),
    #[error("key is longer than {MAX_KEY_BYTES} bytes")]
    TooLong,
}

impl Key {
    /// The key of already canonical text.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Builds a key from the scalars of its fields: `(field name, value)` in key order.
    pub fn from_values<'a>(
        fields: impl ExactSizeIterator<Item = (&'a str, Option<&'a Value>)>,
    ) -> Result<Self, KeyError> {
        let single = fields.len() == 1;
        let mut parts = Vec::with_capacity(fields.len());
        for (name, value) in fields {
            parts.push(match value {
                None | Some(Value::Null) => return Err(KeyError::Missing(name.to_owned())),
                // Two long numbers would be one key: beyond 64 bits only a double is left of them.
                Some(Value::Number(n)) if n.is_f64() && n.as_f64().is_none_or(is_long) => {
                    return Err(KeyError::Inexact(name.to_owned()));
                }
                Some(value) => {
                    scalar_text(value).ok_or_else(|| KeyError::NotScalar(name.to_owned()))?
                }
            });
        }
        let text = if single {
            parts.pop().unwrap_or_default()
        } else {
            Value::from(parts).to_string()
        };
        if text.is_empty() {
            return Err(KeyError::Missing(String::new()));
        }
        if text.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong);
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The texts of the key's fields, in key order; `count` is the length of the object's `key` list.
    pub fn parts(&self, count: usize) -> Vec<String> {
        if count == 1 {
            return vec![self.0.to_string()];
        }
        serde_json::from_str(&self.0).unwrap_or_else(|_| vec![self.0.to_string()])
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Whether a double is so large that whole numbers beside it are the same double.
fn is_long(number: f64) -> bool {
    number.abs() >= 9_007_199_254_740_992.0
}

/// The text of a scalar JSON value; `None` for null, lists and objects.
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A target record's id as JSON text, so that its type survives: `17` is not `"17"` when it becomes a
/// field of another record. An object with several key fields has a JSON array here.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetId(Arc<str>);

impl TargetId {
    /// The id of a JSON value: a scalar, or an array of scalars for a composite key.
    /// `None` for null, an empty string, an object, or an array with such a value in it.
    pub fn from_value(value: &Value) -> Option<Self> {
        let usable = |v: &Value| match v {
            Value::Null | Value::Object(_) | Value::Array(_) => false,
            Value::String(text) => !text.is_empty(),
            Value::Bool(_) | Value::Number(_) => true,
        };
        let ok = match value {
            Value::Array(parts) => !parts.is_empty() && parts.iter().all(usable),
            scalar => usable(scalar),
        };
        ok.then(|| Self(serde_json::to_string(value).unwrap_or_default().into()))
    }

    /// The id of text that [`TargetId::as_json`] once returned.
    pub fn from_json(json: impl Into<Arc<str>>) -> Self {
        Self(json.into())
    }

    /// Of a target record that is there under an id that nobody told: a person confirmed a create
    /// whose answer was lost. No value of a field gives it.
    pub fn untold() -> Self {
        Self("null".into())
    }

    pub fn is_told(&self) -> bool {
        &*self.0 != "null"
    }

    pub fn as_json(&self) -> &str {
        &self.0
    }

    pub fn to_value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or(Value::Null)
    }

    /// The values of the id's fields, in the order of the target object's `key` list.
    pub fn parts(&self) -> Vec<Value> {
        match self.to_value() {
            Value::Array(parts) => parts,
            scalar => vec![scalar],
        }
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_matches('"'))
    }
}

impl fmt::Debug for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 128 bits that tell two contents apart; never zero for content, zero means "not known".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// No content is known: differs from the fingerprint of every content.
    pub const UNKNOWN: Self = Self(0);

    pub fn of(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes).max(1))
    }

    /// One of many fingerprints of the same content, each as good as any other.
    pub fn seeded(bytes: &[u8], seed: u64) -> Self {
        Self(xxh3_128_with_seed(bytes, seed).max(1))
    }

    /// The fingerprint of this content under another one, such as a record under a Plan.
    #[must_use]
    pub fn under(self, other: Self) -> Self {
        Self(
            (self.0.rotate_left(41)
                ^ other
                    .0
                    .wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
            .max(1),
        )
    }

    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub fn from_slice(bytes: &[u8]) -> Self {
        <[u8; 16]>::try_from(bytes).map_or(Self::UNKNOWN, |b| Self(u128::from_be_bytes(b)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A value that orders versions of a record or pages of a scan: the parsed content of a `modified`
/// or `cursor` field. Two values of different kinds don't compare, and neither do two texts of
/// different meaning; [`Moment::order`] answers `None` for these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Time(i128),
    /// A counter, such as an ever-growing id or a version number.
    Integer(i64),
    /// Text that the vendor promises to order byte by byte.
    Text(String),
}

impl Moment {
    pub fn order(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Time(a), Self::Time(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// The later of two moments; keeps `self` where they don't compare.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        match self.order(&other) {
            Some(std::cmp::Ordering::Less) => other,
            _ => self,
        }
    }
}

/// A link that a Mapping needs: the record `key` of the Sync behind the lookup `lookup`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LookupKey {
    /// Name of an entry in the Sync's `lookups`.
    pub lookup: String,
    pub key: Key,
}

/// Namespace and name of a Sync: the identity of its state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SyncName {
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for SyncName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A write operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verb {
    Create,
    Update,
    Upsert,
    Delete,
}

/// Why a source record is not to be in the target any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Removal {
    /// The source says that it was deleted: a tombstone.
    Deleted,
    /// The source does not have it any more.
    Absent,
    /// It is there and the Sync's `where` does not admit it any more.
    Left,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_lost_digits_is_no_key() {
        let key = |json: &str| {
            let value: Value = serde_json::from_str(json).unwrap();
            Key::from_values([("id", Some(&value))].into_iter()).map(|key| key.to_string())
        };
        assert_eq!(key("18446744073709551615").unwrap(), "18446744073709551615");
        assert_eq!(key("-9223372036854775808").unwrap(), "-9223372036854775808");
        assert_eq!(key("1.5").unwrap(), "1.5");
        assert_eq!(
            key("\"184467440737095516160\"").unwrap(),
            "184467440737095516160"
        );
        assert_eq!(
            key("184467440737095516160"),
            Err(KeyError::Inexact("id".into()))
        );
    }
}
