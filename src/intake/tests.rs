//! What a delivery must look like to be taken, with signatures made by hand from the vendors' pages.

use base64::Engine as _;
use http::HeaderMap;
use ring::hmac;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Admission, Refusal, admit};
use crate::api::connection::ConnectionSpec;
use crate::plan::connection::{WebhookPlan, compile};

const NOW: i64 = 1_800_000_000;

/// A Connection with one webhook that is verified like this.
fn webhook(verify: Value, more: Value) -> WebhookPlan {
    let mut hook = json!({
        "name": "events",
        "verify": verify,
        "routes": [{"when": "body.type == 'customer'", "object": "customers", "key": {"id": "body.data.id"}}],
    });
    for (name, value) in more.as_object().unwrap() {
        hook[name] = value.clone();
    }
    let spec: ConnectionSpec = serde_json::from_value(json!({
        "http": {"baseURL": "https://shop.example.com"},
        "auth": {"none": {}},
        "objects": [{
            "name": "customers",
            "key": ["id"],
            "modified": {"path": "at", "format": "RFC3339"},
            "list": {"path": "/customers"},
            "get": {"path": "/customers/${key.id}"},
        }],
        "webhooks": [hook],
    }))
    .unwrap();
    let connection = compile("default", "shop", &spec).unwrap();
    WebhookPlan::clone(&connection.webhooks["events"])
}

fn hmac_hex(key: &[u8], text: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    tag.as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
        .collect()
}

fn secret(text: &str) -> Vec<SecretString> {
    vec![SecretString::from(text)]
}

fn keys(admission: &Admission) -> Vec<String> {
    let Admission::Keep { events, .. } = admission else {
        panic!("{admission:?}")
    };
    let notices = events.iter().flat_map(|event| &event.notices);
    notices.map(|notice| notice.key.to_string()).collect()
}

const BODY: &str = r#"{"type":"customer","id":"evt_1","data":{"id":7}}"#;

#[test]
fn a_stripe_signature_is_taken_with_any_of_the_keys_and_refused_when_old_or_changed() {
    let verify = json!({"hmac": {"preset": "Stripe", "secretRef": {"name": "s", "key": "k"}}});
    let hook = webhook(verify, json!({}));
    let sign = |at: i64, body: &str| {
        let tag = hmac_hex(b"whsec_1", &format!("{at}.{body}"));
        headers(&[("stripe-signature", format!("t={at},v1=00ff,v1={tag},v0=x"))])
    };
    let good = sign(NOW, BODY);
    let both = [SecretString::from("other"), SecretString::from("whsec_1")];
    let admission = admit(&hook, &both, &good, BODY.as_bytes(), NOW + 299).unwrap();
    assert_eq!(keys(&admission), ["7"]);
    let refused = |keys: &[SecretString], headers: &HeaderMap, body: &str, now| {
        admit(&hook, keys, headers, body.as_bytes(), now).unwrap_err()
    };
    let key = secret("whsec_1");
    assert_eq!(refused(&secret("other"), &good, BODY, NOW), Refusal::Forged);
    assert_eq!(refused(&key, &good, "{}", NOW), Refusal::Forged);
    assert_eq!(refused(&key, &good, BODY, NOW + 301), Refusal::Stale);
    assert_eq!(refused(&key, &good, BODY, NOW - 301), Refusal::Stale);
    assert_eq!(
        refused(&key, &HeaderMap::new(), BODY, NOW),
        Refusal::Unsigned
    );
    assert_eq!(refused(&secret(""), &good, BODY, NOW), Refusal::BadKey);
    assert_eq!(refused(&key, &sign(NOW, "{"), "{", NOW), Refusal::NotJson);
}

#[test]
fn github_shopify_and_slack_sign_in_their_own_ways() {
    let key = b"secret";
    let plain = hmac_hex(key, BODY);
    let base64 = base64::engine::general_purpose::STANDARD.encode(hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, key),
        BODY.as_bytes(),
    ));
    let slack = hmac_hex(key, &format!("v0:{NOW}:{BODY}"));
    let ways = [
        (
            "GitHub",
            headers(&[("x-hub-signature-256", format!("sha256={plain}"))]),
        ),
        ("Shopify", headers(&[("x-shopify-hmac-sha256", base64)])),
        (
            "Slack",
            headers(&[
                ("x-slack-signature", format!("v0={slack}")),
                ("x-slack-request-timestamp", NOW.to_string()),
            ]),
        ),
    ];
    for (preset, headers) in ways {
        let verify = json!({"hmac": {"preset": preset, "secretRef": {"name": "s", "key": "k"}}});
        let hook = webhook(verify, json!({}));
        let taken = admit(&hook, &secret("secret"), &headers, BODY.as_bytes(), NOW);
        assert_eq!(keys(&taken.unwrap()), ["7"], "{preset}");
        let forged = admit(&hook, &secret("other"), &headers, BODY.as_bytes(), NOW);
        assert_eq!(forged, Err(Refusal::Forged), "{preset}");
    }
}

