//! A delivery becomes events, and each event says which records it speaks of.
//! Pure. Used by `receiver`.

use bytes::Bytes;
use http::HeaderMap;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::Refusal;
use super::signature::verify;
use crate::expression::Variable;
use crate::plan::connection::{Named, RoutePlan, WebhookPlan};
use crate::record::{Fingerprint, Key};
use crate::state::{Delivered, Notice};

/// Most events of one delivery.
const MOST_EVENTS: usize = 1_000;

/// Most headers, and longest value in bytes, that expressions see.
const MOST_HEADERS: usize = 64;
const LONGEST_HEADER: usize = 1_024;

/// What a good delivery asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Admission {
    /// Keep these, then say yes. Events that no route matches are only counted.
    Keep {
        events: Vec<Delivered>,
        unrouted: usize,
    },
    /// Answer with this, and keep nothing.
    Answer(Value),
}

/// Verifies a delivery and reads its events. `now` is in Unix seconds; `keys` as for [`verify`].
///
/// # Errors
/// Why it is not taken.
pub fn admit(
    webhook: &WebhookPlan,
    keys: &[SecretString],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Admission, Refusal> {
    verify(&webhook.verify, keys, headers, body, now)?;
    let parsed: Value = serde_json::from_slice(body).map_err(|_| Refusal::NotJson)?;
    let shown = shown_headers(headers);
    let delivery = [("headers", &shown), ("body", &parsed)];
    if let Some(challenge) = &webhook.challenge
        && challenge.when.test(&delivery).unwrap_or(false)
    {
        let answer = challenge.answer.evaluate(&delivery);
        return answer.map(Admission::Answer).map_err(|_| Refusal::NotJson);
    }
    let items = match &webhook.events {
        None => vec![Value::Null],
        Some(expression) => match expression.evaluate(&delivery) {
            Ok(Value::Array(items)) if items.len() <= MOST_EVENTS => items,
            Ok(Value::Array(_)) => return Err(Refusal::TooLarge),
            _ => return Err(Refusal::NotJson),
        },
    };
    let (mut events, mut unrouted) = (Vec::with_capacity(items.len()), 0);
    for item in &items {
        let event = [("headers", &shown), ("body", &parsed), ("item", item)];
        let notices = notices(webhook, &event);
        if notices.is_empty() {
            unrouted += 1;
            continue;
        }
        events.push(Delivered {
            event: event_id(webhook, &event, body, item),
            notices,
        });
    }
    Ok(Admission::Keep { events, unrouted })
}

/// Under what an event is known: its id, or the fingerprint of what it says.
fn event_id(
    webhook: &WebhookPlan,
    event: &[Variable<'_>],
    body: &[u8],
    item: &Value,
) -> Fingerprint {
    let id = webhook
        .event_id
        .as_ref()
        .and_then(|id| id.evaluate(event).ok());
    let said = match id {
        Some(Value::Null) | None if webhook.events.is_none() => Fingerprint::of(body),
        Some(Value::Null) | None => Fingerprint::of(item.to_string().as_bytes()),
        Some(id) => Fingerprint::of(id.to_string().as_bytes()),
    };
    Fingerprint::of(webhook.name.as_bytes()).under(said)
}

/// What an event says, by every route that matches.
fn notices(webhook: &WebhookPlan, event: &[Variable<'_>]) -> Vec<Notice> {
    let routes = webhook.routes.iter().filter(|route| route.matches(event));
    let notice = |route: &RoutePlan| {
        let object = route.object.clone();
        match route.read(event, &format!("the webhook's route to {object}")) {
            Ok(Named { key, record }) => Notice {
                object,
                key,
                record,
                problem: None,
            },
            Err(problem) => broken(webhook, route, event, problem),
        }
    };
    routes.map(notice).collect()
}

/// An event that speaks of no record that can be told: for a person to look at. Of several events in one body each
/// is kept alone, or a delivery would be kept as often as it has events.
fn broken(
    webhook: &WebhookPlan,
    route: &RoutePlan,
    event: &[Variable<'_>],
    problem: String,
) -> Notice {
    let kept = |(name, _): &&Variable<'_>| webhook.events.is_none() || *name != "body";
    let fields = event
        .iter()
        .filter(kept)
        .map(|(name, value)| ((*name).to_owned(), (*value).clone()));
    let bytes = Bytes::from(Value::Object(fields.collect()).to_string());
    Notice {
        object: route.object.clone(),
        key: Key::from_text(format!("event-{}", Fingerprint::of(&bytes))),
        record: Some(bytes),
        problem: Some(problem),
    }
}

/// The headers as expressions see them: names in lower case, no credentials.
fn shown_headers(headers: &HeaderMap) -> Value {
    let mut shown = Map::new();
    for (name, value) in headers.iter().take(MOST_HEADERS) {
        let secret = matches!(
            name.as_str(),
            "authorization" | "cookie" | "proxy-authorization"
        );
        if let (false, Ok(text)) = (secret || value.is_sensitive(), value.to_str())
            && text.len() <= LONGEST_HEADER
        {
            shown.insert(name.as_str().to_owned(), Value::from(text));
        }
    }
    Value::Object(shown)
}
