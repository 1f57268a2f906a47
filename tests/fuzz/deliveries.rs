//! Deliveries of webhooks: what the holder of the key sends is taken, and nothing that was changed on the way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use secrecy::SecretString;
use serde_json::{Value, json};
use syncline::api::connection::ConnectionSpec;
use syncline::intake::{admit, verify};
use syncline::plan::connection::{WebhookPlan, compile};

use crate::fuzz::{Random, damaged, run};

const NOW: i64 = 1_800_000_000;
const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const WAYS: [&str; 6] = ["standard", "Stripe", "GitHub", "Shopify", "Slack", "token"];

const BODIES: [&[u8]; 4] = [
    br#"{"type":"customer.changed","id":"evt_1","data":{"id":7,"at":"2026-01-01T00:00:00Z"}}"#,
    br#"{"events":[{"type":"customer.changed","data":{"id":"a"}},{"type":"other"}]}"#,
    br#"{"type":"customer.changed","data":{"id":null,"name":"\ud83d\ude00"}}"#,
    b"{}",
];
const PIECES: [&str; 22] = [
    "v1,",
    "v1=",
    "t=",
    ",",
    " ",
    "=",
    "sha256=",
    "v0=",
    "v0:",
    "Bearer ",
    "1800000000",
    "-1",
    "99999999999999999999",
    "{",
    "}",
    "[",
    "]",
    "null",
    "\"data\":",
    "\"id\":",
    "00",
    "\t",
];

fn hook(way: &str) -> WebhookPlan {
    let secret = json!({"name": "s", "key": "k"});
    let verify = match way {
        "standard" => json!({"standardWebhooks": {"secretRef": secret}}),
        "token" => json!({"bearer": {"secretRef": secret}}),
        preset => json!({"hmac": {"preset": preset, "secretRef": secret}}),
    };
    let spec: ConnectionSpec = serde_json::from_value(json!({
        "http": {"baseURL": "https://shop.example.com"},
        "auth": {"none": {}},
        "objects": [{
            "name": "customers",
            "key": ["id"],
            "list": {"path": "/customers"},
            "get": {"path": "/customers/${key.id}"},
        }],
        "webhooks": [{
            "name": "events",
            "verify": verify,
            "eventID": "headers['webhook-id']",
            "events": "has(body.events) ? body.events : [body]",
            "routes": [{
                "when": "item.type.startsWith('customer.')",
                "object": "customers",
                "key": {"id": "item.data.id"},
            }],
        }],
    }))
    .expect("a Connection");
    let plan = compile("default", "shop", &spec).expect("a good Connection");
    WebhookPlan::clone(&plan.webhooks["events"])
}

