//! Logs in for a session's token. One caller at a time, which `auth` sees to.
//! Never shows a secret.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::ExposeSecret;
use serde_json::Value;
use url::Url;

use super::body::form;
use super::build::set_query;
use super::token::{Token, Tokens, valid_until};
use super::transport::Transport;
use crate::plan::connection::{Encoding, InjectionPlan, Place, SessionPlan};
use crate::record::{Class, Failure, scalar_text};

/// A login, while its secrets are put in.
struct Login {
    url: Url,
    headers: HeaderMap,
    body: Value,
}

impl Login {
    fn header(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header name is none")?;
        let value = HeaderValue::from_str(value);
        let mut value = value.map_err(|_| "a value holds a character that no header may hold")?;
        value.set_sensitive(true);
        self.headers.append(name, value);
        Ok(())
    }

    fn put(&mut self, place: &InjectionPlan, secret: &str) -> Result<(), &'static str> {
        match place.place {
            Place::Header => self.header(&place.name, secret),
            Place::Cookie => self.header(COOKIE.as_str(), &format!("{}={secret}", place.name)),
            Place::Query => {
                set_query(&mut self.url, &place.name, secret);
                Ok(())
            }
            Place::Body => {
                let set = place.path.set(&mut self.body, Value::from(secret));
                set.map_err(|_| "a credential does not fit into the body")
            }
        }
    }

    /// The body as it is sent, and the header that says how it is written.
    fn encode(&mut self, encoding: Encoding) -> Result<Bytes, String> {
        let (kind, body) = match encoding {
            Encoding::None => return Ok(Bytes::new()),
            Encoding::Json => ("application/json", self.body.to_string()),
            Encoding::Form => ("application/x-www-form-urlencoded", form(&self.body)?),
        };
        self.headers
            .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Ok(Bytes::from(body))
    }
}

impl Tokens {
    /// A token by logging in.
    pub async fn session(
        &mut self,
        transport: &Transport,
        plan: &SessionPlan,
    ) -> Result<Token, Failure> {
        let login = &plan.login;
        let wrong = |what: &str| {
            self.failure(
                Class::Configuration,
                format!("spec.auth.session.login: {what}"),
            )
        };
        let url = Url::parse(&login.url).map_err(|_| wrong("the path makes no URL"))?;
        let mut request = Login {
            url,
            headers: HeaderMap::new(),
            body: login.body.clone(),
        };
        request
            .headers
            .insert(ACCEPT, HeaderValue::from_static("application/json"));
        for (name, value) in &login.headers {
            request.header(name, value).map_err(wrong)?;
        }
        for credential in &login.credentials {
            let secret = self.secrets.read(&credential.secret).await?;
            request
                .put(&credential.injection, secret.expose_secret())
                .map_err(wrong)?;
        }
        let body = request
            .encode(login.encoding)
            .map_err(|what| wrong(&what))?;
        let method =
            Method::from_bytes(login.method.as_bytes()).map_err(|_| wrong("the method is none"))?;
        let Login { url, headers, .. } = request;
        let answer = self
            .ask(transport, method, url.as_str(), headers, body, "the login")
            .await?;
        let token = plan
            .token
            .get(&answer)
            .and_then(scalar_text)
            .filter(|t| !t.is_empty());
        let Some(token) = token else {
            return Err(wrong(&format!(
                "the answer has no token at {}; check spec.auth.session.token",
                plan.token
            )));
        };
        Ok(Token {
            secret: token.into(),
            valid_until: plan.expiry.map(valid_until),
        })
    }
}
