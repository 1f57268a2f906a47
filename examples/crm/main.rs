//! The demo's target: a CRM with contacts and deals, OAuth client credentials and pages by offset, which
//! can check itself against the shop. `cargo run --example crm`; a program of its own that knows nothing of Syncline.

mod check;
mod contacts;
mod deals;
mod expected;
mod shop;
mod store;
#[path = "../support/mod.rs"]
mod support;
mod token;
mod validate;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use clap::Parser;
use serde_json::Value;

use store::{Answers, Crm};
use support::answer::{answer, error};
use support::faults::{FaultBox, inject, set_faults};
use support::stats::Stats;
use token::Tokens;

/// A CRM that some contacts are in already.
#[derive(Parser)]
struct Flags {
    /// Address to listen at.
    #[arg(long, default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port to listen at; 0 takes a free one and prints it.
    #[arg(long, default_value_t = 8182)]
    port: u16,
    /// Where the shop is: the CRM knows some of its customers already, and checks itself against it.
    #[arg(long, default_value = "http://127.0.0.1:8181")]
    shop: String,
    /// Seconds that an access token is valid.
    #[arg(long, default_value_t = 300)]
    token_ttl: u64,
    /// Seconds that the answer to an Idempotency-Key is kept; 0 ignores the header.
    #[arg(long, default_value_t = 86_400)]
    idempotency_ttl: u64,
}

/// What all requests share.
struct Server {
    crm: Mutex<Crm>,
    answers: Mutex<Answers>,
    stats: Stats,
    faults: Arc<FaultBox>,
    client: reqwest::Client,
    shop: String,
}

impl Server {
    fn crm(&self) -> MutexGuard<'_, Crm> {
        self.crm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Shared = State<Arc<Server>>;

fn routes(server: Arc<Server>, tokens: Arc<Tokens>) -> Router {
    let faults = Arc::clone(&server.faults);
    let api = Router::new()
        .route("/v1/contacts", get(contacts::list).post(contacts::create))
        .route(
            "/v1/contacts/{id}",
            get(contacts::get).patch(contacts::update),
        )
        .route("/v1/deals", get(deals::list))
        .route(
            "/v1/deals/by-external-id/{external}",
            put(deals::put).get(deals::get),
        )
        .layer(from_fn_with_state(Arc::clone(&tokens), token::check));
    let demo = Router::new()
        .route("/_check", get(check_all))
        .route("/_reset", post(reset))
        .route("/_stats", get(stats))
        .route("/_stats/reset", post(reset_stats));
    api.merge(demo)
        .with_state(server)
        .route("/oauth/token", post(token::token).with_state(tokens))
        .route("/_faults", post(set_faults).with_state(Arc::clone(&faults)))
        .layer(from_fn_with_state(faults, inject))
}

/// 200 when the CRM holds what it should, 409 when not, 502 when the shop cannot be asked.
async fn check_all(State(server): Shared) -> Response {
    match shop::export(&server.client, &server.shop).await {
        Err(problem) => error(StatusCode::BAD_GATEWAY, "no_shop", &format!("{problem:#}")),
        Ok(export) => {
            let report = check::check(&server.crm(), &export);
            answer(
                if report.ok {
                    StatusCode::OK
                } else {
                    StatusCode::CONFLICT
                },
                report,
            )
        }
    }
}

/// Everything as it was in the beginning.
async fn reset(State(server): Shared) -> Response {
    match shop::export(&server.client, &server.shop).await {
        Err(problem) => error(StatusCode::BAD_GATEWAY, "no_shop", &format!("{problem:#}")),
        Ok(export) => {
            server.answers().clear();
            *server.crm() = Crm::with_known(shop::known_contacts(&export));
            server.stats.reset();
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn stats(State(server): Shared) -> Json<Value> {
    Json(server.stats.as_json())
}

async fn reset_stats(State(server): Shared) -> StatusCode {
    server.stats.reset();
    StatusCode::NO_CONTENT
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    // A second call would fail, and there is none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let export = shop::export_when_up(&client, &flags.shop).await?;
    let ttl = (flags.idempotency_ttl > 0).then(|| Duration::from_secs(flags.idempotency_ttl));
    let server = Server {
        crm: Mutex::new(Crm::with_known(shop::known_contacts(&export))),
        answers: Mutex::new(Answers::new(ttl)),
        stats: Stats::default(),
        faults: Arc::default(),
        client,
        shop: flags.shop,
    };
    let tokens = Tokens::new(Duration::from_secs(flags.token_ttl));
    support::serve::serve(
        "crm",
        (flags.listen, flags.port).into(),
        routes(Arc::new(server), Arc::new(tokens)),
    )
    .await
}
