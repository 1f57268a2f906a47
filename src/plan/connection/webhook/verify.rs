//! How a delivery is verified, compiled: a vendor's way, or one described field by field.
//! Pure. Called by `webhook`.

use std::time::Duration;

use super::{ElementPlan, ElementWay, SignaturePlan, SignedPart, TimestampPlan, VerifyPlan};
use crate::api::connection::{
    BearerVerifySpec, HashAlgorithm, HmacPreset, HmacSpec, KeysSpec, SignatureEncoding, VerifySpec,
};
use crate::api::reference::{DurationText, SecretKeyRef};
use crate::plan::connection::SecretRef;
use crate::plan::connection::check::Checker;

/// How far clocks may be apart where nothing else is said.
const TOLERANCE: Duration = Duration::from_secs(300);

/// Where a body or a timestamp stands in what is signed.
const BODY: &str = "${body}";
const TIMESTAMP: &str = "${timestamp}";

/// A way of verification, and the event id that it defines.
pub type Verify = (VerifyPlan, Option<&'static str>);

/// The way of verification, and the event id that it defines.
pub fn compile_verify(spec: &VerifySpec, field: &str, checker: &mut Checker<'_>) -> Option<Verify> {
    match (&spec.standard_webhooks, &spec.hmac, &spec.bearer) {
        (Some(keys), None, None) => Some((
            VerifyPlan::Signature(standard_webhooks(keys)),
            Some(r#"headers["webhook-id"]"#),
        )),
        (None, Some(hmac), None) => {
            let field = format!("{field}.hmac");
            match hmac.preset {
                Some(preset) => Some(with_preset(hmac, preset)),
                None => Some((
                    VerifyPlan::Signature(described(hmac, &field, checker)?),
                    None,
                )),
            }
        }
        (None, None, Some(bearer)) => Some((token(bearer), None)),
        _ => {
            checker.problem(field, "give exactly one of standardWebhooks, hmac, bearer");
            None
        }
    }
}

fn keys(first: &SecretKeyRef, more: &[SecretKeyRef]) -> Vec<SecretRef> {
    std::iter::once(first)
        .chain(more)
        .map(SecretRef::from)
        .collect()
}

fn tolerance(text: Option<&DurationText>) -> Duration {
    text.map_or(TOLERANCE, DurationText::to_std)
}

fn whole(header: &str) -> ElementPlan {
    ElementPlan {
        header: header.to_ascii_lowercase(),
        way: ElementWay::Whole,
    }
}

/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>
fn standard_webhooks(spec: &KeysSpec) -> SignaturePlan {
    let dot = || SignedPart::Text(".".to_owned());
    SignaturePlan {
        keys: keys(&spec.secret_ref, &spec.also_accept),
        encoded_keys: true,
        algorithm: HashAlgorithm::Sha256,
        encoding: SignatureEncoding::Base64,
        signature: ElementPlan {
            header: "webhook-signature".to_owned(),
            way: ElementWay::Versions("v1".to_owned()),
        },
        timestamp: Some(TimestampPlan {
            element: whole("webhook-timestamp"),
            tolerance: tolerance(spec.tolerance.as_ref()),
        }),
        signs: vec![
            SignedPart::Header("webhook-id".to_owned()),
            dot(),
            SignedPart::Timestamp,
            dot(),
            SignedPart::Body,
        ],
    }
}

fn with_preset(spec: &HmacSpec, preset: HmacPreset) -> Verify {
    let element = |header: &str, name: &str| ElementPlan {
        header: header.to_owned(),
        way: ElementWay::Element(name.to_owned()),
    };
    let timestamp = |element| {
        Some(TimestampPlan {
            element,
            tolerance: TOLERANCE,
        })
    };
    let text = |text: &str| SignedPart::Text(text.to_owned());
    let (encoding, signature, timestamp, signs, id) = match preset {
        HmacPreset::Stripe => (
            SignatureEncoding::Hex,
            element("stripe-signature", "v1"),
            timestamp(element("stripe-signature", "t")),
            vec![SignedPart::Timestamp, text("."), SignedPart::Body],
            "body.id",
        ),
        HmacPreset::GitHub => (
            SignatureEncoding::Hex,
            element("x-hub-signature-256", "sha256"),
            None,
            vec![SignedPart::Body],
            r#"headers["x-github-delivery"]"#,
        ),
        HmacPreset::Shopify => (
            SignatureEncoding::Base64,
            whole("x-shopify-hmac-sha256"),
            None,
            vec![SignedPart::Body],
            r#"headers["x-shopify-webhook-id"]"#,
        ),
        HmacPreset::Slack => (
            SignatureEncoding::Hex,
            element("x-slack-signature", "v0"),
            timestamp(whole("x-slack-request-timestamp")),
            vec![
                text("v0:"),
                SignedPart::Timestamp,
                text(":"),
                SignedPart::Body,
            ],
            "body.event_id",
        ),
    };
    let plan = SignaturePlan {
        keys: keys(&spec.secret_ref, &spec.also_accept),
        encoded_keys: false,
        algorithm: HashAlgorithm::Sha256,
        encoding,
        signature,
        timestamp,
        signs,
    };
    (VerifyPlan::Signature(plan), Some(id))
}

/// A way that is described field by field.
fn described(spec: &HmacSpec, field: &str, checker: &mut Checker<'_>) -> Option<SignaturePlan> {
    let element = |header: &str, element: Option<&String>| ElementPlan {
        header: header.to_ascii_lowercase(),
        way: element.map_or(ElementWay::Whole, |name| ElementWay::Element(name.clone())),
    };
    let Some(signature) = &spec.signature else {
        checker.problem(field, "give preset, or signature with what goes with it");
        return None;
    };
    let signs = signed_parts(spec.signs.as_deref().unwrap_or(BODY));
    let place = format!("{field}.signs");
    if !signs.contains(&SignedPart::Body) {
        checker.problem(
            &place,
            "must hold ${body}: what is not signed can be changed",
        );
    }
    let unknown = signs
        .iter()
        .any(|part| matches!(part, SignedPart::Text(text) if text.contains("${")));
    if unknown {
        checker.problem(&place, "may only hold ${timestamp} and ${body}");
    }
    if spec.timestamp.is_some() != signs.contains(&SignedPart::Timestamp) {
        checker.problem(
            &place,
            "timestamp and ${timestamp} in signs belong together: a time that is not signed proves nothing",
        );
    }
    Some(SignaturePlan {
        keys: keys(&spec.secret_ref, &spec.also_accept),
        encoded_keys: false,
        algorithm: spec.algorithm.unwrap_or(HashAlgorithm::Sha256),
        encoding: spec.encoding.unwrap_or(SignatureEncoding::Hex),
        signature: element(&signature.header, signature.element.as_ref()),
        timestamp: spec.timestamp.as_ref().map(|t| TimestampPlan {
            element: element(&t.header, t.element.as_ref()),
            tolerance: tolerance(t.tolerance.as_ref()),
        }),
        signs,
    })
}

/// `v0:${timestamp}:${body}` in its parts.
fn signed_parts(text: &str) -> Vec<SignedPart> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let places = [(BODY, SignedPart::Body), (TIMESTAMP, SignedPart::Timestamp)];
        let next = places
            .into_iter()
            .filter_map(|(name, part)| Some((rest.find(name)?, name, part)))
            .min_by_key(|(at, ..)| *at);
        let Some((at, name, part)) = next else {
            parts.push(SignedPart::Text(rest.to_owned()));
            break;
        };
        if at > 0 {
            parts.push(SignedPart::Text(rest[..at].to_owned()));
        }
        parts.push(part);
        rest = &rest[at + name.len()..];
    }
    parts
}

fn token(spec: &BearerVerifySpec) -> VerifyPlan {
    let (header, prefix) = match &spec.header {
        Some(header) => (header.to_ascii_lowercase(), String::new()),
        None => ("authorization".to_owned(), "Bearer ".to_owned()),
    };
    VerifyPlan::Token {
        keys: keys(&spec.secret_ref, &spec.also_accept),
        header,
        prefix,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_text_with_two_places() {
        let text = |text: &str| SignedPart::Text(text.to_owned());
        assert_eq!(signed_parts("${body}"), [SignedPart::Body]);
        assert_eq!(
            signed_parts("v0:${timestamp}:${body}"),
            [
                text("v0:"),
                SignedPart::Timestamp,
                text(":"),
                SignedPart::Body
            ]
        );
        assert_eq!(signed_parts("${other}"), [text("${other}")]);
    }
}
