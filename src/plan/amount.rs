//! "So many records, or a share of them", as people write the guards of a Sync.
//! Pure. Used by `removal` and `failures`.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A number of records, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    Records(u64),
    /// At most 100.
    Percent(u64),
}

impl Amount {
    /// `50`, `"50"` or `"10%"`; `None` for anything else.
    pub(super) fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(Self::Records(number.as_u64()?)),
            Value::String(text) => match text.strip_suffix('%') {
                Some(percent) => Some(Self::Percent(percent.parse().ok().filter(|p| *p <= 100)?)),
                None => Some(Self::Records(text.parse().ok()?)),
            },
            _ => None,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_amount_is_a_number_or_a_share() {
        for (value, wanted) in [
            (json!(50), Some(Amount::Records(50))),
            (json!("50"), Some(Amount::Records(50))),
            (json!(0), Some(Amount::Records(0))),
            (json!("0%"), Some(Amount::Percent(0))),
            (json!("100%"), Some(Amount::Percent(100))),
            (json!("101%"), None),
            (json!("ten"), None),
            (json!(-1), None),
            (json!(1.5), None),
            (json!(true), None),
        ] {
            assert_eq!(Amount::parse(&value), wanted, "{value}");
            if let Some(amount) = wanted {
                assert_eq!(Amount::parse(&json!(amount.to_string())), wanted);
            }
        }
    }
}
