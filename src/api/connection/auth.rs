//! How requests are authenticated. Secrets are named, never written.
//! Data only.

use kube::KubeSchema;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::request::{BodySpec, Encoding, Method, Parameters, Place, parameters_schema};
use crate::api::reference::{DurationText, SecretKeyRef};

/// How requests are authenticated: exactly one of the variants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("[has(self.none), has(self.apiKey), has(self.bearer), has(self.basic), has(self.oauth2), has(self.session)].filter(x, x).size() == 1").message("give exactly one of none, apiKey, bearer, basic, oauth2, session")
)]
pub struct AuthSpec {
    /// No credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<NoAuth>,
    /// A fixed key in a header, query parameter or cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<ApiKeyAuth>,
    /// A fixed token: `Authorization: Bearer …` (RFC 6750).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerAuth>,
    /// User and password with every request (RFC 7617).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuth>,
    /// An access token of an OAuth 2.0 token endpoint (RFC 6749).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2Auth>,
    /// A token that a login request answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionAuth>,
}

/// No credential: `none: {}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = without_additional)]
pub struct NoAuth {}

/// A structural schema may not say `additionalProperties: false`; without properties nothing fits anyway.
fn without_additional(schema: &mut Schema) {
    schema.remove("additionalProperties");
}

/// A fixed key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.__in__ != 'Body'").message("an API key goes in a Header, Query or Cookie"))]
pub struct ApiKeyAuth {
    /// Header, Query or Cookie.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the header, query parameter or cookie.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Text before the key, such as `Token ` (with its space).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub prefix: Option<String>,
    /// The key.
    pub secret_ref: SecretKeyRef,
}

/// A fixed bearer token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BearerAuth {
    /// The token.
    pub secret_ref: SecretKeyRef,
}

/// User and password with every request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicAuth {
    /// The user name.
    pub username_ref: SecretKeyRef,
    /// The password; empty when absent (some systems take a key as the user name alone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_ref: Option<SecretKeyRef>,
}

/// Which OAuth 2.0 grant asks for the access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Grant {
    /// RFC 6749 section 4.4
    ClientCredentials,
    /// RFC 6749 section 6; a rotated refresh token is kept and used from then on.
    RefreshToken,
    /// RFC 6749 section 4.3
    Password,
}

/// How the client shows who it is at the token endpoint (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuth {
    /// HTTP Basic with client id and secret.
    #[default]
    Basic,
    /// `client_id` and `client_secret` in the form.
    Body,
}

/// An access token of an OAuth 2.0 token endpoint. It is asked for once for all users of the Connection,
/// before it expires, and once more after a 401.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("self.grant != 'RefreshToken' || has(self.refreshTokenRef)").message("the RefreshToken grant needs refreshTokenRef"),
    validation = Rule::new("self.grant != 'Password' || (has(self.usernameRef) && has(self.passwordRef))").message("the Password grant needs usernameRef and passwordRef"),
    validation = Rule::new("self.grant != 'ClientCredentials' || (has(self.clientIDRef) && has(self.clientSecretRef))").message("the ClientCredentials grant needs clientIDRef and clientSecretRef")
)]
pub struct OAuth2Auth {
    /// ClientCredentials, RefreshToken or Password.
    pub grant: Grant,
    /// URL of the token endpoint, or a path below the base URL; may hold `${settings.…}`.
    #[serde(rename = "tokenURL")]
    #[schemars(length(min = 1, max = 2048))]
    pub token_url: String,
    /// The client's id.
    #[serde(
        rename = "clientIDRef",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub client_id_ref: Option<SecretKeyRef>,
    /// The client's secret; absent for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyRef>,
    /// The first refresh token. When the endpoint answers with another one, that is kept in the state and
    /// used, until this Secret changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_ref: Option<SecretKeyRef>,
    /// The user, for the Password grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username_ref: Option<SecretKeyRef>,
    /// The user's password, for the Password grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_ref: Option<SecretKeyRef>,
    /// How the client shows who it is. Default: Basic.
    #[serde(default)]
    pub client_auth: ClientAuth,
    /// Scopes to ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub scopes: Vec<String>,
    /// The API that the token is for, where the endpoint wants an `audience`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub audience: Option<String>,
    /// More fields of the token request.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub parameters: Parameters,
}

/// A token that a login request answers with. It is asked for as an OAuth token is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionAuth {
    /// The request that logs in.
    pub login: LoginSpec,
    /// Path of the token in the answer.
    #[schemars(length(min = 1, max = 256))]
    pub token: String,
    /// How long a token is valid. Default: until a 401.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<DurationText>,
    /// How requests carry the token.
    pub send_as: SendAs,
}

/// The request that logs in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LoginSpec {
    /// HTTP method. Default: POST.
    #[serde(default = "post")]
    pub method: Method,
    /// Path below the base URL, or a URL; may hold `${settings.…}`.
    #[schemars(length(min = 1, max = 2048))]
    pub path: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    #[schemars(schema_with = "parameters_schema")]
    pub headers: Parameters,
    /// Encoding and the fields that are no secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodySpec>,
    /// What of Secrets is put into the request: user and password, say.
    #[schemars(length(min = 1, max = 8))]
    pub credentials: Vec<Credential>,
}

impl LoginSpec {
    /// How the body is written: as `body` says, JSON when it says nothing.
    pub fn encoding(&self) -> Encoding {
        self.body
            .as_ref()
            .and_then(|b| b.encoding)
            .unwrap_or(Encoding::Json)
    }
}

fn post() -> Method {
    Method::Post
}

/// A secret and its place in the login request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Credential {
    /// Where the secret goes.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the header, query parameter, body field or cookie.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The secret.
    pub secret_ref: SecretKeyRef,
}

/// How requests carry a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = Rule::new("self.__in__ != 'Body'").message("a token goes in a Header, Query or Cookie"))]
pub struct SendAs {
    /// Header, Query or Cookie.
    #[serde(rename = "in")]
    pub place: Place,
    /// Name of the header, query parameter or cookie.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Text before the token, such as `Bearer ` (with its space).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub prefix: Option<String>,
}
