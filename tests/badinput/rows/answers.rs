//! Answers that are no answer: pages for people, cut off, too large, too deep, not what the manifest says.

use std::io::Read;

use super::table;
use crate::bench::{ROW, Row};
use crate::server::{Reply, Request};

fn of_shop(request: &Request, reply: impl FnOnce() -> Reply) -> Option<Reply> {
    (request.path[0] == "customers").then(reply)
}

/// Gzip (RFC 1952) with one deflate block of fixed codes (RFC 1951 section 3.2.6): a space, and over and
/// over "the last byte 258 times", 13 bits each.
fn gzip_bomb() -> Vec<u8> {
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let (mut byte, mut at) = (0_u8, 0);
    let mut bit = |bit: u8| {
        byte |= bit << at;
        at += 1;
        if at == 8 {
            bytes.push(byte);
            (byte, at) = (0, 0);
        }
    };
    // Not the last block, fixed codes, the code of a space.
    [0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0]
        .into_iter()
        .for_each(&mut bit);
    for _ in 0..(1 << 30) / 258 {
        // Code 285: length 258; code 0: distance 1.
        [1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]
            .into_iter()
            .for_each(&mut bit);
    }
    bytes
}

table! {
    an_error_page_with_status_200: Row {
        fault: |request, _| of_shop(request, || Reply::text(200, "text/html; charset=utf-8", "<html>Sorry</html>")),
        says: &["Connection/shop: GET /customers answered text/html instead of JSON; check baseURL and path (list of object customers)"],
        ..ROW
    },
    an_error_page_to_a_create: Row {
        fault: |request, _| (request.method == "POST").then(|| Reply::text(200, "text/html", "<html>Sorry</html>")),
        says: &[
            "Incomplete",
            "customers: records wait to be tried again; the last failure: Connection/crm: POST /contacts answered text/html instead of JSON; check baseURL and path",
            "(it goes on where it stopped)",
        ],
        ..ROW
    },
    a_body_that_ends_in_the_middle: Row {
        fault: |request, _| of_shop(request, || {
            let head = "HTTP/1.1 200 -\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"data\": [{\"id\": \"c1\"";
            Reply::Stream(head.to_owned(), Box::new(std::io::empty()))
        }),
        says: &["Connection/shop: the connection broke before the answer was complete: end of file before message length reached (GET /customers) (list of object customers)", "(it goes on where it stopped)"],
        ..ROW
    },
    a_whole_body_of_half_a_page: Row {
        fault: |request, _| of_shop(request, || Reply::text(200, "application/json", "{\"data\": [{\"id\": \"c1\"")),
        says: &["Connection/shop: object customers: GET /customers: the answer ends in the middle, after 21 bytes; it is read again later"],
        ..ROW
    },
    a_gibibyte: Row {
        fault: |request, _| of_shop(request, || {
            let head = "HTTP/1.1 200 -\r\ncontent-type: application/json\r\n\r\n{\"data\": [".to_owned();
            Reply::Stream(head, Box::new(std::io::repeat(b' ').take(1 << 30)))
        }),
        says: &["Connection/shop: the answer is larger than 67108864 bytes; ask for smaller pages, or raise spec.http.maxResponseBytes (GET /customers) (list of object customers)", "(first correct what is said above; it goes on where it stopped)"],
        manifests: &[("timeout: 2s", "timeout: 30s")],
        ..ROW
    },
    a_gibibyte_that_says_so: Row {
        fault: |request, _| of_shop(request, || {
            let head = "HTTP/1.1 200 -\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n".to_owned();
            Reply::Stream(head, Box::new(std::io::repeat(b' ').take(1 << 30)))
        }),
        says: &["Connection/shop: the answer is larger than 67108864 bytes; ask for smaller pages, or raise spec.http.maxResponseBytes (GET /customers) (list of object customers)", "(first correct what is said above; it goes on where it stopped)"],
        ..ROW
    },
    a_gibibyte_in_a_mebibyte: Row {
        fault: |request, _| of_shop(request, || {
            let head = "HTTP/1.1 200 -\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\r\n".to_owned();
            Reply::Stream(head, Box::new(std::io::Cursor::new(gzip_bomb())))
        }),
        says: &["Connection/shop: the answer is larger than 8388608 bytes; ask for smaller pages, or raise spec.http.maxResponseBytes"],
        manifests: &[("timeout: 2s", "timeout: 30s, maxResponseBytes: 8Mi")],
        ..ROW
    },
    deep_nesting: Row {
        fault: |request, _| of_shop(request, || {
            let deep = "[".repeat(100_000);
            Reply::text(200, "application/json", &format!("{{\"data\": [{{\"id\": \"c1\", \"x\": {deep}"))
        }),
        says: &["Connection/shop: object customers: GET /customers: the answer ends in the middle, after 100028 bytes"],
        ..ROW
    },
    deep_nesting_in_a_field_that_nobody_reads: Row {
        fault: |request, _| of_shop(request, || {
            let (open, close) = ("[".repeat(5_000), "]".repeat(5_000));
            let body = format!("{{\"data\": [{{\"id\": \"c1\", \"name\": \"Ada\", \"updated_at\": \"2026-11-01T10:00:00Z\", \"x\": {open}{close}}}]}}");
            Reply::text(200, "application/json", &body)
        }),
        says: &["Succeeded"],
        exit: 0,
        ..ROW
    },
    deep_nesting_in_a_field_that_is_mapped: Row {
        fault: |request, _| of_shop(request, || {
            let (open, close) = ("[".repeat(5_000), "]".repeat(5_000));
            let body = format!("{{\"data\": [{{\"id\": \"c1\", \"name\": {open}{close}, \"updated_at\": \"2026-11-01T10:00:00Z\"}}]}}");
            Reply::text(200, "application/json", &body)
        }),
        says: &["1 InvalidRecord", "next: syncline deadletters list customers"],
        exit: 0,
        dead: &[("", &["the record is not valid JSON: recursion limit exceeded at line 1", "InvalidRecord"])],
        ..ROW
    },
    deep_nesting_before_a_filter: Row {
        manifests: &[("backfill: All}", "backfill: All, where: \"record.name != 'Nobody'\"}")],
        fault: |request, _| of_shop(request, || {
            let (open, close) = ("[".repeat(5_000), "]".repeat(5_000));
            let body = format!("{{\"data\": [{{\"id\": \"c1\", \"name\": \"Ada\", \"updated_at\": \"2026-11-01T10:00:00Z\", \"x\": {open}{close}}}]}}");
            Reply::text(200, "application/json", &body)
        }),
        says: &["1 InvalidRecord", "next: syncline deadletters list customers"],
        exit: 0,
        dead: &[("c1", &["the record is not valid JSON: recursion limit exceeded at line 1"])],
        ..ROW
    },
    an_object_where_the_list_should_be: Row {
        fault: |request, _| of_shop(request, || Reply::text(200, "application/json", r#"{"data": {"items": [], "count": 0}}"#)),
        says: &["object customers: GET /customers: there is no list of records at data: found an object with the fields items, count; correct list.records or list.shape"],
        ..ROW
    },
    an_error_with_status_200: Row {
        fault: |request, _| of_shop(request, || Reply::text(200, "application/json", r#"{"error": "quota exceeded"}"#)),
        says: &["object customers: GET /customers: there is no list of records at data: found an object with the fields error; correct list.records or list.shape"],
        ..ROW
    },
    records_that_are_no_objects: Row {
        fault: |request, _| of_shop(request, || Reply::text(200, "application/json", r#"{"data": ["c1", 2, null]}"#)),
        says: &["3 InvalidRecord", "next: syncline deadletters list customers"],
        dead: &[("", &["the record is not an object; check `records` and `shape` of the list"])],
        exit: 0,
        ..ROW
    },
    a_record_without_a_key: Row {
        fault: |request, _| of_shop(request, || Reply::text(200, "application/json", r#"{"data": [{"name": "Ada"}]}"#)),
        says: &["1 InvalidRecord", "next: syncline deadletters list customers"],
        dead: &[("", &["key field \\\"id\\\" is missing or null; check `key` of object customers"])],
        exit: 0,
        ..ROW
    },
    a_path_that_is_not_there: Row {
        fault: |request, _| of_shop(request, || Reply::text(404, "application/json", r#"{"error": "no such path"}"#)),
        says: &["Connection/shop: GET /customers answered 404 Not Found; check spec.http.baseURL and the path (list of object customers)"],
        ..ROW
    },
    a_server_that_never_answers: Row {
        fault: |request, _| of_shop(request, || Reply::Silence),
        says: &["Connection/shop: no complete answer within 200ms (spec.http.timeout) (GET /customers)"],
        manifests: &[("timeout: 2s", "timeout: 200ms")],
        ..ROW
    },
    a_connection_that_closes: Row {
        fault: |request, _| of_shop(request, || Reply::Drop),
        says: &["Connection/shop: the connection broke before the answer was complete: connection closed before message completed (GET /customers)"],
        ..ROW
    },
    a_server_in_trouble: Row {
        fault: |request, _| of_shop(request, || Reply::text(500, "text/plain", "boom")),
        says: &["Connection/shop: GET /customers answered 500 Internal Server Error (list of object customers)", "(it goes on where it stopped)"],
        ..ROW
    },
}
