//! Credentials: where they go, when they are renewed, that they are never shown.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use serde_json::{Value, json};

use super::support::*;
use crate::record::Class;

#[tokio::test]
async fn a_key_goes_where_the_manifest_says() {
    let server = Server::start(|_| reply(201, json!({"id": 1}))).await;
    let key = format!("{CANARY}-apiKey");
    for (place, name) in [("Header", "X-Key"), ("Query", "key"), ("Cookie", "sid")] {
        let auth = json!({"auth": {"apiKey": {"in": place, "name": name, "prefix": "v1 ", "secretRef": secret("apiKey")}}});
        setup(&server, auth).create().await.unwrap();
        let seen = server.seen().pop().unwrap();
        match place {
            "Header" => assert_eq!(seen.header("x-key"), format!("v1 {key}")),
            "Query" => assert_eq!(seen.query, format!("key=v1+{key}")),
            _ => assert_eq!(seen.header("cookie"), format!("sid=v1 {key}")),
        }
    }
    setup(
        &server,
        json!({"auth": {"bearer": {"secretRef": secret("apiKey")}}}),
    )
    .create()
    .await
    .unwrap();
    assert_eq!(
        server.seen().pop().unwrap().header("authorization"),
        format!("Bearer {key}")
    );
    let basic = json!({"auth": {"basic": {"usernameRef": secret("user"), "passwordRef": secret("password")}}});
    setup(&server, basic).create().await.unwrap();
    let pair = base64::engine::general_purpose::STANDARD
        .encode(format!("{CANARY}-user:{CANARY}-password"));
    assert_eq!(
        server.seen().pop().unwrap().header("authorization"),
        format!("Basic {pair}")
    );
}

fn oauth(grant: &str, more: Value) -> Value {
    let mut oauth = json!({
        "grant": grant, "tokenURL": "/token", "clientIDRef": secret("clientID"), "clientSecretRef": secret("clientSecret"),
        "scopes": ["a", "b"], "audience": "crm",
    });
    oauth
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"auth": {"oauth2": oauth}})
}

/// Gives tokens `t0`, `t1`, …; takes only those in `valid`.
async fn token_server(valid: &'static [&'static str], expires: u64) -> Server {
    let given = Arc::new(AtomicUsize::new(0));
    Server::start(move |seen| {
        if seen.path == "/api/token" {
            let n = given.fetch_add(1, Ordering::SeqCst);
            return reply(200, json!({"access_token": format!("t{n}"), "expires_in": expires, "refresh_token": format!("r{n}")}));
        }
        let token = seen.header("authorization").trim_start_matches("Bearer ").to_owned();
        if valid.contains(&token.as_str()) { reply(201, json!({"id": 1})) } else { reply(401, json!({})) }
    })
    .await
}

#[tokio::test]
async fn client_credentials_ask_once_for_all_who_send() {
    let server = token_server(&["t0"], 3600).await;
    let setup = setup(&server, oauth("ClientCredentials", json!({})));
    let sends = (0..20).map(|_| setup.create());
    for result in futures::future::join_all(sends).await {
        result.unwrap();
    }
    assert_eq!(server.count("/api/token"), 1);
    let asked = server
        .seen()
        .into_iter()
        .find(|s| s.path == "/api/token")
        .unwrap();
    assert_eq!(
        asked.body,
        "grant_type=client_credentials&scope=a+b&audience=crm"
    );
    assert!(asked.header("authorization").starts_with("Basic "));
}

#[tokio::test]
async fn a_401_renews_once_for_all_and_sends_again() {
    let server = token_server(&["t1"], 3600).await;
    let setup = setup(
        &server,
        oauth("ClientCredentials", json!({"clientAuth": "Body"})),
    );
    for result in futures::future::join_all((0..20).map(|_| setup.create())).await {
        result.unwrap();
    }
    assert_eq!(server.count("/api/token"), 2);
}

#[tokio::test]
async fn a_second_401_is_an_authentication_failure() {
    let server = token_server(&[], 3600).await;
    let failure = setup(&server, oauth("ClientCredentials", json!({})))
        .create()
        .await
        .unwrap_err();
    assert_eq!(
        (failure.class, failure.status),
        (Class::Authentication, Some(401))
    );
    assert_eq!(
        (server.count("/api/token"), server.count("/api/contacts")),
        (2, 2)
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    // One that lives a second is renewed after 0.9 s; one that is reported as expired at once, every time.
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/token" => reply(
            200,
            json!({"access_token": format!("t{}", seen.index), "expires_in": "0.001"}),
        ),
        _ => reply(201, json!({"id": 1})),
    })
    .await;
    let setup = setup(
        &server,
        oauth(
            "Password",
            json!({"usernameRef": secret("user"), "passwordRef": secret("password")}),
        ),
    );
    setup.create().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    setup.create().await.unwrap();
    assert_eq!(server.count("/api/token"), 2);
    assert!(
        server.seen()[0]
            .body
            .starts_with("grant_type=password&username=")
    );
}

fn refresh() -> Value {
    oauth(
        "RefreshToken",
        json!({"refreshTokenRef": secret("refresh")}),
    )
}

fn sent_refresh(server: &Server) -> Vec<String> {
    let tokens = server.seen().into_iter().filter(|s| s.path == "/api/token");
    tokens
        .map(|s| {
            let form: Vec<(String, String)> = url::form_urlencoded::parse(s.body.as_bytes())
                .map(|(a, b)| (a.into_owned(), b.into_owned()))
                .collect();
            form.into_iter()
                .find(|(name, _)| name == "refresh_token")
                .unwrap()
                .1
        })
        .collect()
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_before_the_new_token_is_used() {
    let server = token_server(&["t1"], 3600).await;
    let setup = setup(&server, refresh());
    *setup.memory.broken.lock().unwrap() = true;
    let failure = setup.create().await.unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Transient, false));
    assert_eq!(
        server.count("/api/contacts"),
        0,
        "nothing is sent before the token is kept"
    );
    assert!(failure.message.contains("the disk is full"), "{failure}");
}

