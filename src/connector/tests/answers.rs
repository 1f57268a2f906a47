//! What answers mean: statuses, rules, redirects, pages for people, sizes, addresses.

use axum::response::IntoResponse;
use serde_json::json;

use super::support::*;
use crate::connector::Guard;
use crate::record::Class;

#[tokio::test]
async fn a_read_is_sent_again_until_it_succeeds() {
    let server = Server::start(|seen| match seen.index {
        0..3 => reply(500, json!({})),
        _ => reply(200, json!({"id": 7, "name": "Ada"})),
    })
    .await;
    let found = setup(&server, json!({})).get().await.unwrap().unwrap();
    assert_eq!(found.record["name"], "Ada");
    assert_eq!(server.count("/api/contacts/7"), 4);
}

#[tokio::test]
async fn a_write_is_sent_once() {
    let server = Server::start(|_| reply(500, json!({}))).await;
    let failure = setup(&server, json!({})).create().await.unwrap_err();
    assert_eq!(
        (failure.class, failure.sent, failure.status),
        (Class::Ambiguous, true, Some(500))
    );
    assert_eq!(server.seen().len(), 1);
    assert!(
        failure
            .message
            .contains("Connection/crm: POST /contacts answered 500"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_record_that_is_not_there_is_none() {
    let server = Server::start(|_| reply(404, json!({}))).await;
    assert!(setup(&server, json!({})).get().await.unwrap().is_none());
}

#[tokio::test]
async fn a_search_without_a_path_is_no_empty_result() {
    let server = Server::start(|_| reply(404, json!({}))).await;
    let setup = setup(&server, json!({}));
    let failure = setup
        .connector
        .find(setup.object(), &json!({"email": "a@b"}), &json!({}))
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::Configuration);
}

#[tokio::test]
async fn a_search_answers_what_it_finds() {
    let server = Server::start(|seen| match seen.query.as_str() {
        "email=a%2Bb%40c" => reply(200, json!({"data": [{"id": 1}, {"id": "x"}]})),
        _ => reply(200, json!({"data": null})),
    })
    .await;
    let setup = setup(&server, json!({}));
    let find = async |email: &str| {
        setup
            .connector
            .find(setup.object(), &json!({"email": email}), &json!({}))
            .await
            .unwrap()
    };
    let ids: Vec<String> = find("a+b@c")
        .await
        .iter()
        .map(|f| f.id.as_json().to_owned())
        .collect();
    assert_eq!(ids, ["1", "\"x\""]);
    assert!(find("nobody").await.is_empty());
}

#[tokio::test]
async fn the_first_rule_that_matches_decides() {
    let server = Server::start(|seen| match seen.index {
        0 => reply(200, json!({"error": "duplicate"})),
        1 => reply(418, json!({"id": 4})),
        2 => reply(400, json!({"wait": 0})),
        _ => reply(201, json!({"id": 5})),
    })
    .await;
    let rules = json!({"responses": [
        {"when": "status == 200 && body.error == 'duplicate'", "class": "AlreadyExists"},
        {"when": "body.nonsense.deep == 1", "class": "Permanent"},
        {"when": "status == 418 && request.method == 'POST' && headers['content-type'].startsWith('application/json')", "class": "Success"},
        {"when": "status == 400", "class": "RateLimited", "retryAfter": "body.wait"},
    ]});
    let setup = setup(&server, rules);
    assert_eq!(
        setup.create().await.unwrap_err().class,
        Class::AlreadyExists
    );
    assert_eq!(setup.create().await.unwrap().id.unwrap().as_json(), "4");
    let done = setup.create().await.unwrap();
    assert_eq!(done.id.unwrap().as_json(), "5");
    assert_eq!(
        server.seen().len(),
        4,
        "a rate-limited write was sent again"
    );
}

fn html(status: u16) -> Reply {
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    (
        status,
        [("content-type", "text/html; charset=utf-8")],
        "<html>sign in</html>",
    )
        .into_response()
}

#[tokio::test]
async fn a_page_for_people_is_no_answer() {
    let server = Server::start(|_| html(200)).await;
    let setup = setup(&server, json!({}));
    let failure = setup.get().await.unwrap_err();
    assert_eq!(failure.class, Class::Configuration);
    assert!(
        failure
            .message
            .contains("text/html instead of JSON; check baseURL and path"),
        "{failure}"
    );
    assert_eq!(server.seen().len(), 5, "it might have been an outage page");
    assert_eq!(setup.create().await.unwrap_err().class, Class::Ambiguous);
}

#[tokio::test]
async fn an_unreadable_success_of_a_create_is_ambiguous() {
    let server = Server::start(|_| "{\"id\": 1".into_response()).await;
    let failure = setup(&server, json!({})).create().await.unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Ambiguous, true));
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_by_reads_only() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/contacts/7" => with(reply(302, json!({})), "location", "/moved"),
        "/moved" => reply(200, json!({"id": 7})),
        _ => with(reply(307, json!({})), "location", "/moved"),
    })
    .await;
    let setup = setup(&server, json!({}));
    assert!(setup.get().await.unwrap().is_some());
    let failure = setup.create().await.unwrap_err();
    assert_eq!(
        (failure.class, failure.status),
        (Class::Configuration, Some(307))
    );
}

