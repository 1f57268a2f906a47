//! The contacts API: lists by offset, a search by email, creates that can be repeated with an Idempotency-Key, and
//! changes by id. The CRM itself sees nothing wrong with two contacts of one email.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Server;
use crate::store::Fields;
use crate::support::answer::{answer, error};
use crate::validate;

/// Most records of a page.
const LARGEST_PAGE: usize = 200;

#[derive(Deserialize)]
pub struct ContactsQuery {
    offset: Option<usize>,
    limit: Option<usize>,
    email: Option<String>,
}

/// The body of creates and changes: `{"contact": {…}}`.
#[derive(Deserialize)]
pub struct Wrapped {
    contact: Fields,
}

/// `{"results": […], "total": n}`
pub async fn list(
    State(server): State<Arc<Server>>,
    Query(query): Query<ContactsQuery>,
) -> Response {
    let crm = server.crm();
    if let Some(email) = &query.email {
        server.stats.count("contacts.find");
        let found = crm.find(email);
        return answer(
            StatusCode::OK,
            json!({"results": found, "total": found.len()}),
        );
    }
    server.stats.count("contacts.list");
    let limit = query.limit.unwrap_or(50).clamp(1, LARGEST_PAGE);
    let offset = if server.faults.repeats_page() {
        0
    } else {
        query.offset.unwrap_or(0)
    };
    let page: Vec<&Fields> = crm.contacts.values().skip(offset).take(limit).collect();
    answer(
        StatusCode::OK,
        json!({"results": page, "total": crm.contacts.len()}),
    )
}

pub async fn get(State(server): State<Arc<Server>>, Path(id): Path<u64>) -> Response {
    server.stats.count("contacts.get");
    match server.crm().contacts.get(&id) {
        Some(contact) => answer(StatusCode::OK, json!({"contact": contact})),
        None => not_found(),
    }
}

/// Makes a contact. The same Idempotency-Key again gets the first answer again, and makes nothing.
pub async fn create(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    Json(sent): Json<Value>,
) -> Response {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok());
    let mut answers = server.answers();
    if let Some(kept) = key.and_then(|key| answers.get(key)) {
        server.stats.count("contacts.replay");
        return match kept.sent == sent {
            true => answer(StatusCode::CREATED, &kept.answer),
            false => error(
                StatusCode::UNPROCESSABLE_ENTITY,
                "key_reused",
                "this Idempotency-Key came with another body",
            ),
        };
    }
    let Ok(Wrapped { contact }) = serde_json::from_value(sent.clone()) else {
        return error(
            StatusCode::BAD_REQUEST,
            "bad_request",
            "the body must be {\"contact\": {…}}",
        );
    };
    let errors = validate::contact(&contact, true);
    if !errors.is_empty() {
        server.stats.count("contacts.refuse");
        return errors.answer();
    }
    server.stats.count("contacts.create");
    let mut crm = server.crm();
    let id = crm.add_contact(contact);
    let body = json!({"contact": crm.contacts[&id]});
    if let Some(key) = key {
        answers.keep(key, sent, body.clone());
    }
    answer(StatusCode::CREATED, body)
}

pub async fn update(
    State(server): State<Arc<Server>>,
    Path(id): Path<u64>,
    Json(Wrapped { contact }): Json<Wrapped>,
) -> Response {
    let errors = validate::contact(&contact, false);
    if !errors.is_empty() {
        server.stats.count("contacts.refuse");
        return errors.answer();
    }
    match server.crm().patch_contact(id, contact) {
        Some(contact) => {
            server.stats.count("contacts.update");
            answer(StatusCode::OK, json!({"contact": contact}))
        }
        None => not_found(),
    }
}

fn not_found() -> Response {
    error(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no contact with this id",
    )
}
