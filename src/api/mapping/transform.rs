//! What a field of a Mapping can do with its value, as users write it.
//! Data only; used by the fields of `api::mapping`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::any;

/// What happens when the source has no value, or null.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnMissing {
    /// The target field is left out.
    #[default]
    Omit,
    /// The target field is null.
    Null,
    /// The target field gets `default`.
    Default,
    /// The record becomes a dead letter.
    Reject,
}

/// What happens to a value that `translate` doesn't list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnUnmapped {
    /// The record becomes a dead letter.
    #[default]
    Reject,
    /// The target field is left out.
    Omit,
    /// The target field gets `default`.
    Default,
    /// The value is kept.
    Keep,
}

/// What happens when a looked-up record isn't linked yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnUnlinked {
    /// The record waits until the other Sync links it.
    #[default]
    Wait,
    /// The target field is left out.
    Omit,
    /// The record becomes a dead letter.
    Reject,
}

/// Several source values become one text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JoinSpec {
    /// Paths of the values, in order; missing ones are left out, a list or an object rejects the record.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)))]
    pub from: Vec<String>,
    /// Stands between two values.
    #[schemars(length(max = 16))]
    pub separator: String,
}

/// One text becomes several target fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SplitSpec {
    /// Stands between two parts. A single space stands for any run of white space, in any script.
    #[schemars(length(min = 1, max = 16))]
    pub separator: String,
    /// Paths of the target fields, in order.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)))]
    pub into: Vec<String>,
    /// Which target field gets the parts that are too many. Last unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
    /// What a target field without a part gets. Empty unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_short: Option<OnShort>,
}

/// Which target field gets the parts that are too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Rest {
    First,
    #[default]
    Last,
}

/// What a target field without a part gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnShort {
    /// An empty text.
    #[default]
    Empty,
    /// Nothing: it is left out.
    Omit,
    /// The record becomes a dead letter.
    Reject,
}

/// One value and what it becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Translation {
    /// The source value.
    #[schemars(schema_with = "any")]
    pub from: Value,
    /// The target value.
    #[schemars(schema_with = "any")]
    pub to: Value,
}

/// A date or time in one notation becomes another. Notations are `RFC3339`, `UnixSeconds`,
/// `UnixMillis` or a strftime pattern such as `%m/%d/%Y`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DateSpec {
    /// Notation of the source. RFC3339 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub parse: Option<String>,
    /// Other notations of the source, tried in order after `parse`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 64)))]
    pub or_parse: Vec<String>,
    /// Notation of the target. RFC3339 unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub format: Option<String>,
    /// Time zone of source values that name none, such as `Europe/Berlin`. UTC unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Time zone of the target. `timeZone` unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub to_time_zone: Option<String>,
}

/// How a number is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NumberNotation {
    /// A number, such as 12.3; as source also its text.
    #[default]
    Decimal,
    /// A text with all its digits, such as "12.30". Target only.
    Text,
    /// A whole number; anything else is rejected.
    Integer,
    /// A whole number of the currency's smallest unit: 1230 for 12.30 USD (ISO 4217).
    MinorUnits,
}

/// A number in one notation becomes another, exactly: what cannot be written exactly is rejected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberSpec {
    /// Notation of the source. Decimal unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse: Option<NumberNotation>,
    /// Notation of the target. Decimal unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<NumberNotation>,
    /// Path of the currency's code in the source record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub currency: Option<String>,
    /// The currency's code, where all records have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 3))]
    pub currency_code: Option<String>,
    /// Stands before the fraction in source texts. A dot unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub decimal_separator: Option<String>,
    /// Stands between groups of three digits in source texts, or of two before the last three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1))]
    pub group_separator: Option<String>,
}

/// Small changes to a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextSpec {
    /// White space at both ends is dropped; a text of nothing else counts as missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trim: Option<bool>,
    /// The case of all letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<Case>,
}

/// The case of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Case {
    Lower,
    Upper,
}
