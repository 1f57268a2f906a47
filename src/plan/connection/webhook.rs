//! Webhooks, compiled: how deliveries are verified and which records they speak of.
//! Pure. Made by `compile`, run by `intake` (deliveries) and `worker` (events).

mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::route::{RoutePlan, Words, compile_key, event_path};
use super::{ObjectPlan, SecretRef};
use crate::api::connection::{
    ByteSize, HashAlgorithm, RouteSpec, RouteUse, SignatureEncoding, WebhookSpec,
};
use crate::expression::Expression;
use verify::compile_verify;

/// Variables of expressions about a delivery, and about one of its events.
const DELIVERY: [&str; 2] = ["headers", "body"];
const EVENT: [&str; 3] = ["headers", "body", "item"];

/// How routes of a webhook are spoken of.
const WORDS: Words = Words {
    what: "event",
    variables: &EVENT,
    listed: "body, item or headers",
    example: "body.data",
};

/// Largest body where nothing else is said.
const MAX_BODY_BYTES: u64 = 1 << 20;
/// One endpoint that a system calls.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebhookPlan {
    pub name: String,
    pub verify: VerifyPlan,
    /// Id of an event; its bytes' fingerprint where there is none.
    pub event_id: Option<Expression>,
    /// The events of a delivery; it is one event where there is none.
    pub events: Option<Expression>,
    pub challenge: Option<ChallengePlan>,
    pub max_body_bytes: u64,
    pub routes: Vec<RoutePlan>,
}

/// How a delivery proves where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum VerifyPlan {
    /// A keyed hash over the body and perhaps a time.
    Signature(SignaturePlan),
    /// A fixed token.
    Token {
        keys: Vec<SecretRef>,
        header: String,
        prefix: String,
    },
}

impl VerifyPlan {
    /// The credentials that are named.
    pub fn keys(&self) -> &[SecretRef] {
        match self {
            Self::Signature(signature) => &signature.keys,
            Self::Token { keys, .. } => keys,
        }
    }
}

/// A keyed hash in a header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignaturePlan {
    pub keys: Vec<SecretRef>,
    /// The keys are `whsec_` and base64 rather than text.
    pub encoded_keys: bool,
    pub algorithm: HashAlgorithm,
    pub encoding: SignatureEncoding,
    pub signature: ElementPlan,
    pub timestamp: Option<TimestampPlan>,
    pub signs: Vec<SignedPart>,
}

/// Where a value stands in the headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElementPlan {
    /// In lower case.
    pub header: String,
    pub way: ElementWay,
}

/// How a header holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElementWay {
    Whole,
    /// `a=1,b=2`: the value of this name, each time that it stands there.
    Element(String),
    /// `v1,AAAA v1,BBBB`: Standard Webhooks' list, the values of this version.
    Versions(String),
}

/// Where the time of sending stands, and how far off it may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampPlan {
    pub element: ElementPlan,
    pub tolerance: Duration,
}

/// A part of what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignedPart {
    Text(String),
    Body,
    Timestamp,
    /// The value of a header.
    Header(String),
}

/// A delivery that asks whether we are there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChallengePlan {
    pub when: Expression,
    pub answer: Expression,
}

/// Compiles `webhooks`; `objects` are the Connection's.
pub(super) fn compile_webhooks(
    specs: &[WebhookSpec],
    objects: &BTreeMap<String, Arc<ObjectPlan>>,
    checker: &mut Checker<'_>,
) -> BTreeMap<String, Arc<WebhookPlan>> {
    let mut webhooks = BTreeMap::new();
    for (i, spec) in specs.iter().enumerate() {
        let field = format!("spec.webhooks[{i}]");
        if webhooks.contains_key(&spec.name) {
            let problem = format!("there are two webhooks named {:?}", spec.name);
            checker.problem(&format!("{field}.name"), problem);
        }
        if let Some(plan) = compile_webhook(spec, objects, &field, checker) {
            webhooks.insert(spec.name.clone(), Arc::new(plan));
        }
    }
    webhooks
}

