//! The shop's API: an API key, pages by token, changes since a moment; and the routes that begin with `/_`,
//! which are for the demo and need no key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::store::{Position, Row, Shop, Table};
use crate::support::answer::{answer, error};
use crate::support::faults::{FaultBox, inject, set_faults};
use crate::support::stats::Stats;

/// The key that requests must carry in `X-Api-Key`.
const API_KEY: &str = "demo-shop-key";
/// Most records of a page.
const LARGEST_PAGE: usize = 500;

/// What all requests share.
pub struct Server {
    shop: Mutex<Shop>,
    fresh: Box<dyn Fn() -> Shop + Send + Sync>,
    stats: Stats,
    faults: Arc<FaultBox>,
}

impl Server {
    /// `fresh` makes the shop as it is in the beginning.
    pub fn new(fresh: impl Fn() -> Shop + Send + Sync + 'static) -> Self {
        Self {
            shop: Mutex::new(fresh()),
            fresh: Box::new(fresh),
            stats: Stats::default(),
            faults: Arc::default(),
        }
    }

    fn shop(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = State<Arc<Server>>;

pub fn routes(server: Arc<Server>) -> Router {
    let faults = Arc::clone(&server.faults);
    let api = Router::new()
        .route("/api/v2/customers", get(list_customers))
        .route("/api/v2/customers/{id}", get(get_customer))
        .route("/api/v2/orders", get(list_orders))
        .route("/api/v2/orders/{id}", get(get_order))
        .layer(from_fn(check_key));
    let demo = Router::new()
        .route("/_change", post(change))
        .route("/_export", get(export))
        .route("/_reset", post(reset))
        .route("/_stats", get(stats))
        .route("/_stats/reset", post(reset_stats))
        .with_state(Arc::clone(&server))
        .route("/_faults", post(set_faults).with_state(Arc::clone(&faults)));
    api.with_state(server)
        .merge(demo)
        .layer(from_fn_with_state(faults, inject))
}

async fn check_key(request: Request, next: Next) -> Response {
    match request.headers().get("x-api-key") {
        Some(key) if key == API_KEY => next.run(request).await,
        _ => error(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "X-Api-Key is missing or wrong",
        ),
    }
}

#[derive(Deserialize)]
struct ListQuery {
    limit: Option<usize>,
    cursor: Option<String>,
    updated_since: Option<String>,
}

async fn list_customers(State(server): Shared, Query(query): Query<ListQuery>) -> Response {
    server.stats.count("customers.list");
    list(&server.shop().customers, &query, &server.faults)
}

async fn list_orders(State(server): Shared, Query(query): Query<ListQuery>) -> Response {
    server.stats.count("orders.list");
    list(&server.shop().orders, &query, &server.faults)
}

/// `{"data": […], "next_cursor": …}`; the cursor is null on the last page.
fn list<T: Row + Serialize>(table: &Table<T>, query: &ListQuery, faults: &FaultBox) -> Response {
    let since = match query
        .updated_since
        .as_deref()
        .map(str::parse::<jiff::Timestamp>)
    {
        None => i64::MIN,
        // Rounded down to the millisecond that the shop keeps, so that the boundary is always inside.
        Some(Ok(time)) => time.as_nanosecond().div_euclid(1_000_000) as i64,
        Some(Err(_)) => {
            return error(
                StatusCode::BAD_REQUEST,
                "bad_request",
                "updated_since is not an RFC 3339 time",
            );
        }
    };
    let limit = query.limit.unwrap_or(50).clamp(1, LARGEST_PAGE);
    let position = match query.cursor.as_deref().map(read_cursor) {
        _ if faults.repeats_page() => None,
        None => None,
        Some(Some(position)) => Some(position),
        Some(None) => {
            return error(
                StatusCode::BAD_REQUEST,
                "bad_cursor",
                "this cursor is not one of ours",
            );
        }
    };
    let (data, next) = table.page(since, position, limit);
    answer(
        StatusCode::OK,
        json!({"data": data, "next_cursor": next.map(write_cursor)}),
    )
}

fn write_cursor((time, at): Position) -> String {
    URL_SAFE_NO_PAD.encode(format!("{time}:{at}"))
}

fn read_cursor(text: &str) -> Option<Position> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (time, at) = text.split_once(':')?;
    Some((time.parse().ok()?, at.parse().ok()?))
}

async fn get_customer(State(server): Shared, Path(id): Path<String>) -> Response {
    server.stats.count("customers.get");
    found(server.shop().customers.get(&id))
}

async fn get_order(State(server): Shared, Path(id): Path<String>) -> Response {
    server.stats.count("orders.get");
    found(server.shop().orders.get(&id))
}

fn found(record: Option<&impl Serialize>) -> Response {
    match record {
        Some(record) => answer(StatusCode::OK, json!({"data": record})),
        None => error(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no record with this id",
        ),
    }
}

/// How many records change: `{"customers": 10, "orders": 5, "arrivals": 2}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Change {
    customers: usize,
    orders: usize,
    arrivals: usize,
}

async fn change(State(server): Shared, Json(wanted): Json<Change>) -> Json<Value> {
    let mut shop = server.shop();
    Json(json!({
        "customers": shop.change_customers(wanted.customers),
        "orders": shop.change_orders(wanted.orders),
        "arrivals": shop.arrive(wanted.arrivals),
    }))
}

/// Everything, for the CRM's `/_check`.
async fn export(State(server): Shared) -> Response {
    let shop = server.shop();
    answer(
        StatusCode::OK,
        json!({"customers": shop.customers.all(), "orders": shop.orders.all()}),
    )
}

/// Everything as it was in the beginning.
async fn reset(State(server): Shared) -> StatusCode {
    *server.shop() = (server.fresh)();
    server.stats.reset();
    StatusCode::NO_CONTENT
}

async fn stats(State(server): Shared) -> Json<Value> {
    Json(server.stats.as_json())
}

async fn reset_stats(State(server): Shared) -> StatusCode {
    server.stats.reset();
    StatusCode::NO_CONTENT
}
