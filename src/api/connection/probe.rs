//! How a Connection is tried out while nothing flows.
//! Data only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::reference::DurationText;

/// A harmless read that shows whether the system answers and accepts the credential. Any answer but a
/// 401 or a 5xx is a good one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeSpec {
    /// Path below the base URL that is read with GET, beginning with `/`; may hold `${settings.…}`.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Time between two probes, at least 1s. After a 401 it doubles up to 1h, until the Secret changes.
    /// Default: 5m.
    #[serde(default = "five_minutes")]
    pub interval: DurationText,
}

fn five_minutes() -> DurationText {
    DurationText::literal("5m")
}
