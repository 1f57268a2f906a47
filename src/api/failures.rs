//! What happens to records that cannot be delivered, and when there are too many of them.
//! Data only, as users write it in a Sync's `failures`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::reference::DurationText;
use super::removal::guard_schema;

/// When failures are given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailureSpec {
    /// How long a temporary failure is retried before its record becomes a dead letter. Time in which the
    /// target is down does not count. Default: 72h.
    #[serde(default = "three_days")]
    pub dead_letter_after: DurationText,
    /// How long a dead letter is kept. One that is older is dropped as if a person had discarded it, and
    /// counted. Default: 2160h (90 days).
    #[serde(default = "ninety_days")]
    pub dead_letter_retention: DurationText,
    /// How many dead letters are kept; beyond that, the oldest are dropped. Default: 100000.
    #[serde(default = "many")]
    #[schemars(range(min = 100, max = 1_000_000))]
    pub dead_letter_limit: u32,
    /// How many records of one run may be rejected for good, by the Mapping or by the target (400, 413, 415, 422),
    /// before the Sync pauses: a number such as 500, or a share such as `50%` of those that the run mapped or of those
    /// that the target was sent. A share is looked at when there were 100, and at the end of a run when there were 20.
    /// Default: 50%.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "guard_schema")]
    pub suspect_mapping_at: Option<serde_json::Value>,
    /// How often a record is written back and forth between the same two contents before the next such write is held as
    /// the dead letter `Echo`, at least 4; 0: never. Counted within the time of twelve runs, which is at least 1h and at
    /// most 24h. Default: 8.
    #[serde(default = "eight")]
    #[schemars(range(max = 1_000))]
    pub echo_at: u32,
}

impl Default for FailureSpec {
    fn default() -> Self {
        Self {
            dead_letter_after: three_days(),
            dead_letter_retention: ninety_days(),
            dead_letter_limit: many(),
            suspect_mapping_at: None,
            echo_at: eight(),
        }
    }
}

fn ninety_days() -> DurationText {
    DurationText::literal("2160h")
}

fn many() -> u32 {
    100_000
}

fn eight() -> u32 {
    8
}

fn three_days() -> DurationText {
    DurationText::literal("72h")
}
