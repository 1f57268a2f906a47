//! Writes: bodies, placeholders, ids, idempotency keys and batches.

use serde_json::{Value, json};

use super::support::*;
use crate::connector::{Answer, Done, Item, Verb, Write};
use crate::record::{Class, Failure, TargetId};

fn contacts(operations: Value) -> Value {
    json!({"objects": operations})
}

#[tokio::test]
async fn a_create_answers_the_new_id_with_its_type() {
    let server = Server::start(|_| reply(201, json!({"contact": {"id": 17}}))).await;
    let more = contacts(json!({"create": {
        "path": "/contacts",
        "body": {"wrap": "contact"},
        "id": {"id": "contact.id"},
        "idempotencyKey": {"in": "Header", "name": "Idempotency-Key"},
    }}));
    let done = setup(&server, more).create().await.unwrap();
    assert_eq!(done.id.unwrap().as_json(), "17");
    let seen = &server.seen()[0];
    assert_eq!(seen.body, r#"{"contact":{"a":1}}"#);
    assert_eq!(seen.header("idempotency-key"), "key-1");
    assert_eq!(seen.header("content-type"), "application/json");
}

#[tokio::test]
async fn placeholders_stand_for_key_source_record_and_current() {
    let server = Server::start(|seen| match seen.method.as_str() {
        "GET" => reply(200, json!({"id": "a/b", "etag": "v3"})),
        _ => reply(200, json!({})),
    })
    .await;
    let more = contacts(json!({"update": {
        "path": "/contacts/${key.id}",
        "query": {"from": "${source.id}", "n": "${record.a}"},
        "headers": {"If-Match": "${current.etag}"},
        "body": {"template": {"rev": "${current.etag}", "n": "${record.a}"}, "record": "data"},
    }}));
    let setup = setup(&server, more);
    let id = TargetId::from_json("\"a/b\"");
    setup
        .write(Verb::Update, Some(&id), &json!({"a": 1}))
        .await
        .unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].path, "/api/contacts/a%2Fb");
    assert_eq!(
        (seen[1].method.as_str(), seen[1].query.as_str()),
        ("PATCH", "from=s%2F1&n=1")
    );
    assert_eq!(seen[1].header("if-match"), "v3");
    assert_eq!(
        seen[1].json(),
        json!({"rev": "v3", "n": 1, "data": {"a": 1}})
    );
}

#[tokio::test]
async fn an_update_of_a_record_that_is_gone_says_so() {
    let server = Server::start(|_| reply(410, json!({}))).await;
    let id = TargetId::from_json("1");
    let failure = setup(&server, json!({}))
        .write(Verb::Update, Some(&id), &json!({}))
        .await
        .unwrap_err();
    assert_eq!(failure.class, Class::Gone);
}

