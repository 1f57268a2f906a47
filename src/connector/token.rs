//! Asks for OAuth 2.0 tokens, with refresh tokens that rotate. One caller at a time, which `auth` sees to.
//! Never shows a secret.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tracing::Instrument;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::TokenStore;
use super::auth::Secrets;
use super::transport::{Raw, Transport};
use crate::plan::ConnectionPlan;
use crate::plan::connection::{ClientAuth, Grant, OAuth2Plan, SecretRef};
use crate::record::{Class, Failure, Fingerprint};
use crate::telemetry::{Answered, spans};

/// A token is renewed this long before it expires, or a tenth of its life when that is less.
const EARLY: Duration = Duration::from_secs(60);
/// The longest life that is believed.
const LONGEST: f64 = 365.0 * 24.0 * 3600.0;

pub(super) struct Token {
    pub secret: SecretString,
    /// `None`: until a 401.
    pub valid_until: Option<Instant>,
}

pub(super) struct Tokens {
    plan: Arc<ConnectionPlan>,
    pub(super) secrets: Secrets,
    store: Arc<dyn TokenStore>,
    rotated: Option<Rotated>,
}

/// A refresh token that the endpoint gave us, in place of the one in the Secret.
struct Rotated {
    /// Fingerprint of the Secret's value that it grew from.
    origin: String,
    token: SecretString,
    saved: bool,
}

impl Tokens {
    pub fn new(plan: Arc<ConnectionPlan>, secrets: Secrets, store: Arc<dyn TokenStore>) -> Self {
        Self {
            plan,
            secrets,
            store,
            rotated: None,
        }
    }

    pub(super) fn failure(&self, class: Class, what: impl std::fmt::Display) -> Failure {
        // The request that wanted the token was not sent.
        Failure::new(class, false, format!("{}: {what}", self.plan.resource()))
    }

    fn connection(&self) -> String {
        format!("{}/{}", self.plan.namespace, self.plan.name)
    }