#[tokio::test]
async fn credentials_never_follow_a_redirect_to_another_origin() {
    let thief = Server::start(|_| reply(200, json!({"id": 7}))).await;
    let to = format!("{}/x?secret=1", thief.url());
    let server = Server::start(move |_| with(reply(302, json!({})), "location", &to)).await;
    let auth = json!({"auth": {"bearer": {"secretRef": secret("apiKey")}}});
    let failure = setup(&server, auth).get().await.unwrap_err();
    assert_eq!(failure.class, Class::Configuration);
    assert!(
        failure.message.contains("another origin") && !failure.message.contains("secret=1"),
        "{failure}"
    );
    assert!(thief.seen().is_empty());
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server =
        Server::start(|_| with(reply(302, json!({})), "location", "/api/contacts/7")).await;
    assert_eq!(
        setup(&server, json!({})).get().await.unwrap_err().class,
        Class::Configuration
    );
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_whatever_its_length_says() {
    let server = Server::start(|seen| {
        let text = format!("{{\"id\": 7, \"x\": \"{}\"}}", "x".repeat(5000));
        if seen.path.ends_with('7') {
            return text.into_response();
        }
        let pieces: Vec<Result<String, std::io::Error>> = text
            .as_bytes()
            .chunks(100)
            .map(|c| Ok(String::from_utf8(c.to_vec()).unwrap()))
            .collect();
        axum::body::Body::from_stream(futures::stream::iter(pieces)).into_response()
    })
    .await;
    let setup = setup(&server, json!({"http": {"maxResponseBytes": "2Ki"}}));
    let failure = setup.get().await.unwrap_err();
    assert_eq!(failure.class, Class::Configuration);
    assert!(
        failure.message.contains("Connection/crm")
            && failure.message.contains("2048 bytes")
            && failure.message.contains("maxResponseBytes"),
        "{failure}"
    );
    let failure = setup.create().await.unwrap_err();
    assert_eq!(
        failure.class,
        Class::Ambiguous,
        "the create took effect, its answer is lost"
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_transient_for_reads() {
    let server = Server::start(|_| {
        let pieces: Vec<Result<&str, std::io::Error>> =
            vec![Ok("{\"id\""), Err(std::io::Error::other("gone"))];
        axum::body::Body::from_stream(futures::stream::iter(pieces)).into_response()
    })
    .await;
    let setup = setup(&server, json!({}));
    let failure = setup.get().await.unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Transient, true));
    assert_eq!(server.seen().len(), 5);
    assert_eq!(setup.create().await.unwrap_err().class, Class::Ambiguous);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let setup = setup_at(&base, json!({"http": {"timeout": "50ms"}}));
    let failure = setup.create().await.unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Ambiguous, true));
    assert!(failure.message.contains("spec.http.timeout"), "{failure}");
}

#[tokio::test]
async fn a_refused_connection_was_not_sent() {
    let failure = setup_at("http://127.0.0.1:1", json!({}))
        .create()
        .await
        .unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Transient, false));
}

#[tokio::test]
async fn denied_addresses_are_never_called() {
    let failure = setup_at("http://169.254.169.254/latest", json!({}))
        .get()
        .await
        .unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Configuration, false));
    let server = Server::start(|_| reply(200, json!({"id": 7}))).await;
    let by_name = format!("http://localhost:{}/api", server.address.port());
    let guard = || Guard {
        in_cluster: true,
        denied: vec![],
    };
    for base in [server.url(), by_name] {
        let failure = setup_guarded(&base, json!({}), guard())
            .get()
            .await
            .unwrap_err();
        assert_eq!(failure.class, Class::Configuration, "{failure}");
        assert!(failure.message.contains("loopback"), "{failure}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_access_does_not_allow_is_not_sent() {
    let server = Server::start(|_| reply(200, json!({"id": 7}))).await;
    let failure = setup(&server, json!({"access": ["Read"]}))
        .create()
        .await
        .unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Configuration, false));
    let failure = setup(&server, json!({"access": ["Create"]}))
        .get()
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::Configuration);
    assert!(server.seen().is_empty());
}
