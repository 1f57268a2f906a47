//! A token that a login request answers with, compiled.
//! Pure. Made by `auth`, run by `connector::login`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::auth::{SecretRef, SendAsPlan, endpoint};
use super::check::Checker;
use super::request::{InjectionPlan, check_header, compile_json};
use crate::api::connection::{Encoding, Injection, LoginSpec, Place, SessionAuth};
use crate::expression::{Path, Scope};

/// A token that a login request answers with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionPlan {
    pub login: LoginPlan,
    pub token: Path,
    /// How long a token is valid; `None`: until a 401.
    pub expiry: Option<Duration>,
    pub send_as: SendAsPlan,
}

/// The request that logs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoginPlan {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub encoding: Encoding,
    /// The body without the secrets.
    pub body: Value,
    pub credentials: Vec<CredentialPlan>,
}

/// A secret and its place in the login request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialPlan {
    pub injection: InjectionPlan,
    pub secret: SecretRef,
}

const FIELD: &str = "spec.auth.session";

/// Compiles `spec.auth.session`.
pub(super) fn compile_session(
    spec: &SessionAuth,
    base: &str,
    plaintext: bool,
    checker: &mut Checker<'_>,
) -> Option<SessionPlan> {
    let login = &spec.login;
    let url = endpoint(
        &login.path,
        base,
        plaintext,
        &format!("{FIELD}.login.path"),
        checker,
    );
    let headers = compile_headers(login, checker);
    let body = compile_body(login, checker);
    let credentials = compile_credentials(login, checker);
    let token = checker.path(&format!("{FIELD}.token"), &spec.token);
    let send_as = spec.send_as.compile(&format!("{FIELD}.sendAs"), checker);
    let login = LoginPlan {
        method: login.method.as_str().to_owned(),
        url: url?,
        headers,
        encoding: login.encoding(),
        body: body?,
        credentials,
    };
    let expiry = spec.expiry.as_ref().map(|d| d.to_std());
    Some(SessionPlan {
        login,
        token: token?,
        expiry,
        send_as: send_as?,
    })
}

fn compile_headers(login: &LoginSpec, checker: &mut Checker<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::with_capacity(login.headers.len());
    for (name, text) in &login.headers {
        let place = format!("{FIELD}.login.headers.{name}");
        check_header(name, &place, checker);
        if let Some(value) = checker.resolve(&place, text) {
            headers.push((name.clone(), value));
        }
    }
    headers
}

/// The body without its secrets: an object, empty where nothing is said.
fn compile_body(login: &LoginSpec, checker: &mut Checker<'_>) -> Option<Value> {
    let field = format!("{FIELD}.login.body");
    let Some(body) = &login.body else {
        return Some(Value::Object(Map::new()));
    };
    if body.wrap.is_some() || body.record.is_some() {
        checker.problem(
            &field,
            "a login sends no record: give template, and credentials in: Body",
        );
    }
    let Some(template) = &body.template else {
        return Some(Value::Object(Map::new()));
    };
    let place = format!("{field}.template");
    let template = compile_json(template, &["settings"], &place, checker)?;
    let scope = Scope {
        settings: Some(checker.settings),
        ..Scope::default()
    };
    template
        .render(&scope)
        .map_err(|error| checker.problem(&place, error.to_string()))
        .ok()
}

fn compile_credentials(login: &LoginSpec, checker: &mut Checker<'_>) -> Vec<CredentialPlan> {
    let mut credentials = Vec::with_capacity(login.credentials.len());
    for (i, credential) in login.credentials.iter().enumerate() {
        let field = format!("{FIELD}.login.credentials[{i}]");
        if credential.place == Place::Body && login.encoding() == Encoding::None {
            checker.problem(
                &field,
                "the login sends no body (encoding: None): put the credential elsewhere",
            );
        }
        let injection = Injection {
            place: credential.place,
            name: credential.name.clone(),
        };
        if let Some(injection) = InjectionPlan::compile(&injection, &field, checker) {
            credentials.push(CredentialPlan {
                injection,
                secret: (&credential.secret_ref).into(),
            });
        }
    }
    credentials
}
