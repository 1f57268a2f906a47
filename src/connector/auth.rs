//! The credential of a Connection: read from its Secret, or asked for at a token endpoint, by one
//! caller for all. Never shown in an error. Used by `client`.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use url::Url;

use super::build::set_query;
use super::hidden::Hidden;
use super::token::{Token, Tokens};
use super::transport::Transport;
use super::{NoSecret, SecretSource, TokenStore};
use crate::plan::ConnectionPlan;
use crate::plan::connection::{AuthPlan, Place, SecretRef, SendAsPlan};
use crate::record::{Class, Failure, Fingerprint};

/// How long a failed attempt answers for all who wait for a credential.
const FAILED: Duration = Duration::from_secs(5);

/// What makes a request ours.
pub(super) struct Credential {
    carried: Carried,
    /// Changes when the credential does, and only then.
    serial: u64,
    fingerprint: Fingerprint,
    valid_until: Option<Instant>,
    /// What must not be shown.
    hidden: Hidden,
}

enum Carried {
    Nothing,
    Header(HeaderName, HeaderValue),
    Query(String, SecretString),
    Cookie(SecretString),
}

/// A credential that was read or asked for just now.
struct Obtained {
    carried: Carried,
    hidden: Vec<SecretString>,
    valid_until: Option<Instant>,
}

pub(super) struct Authenticator {
    plan: Arc<ConnectionPlan>,
    secrets: Secrets,
    current: RwLock<Option<Arc<Credential>>>,
    renewing: Mutex<Renewing>,
}

/// What only the one who renews touches.
struct Renewing {
    tokens: Tokens,
    serial: u64,
    failed: Option<(Instant, Failure)>,
}

/// Reads the Secrets of one Connection.
#[derive(Clone)]
pub(super) struct Secrets {
    source: Arc<dyn SecretSource>,
    namespace: String,
    resource: String,
}

impl Secrets {
    /// The value of a Secret's key, without the line end that files have.
    pub async fn read(&self, reference: &SecretRef) -> Result<SecretString, Failure> {
        let found = self
            .source
            .read(&self.namespace, &reference.name, &reference.key)
            .await;
        let secret = found.map_err(|problem| {
            let text = format!(
                "{}: Secret {}/{} key {}: {problem}",
                self.resource, self.namespace, reference.name, reference.key
            );
            let class = match problem {
                NoSecret::Missing(_) => Class::Configuration,
                // Nobody has to do anything: it is asked again.
                NoSecret::Unavailable(_) => Class::Transient,
            };
            Failure::new(class, false, text)
        })?;
        let text = secret.expose_secret();
        let trimmed = text.trim_end_matches(['\r', '\n']);
        Ok(if trimmed.len() == text.len() {
            secret
        } else {
            SecretString::from(trimmed)
        })
    }
}

impl Authenticator {
    pub fn new(
        plan: Arc<ConnectionPlan>,
        source: Arc<dyn SecretSource>,
        store: Arc<dyn TokenStore>,
    ) -> Self {
        let secrets = Secrets {
            source,
            namespace: plan.namespace.clone(),
            resource: plan.resource(),
        };
        let tokens = Tokens::new(Arc::clone(&plan), secrets.clone(), store);
        Self {
            plan,
            secrets,
            current: RwLock::new(None),
            renewing: Mutex::new(Renewing {
                tokens,
                serial: 0,
                failed: None,
            }),
        }
    }

