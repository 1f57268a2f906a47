//! Where a system is and how requests reach it.
//! Data only.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::request::{Parameters, parameters_schema};
use crate::api::reference::DurationText;

/// The system's address and what every request carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("!self.baseURL.startsWith('http://') || self.allowPlaintext").message("a baseURL with http:// sends credentials in the clear: use https://, or set allowPlaintext: true")
)]
pub struct HttpSpec {
    /// URL under which every path stands, such as `https://${settings.region}.shop.example.com/api/v2`.
    /// No user, query or fragment.
    #[serde(rename = "baseURL")]
    #[schemars(length(min = 1, max = 1024))]
    pub base_url: String,
    /// Headers of every request; values may hold `${settings.…}`.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Query parameters of every request; values may hold `${settings.…}`.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub query: Parameters,
    /// Longest time from sending a request to the end of its answer. Default: 30s.
    #[serde(default = "default_timeout")]
    pub timeout: DurationText,
    /// Largest body of an answer, counted after decompression: `64Mi`. Default: 64Mi.
    #[serde(default)]
    pub max_response_bytes: ByteSize,
    /// Lets requests go over `http://`, where everybody on the way reads the credentials.
    #[serde(default)]
    pub allow_plaintext: bool,
}

fn default_timeout() -> DurationText {
    DurationText::literal("30s")
}

/// A number of bytes as a Kubernetes quantity: `512Ki`, `64Mi`, `1Gi`, or a plain number; at most 4Gi.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ByteSize(String);

const LARGEST: u64 = 4 << 30;

impl ByteSize {
    pub fn bytes(&self) -> u64 {
        read_bytes(&self.0).unwrap_or(64 << 20)
    }
}

impl Default for ByteSize {
    fn default() -> Self {
        Self("64Mi".to_owned())
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": "string",
            "maxLength": 16,
            "pattern": r"^[1-9][0-9]*(Ki|Mi|Gi|k|M|G)?$",
        })
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match read_bytes(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(serde::de::Error::custom(format!(
                "{text:?} is not a number of bytes; write it as 512Ki, 64Mi or 1Gi, at most 4Gi"
            ))),
        }
    }
}

/// The bytes of a quantity like `64Mi`, or `None` when it is not one or out of range.
fn read_bytes(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let factor = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    let bytes = count.parse::<u64>().ok()?.checked_mul(factor)?;
    (1..=LARGEST).contains(&bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_kubernetes_users_write_them() {
        for (text, bytes) in [
            ("1", 1),
            ("2k", 2_000),
            ("512Ki", 524_288),
            ("64Mi", 67_108_864),
            ("4Gi", 4 << 30),
        ] {
            assert_eq!(read_bytes(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "0",
            "Mi",
            "5Gi",
            "1.5Gi",
            "64MB",
            "-1",
            "99999999999999999999",
        ] {
            assert_eq!(read_bytes(bad), None, "{bad}");
        }
    }
}
