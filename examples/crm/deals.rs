//! The deals API: one deal per id of the other system, made or replaced by PUT, and a list by offset.
//! A deal needs a contact that exists.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use crate::Server;
use crate::store::Fields;
use crate::support::answer::{answer, error};
use crate::validate;

/// Most records of a page.
const LARGEST_PAGE: usize = 200;

#[derive(Deserialize)]
pub struct DealsQuery {
    offset: Option<usize>,
    limit: Option<usize>,
}

/// The body: `{"deal": {…}}`.
#[derive(Deserialize)]
pub struct Wrapped {
    deal: Fields,
}

/// `{"results": […], "total": n}`
pub async fn list(State(server): State<Arc<Server>>, Query(query): Query<DealsQuery>) -> Response {
    server.stats.count("deals.list");
    let crm = server.crm();
    let limit = query.limit.unwrap_or(50).clamp(1, LARGEST_PAGE);
    let offset = if server.faults.repeats_page() {
        0
    } else {
        query.offset.unwrap_or(0)
    };
    let page: Vec<&Fields> = crm.deals.values().skip(offset).take(limit).collect();
    answer(
        StatusCode::OK,
        json!({"results": page, "total": crm.deals.len()}),
    )
}

pub async fn get(State(server): State<Arc<Server>>, Path(external): Path<String>) -> Response {
    server.stats.count("deals.get");
    match server.crm().deals.get(&external) {
        Some(deal) => answer(StatusCode::OK, json!({"deal": deal})),
        None => error(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no deal with this external id",
        ),
    }
}

/// Makes the deal or replaces all of it: 201 or 200.
pub async fn put(
    State(server): State<Arc<Server>>,
    Path(external): Path<String>,
    Json(Wrapped { deal }): Json<Wrapped>,
) -> Response {
    let mut crm = server.crm();
    let errors = validate::deal(&deal, |id| crm.contacts.contains_key(&id));
    if !errors.is_empty() {
        server.stats.count("deals.refuse");
        return errors.answer();
    }
    let (deal, new) = crm.put_deal(&external, deal);
    server
        .stats
        .count(if new { "deals.create" } else { "deals.update" });
    let status = if new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    answer(status, json!({"deal": deal}))
}