    /// The credential to send. `rejected` is the one that a 401 came for: it is renewed once, by the
    /// first who asks, for all.
    pub async fn credential(
        &self,
        transport: &Transport,
        rejected: Option<&Credential>,
    ) -> Result<Arc<Credential>, Failure> {
        if let Some(usable) = self.usable(rejected) {
            return Ok(usable);
        }
        let mut renewing = self.renewing.lock().await;
        if let Some(usable) = self.usable(rejected) {
            return Ok(usable);
        }
        if let Some((at, failure)) = &renewing.failed
            && at.elapsed() < FAILED
        {
            return Err(failure.clone());
        }
        let before = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match self
            .renew(&mut renewing, transport, before.as_deref(), rejected)
            .await
        {
            Ok(credential) => {
                let credential = Arc::new(credential);
                renewing.failed = None;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) =
                    Some(Arc::clone(&credential));
                Ok(credential)
            }
            Err(failure) => {
                renewing.failed = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Forgets the credential and the failure to get one: the next request reads it afresh.
    pub async fn forget(&self) {
        let mut renewing = self.renewing.lock().await;
        renewing.failed = None;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn usable(&self, rejected: Option<&Credential>) -> Option<Arc<Credential>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let credential = current.as_ref()?;
        let valid = credential
            .valid_until
            .is_none_or(|until| Instant::now() < until);
        let other = rejected.is_none_or(|rejected| rejected.serial != credential.serial);
        (valid && other).then(|| Arc::clone(credential))
    }

    /// Reads or asks for the credential again. Fails when that gives the one that was rejected.
    async fn renew(
        &self,
        renewing: &mut Renewing,
        transport: &Transport,
        before: Option<&Credential>,
        rejected: Option<&Credential>,
    ) -> Result<Credential, Failure> {
        let Obtained {
            carried,
            hidden,
            valid_until,
        } = self.obtain(renewing, transport).await?;
        let text: Vec<&str> = hidden.iter().map(ExposeSecret::expose_secret).collect();
        let fingerprint = Fingerprint::of(text.join("\n").as_bytes());
        if rejected.is_some_and(|rejected| rejected.fingerprint == fingerprint) {
            return Err(self.not_accepted());
        }
        // The same value read again is the same credential: a 401 for it is a 401 for this one.
        if before.is_none_or(|before| before.fingerprint != fingerprint) {
            renewing.serial += 1;
        }
        Ok(Credential {
            carried,
            serial: renewing.serial,
            fingerprint,
            valid_until,
            hidden: Hidden::new(&hidden),
        })
    }

    async fn obtain(
        &self,
        renewing: &mut Renewing,
        transport: &Transport,
    ) -> Result<Obtained, Failure> {
        let fresh = Some(Instant::now() + self.secrets.source.fresh_for());
        let (send_as, token) = match &self.plan.auth {
            AuthPlan::None => {
                return Ok(Obtained {
                    carried: Carried::Nothing,
                    hidden: vec![],
                    valid_until: None,
                });
            }
            AuthPlan::Basic { username, password } => {
                return self.basic(username, password.as_ref()).await;
            }
            AuthPlan::Fixed { secret, send_as } => (
                send_as,
                Token {
                    secret: self.secrets.read(secret).await?,
                    valid_until: fresh,
                },
            ),
            AuthPlan::OAuth2(plan) => {
                (&plan.send_as, renewing.tokens.oauth(transport, plan).await?)
            }
            AuthPlan::Session(plan) => (
                &plan.send_as,
                renewing.tokens.session(transport, plan).await?,
            ),
        };
        let carried = self.carry(send_as, &token.secret)?;
        Ok(Obtained {
            carried,
            hidden: vec![token.secret],
            valid_until: token.valid_until,
        })
    }

    /// User and password (RFC 7617).
    async fn basic(
        &self,
        username: &SecretRef,
        password: Option<&SecretRef>,
    ) -> Result<Obtained, Failure> {
        let user = self.secrets.read(username).await?;
        let password = match password {
            Some(password) => Some(self.secrets.read(password).await?),
            None => None,
        };
        let secret = password.as_ref().map_or("", |p| p.expose_secret());
        let pair =
            SecretString::from(STANDARD.encode(format!("{}:{secret}", user.expose_secret())));
        let carried = Carried::Header(
            AUTHORIZATION,
            self.header(format!("Basic {}", pair.expose_secret()))?,
        );
        // Without a password the user name is the secret.
        let hidden = vec![password.unwrap_or(user), pair];
        Ok(Obtained {
            carried,
            hidden,
            valid_until: Some(Instant::now() + self.secrets.source.fresh_for()),
        })
    }

    /// The credential that requests were sent with last.
    pub fn known(&self) -> Option<Arc<Credential>> {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The failure of a 401 that a renewal did not help.
    pub fn not_accepted(&self) -> Failure {
        let what = match &self.plan.auth {
            AuthPlan::None => "answered 401, and spec.auth is none".to_owned(),
            AuthPlan::Fixed { secret, .. } => format!("the credential in Secret {} key {} is not accepted (401); put a valid one there", secret.name, secret.key),
            AuthPlan::Basic { username, .. } => format!("the user and password in Secret {} are not accepted (401); put valid ones there", username.name),
            AuthPlan::OAuth2(_) => "a new access token is not accepted (401); check scopes and audience in spec.auth.oauth2".to_owned(),
            AuthPlan::Session(_) => "a new session's token is not accepted (401); check token and sendAs in spec.auth.session".to_owned(),
        };
        let mut failure = Failure::new(
            Class::Authentication,
            true,
            format!("{}: {what}", self.plan.resource()),
        );
        failure.status = Some(401);
        failure
    }

    fn carry(&self, send_as: &SendAsPlan, secret: &SecretString) -> Result<Carried, Failure> {
        let text = format!("{}{}", send_as.prefix, secret.expose_secret());
        Ok(match send_as.place {
            Place::Query => Carried::Query(send_as.name.clone(), text.into()),
            Place::Cookie => Carried::Cookie(format!("{}={text}", send_as.name).into()),
            Place::Header | Place::Body => {
                let name = HeaderName::from_bytes(send_as.name.as_bytes())
                    .map_err(|_| self.unsendable())?;
                Carried::Header(name, self.header(text)?)
            }
        })
    }

    fn header(&self, text: String) -> Result<HeaderValue, Failure> {
        let mut value = HeaderValue::try_from(text).map_err(|_| self.unsendable())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unsendable(&self) -> Failure {
        let text = format!(
            "{}: the credential holds a character that no header may hold; check its Secret",
            self.plan.resource()
        );
        Failure::new(Class::Configuration, false, text)
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential {}", self.serial)
    }
}

impl Credential {
    /// Puts the credential into a request.
    pub fn apply(&self, url: &mut Cow<'_, Url>, headers: &mut HeaderMap) {
        match &self.carried {
            Carried::Nothing => {}
            Carried::Header(name, value) => {
                headers.insert(name.clone(), value.clone());
            }
            Carried::Query(name, secret) => {
                set_query(url.to_mut(), name, secret.expose_secret());
            }
            Carried::Cookie(secret) => {
                let others = headers.get(COOKIE).and_then(|v| v.to_str().ok());
                let text = match others {
                    Some(others) => format!("{others}; {}", secret.expose_secret()),
                    None => secret.expose_secret().to_owned(),
                };
                if let Ok(mut value) = HeaderValue::try_from(text) {
                    value.set_sensitive(true);
                    headers.insert(COOKIE, value);
                }
            }
        }
    }

    /// Shows in a URL where the credential stands.
    pub fn mask(&self, url: &mut Url) {
        if let Carried::Query(name, _) = &self.carried {
            set_query(url, name, "***");
        }
    }

    /// A text without the secret in it, should a system repeat what it was sent.
    pub fn hide(&self, text: String) -> String {
        self.hidden.hide(text)
    }
}
