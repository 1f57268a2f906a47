//! Lists over HTTP: what the rules of `pages` say holds with the real client in between.

use std::sync::Arc;

use serde_json::{Value, json};

use super::support::{Server, Setup, reply, setup, with};
use crate::connector::{Page, ScanStart};
use crate::record::{Class, Failure};

fn listed(server: &Server, list: Value) -> Setup {
    setup(server, json!({"objects": {"list": list}}))
}

async fn pages(setup: &Setup) -> Result<Vec<Page>, Failure> {
    let object = setup.objects.objects.values().next().unwrap();
    let mut reader = setup
        .connector
        .pages(Arc::clone(object), ScanStart::default());
    let mut pages = Vec::new();
    while let Some(page) = reader.next().await? {
        pages.push(page);
    }
    Ok(pages)
}

#[tokio::test]
async fn a_list_is_read_in_a_task_of_its_own_past_a_failing_page() {
    let server = Server::start(|seen| match (seen.query.as_str(), seen.index) {
        ("limit=2", _) => reply(200, json!({"data": [{"id": 1}, {"id": 2}], "next": "a b"})),
        (_, 1) => reply(503, json!({})),
        ("limit=2&after=a+b", _) => reply(200, json!({"data": [{"id": 3}], "next": null})),
        _ => reply(400, json!({})),
    })
    .await;
    let list = json!({
        "path": "/contacts", "records": "data", "query": {"limit": "2"},
        "pagination": {"token": {"from": "next", "sendAs": {"in": "Query", "name": "after"}}},
    });
    let setup = listed(&server, list);
    let pages = tokio::spawn(async move { pages(&setup).await })
        .await
        .unwrap()
        .unwrap();
    let records: Vec<&[u8]> = pages
        .iter()
        .flat_map(|p| &p.records)
        .map(AsRef::as_ref)
        .collect();
    assert_eq!(
        records,
        [br#"{"id":1}"#.as_ref(), br#"{"id":2}"#, br#"{"id":3}"#]
    );
    assert_eq!(server.count("/api/contacts"), 3);
}

#[tokio::test]
async fn a_relative_link_is_followed_below_the_base_url() {
    let server = Server::start(|seen| {
        let page = reply(200, json!([{"id": seen.index}]));
        match (seen.path.as_str(), seen.query.as_str()) {
            ("/api/contacts", "") => with(page, "link", "<?page=2>; rel=\"next\""),
            ("/api/contacts", "page=2") => page,
            _ => reply(400, json!({})),
        }
    })
    .await;
    let setup = listed(
        &server,
        json!({"path": "/contacts", "pagination": {"link": {}}}),
    );
    assert_eq!(pages(&setup).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_object_without_a_list_says_so() {
    let server = Server::start(|_| reply(200, json!([]))).await;
    let failure = pages(&setup(&server, json!({}))).await.unwrap_err();
    assert_eq!(failure.class, Class::Configuration);
    assert!(
        failure.message.contains("object contacts: has no list"),
        "{failure}"
    );
    assert!(server.seen().is_empty());
}
