//! Whether a delivery comes from who it says: keyed hashes and tokens, compared in constant time.
//! Pure: keys, headers, body and time are passed in. Used by `admit`.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::HeaderMap;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::Refusal;
use crate::plan::connection::{
    ElementPlan, ElementWay, HashAlgorithm, SignatureEncoding, SignaturePlan, SignedPart,
    VerifyPlan,
};

/// Most signatures of one delivery that are looked at.
const MOST_SIGNATURES: usize = 8;

/// What marks a key of Standard Webhooks.
const KEY_PREFIX: &str = "whsec_";

/// Checks a delivery. `now` is in Unix seconds; `keys` are the values of the plan's keys.
///
/// # Errors
/// A refusal that names what is wrong and holds no part of key or body.
pub fn verify(
    plan: &VerifyPlan,
    keys: &[SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<(), Refusal> {
    match plan {
        VerifyPlan::Token { header, prefix, .. } => {
            let given = text(headers, header)
                .and_then(|value| value.strip_prefix(prefix.as_str()))
                .ok_or(Refusal::Unsigned)?;
            let good = keys.iter().any(|key| same(key.expose_secret(), given));
            if good { Ok(()) } else { Err(Refusal::Forged) }
        }
        VerifyPlan::Signature(plan) => signed(plan, keys, headers, body, now),
    }
}

fn signed(
    plan: &SignaturePlan,
    keys: &[SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<(), Refusal> {
    let signatures = values(headers, &plan.signature);
    if signatures.is_empty() {
        return Err(Refusal::Unsigned);
    }
    let timestamp = match &plan.timestamp {
        None => "",
        Some(t) => *values(headers, &t.element)
            .first()
            .ok_or(Refusal::Unsigned)?,
    };
    let mut good = false;
    for key in keys {
        let Some(key) = hash_key(plan, key) else {
            return Err(Refusal::BadKey);
        };
        for signature in signatures.iter().take(MOST_SIGNATURES) {
            let Some(signature) = decode(plan.encoding, signature) else {
                continue;
            };
            good |= matches(plan, &key, headers, timestamp, body, &signature)?;
        }
    }
    if !good {
        return Err(Refusal::Forged);
    }
    // After the signature: whoever cannot sign learns nothing of our clock.
    match &plan.timestamp {
        Some(t) if !is_near(timestamp, now, t.tolerance.as_secs()) => Err(Refusal::Stale),
        _ => Ok(()),
    }
}

fn matches(
    plan: &SignaturePlan,
    key: &hmac::Key,
    headers: &HeaderMap,
    timestamp: &str,
    body: &[u8],
    signature: &[u8],
) -> Result<bool, Refusal> {
    let mut context = hmac::Context::with_key(key);
    for part in &plan.signs {
        match part {
            SignedPart::Text(text) => context.update(text.as_bytes()),
            SignedPart::Body => context.update(body),
            SignedPart::Timestamp => context.update(timestamp.as_bytes()),
            SignedPart::Header(name) => {
                context.update(text(headers, name).ok_or(Refusal::Unsigned)?.as_bytes());
            }
        }
    }
    Ok(equal(context.sign().as_ref(), signature))
}

/// Whether two byte strings are equal, in a time that only depends on their lengths.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn same(a: &str, b: &str) -> bool {
    !a.is_empty() && equal(a.as_bytes(), b.as_bytes())
}

fn hash_key(plan: &SignaturePlan, key: &SecretString) -> Option<hmac::Key> {
    let algorithm = match plan.algorithm {
        HashAlgorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
        HashAlgorithm::Sha512 => hmac::HMAC_SHA512,
    };
    let text = key.expose_secret();
    if text.is_empty() {
        return None;
    }
    if !plan.encoded_keys {
        return Some(hmac::Key::new(algorithm, text.as_bytes()));
    }
    let encoded = text.strip_prefix(KEY_PREFIX).unwrap_or(text);
    let bytes = base64(encoded)?;
    (!bytes.is_empty()).then(|| hmac::Key::new(algorithm, &bytes))
}

fn decode(encoding: SignatureEncoding, text: &str) -> Option<Vec<u8>> {
    match encoding {
        SignatureEncoding::Base64 => base64(text),
        SignatureEncoding::Hex => hex(text),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD
        .decode(text)
        .or_else(|_| STANDARD_NO_PAD.decode(text))
        .ok()
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 256 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The values that stand at this place of the headers.
fn values<'h>(headers: &'h HeaderMap, element: &ElementPlan) -> Vec<&'h str> {
    let Some(header) = text(headers, &element.header) else {
        return Vec::new();
    };
    match &element.way {
        // As it arrived: what is signed is every byte of it, and space around it is no part of it (RFC 9110, 5.5).
        ElementWay::Whole => vec![header],
        ElementWay::Element(name) => header
            .split(',')
            .filter_map(|part| part.trim().split_once('='))
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .collect(),
        ElementWay::Versions(version) => header
            .split(' ')
            .filter_map(|part| part.split_once(','))
            .filter(|(key, _)| key == version)
            .map(|(_, value)| value)
            .collect(),
    }
}

fn is_near(timestamp: &str, now: i64, tolerance: u64) -> bool {
    timestamp
        .parse::<i64>()
        .is_ok_and(|sent| now.abs_diff(sent) <= tolerance)
}