#[test]
fn a_timestamp_is_the_signed_one_byte_for_byte() {
    let verify = json!({"hmac": {"preset": "Slack", "secretRef": {"name": "s", "key": "k"}}});
    let hook = webhook(verify, json!({}));
    let slack = hmac_hex(b"secret", &format!("v0:{NOW}:{BODY}"));
    for other in [
        format!(" {NOW}"),
        format!("{NOW} "),
        format!("+{NOW}"),
        format!("0{NOW}"),
    ] {
        let headers = headers(&[
            ("x-slack-signature", format!("v0={slack}")),
            ("x-slack-request-timestamp", other.clone()),
        ]);
        let taken = admit(&hook, &secret("secret"), &headers, BODY.as_bytes(), NOW);
        assert_eq!(taken, Err(Refusal::Forged), "{other:?}");
    }
}

#[test]
fn a_token_is_compared_as_a_whole() {
    let verify = json!({"bearer": {"secretRef": {"name": "s", "key": "k"}}});
    let hook = webhook(verify, json!({}));
    let take = |value: &str| {
        let headers = headers(&[("authorization", value.to_owned())]);
        admit(&hook, &secret("token"), &headers, BODY.as_bytes(), NOW).map(|a| keys(&a))
    };
    assert_eq!(take("Bearer token"), Ok(vec!["7".to_owned()]));
    assert_eq!(take("Bearer toke"), Err(Refusal::Forged));
    assert_eq!(take("Bearer "), Err(Refusal::Forged));
    assert_eq!(take("token"), Err(Refusal::Unsigned));
}

#[test]
fn an_event_is_known_by_its_id_and_one_that_no_route_wants_is_only_counted() {
    let verify = json!({"bearer": {"secretRef": {"name": "s", "key": "k"}}});
    let more = json!({
        "events": "body.events",
        "eventID": "item.id",
        "routes": [{"when": "item.type == 'c'", "object": "customers", "key": {"id": "item.customer"}}],
    });
    let hook = webhook(verify, more);
    let headers = headers(&[("authorization", "Bearer token".to_owned())]);
    let take = |body: Value| {
        admit(
            &hook,
            &secret("token"),
            &headers,
            body.to_string().as_bytes(),
            NOW,
        )
        .unwrap()
    };
    let first = take(json!({"events": [
        {"id": 1, "type": "c", "customer": 7}, {"id": 2, "type": "other"}, {"id": 3, "type": "c"},
    ]}));
    let Admission::Keep { events, unrouted } = &first else {
        panic!("{first:?}")
    };
    assert_eq!((events.len(), *unrouted), (2, 1));
    let broken = &events[1].notices[0];
    let problem = broken.problem.as_deref().unwrap();
    assert!(problem.contains("key field \"id\" is missing"), "{problem}");
    let kept: Value = serde_json::from_slice(broken.record.as_ref().unwrap()).unwrap();
    assert_eq!(kept["item"]["id"], 3);
    assert_eq!(
        kept.get("body"),
        None,
        "the other events are not kept with it"
    );
    let again = take(json!({"again": true, "events": [{"id": 1, "type": "c", "customer": 8}]}));
    let Admission::Keep { events: later, .. } = &again else {
        panic!("{again:?}")
    };
    assert_eq!(later[0].event, events[0].event);
    assert_ne!(events[0].event, events[1].event);
}

#[test]
fn a_challenge_is_answered_and_not_kept() {
    let verify = json!({"bearer": {"secretRef": {"name": "s", "key": "k"}}});
    let challenge = json!({"when": "body.type == 'url_verification'", "answer": "body.challenge"});
    let hook = webhook(verify, json!({"challenge": challenge}));
    let headers = headers(&[("authorization", "Bearer token".to_owned())]);
    let body = br#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let answer = admit(&hook, &secret("token"), &headers, body, NOW).unwrap();
    assert_eq!(answer, Admission::Answer(json!("3eZbrw1a")));
}
