//! Answers of the target: refusals, absurd waits, success that is none.

use serde_json::json;

use super::table;
use crate::bench::{Cure, ROW, Row};
use crate::manifests::Write;
use crate::server::{Reply, Request};

fn of_writes(request: &Request, reply: impl FnOnce() -> Reply) -> Option<Reply> {
    (request.method != "GET").then(reply)
}

const REPLAY: Cure = Cure::Command(&["deadletters", "replay", "customers", "--all"]);

table! {
    a_wait_of_ten_years: Row {
        fault: |request, _| of_writes(request, || Reply::text(429, "text/plain", "").with("retry-after", "315360000")),
        says: &["writing contacts of Connection crm: Connection/crm: POST /contacts answered 429 Too Many Requests; the system asks to wait for a day or more, and a request waits 15 min at most; run again later, ask its owner for a larger quota, or lower spec.limits", "(it goes on where it stopped)"],
        ..ROW
    },
    a_wait_of_ten_years_at_the_source: Row {
        fault: |request, _| (request.path[0] == "customers").then(|| Reply::text(429, "text/plain", "").with("retry-after", "315360000")),
        says: &["reading customers of Connection shop: Connection/shop: GET /customers answered 429 Too Many Requests; the system asks to wait for a day or more, and a request waits 15 min at most; run again later, ask its owner for a larger quota, or lower spec.limits"],
        ..ROW
    },
    /// It is waited for a second or two, as without such a header.
    a_wait_that_is_no_time: Row {
        fault: |request, systems| {
            let first = systems.world().requests.iter().filter(|line| line.starts_with("POST")).count() == 1;
            let refusal = || Reply::text(429, "text/plain", "").with("retry-after", "soon, 1e400");
            first.then(|| of_writes(request, refusal)).flatten()
        },
        says: &["Succeeded"],
        exit: 0,
        ..ROW
    },
    an_error_body_with_status_200: Row {
        fault: |request, _| of_writes(request, || Reply::json(200, &json!({"error": "name is too long"}))),
        says: &["Incomplete", "records wait to be tried again; the last failure: Connection/crm: POST /contacts: the answer has no id of the new record at id; correct create.id, or say by a rule in spec.responses what that answer means"],
        ..ROW
    },
    /// What can be searched is found, linked and updated.
    a_create_without_an_id: Row {
        fault: |request, systems| of_writes(request, || {
            systems.world().commit(request);
            Reply::json(201, &json!({"ok": true}))
        }),
        says: &["Succeeded"],
        exit: 0,
        ..ROW
    },
    a_create_with_an_empty_answer: Row {
        fault: |request, systems| of_writes(request, || {
            systems.world().commit(request);
            Reply::Answer(201, vec![], vec![])
        }),
        says: &["Succeeded"],
        exit: 0,
        ..ROW
    },
    a_blind_create_without_an_id: Row {
        write: Write::Blind,
        fault: |request, systems| of_writes(request, || {
            systems.world().commit(request);
            Reply::json(201, &json!({"ok": true}))
        }),
        says: &["5 AmbiguousCreate", "next: syncline deadletters list customers"],
        exit: 0,
        dead: &[("c1", &["AmbiguousCreate", "Connection/crm: POST /contacts: the answer has no id of the new record at id; correct create.id, or say by a rule in spec.responses what that answer means", "look in the target: is it there, discard this dead letter, is it not, replay it"])],
        cure: Cure::Command(&["deadletters", "discard", "customers", "--all"]),
        ..ROW
    },
    a_keyed_create_without_an_id: Row {
        write: Write::Keyed,
        fault: |request, systems| of_writes(request, || {
            systems.world().commit(request);
            Reply::json(201, &json!({"ok": true}))
        }),
        says: &["Incomplete", "records wait to be tried again; the last failure: Connection/crm: POST /contacts: the answer has no id of the new record at id; correct create.id, or say by a rule in spec.responses what that answer means"],
        ..ROW
    },
    a_refusal: Row {
        fault: |request, _| of_writes(request, || Reply::json(422, &json!({"error": "name is too long"}))),
        says: &["5 Permanent", "next: syncline deadletters list customers"],
        exit: 0,
        dead: &[("c1", &["POST /contacts answered 422", "name is too long"])],
        cure: REPLAY,
        ..ROW
    },
    a_lost_answer: Row {
        fault: |request, systems| (request.method == "POST").then(|| {
            systems.world().commit(request);
            Reply::Drop
        }),
        says: &["Succeeded"],
        exit: 0,
        ..ROW
    },
    a_redirected_write: Row {
        fault: |request, _| of_writes(request, || Reply::text(307, "text/plain", "").with("location", "/v2/contacts")),
        says: &["Connection/crm: POST /contacts answered 307 Temporary Redirect; a write is not sent elsewhere: correct spec.http.baseURL or the path"],
        ..ROW
    },
    an_error_page_to_an_upsert: Row {
        write: Write::Repeatable,
        fault: |request, _| of_writes(request, || Reply::text(200, "text/html", "<html>Sorry</html>")),
        says: &[
            "Incomplete",
            "the last failure: Connection/crm: PUT /contacts/by-ref/${source.id} answered text/html instead of JSON; check baseURL and path",
        ],
        ..ROW
    },
}