fn compile_webhook(
    spec: &WebhookSpec,
    objects: &BTreeMap<String, Arc<ObjectPlan>>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<WebhookPlan> {
    let before = checker.problems.len();
    let (verify, default_id) = compile_verify(&spec.verify, &format!("{field}.verify"), checker)?;
    let event_id = match spec.event_id.as_deref().or(default_id) {
        Some(text) => checker.expression(&format!("{field}.eventID"), text, &EVENT),
        None => None,
    };
    let events = spec
        .events
        .as_ref()
        .and_then(|text| checker.expression(&format!("{field}.events"), text, &DELIVERY));
    let challenge = spec.challenge.as_ref().and_then(|c| {
        let field = format!("{field}.challenge");
        let when = checker.expression(&format!("{field}.when"), &c.when, &DELIVERY);
        let answer = checker.expression(&format!("{field}.answer"), &c.answer, &DELIVERY);
        Some(ChallengePlan {
            when: when?,
            answer: answer?,
        })
    });
    let signed = matches!(verify, VerifyPlan::Signature(_));
    let mut routes = Vec::with_capacity(spec.routes.len());
    for (i, route) in spec.routes.iter().enumerate() {
        let field = format!("{field}.routes[{i}]");
        routes.extend(compile_route(route, signed, objects, &field, checker));
    }
    (checker.problems.len() == before).then(|| WebhookPlan {
        name: spec.name.clone(),
        verify,
        event_id,
        events,
        challenge,
        max_body_bytes: spec
            .max_body_bytes
            .as_ref()
            .map_or(MAX_BODY_BYTES, ByteSize::bytes),
        routes,
    })
}

fn compile_route(
    spec: &RouteSpec,
    signed: bool,
    objects: &BTreeMap<String, Arc<ObjectPlan>>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<RoutePlan> {
    let when = spec
        .when
        .as_ref()
        .map(|text| checker.expression(&format!("{field}.when"), text, &EVENT));
    let Some(object) = objects.get(&spec.object) else {
        if checker.objects.iter().all(|o| o.name != spec.object) {
            let known: Vec<&str> = checker.objects.iter().map(|o| o.name.as_str()).collect();
            let problem = format!(
                "there is no object {:?}; there is {}",
                spec.object,
                known.join(", ")
            );
            checker.problem(&format!("{field}.object"), problem);
        }
        return None;
    };
    let record = match (spec.usage.unwrap_or_default(), &spec.record) {
        (RouteUse::Fetch, Some(_)) => {
            checker.problem(
                &format!("{field}.record"),
                "is only used with use: Payload; remove it, or say use: Payload",
            );
            None
        }
        (RouteUse::Fetch, None) => {
            if object.get.is_none() {
                let problem = format!(
                    "use: Fetch reads the record, but object {} has no get; add it, or say use: Payload",
                    spec.object
                );
                checker.problem(&format!("{field}.use"), problem);
            }
            None
        }
        (RouteUse::Payload, record) => {
            if !signed {
                checker.problem(&format!("{field}.use"), "a payload is only trusted when it is signed: verify with standardWebhooks or hmac, or say use: Fetch");
            }
            if object.modified.is_none() {
                let problem = format!(
                    "a payload may come late, so object {} needs modified to tell old from new; add it, or say use: Fetch",
                    spec.object
                );
                checker.problem(&format!("{field}.use"), problem);
            }
            let text = record.as_deref().unwrap_or_default();
            event_path(text, &WORDS, &format!("{field}.record"), checker)
        }
    };
    let names = &object.key_names;
    let key = compile_key(&spec.key, &object.name, names, &WORDS, field, checker)?;
    Some(RoutePlan {
        when: match when {
            Some(when) => Some(when?),
            None => None,
        },
        object: spec.object.clone(),
        key,
        record,
    })
}