#[tokio::test]
async fn the_kept_refresh_token_is_used_until_the_secret_changes() {
    let server = token_server(&["t1", "t2", "t3"], 3600).await;
    let first = setup(&server, refresh());
    first.create().await.unwrap();
    assert_eq!(*first.memory.log.lock().unwrap(), ["save r0", "save r1"]);
    let again = |memory: Arc<Memory>| {
        let plan = Arc::clone(&first.objects.connection);
        let connector = crate::connector::Connector::new(
            plan,
            memory.clone(),
            memory.clone(),
            Default::default(),
        )
        .unwrap();
        Setup {
            connector,
            memory,
            objects: first.objects.clone(),
        }
    };
    again(first.memory.clone()).create().await.unwrap();
    first.memory.set("creds/refresh", "a-new-one");
    again(first.memory.clone()).create().await.unwrap();
    let secret = format!("{CANARY}-refresh");
    assert_eq!(
        sent_refresh(&server),
        [secret.as_str(), "r0", "r1", "a-new-one"]
    );
}

#[tokio::test]
async fn a_login_gives_a_session_token() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/login" => reply(200, json!({"data": {"token": "tok"}})),
        _ if seen.header("x-session") == "S tok" => reply(201, json!({"id": 1})),
        _ => reply(401, json!({})),
    })
    .await;
    let session = json!({"auth": {"session": {
        "login": {
            "path": "/login",
            "body": {"template": {"kind": "admin"}},
            "credentials": [
                {"in": "Body", "name": "user.name", "secretRef": secret("user")},
                {"in": "Body", "name": "password", "secretRef": secret("password")},
            ],
        },
        "token": "data.token",
        "expiry": "1h",
        "sendAs": {"in": "Header", "name": "X-Session", "prefix": "S "},
    }}});
    setup(&server, session).create().await.unwrap();
    let login = server.seen()[0].json();
    assert_eq!(
        login,
        json!({"kind": "admin", "user": {"name": format!("{CANARY}-user")}, "password": format!("{CANARY}-password")})
    );
}

#[tokio::test]
async fn a_changed_secret_is_tried_after_a_401() {
    let server = Server::start(|seen| match seen.header("x-key") {
        "fresh" => reply(201, json!({"id": 1})),
        _ => reply(401, json!({})),
    })
    .await;
    let setup = setup(
        &server,
        json!({"auth": {"apiKey": {"in": "Header", "name": "X-Key", "secretRef": secret("apiKey")}}}),
    );
    setup.memory.set("creds/apiKey", "fresh");
    setup.create().await.unwrap();
    setup.memory.set("creds/apiKey", "stale");
    setup.create().await.unwrap();
    assert_eq!(
        server.seen().len(),
        2,
        "the value is kept for a few seconds"
    );
}

#[tokio::test]
async fn no_failure_shows_a_secret() {
    let server = Server::start(|seen| {
        let echo =
            json!({"error": format!("bad: {:?} {} {}", seen.headers, seen.body, seen.query)});
        match seen.path.as_str() {
            "/api/token" if seen.index == 0 => reply(400, echo),
            "/api/token" => reply(200, json!({"access_token": format!("{CANARY}-token")})),
            _ => reply(422, echo),
        }
    })
    .await;
    let refused = setup(&server, oauth("ClientCredentials", json!({})))
        .create()
        .await
        .unwrap_err();
    assert_eq!(
        (refused.class, refused.sent),
        (Class::Authentication, false)
    );
    let accepted = setup(&server, oauth("ClientCredentials", json!({})))
        .create()
        .await
        .unwrap_err();
    assert_eq!(accepted.status, Some(422));
    let key =
        json!({"auth": {"apiKey": {"in": "Query", "name": "key", "secretRef": secret("apiKey")}}});
    let by_query = setup(&server, key.clone()).create().await.unwrap_err();
    let unreachable = setup_at("http://127.0.0.1:1", key)
        .create()
        .await
        .unwrap_err();
    assert_eq!(
        (unreachable.class, unreachable.sent),
        (Class::Transient, false)
    );
    let sent = by_query.request.as_ref().unwrap();
    assert!(sent.url.ends_with("/contacts?key=***"), "{}", sent.url);
    let basic = json!({"auth": {"basic": {"usernameRef": secret("user"), "passwordRef": secret("password")}}});
    let basic = setup(&server, basic).create().await.unwrap_err();
    for failure in [refused, accepted, by_query, unreachable, basic] {
        let sent = serde_json::to_string(&failure.request).unwrap();
        let all = format!("{failure} {failure:?} {sent}");
        assert!(!all.contains(CANARY), "{all}");
        assert!(
            !failure.message.contains("key="),
            "no query string: {failure}"
        );
    }
}

#[tokio::test]
async fn a_missing_secret_is_named() {
    let server = Server::start(|_| reply(201, json!({"id": 1}))).await;
    let auth = json!({"auth": {"bearer": {"secretRef": {"name": "gone", "key": "token"}}}});
    let failure = setup(&server, auth).create().await.unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Configuration, false));
    assert!(
        failure.message.contains("Secret team/gone key token"),
        "{failure}"
    );
}
