//! How requests are authenticated, compiled: URLs resolved, secrets still only named.
//! Pure. Made by `compile`, run by `connector::auth`.

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::compile::check_url;
use super::request::check_header;
use super::session::{SessionPlan, compile_session};
use crate::api::connection::{AuthSpec, OAuth2Auth, Place, SendAs};
use crate::api::reference::SecretKeyRef;

pub use crate::api::connection::{ClientAuth, Grant};

/// One key of a Secret in the Connection's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretRef {
    pub name: String,
    pub key: String,
}

impl From<&SecretKeyRef> for SecretRef {
    fn from(reference: &SecretKeyRef) -> Self {
        Self {
            name: reference.name.clone(),
            key: reference.key.clone(),
        }
    }
}

/// How requests are authenticated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AuthPlan {
    None,
    /// A fixed secret.
    Fixed {
        secret: SecretRef,
        send_as: SendAsPlan,
    },
    Basic {
        username: SecretRef,
        password: Option<SecretRef>,
    },
    OAuth2(OAuth2Plan),
    Session(SessionPlan),
}

impl AuthPlan {
    /// The credentials that it names.
    pub(super) fn secrets(&self) -> Vec<&SecretRef> {
        match self {
            Self::None => vec![],
            Self::Fixed { secret, send_as: _ } => vec![secret],
            Self::Basic { username, password } => {
                std::iter::once(username).chain(password).collect()
            }
            Self::OAuth2(oauth) => [
                &oauth.client_id,
                &oauth.client_secret,
                &oauth.refresh_token,
                &oauth.username,
                &oauth.password,
            ]
            .into_iter()
            .flatten()
            .collect(),
            Self::Session(session) => session
                .login
                .credentials
                .iter()
                .map(|c| &c.secret)
                .collect(),
        }
    }
}

/// How requests carry a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAsPlan {
    /// Header, Query or Cookie.
    pub place: Place,
    pub name: String,
    /// Text before the secret.
    pub prefix: String,
}

impl SendAsPlan {
    fn bearer() -> Self {
        Self {
            place: Place::Header,
            name: "authorization".to_owned(),
            prefix: "Bearer ".to_owned(),
        }
    }
}

/// An access token of a token endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OAuth2Plan {
    pub grant: Grant,
    pub token_url: String,
    pub client_id: Option<SecretRef>,
    pub client_secret: Option<SecretRef>,
    pub refresh_token: Option<SecretRef>,
    pub username: Option<SecretRef>,
    pub password: Option<SecretRef>,
    pub client_auth: ClientAuth,
    /// Scopes, audience and parameters: what the form holds beside grant and secrets.
    pub fields: Vec<(String, String)>,
    pub send_as: SendAsPlan,
}

/// Compiles `spec.auth`.
pub(super) fn compile_auth(
    spec: &AuthSpec,
    base: &str,
    plaintext: bool,
    checker: &mut Checker<'_>,
) -> Option<AuthPlan> {
    let mut plans = Vec::new();
    if spec.none.is_some() {
        plans.push(Some(AuthPlan::None));
    }
    if let Some(key) = &spec.api_key {
        let send_as = compile_send_as(
            key.place,
            &key.name,
            key.prefix.as_deref(),
            "spec.auth.apiKey",
            checker,
        );
        plans.push(send_as.map(|send_as| AuthPlan::Fixed {
            secret: (&key.secret_ref).into(),
            send_as,
        }));
    }
    if let Some(bearer) = &spec.bearer {
        plans.push(Some(AuthPlan::Fixed {
            secret: (&bearer.secret_ref).into(),
            send_as: SendAsPlan::bearer(),
        }));
    }
    if let Some(basic) = &spec.basic {
        plans.push(Some(AuthPlan::Basic {
            username: (&basic.username_ref).into(),
            password: basic.password_ref.as_ref().map(Into::into),
        }));
    }
    if let Some(oauth) = &spec.oauth2 {
        plans.push(compile_oauth(oauth, base, plaintext, checker).map(AuthPlan::OAuth2));
    }
    if let Some(session) = &spec.session {
        plans.push(compile_session(session, base, plaintext, checker).map(AuthPlan::Session));
    }
    if plans.len() != 1 {
        checker.problem(
            "spec.auth",
            "give exactly one of none, apiKey, bearer, basic, oauth2, session",
        );
        return None;
    }
    plans.pop().flatten()
}

fn compile_send_as(
    place: Place,
    name: &str,
    prefix: Option<&str>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<SendAsPlan> {
    match place {
        Place::Body => {
            checker.problem(
                &format!("{field}.in"),
                "a credential goes in a Header, Query or Cookie",
            );
            return None;
        }
        Place::Header | Place::Cookie => check_header(name, &format!("{field}.name"), checker),
        Place::Query => {}
    }
    Some(SendAsPlan {
        place,
        name: name.to_owned(),
        prefix: prefix.unwrap_or_default().to_owned(),
    })
}

impl SendAs {
    pub(super) fn compile(&self, field: &str, checker: &mut Checker<'_>) -> Option<SendAsPlan> {
        compile_send_as(
            self.place,
            &self.name,
            self.prefix.as_deref(),
            field,
            checker,
        )
    }
}

/// A URL, or a path below the base URL.
pub(super) fn endpoint(
    text: &str,
    base: &str,
    plaintext: bool,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<String> {
    let text = checker.resolve(field, text)?;
    if text.starts_with('/') {
        return Some(format!("{base}{text}"));
    }
    check_url(&text, plaintext, field, checker).then_some(text)
}

fn compile_oauth(
    spec: &OAuth2Auth,
    base: &str,
    plaintext: bool,
    checker: &mut Checker<'_>,
) -> Option<OAuth2Plan> {
    let field = "spec.auth.oauth2";
    let token_url = endpoint(
        &spec.token_url,
        base,
        plaintext,
        &format!("{field}.tokenURL"),
        checker,
    );
    let needs = match spec.grant {
        Grant::ClientCredentials => [
            ("clientIDRef", spec.client_id_ref.is_some()),
            ("clientSecretRef", spec.client_secret_ref.is_some()),
        ],
        Grant::RefreshToken => [("refreshTokenRef", spec.refresh_token_ref.is_some()); 2],
        Grant::Password => [
            ("usernameRef", spec.username_ref.is_some()),
            ("passwordRef", spec.password_ref.is_some()),
        ],
    };
    if let Some((name, _)) = needs.iter().find(|(_, given)| !given) {
        checker.problem(field, format!("the {:?} grant needs {name}", spec.grant));
    }
    let mut fields = Vec::new();
    if !spec.scopes.is_empty() {
        fields.push(("scope".to_owned(), spec.scopes.join(" ")));
    }
    if let Some(audience) = &spec.audience {
        fields.push(("audience".to_owned(), audience.clone()));
    }
    for (name, text) in &spec.parameters {
        if let Some(value) = checker.resolve(&format!("{field}.parameters.{name}"), text) {
            fields.push((name.clone(), value));
        }
    }
    let secret = |r: &Option<SecretKeyRef>| r.as_ref().map(SecretRef::from);
    Some(OAuth2Plan {
        grant: spec.grant,
        token_url: token_url?,
        client_id: secret(&spec.client_id_ref),
        client_secret: secret(&spec.client_secret_ref),
        refresh_token: secret(&spec.refresh_token_ref),
        username: secret(&spec.username_ref),
        password: secret(&spec.password_ref),
        client_auth: spec.client_auth,
        fields,
        send_as: SendAsPlan::bearer(),
    })
}