/// The headers that the holder of the key sends with this body.
fn signed(way: &str, key: &str, body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let tag = |key: &[u8], before: &str| {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
        context.update(before.as_bytes());
        context.update(body);
        context.sign()
    };
    let hex = |tag: hmac::Tag| {
        tag.as_ref()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    let text = |text: String| text.into_bytes();
    let (plain, at) = (key.as_bytes(), NOW.to_string());
    match way {
        "standard" => {
            let key = STANDARD.decode(&key["whsec_".len()..]).expect("base64");
            let tag = STANDARD.encode(tag(&key, &format!("msg_1.{at}.")));
            vec![
                ("webhook-id", text("msg_1".into())),
                ("webhook-timestamp", text(at)),
                ("webhook-signature", text(format!("v1,{tag}"))),
            ]
        }
        "Stripe" => {
            let tag = hex(tag(plain, &format!("{at}.")));
            vec![("stripe-signature", text(format!("t={at},v1={tag},v0=00ff")))]
        }
        "GitHub" => vec![(
            "x-hub-signature-256",
            text(format!("sha256={}", hex(tag(plain, "")))),
        )],
        "Shopify" => vec![(
            "x-shopify-hmac-sha256",
            text(STANDARD.encode(tag(plain, ""))),
        )],
        "Slack" => {
            let tag = hex(tag(plain, &format!("v0:{at}:")));
            vec![
                ("x-slack-request-timestamp", text(at)),
                ("x-slack-signature", text(format!("v0={tag}"))),
            ]
        }
        _ => vec![("authorization", text(format!("Bearer {key}")))],
    }
}

/// As they arrive; a value that no header can hold does not.
fn arrived(headers: &[(&'static str, Vec<u8>)]) -> HeaderMap {
    let header = |(name, value): &(&'static str, Vec<u8>)| {
        let value = HeaderValue::from_bytes(value).ok()?;
        Some((HeaderName::from_static(name), value))
    };
    headers.iter().filter_map(header).collect()
}

/// Some bytes of one header are others, or a header is missing or stands there twice.
fn tamper(random: &mut Random, headers: &mut Vec<(&'static str, Vec<u8>)>) {
    let at = random.below(headers.len());
    let value = headers[at].1.clone();
    match random.below(8) {
        0 => drop(headers.remove(at)),
        1 => headers.push((headers[at].0, damaged(random, &[&value], &PIECES))),
        _ => headers[at].1 = damaged(random, &[&value], &PIECES),
    }
}

#[test]
fn what_is_taken_was_signed_with_the_key() {
    let hooks = WAYS.map(hook);
    let keys = [
        SecretString::from("whsec_b2xka2V5"),
        SecretString::from(KEY),
    ];
    run("signatures", 20_000, 1, |random| {
        let place = random.below(WAYS.len());
        let (way, hook) = (WAYS[place], &hooks[place]);
        let body = damaged(random, &BODIES, &PIECES);
        let sent = signed(way, KEY, &body);
        let good = verify(&hook.verify, &keys, &arrived(&sent), &body, NOW);
        assert_eq!(good, Ok(()), "{way}: {sent:?}");
        let forged = signed(way, "whsec_d3Jvbmc=", &body);
        assert!(
            verify(&hook.verify, &keys, &arrived(&forged), &body, NOW).is_err(),
            "{way}"
        );

        let (mut headers, mut changed) = (sent.clone(), body.clone());
        match random.below(3) {
            0 => changed = damaged(random, &[&body], &PIECES),
            1 => tamper(random, &mut headers),
            _ => {
                changed = damaged(random, &[&body], &PIECES);
                tamper(random, &mut headers);
            }
        }
        let at = NOW + *random.pick(&[0, 299, -299, 301, i64::MAX - NOW]);
        let taken = verify(&hook.verify, &keys, &arrived(&headers), &changed, at).is_ok();
        if !taken {
            return;
        }
        let arrived = arrived(&headers);
        let signed_with = |name: &str| {
            let was = sent
                .iter()
                .find(|(sent, _)| *sent == name)
                .map(|(_, value)| value.as_slice());
            assert_eq!(
                arrived.get(name).map(HeaderValue::as_bytes),
                was,
                "{way}: {headers:?}"
            );
        };
        if way != "token" {
            assert_eq!(changed, body, "{way}: {headers:?}");
        }
        match way {
            "standard" => ["webhook-id", "webhook-timestamp"].map(signed_with).len(),
            "Slack" => ["x-slack-request-timestamp"].map(signed_with).len(),
            "token" => ["authorization"].map(signed_with).len(),
            _ => 0,
        };
        assert!(
            ["GitHub", "Shopify", "token"].contains(&way) || NOW.abs_diff(at) <= 300,
            "{way}: {at}"
        );
    });
}

#[test]
fn every_delivery_has_an_answer_and_names_bounded_records() {
    let hooks = WAYS.map(hook);
    let keys = [SecretString::from(KEY)];
    // Each runs several expressions.
    run("deliveries", 5_000, 4, |random| {
        let place = random.below(WAYS.len());
        let (way, hook) = (WAYS[place], &hooks[place]);
        let body = damaged(random, &BODIES, &PIECES);
        let headers = arrived(&signed(way, KEY, &body));
        let admission = admit(hook, &keys, &headers, &body, NOW);
        let parsed: Result<Value, _> = serde_json::from_slice(&body);
        if parsed.is_err() {
            assert!(admission.is_err(), "{:?}", String::from_utf8_lossy(&body));
        }
        let (again, text) = (
            admit(hook, &keys, &headers, &body, NOW),
            format!("{admission:?}"),
        );
        assert_eq!(again, admission);
        assert!(
            text.len() <= 4_000 + 60 * body.len(),
            "{} bytes of {}",
            text.len(),
            body.len()
        );
        assert!(!text.contains(KEY), "the key is shown");
    });
}
