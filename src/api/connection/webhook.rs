//! How a system tells us what happened: webhooks, their signatures, and which records they speak of.
//! Data only.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http::ByteSize;
use super::request::{Parameters, parameters_schema};
use crate::api::reference::{DurationText, SecretKeyRef};

/// One endpoint of ours that the system calls: `/hooks/NAMESPACE/CONNECTION/WEBHOOK`. A delivery is
/// verified, kept durably under its event id, and only then answered with 2xx.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookSpec {
    /// Name that Syncs use, and the last part of the URL.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// How a delivery proves where it comes from: exactly one of the variants.
    pub verify: VerifySpec,
    /// CEL over `headers` (names in lower case) and `body`, for each of several events also `item`: the id
    /// under which an event is kept; the same id within 7 days is the same event. Default: what the way of
    /// verification defines, else a fingerprint of the delivery's body.
    #[serde(rename = "eventID", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub event_id: Option<String>,
    /// CEL over `headers` and `body` for the list of events, where one delivery holds several; each is
    /// `item` in `eventID` and in the routes. Default: the delivery is one event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub events: Option<String>,
    /// A delivery that only asks whether we are there, and wants to hear something back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeSpec>,
    /// Largest body; a longer one is refused with 413 before it is read. Default: 1Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<ByteSize>,
    /// Which records an event speaks of. Every route that matches counts; an event that none matches is
    /// counted and dropped.
    #[schemars(length(min = 1, max = 64))]
    pub routes: Vec<RouteSpec>,
}

/// How a delivery proves where it comes from: exactly one of the variants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.standardWebhooks), has(self.hmac), has(self.bearer)].filter(x, x).size() == 1").message("give exactly one of standardWebhooks, hmac, bearer")
)]
pub struct VerifySpec {
    /// <https://www.standardwebhooks.com>: `webhook-id`, `webhook-timestamp` and `webhook-signature`; keys as
    /// `whsec_` and base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard_webhooks: Option<KeysSpec>,
    /// A keyed hash (RFC 2104) in a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hmac: Option<HmacSpec>,
    /// A fixed token: `Authorization: Bearer …`, or the value of another header. It says who calls, but not
    /// that the body is unchanged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerVerifySpec>,
}

/// The key of signatures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeysSpec {
    /// The key.
    pub secret_ref: SecretKeyRef,
    /// More keys that are accepted, while one key replaces another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub also_accept: Vec<SecretKeyRef>,
    /// How far the sender's clock may be from ours, either way. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<DurationText>,
}

/// A vendor whose way of signing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HmacPreset {
    /// <https://docs.stripe.com/webhooks/signature>; event id: `body.id`
    Stripe,
    /// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>; event id: the
    /// header `x-github-delivery`
    GitHub,
    /// <https://shopify.dev/docs/apps/build/webhooks/subscribe/https>; event id: the header
    /// `x-shopify-webhook-id`
    Shopify,
    /// <https://api.slack.com/authentication/verifying-requests-from-slack>; event id: `body.event_id`
    Slack,
}

/// A keyed hash in a header: as a vendor does it, or described field by field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.preset) != has(self.signature)").message("give preset, or signature with what goes with it"),
    validation = Rule::new("!has(self.preset) || !(has(self.algorithm) || has(self.encoding) || has(self.timestamp) || has(self.signs))").message("a preset says all of algorithm, encoding, timestamp and signs itself")
)]
pub struct HmacSpec {
    /// The key.
    pub secret_ref: SecretKeyRef,
    /// More keys that are accepted, while one key replaces another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub also_accept: Vec<SecretKeyRef>,
    /// A vendor whose way is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<HmacPreset>,
    /// The hash. Default: Sha256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<HashAlgorithm>,
    /// How the hash is written. Default: Hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<SignatureEncoding>,
    /// Where the signature stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<ElementSpec>,
    /// Where the time of sending stands, in Unix seconds; it must be part of `signs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<TimestampSpec>,
    /// What is signed, of `${timestamp}` and `${body}`. Default: `${body}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub signs: Option<String>,
}

/// The hash of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HashAlgorithm {
    /// For old systems; still sound as a keyed hash.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// How a hash is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignatureEncoding {
    /// Hexadecimal, upper or lower case.
    Hex,
    /// RFC 4648, with or without padding.
    Base64,
}

/// A header, or one element of a header such as `t=1492774577,v1=5257a869…`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ElementSpec {
    /// Name of the header.
    #[schemars(length(min = 1, max = 256))]
    pub header: String,
    /// Name of the element: `v1` in `v1=…`. The header may hold it several times. Default: the header's
    /// whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub element: Option<String>,
}

/// Where the time of sending stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimestampSpec {
    /// Name of the header.
    #[schemars(length(min = 1, max = 256))]
    pub header: String,
    /// Name of the element: `t` in `t=…`. Default: the header's whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub element: Option<String>,
    /// How far the sender's clock may be from ours, either way. Default: 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<DurationText>,
}

/// A fixed token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BearerVerifySpec {
    /// The token.
    pub secret_ref: SecretKeyRef,
    /// More tokens that are accepted, while one replaces another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub also_accept: Vec<SecretKeyRef>,
    /// The header whose whole value is the token. Default: `Authorization`, after `Bearer `.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub header: Option<String>,
}

/// A delivery that asks whether we are there. It is verified as any other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChallengeSpec {
    /// CEL over `headers` and `body`: whether this is such a delivery. An error counts as no.
    #[schemars(length(min = 1, max = 4096))]
    pub when: String,
    /// CEL over `headers` and `body`: what to answer. Text is sent as it is, all else as JSON.
    #[schemars(length(min = 1, max = 4096))]
    pub answer: String,
}

/// Which records an event speaks of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteSpec {
    /// CEL over `headers`, `body` and `item`: whether the event is about this object. An error counts as no.
    /// Default: every event is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub when: Option<String>,
    /// Name of one of the Connection's objects.
    #[schemars(length(min = 1, max = 63))]
    pub object: String,
    /// Where each field of the object's key stands in the event: `{id: body.data.id}`. A path that begins
    /// with `body`, `item` or `headers`.
    #[schemars(schema_with = "parameters_schema")]
    pub key: Parameters,
    /// Where the record stands in the event, for `use: Payload`: `body.data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub record: Option<String>,
    /// Whether the event is a hint, and the record is fetched with the object's `get`; or holds the record,
    /// which needs a signature and the object's `modified`. Default: Fetch.
    #[serde(rename = "use", default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<RouteUse>,
}

/// What an event is good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteUse {
    /// A hint: the record is read with the object's `get`.
    #[default]
    Fetch,
    /// The event holds the record.
    Payload,
}

/// Where a webhook is received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookStatus {
    /// Name of the webhook.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its URL; only the path where the operator was not told how it is reached from outside.
    #[schemars(length(max = 2048))]
    pub url: String,
}