#[tokio::test]
async fn a_key_never_climbs_out_of_its_place_in_the_path() {
    let server = Server::start(|_| reply(200, json!({}))).await;
    for id in ["\"..\"", "\".\""] {
        let id = TargetId::from_json(id);
        let failure = setup(&server, json!({}))
            .write(Verb::Update, Some(&id), &json!({}))
            .await
            .unwrap_err();
        assert_eq!((failure.class, failure.sent), (Class::Permanent, false));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_form_is_sent_as_one() {
    let server = Server::start(|_| reply(200, json!({"id": 1}))).await;
    let more = contacts(json!({"create": {
        "path": "/contacts",
        "body": {"encoding": "Form"},
        "idempotencyKey": {"in": "Body", "name": "key"},
    }}));
    let setup = setup(&server, more);
    setup
        .write(Verb::Create, None, &json!({"a": "x y", "b": {"c": [1]}}))
        .await
        .unwrap();
    let seen = &server.seen()[0];
    assert_eq!(
        seen.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    let mut fields: Vec<&str> = seen.body.split('&').collect();
    fields.sort_unstable();
    assert_eq!(fields, ["a=x+y", "b%5Bc%5D%5B0%5D=1", "key=key-1"]);
}

async fn write_batch(
    setup: &Setup,
    verb: Verb,
    count: usize,
) -> Result<Vec<Result<Done, Failure>>, Failure> {
    let bodies: Vec<String> = (0..count)
        .map(|i| format!("{{\"n\":{i},\"email\":\"e{i}\"}}"))
        .collect();
    let ids: Vec<TargetId> = (0..count)
        .map(|i| TargetId::from_json(format!("{i}")))
        .collect();
    let id = |i: usize| (verb == Verb::Update).then(|| &ids[i]);
    let items: Vec<Item<'_>> = bodies
        .iter()
        .enumerate()
        .map(|(i, b)| Item {
            id: id(i),
            body: b.as_bytes(),
            source: b"",
        })
        .collect();
    match setup
        .connector
        .write(
            setup.object(),
            Write {
                verb,
                items: &items,
                idempotency_key: None,
                not_after: None,
                fence: None,
            },
        )
        .await
    {
        Answer::Items(results) => Ok(results),
        Answer::Whole(failure) => Err(failure),
    }
}

fn summary(results: &[Result<Done, Failure>]) -> Vec<String> {
    let one = |result: &Result<Done, Failure>| match result {
        Ok(done) => done
            .id
            .as_ref()
            .map_or("ok".to_owned(), |id| id.as_json().to_owned()),
        Err(failure) => format!("{:?}", failure.class),
    };
    results.iter().map(one).collect()
}

#[tokio::test]
async fn a_batch_by_index_has_one_result_for_each_record() {
    let server = Server::start(|_| {
        reply(
            207,
            json!({"out": [
                {"status": 201, "record": {"id": 10}},
                {"status": "422", "error": "bad"},
                {"status": 429},
                {"status": 500},
            ]}),
        )
    })
    .await;
    let more = contacts(json!({"create": {
        "path": "/contacts/batch",
        "batch": {"max": 10, "at": "inputs", "item": "properties", "results": "out", "status": "status", "record": "record"},
    }}));
    let results = write_batch(&setup(&server, more), Verb::Create, 5)
        .await
        .unwrap();
    assert_eq!(
        summary(&results),
        ["10", "Permanent", "RateLimited", "Ambiguous", "Ambiguous"]
    );
    let sent = server.seen()[0].json();
    assert_eq!(
        sent["inputs"][1],
        json!({"properties": {"n": 1, "email": "e1"}})
    );
}

#[tokio::test]
async fn a_batch_by_key_finds_its_results_in_any_order_and_in_two_lists() {
    let server = Server::start(|_| {
        reply(200, json!({"done": [{"mail": "e2", "id": 12}, {"mail": "e0", "id": 10}], "failed": [{"mail": "e1", "why": "bad"}]}))
    })
    .await;
    let more = contacts(json!({"upsert": {
        "path": "/contacts/batch",
        "batch": {
            "max": 10, "results": "done", "errors": "failed",
            "correlate": {"byKey": {"sent": "email", "answered": "mail"}},
        },
    }}));
    let results = write_batch(&setup(&server, more), Verb::Upsert, 4)
        .await
        .unwrap();
    assert_eq!(summary(&results), ["10", "Permanent", "12", "Transient"]);
}

#[tokio::test]
async fn rules_judge_each_item_of_a_batch() {
    let server = Server::start(|_| {
        reply(
            200,
            json!([{"id": 1, "code": "ok"}, {"code": "dup"}, {"code": "skip"}]),
        )
    })
    .await;
    let mut more = contacts(json!({"create": {"path": "/batch", "batch": {"max": 3}}}));
    more["responses"] = json!([
        {"when": "item.code == 'dup'", "class": "AlreadyExists"},
        {"when": "item.code == 'skip'", "class": "Ignore"},
    ]);
    let results = write_batch(&setup(&server, more), Verb::Create, 3)
        .await
        .unwrap();
    assert_eq!(summary(&results), ["1", "AlreadyExists", "ok"]);
    assert_eq!(
        server.seen()[0].body,
        r#"[{"n":0,"email":"e0"},{"n":1,"email":"e1"},{"n":2,"email":"e2"}]"#
    );
}

#[tokio::test]
async fn a_batch_of_updates_carries_its_ids() {
    let server = Server::start(|_| reply(200, json!({}))).await;
    let more = contacts(
        json!({"update": {"path": "/batch", "batch": {"max": 3, "at": "list", "item": "fields", "key": "id"}}}),
    );
    let results = write_batch(&setup(&server, more), Verb::Update, 2)
        .await
        .unwrap();
    assert_eq!(summary(&results), ["ok", "ok"]);
    assert_eq!(
        server.seen()[0].json()["list"][1],
        json!({"id": 1, "fields": {"n": 1, "email": "e1"}})
    );
}

#[tokio::test]
async fn an_unreadable_answer_to_a_batch_of_creates_is_ambiguous() {
    let server = Server::start(|_| reply(200, json!({"nothing": true}))).await;
    let more =
        contacts(json!({"create": {"path": "/batch", "batch": {"max": 3, "results": "out"}}}));
    let failure = write_batch(&setup(&server, more), Verb::Create, 2)
        .await
        .unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Ambiguous, true));
    assert!(failure.message.contains("batch.results"), "{failure}");
}

#[test]
fn requests_may_run_on_any_thread() {
    fn any_thread(_: impl Send) {}
    let setup = setup_at("https://crm.example.com", json!({}));
    let id = TargetId::from_json("1");
    let write = Write {
        verb: Verb::Create,
        items: &[],
        idempotency_key: None,
        not_after: None,
        fence: None,
    };
    any_thread(setup.connector.write(setup.object(), write));
    any_thread(setup.connector.get(setup.object(), &id));
    any_thread(setup.connector.find(setup.object(), &json!({}), &json!({})));
}
