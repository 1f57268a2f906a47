//! A feed of changes is read as a list is, but one that has forgotten where it is to be read from says so.

use serde_json::{Value, json};

use super::{Asked, System, ids, query, records, refused};
use crate::connector::ScanStart;
use crate::record::{Class, Moment};

fn feed(cursor: Value) -> Value {
    json!([{
        "name": "things", "key": ["id"], "list": {"path": "/things"},
        "get": {"path": "/things/${key.id}"},
        "changes": {
            "path": "/events", "records": "data", "cursor": cursor,
            "routes": [{"key": {"id": "entry.id"}}],
        },
    }])
}

fn token() -> Value {
    json!({"token": {"from": "next", "sendAs": query("token"), "resetWhen": "has(body.expired)"}})
}

fn field() -> Value {
    json!({"field": {"path": "id", "format": "Integer", "sendAs": query("since")}})
}

#[tokio::test]
async fn a_feed_is_read_from_its_token_and_tells_the_next_one() {
    let answer = |asked: &Asked| match asked.path.as_str() {
        "/events" => json!({"data": records(3..5), "next": "t2"}).into(),
        _ => refused(404),
    };
    let system = System::with(feed(token()), answer);
    let start = ScanStart {
        token: Some("t1".into()),
        feed: true,
        ..ScanStart::default()
    };
    let pages = system.pages(start).await.unwrap();
    assert_eq!(ids(&pages), [3, 4]);
    assert_eq!(system.sent("token"), ["t1"]);
    assert_eq!(pages[0].token.as_deref(), Some("t2"));
}

#[tokio::test]
async fn a_feed_that_has_forgotten_is_not_read_from_its_beginning() {
    let from = |token: Option<&str>, since: Option<i64>| ScanStart {
        token: token.map(str::to_owned),
        since: since.map(Moment::Integer),
        feed: true,
        ..ScanStart::default()
    };
    for (name, cursor, status, body, start, class) in [
        (
            "410",
            token(),
            410,
            json!({}),
            from(Some("old"), None),
            Class::Gone,
        ),
        (
            "400",
            token(),
            400,
            json!({}),
            from(Some("old"), None),
            Class::Gone,
        ),
        (
            "resetWhen",
            token(),
            200,
            json!({"data": [], "expired": true}),
            from(Some("old"), None),
            Class::Gone,
        ),
        (
            "since",
            field(),
            410,
            json!({}),
            from(None, Some(3)),
            Class::Gone,
        ),
        (
            "wrong path",
            field(),
            404,
            json!({}),
            from(None, Some(3)),
            Class::Permanent,
        ),
        (
            "nothing asked for",
            field(),
            410,
            json!({}),
            from(None, None),
            Class::Permanent,
        ),
    ] {
        let answer = move |asked: &Asked| {
            let old = asked.query("token") == Some("old") || asked.query("token").is_none();
            assert!(old, "asked again with another token");
            super::Answered {
                status,
                ..body.clone().into()
            }
        };
        let system = System::with(feed(cursor), answer);
        let failure = system.pages(start).await.unwrap_err();
        assert_eq!(failure.class, class, "{name}: {failure}");
        assert_eq!(system.asked().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_feed_is_told_in_its_own_fields() {
    let system = System::with(feed(token()), |_: &Asked| json!({"data": []}).into());
    let start = ScanStart {
        feed: true,
        ..ScanStart::default()
    };
    let failure = system.pages(start).await.unwrap_err();
    assert!(
        failure.message.contains("correct changes.cursor.token"),
        "{failure}"
    );
}
