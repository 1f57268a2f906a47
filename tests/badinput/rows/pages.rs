//! Lists that never end or lead away.

use serde_json::json;

use super::table;
use crate::bench::{ROW, Row};
use crate::server::{Reply, Request};

const TOKEN: &str = "pagination: {token: {from: next_cursor, sendAs: {in: Query, name: cursor}}}";
const NEXT_URL: &str = "pagination: {nextURL: {from: next}}";

fn of_shop(request: &Request, reply: impl FnOnce() -> Reply) -> Option<Reply> {
    (request.path[0] == "customers").then(reply)
}

table! {
    a_page_token_that_repeats: Row {
        fault: |request, _| of_shop(request, || Reply::json(200, &json!({"data": [], "next_cursor": "2"}))),
        says: &["Connection/shop: object customers: GET /customers: the page token at next_cursor came twice: the scan would go in a circle; if it means that nothing follows, say so in list.pagination.stop, else correct where it is sent"],
        ..ROW
    },
    a_next_link_without_end: Row {
        manifests: &[(TOKEN, NEXT_URL)],
        fault: |request, systems| of_shop(request, || {
            let count = systems.world().requests.len();
            Reply::json(200, &json!({"data": [{"id": "c1", "name": "Ada"}], "next": format!("/customers?n={count}")}))
        }),
        says: &["Connection/shop: object customers: GET /customers: 100 pages in a row hold the same records, and each says that more follows; correct list.pagination"],
        ..ROW
    },
    empty_pages_for_ever: Row {
        fault: |request, systems| of_shop(request, || {
            let count = systems.world().requests.len();
            Reply::json(200, &json!({"data": [], "next_cursor": format!("t{count}")}))
        }),
        says: &["Connection/shop: object customers: GET /customers: 1000 pages in a row hold no record, and each says that more follows; ask the system's owner, or narrow the list by query"],
        ..ROW
    },
    a_next_link_to_another_origin: Row {
        manifests: &[(TOKEN, NEXT_URL)],
        fault: |request, _| of_shop(request, || {
            Reply::json(200, &json!({"data": [], "next": "http://169.254.169.254/latest/meta-data"}))
        }),
        says: &["Connection/shop: GET /customers: the answer links to http://169.254.169.254, another origin than baseURL (http://127.0.0.1:PORT); credentials are not sent there (list of object customers)"],
        ..ROW
    },
    a_redirect_to_another_origin: Row {
        fault: |request, _| of_shop(request, || {
            Reply::text(302, "text/plain", "").with("location", "http://localhost:1/customers?code=hush-9c1d")
        }),
        says: &["Connection/shop: GET /customers: redirects to http://localhost:1, another origin than baseURL; credentials are not sent there: correct spec.http.baseURL"],
        ..ROW
    },
    a_redirect_in_a_circle: Row {
        fault: |request, _| of_shop(request, || Reply::text(302, "text/plain", "").with("location", "/customers")),
        says: &["Connection/shop: GET /customers: redirects more than 5 times"],
        ..ROW
    },
    a_login_page: Row {
        fault: |request, _| of_shop(request, || {
            if request.path.len() == 1 { Reply::text(302, "text/plain", "").with("location", "/customers/login") }
            else { Reply::text(200, "text/html", "<html>log in</html>") }
        }),
        says: &["Connection/shop: GET /customers answered text/html instead of JSON; check baseURL and path"],
        ..ROW
    },
    cursor_fields_that_are_no_dates: Row {
        fault: |request, _| of_shop(request, || {
            Reply::json(200, &json!({"data": [
                {"id": "c1", "name": "Ada", "updated_at": "yesterday"},
                {"id": "c2", "name": "Grace", "updated_at": null},
                {"id": "c3", "name": "Zoë"},
                {"id": "c4", "name": "Li Wei", "updated_at": "2026-11-04T10:00:00Z"},
            ]}))
        }),
        says: &["3 records of Connection/shop object customers have no updated_at in the declared format: they are synced, but the cursor does not see when they change; correct list.cursor.field, or read everything now and then (trigger.fullRefresh)"],
        exit: 0,
        ..ROW
    },
}