    /// An access token by the plan's grant (RFC 6749).
    pub async fn oauth(
        &mut self,
        transport: &Transport,
        plan: &OAuth2Plan,
    ) -> Result<Token, Failure> {
        let mut fields = Form::default();
        let mut refresh = None;
        match plan.grant {
            Grant::ClientCredentials => {
                fields.add("grant_type", "client_credentials");
            }
            Grant::Password => {
                fields.add("grant_type", "password");
                for (name, secret) in [("username", &plan.username), ("password", &plan.password)] {
                    fields.add(name, self.required(secret, name).await?.expose_secret());
                }
            }
            Grant::RefreshToken => {
                let (origin, token) = self.refresh_token(plan).await?;
                fields.add("grant_type", "refresh_token");
                fields.add("refresh_token", token.expose_secret());
                refresh = Some((origin, token));
            }
        }
        for (name, value) in &plan.fields {
            fields.add(name, value);
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        self.identify(plan, &mut headers, &mut fields).await?;
        let body = Bytes::from(fields.0);
        let answer = self
            .ask(
                transport,
                Method::POST,
                &plan.token_url,
                headers,
                body,
                "the token endpoint",
            )
            .await?;
        let (token, next) = self.read_token(&answer)?;
        if let (Some((origin, used)), Some(next)) = (refresh, next)
            && next.expose_secret() != used.expose_secret()
        {
            self.rotated = Some(Rotated {
                origin,
                token: next,
                saved: false,
            });
            self.save().await?;
        }
        Ok(token)
    }

    /// Shows who the client is (RFC 6749 section 2.3.1).
    async fn identify(
        &self,
        plan: &OAuth2Plan,
        headers: &mut HeaderMap,
        fields: &mut Form,
    ) -> Result<(), Failure> {
        let Some(id) = &plan.client_id else {
            return Ok(());
        };
        let id = self.secrets.read(id).await?;
        let secret = match &plan.client_secret {
            Some(secret) => Some(self.secrets.read(secret).await?),
            None => None,
        };
        match (plan.client_auth, secret) {
            (ClientAuth::Basic, Some(secret)) => {
                let quoted = |s: &SecretString| {
                    byte_serialize(s.expose_secret().as_bytes()).collect::<String>()
                };
                let pair = STANDARD.encode(format!("{}:{}", quoted(&id), quoted(&secret)));
                let mut value = HeaderValue::try_from(format!("Basic {pair}")).map_err(|_| {
                    self.failure(
                        Class::Configuration,
                        "the client id or secret cannot be sent",
                    )
                })?;
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            (ClientAuth::Body, Some(secret)) => {
                fields.add("client_id", id.expose_secret());
                fields.add("client_secret", secret.expose_secret());
            }
            (_, None) => {
                fields.add("client_id", id.expose_secret());
            }
        }
        Ok(())
    }

    async fn required(
        &self,
        reference: &Option<SecretRef>,
        name: &str,
    ) -> Result<SecretString, Failure> {
        match reference {
            Some(reference) => self.secrets.read(reference).await,
            None => Err(self.failure(
                Class::Configuration,
                format!("spec.auth.oauth2 needs {name}Ref for this grant"),
            )),
        }
    }

    /// The refresh token to use and the fingerprint of the Secret it belongs to: the one that was kept,
    /// unless the Secret changed since.
    async fn refresh_token(
        &mut self,
        plan: &OAuth2Plan,
    ) -> Result<(String, SecretString), Failure> {
        let secret = self.required(&plan.refresh_token, "refreshToken").await?;
        let origin = Fingerprint::of(secret.expose_secret().as_bytes()).to_string();
        if self
            .rotated
            .as_ref()
            .is_some_and(|r| !r.saved && r.origin == origin)
        {
            self.save().await?;
        }
        if let Some(rotated) = self.rotated.as_ref().filter(|r| r.origin == origin) {
            return Ok((origin, rotated.token.clone()));
        }
        let kept = self.store.load(&self.connection()).await;
        let kept = kept.map_err(|e| {
            self.failure(
                Class::Transient,
                format!("the kept refresh token cannot be read: {e}"),
            )
        })?;
        match kept {
            Some((from, token)) if from == origin => {
                self.rotated = Some(Rotated {
                    origin: origin.clone(),
                    token: token.clone(),
                    saved: true,
                });
                Ok((origin, token))
            }
            _ => Ok((origin, secret)),
        }
    }

    /// Keeps a rotated refresh token before anything is done with it: the old one is void already.
    async fn save(&mut self) -> Result<(), Failure> {
        let connection = self.connection();
        let Some(rotated) = &mut self.rotated else {
            return Ok(());
        };
        match self
            .store
            .save(&connection, rotated.origin.clone(), rotated.token.clone())
            .await
        {
            Ok(()) => {
                rotated.saved = true;
                Ok(())
            }
            Err(e) => Err(self.failure(
                Class::Transient,
                format!("the rotated refresh token cannot be kept: {e}"),
            )),
        }
    }

    /// The access token, its life, and the next refresh token (RFC 6749 section 5.1).
    fn read_token(&self, answer: &Value) -> Result<(Token, Option<SecretString>), Failure> {
        let text = |name: &str| {
            answer
                .get(name)
                .and_then(Value::as_str)
                .filter(|t| !t.is_empty())
        };
        let Some(access) = text("access_token") else {
            return Err(self.failure(
                Class::Configuration,
                "the token endpoint's answer has no access_token; check spec.auth.oauth2.tokenURL",
            ));
        };
        let life = answer.get("expires_in").and_then(|v| match v {
            Value::Number(n) => n.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        });
        let life = life
            .filter(|s| s.is_finite() && *s > 0.0)
            .map(|s| Duration::from_secs_f64(s.min(LONGEST)));
        let token = Token {
            secret: access.into(),
            valid_until: life.map(valid_until),
        };
        Ok((token, text("refresh_token").map(Into::into)))
    }

    /// Sends a request for a token and reads the JSON of its answer.
    pub(super) async fn ask(
        &self,
        transport: &Transport,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
        who: &str,
    ) -> Result<Value, Failure> {
        let url = Url::parse(url)
            .map_err(|_| self.failure(Class::Configuration, format!("{who} has no usable URL")))?;
        let plan = &self.plan;
        let span = spans::request(&plan.namespace, &plan.name, method.as_str(), None, &url);
        let sending = transport.send(method, &url, headers, body);
        let answer = sending
            .instrument(span.clone())
            .await
            .map_err(|mut failure| {
                spans::unanswered(&span, failure.status, failure.class);
                failure.sent = false;
                failure.status = None;
                failure.message = format!("{} (at {who})", failure.message);
                failure
            })?;
        let status = answer.status.as_u16();
        let read = self.read_answer(&answer, who);
        let meant = read.as_ref().err();
        let meant = meant.map_or(Answered::Success, |failure| Answered::Failed(failure.class));
        spans::answered(&span, status, meant);
        read
    }

    /// The JSON of an answer, or what its status means.
    fn read_answer(&self, answer: &Raw, who: &str) -> Result<Value, Failure> {
        let status = answer.status.as_u16();
        match status {
            200..=299 => serde_json::from_slice(&answer.body)
                .map_err(|_| self.failure(Class::Configuration, format!("{who} did not answer JSON; check its URL"))),
            408 | 425 | 429 | 500.. => {
                let mut failure = self.failure(Class::Transient, format!("{who} answered {status}"));
                let wait = super::retry_after::wait(&answer.headers, jiff::Timestamp::now());
                failure.retry_after_ms = wait.map(|w| w.as_millis() as u64);
                Err(failure)
            }
            300..=399 => Err(self.failure(Class::Configuration, format!("{who} redirects ({status}); credentials are not sent elsewhere: write its final URL"))),
            404 | 405 => Err(self.failure(Class::Configuration, format!("{who} answered {status}; check its URL"))),
            _ => Err(self.failure(
                Class::Authentication,
                format!("{who} refused the credentials ({status}{}); check the Secrets of spec.auth", error_code(answer)),
            )),
        }
    }
}

/// When a token of this life is renewed.
pub(super) fn valid_until(life: Duration) -> Instant {
    Instant::now() + (life - EARLY.min(life / 10))
}

/// The error code of RFC 6749 section 5.2, such as `invalid_grant`: never free text, which may hold a secret.
fn error_code(answer: &Raw) -> String {
    let value: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let code = value
        .as_ref()
        .and_then(|v| v.get("error"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    const KNOWN: [&str; 8] = [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
    ];
    KNOWN
        .iter()
        .find(|known| **known == code)
        .map(|known| format!(", {known}"))
        .unwrap_or_default()
}

/// A form body (application/x-www-form-urlencoded) that may be built across awaits.
#[derive(Default)]
struct Form(String);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.extend(byte_serialize(name.as_bytes()));
        self.0.push('=');
        self.0.extend(byte_serialize(value.as_bytes()));
    }
}
