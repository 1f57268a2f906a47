//! `POST /oauth/token`: OAuth 2.0 client credentials (RFC 6749 section 4.4) with HTTP Basic client
//! authentication, and the check of the short-lived tokens that it gives out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Form, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::json;

use crate::support::answer::{answer, error};

/// The one client: id and secret as HTTP Basic writes them.
const CLIENT: &str = "demo-crm-client:demo-crm-secret";

/// Tokens that were given out and when they end.
pub struct Tokens {
    ttl: Duration,
    valid: Mutex<HashMap<String, Instant>>,
}

impl Tokens {
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            valid: Mutex::default(),
        }
    }

    fn issue(&self) -> Result<String, getrandom::Error> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes)?;
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let mut valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        valid.retain(|_, end| *end > now);
        valid.insert(token.clone(), now + self.ttl);
        Ok(token)
    }

    fn accepts(&self, headers: &HeaderMap) -> bool {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let valid = self.valid.lock().unwrap_or_else(PoisonError::into_inner);
        token
            .and_then(|token| valid.get(token))
            .is_some_and(|end| *end > Instant::now())
    }
}

#[derive(Deserialize)]
pub struct TokenRequest {
    grant_type: String,
}

/// The token endpoint.
pub async fn token(
    State(tokens): State<Arc<Tokens>>,
    headers: HeaderMap,
    Form(request): Form<TokenRequest>,
) -> Response {
    let basic = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let client = basic.and_then(|text| STANDARD.decode(text).ok());
    if client.as_deref() != Some(CLIENT.as_bytes()) {
        let refused = answer(StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}));
        return ([(header::WWW_AUTHENTICATE, "Basic realm=\"crm\"")], refused).into_response();
    }
    if request.grant_type != "client_credentials" {
        return answer(
            StatusCode::BAD_REQUEST,
            json!({"error": "unsupported_grant_type"}),
        );
    }
    match tokens.issue() {
        Ok(token) => {
            let body = json!({"access_token": token, "token_type": "Bearer", "expires_in": tokens.ttl.as_secs()});
            (
                [(header::CACHE_CONTROL, "no-store")],
                answer(StatusCode::OK, body),
            )
                .into_response()
        }
        Err(_) => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "no_randomness",
            "no random numbers to be had",
        ),
    }
}

/// Lets through what carries a token that is still valid.
pub async fn check(State(tokens): State<Arc<Tokens>>, request: Request, next: Next) -> Response {
    if tokens.accepts(request.headers()) {
        return next.run(request).await;
    }
    let refused = error(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "the access token is missing, wrong or expired",
    );
    (
        [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")],
        refused,
    )
        .into_response()
}
