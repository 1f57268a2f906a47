//! Faults on demand: `POST /_faults` says how often answers get lost, late, refused or broken. They hit the
//! API's own routes only, never those that begin with `/_`. Middleware of both demo systems.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::answer::error;
use super::random::Random;
use super::serve::Cut;

/// What goes wrong, and how often: each `p` is a probability from 0 to 1 per request. The default is that
/// nothing does. Posting replaces everything that was set before.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Faults {
    /// The request is carried out and the connection closes without an answer: writes only.
    drop_after_commit: f64,
    /// The connection closes before anything is done.
    drop_before: f64,
    /// 503 without doing anything.
    status503: f64,
    /// 429 with Retry-After, without doing anything.
    status429: Refusals,
    /// The answer comes late, after the request was carried out.
    stall: Stalls,
    /// Every page of a list is the first one again, with the token that asks for it.
    pub repeat_page: bool,
    /// More requests than that in a second get 429.
    rate_limit: Option<RateLimit>,
    /// An HTML page with status 200, as from a proxy, without doing anything.
    html_page: f64,
    /// Half of the answer, then the connection closes.
    truncate: f64,
    /// The same seed makes the same faults in the same order.
    seed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Refusals {
    p: f64,
    /// Seconds.
    retry_after: u64,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            p: 0.0,
            retry_after: 1,
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Stalls {
    p: f64,
    ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RateLimit {
    per_second: u32,
}

/// The faults that are set now.
#[derive(Debug)]
pub struct FaultBox(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    faults: Faults,
    random: Random,
    window: Instant,
    in_window: u32,
}

/// What happens to one request.
enum Fate {
    Fine,
    DropBefore,
    Refuse(StatusCode, u64),
    HtmlPage,
}

/// What happens to its answer.
#[derive(Default)]
struct AnswerFate {
    drop: bool,
    stall: Option<Duration>,
    truncate: bool,
}

impl Default for FaultBox {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            faults: Faults::default(),
            random: Random::new(0, 0),
            window: Instant::now(),
            in_window: 0,
        }))
    }
}

impl FaultBox {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether lists repeat their first page.
    pub fn repeats_page(&self) -> bool {
        self.with(|inner| inner.faults.repeat_page)
    }

    fn draw(&self, write: bool) -> (Fate, AnswerFate) {
        self.with(|inner| {
            if let Some(seconds) = inner.over_limit() {
                return (
                    Fate::Refuse(StatusCode::TOO_MANY_REQUESTS, seconds),
                    AnswerFate::default(),
                );
            }
            let Inner { faults, random, .. } = inner;
            let after = AnswerFate {
                drop: write && random.chance(faults.drop_after_commit),
                stall: random
                    .chance(faults.stall.p)
                    .then(|| Duration::from_millis(faults.stall.ms)),
                truncate: random.chance(faults.truncate),
            };
            let before = if random.chance(faults.drop_before) {
                Fate::DropBefore
            } else if random.chance(faults.status503) {
                Fate::Refuse(StatusCode::SERVICE_UNAVAILABLE, 0)
            } else if random.chance(faults.status429.p) {
                Fate::Refuse(StatusCode::TOO_MANY_REQUESTS, faults.status429.retry_after)
            } else if random.chance(faults.html_page) {
                Fate::HtmlPage
            } else {
                Fate::Fine
            };
            (before, after)
        })
    }
}

impl Inner {
    /// Seconds to wait when this second's requests are used up.
    fn over_limit(&mut self) -> Option<u64> {
        let limit = self.faults.rate_limit.as_ref()?.per_second;
        if self.window.elapsed() >= Duration::from_secs(1) {
            self.window = Instant::now();
            self.in_window = 0;
        }
        self.in_window += 1;
        (self.in_window > limit).then_some(1)
    }
}

/// `POST /_faults`: replaces what goes wrong and answers what is set now.
pub async fn set_faults(
    State(faults): State<Arc<FaultBox>>,
    Json(wanted): Json<Faults>,
) -> Json<Faults> {
    faults.with(|inner| {
        inner.random = Random::new(wanted.seed, 1);
        inner.in_window = 0;
        inner.faults = wanted.clone();
    });
    Json(wanted)
}

/// The middleware: lets the request through, or makes it fail.
pub async fn inject(
    State(faults): State<Arc<FaultBox>>,
    ConnectInfo(connection): ConnectInfo<Cut>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path.starts_with("/_") {
        return next.run(request).await;
    }
    let write = request.method() != Method::GET && !path.starts_with("/oauth/");
    let (before, after) = faults.draw(write);
    let response = match before {
        Fate::Fine => next.run(request).await,
        Fate::DropBefore => return cut(&connection),
        Fate::Refuse(status, seconds) => return refuse(status, seconds),
        Fate::HtmlPage => {
            return Html("<html><body><h1>Sign in to the guest network</h1></body></html>")
                .into_response();
        }
    };
    if let Some(time) = after.stall {
        tokio::time::sleep(time).await;
    }
    match after {
        AnswerFate { drop: true, .. } => cut(&connection),
        AnswerFate { truncate: true, .. } => truncated(response).await,
        _ => response,
    }
}

/// The answer that nobody gets.
fn cut(connection: &Cut) -> Response {
    connection.cut();
    StatusCode::NO_CONTENT.into_response()
}

fn refuse(status: StatusCode, seconds: u64) -> Response {
    let mut response = match status {
        StatusCode::TOO_MANY_REQUESTS => error(status, "rate_limited", "too many requests"),
        _ => error(status, "unavailable", "the service is being restarted"),
    };
    if seconds > 0 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer with the length of the whole and half of the bytes.
async fn truncated(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    let pieces = futures::stream::unfold(Some(half), |half| async move {
        match half {
            Some(half) => Some((Ok::<Bytes, std::io::Error>(half), None)),
            None => {
                // The first half leaves before the connection is given up.
                tokio::task::yield_now().await;
                Some((Err(std::io::ErrorKind::ConnectionAborted.into()), None))
            }
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
