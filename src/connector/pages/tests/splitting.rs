//! Where the records stand in an answer, in every shape, on odd bodies.

use proptest::prelude::*;

use super::super::split::{Split, SplitError, split};
use super::*;
use crate::plan::connection::ListPlan;

fn plan(list: Value) -> ListPlan {
    let mut spec = json!({"path": "/things"});
    spec.as_object_mut()
        .unwrap()
        .extend(list.as_object().unwrap().clone());
    let plans = compiled(json!([{"name": "things", "key": ["id"], "list": spec}])).unwrap();
    plans.objects["things"].list.clone().unwrap()
}

fn at(list: Value, body: &str) -> Result<Split, SplitError> {
    split(&Bytes::copy_from_slice(body.as_bytes()), &plan(list))
}

fn texts(list: Value, body: &str) -> Vec<String> {
    let split = at(list, body).unwrap();
    split
        .records
        .iter()
        .map(|r| String::from_utf8(r.to_vec()).unwrap())
        .collect()
}

fn shape(list: Value, body: &str) -> String {
    match at(list, body).unwrap_err() {
        SplitError::Shape(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn records_are_slices_of_the_body() {
    let body = Bytes::from_static(br#"{"data": [{"a": 1.10}, {"b":"\u00e9\"]}"} ]}"#);
    let split = split(&body, &plan(json!({"records": "data"}))).unwrap();
    let range = body.as_ptr_range();
    assert!(split.records.iter().all(|r| range.contains(&r.as_ptr())));
    let texts: Vec<&[u8]> = split.records.iter().map(AsRef::as_ref).collect();
    assert_eq!(texts, [&br#"{"a": 1.10}"#[..], br#"{"b":"\u00e9\"]}"}"#]);
}

#[test]
fn the_path_leads_through_objects_lists_and_wildcards() {
    for (path, body, expected) in [
        ("", "[1, 2]", vec!["1", "2"]),
        (".", " [ ] ", vec![]),
        (
            "a.b",
            r#"{"x": [0], "a": {"c": 1, "b": [{"i":1}], "d": {}}}"#,
            vec![r#"{"i":1}"#],
        ),
        (
            "a[1].b",
            r#"{"a": [{"b": [1]}, {"b": [2, 3]}, {"b": [4]}]}"#,
            vec!["2", "3"],
        ),
        (r#"a["odd name"]"#, r#"{"a": {"odd name": [7]}}"#, vec!["7"]),
        (
            "edges[*].node",
            r#"{"edges": [{"node": {"i":1}}, {"node": {"i":2}}, {"x": 0}, {"node": null}]}"#,
            vec![r#"{"i":1}"#, r#"{"i":2}"#],
        ),
        (
            "groups[*].items",
            r#"{"groups": [{"items": [1, 2]}, {}, {"items": [3]}]}"#,
            vec!["1", "2", "3"],
        ),
        (
            "[*].a[*].b",
            r#"[{"a": [{"b": [1]}]}, {"a": []}, {"a": [{"b": [2]}, {"b": [3]}]}]"#,
            vec!["1", "2", "3"],
        ),
        ("data[*]", r#"{"data": [{"i":1}]}"#, vec![r#"{"i":1}"#]),
        ("data", r#"{"data": null}"#, vec![]),
        ("data", r#"{"data": [1], "data": [2]}"#, vec!["2"]),
        ("d\u{e9}", "{\"d\\u00e9\": [1]}", vec!["1"]),
    ] {
        assert_eq!(texts(json!({"records": path}), body), expected, "{path}");
    }
}

#[test]
fn other_shapes_become_records() {
    let map = r#"{"data": {"17": {"n": 1.10}, "a\"b": {"_key": 0}, "x": 5}}"#;
    assert_eq!(
        texts(json!({"records": "data", "shape": "Map"}), map),
        [r#"{"n":1.10,"_key":"17"}"#, r#"{"_key":"a\"b"}"#, "5"]
    );
    assert_eq!(
        texts(
            json!({"records": "data", "shape": "Map", "mapKey": "id"}),
            r#"{"data": {"q": {}}}"#
        ),
        [r#"{"id":"q"}"#]
    );
    assert_eq!(
        texts(
            json!({"records": "me", "shape": "Single"}),
            r#"{"me": {"a": [1]}}"#
        ),
        [r#"{"a": [1]}"#]
    );
    assert_eq!(
        texts(
            json!({"records": "me", "shape": "Single"}),
            r#"{"me": null}"#
        ),
        Vec::<String>::new()
    );
    let rows =
        r#"{"cols": [{"n": "id"}, {"n": "name"}], "rows": [[1, "x"], [2], "odd", [3, null, 9]]}"#;
    assert_eq!(
        texts(
            json!({"records": "rows", "shape": "Columns", "columns": {"from": "cols", "name": "n"}}),
            rows
        ),
        [
            r#"{"id":1,"name":"x"}"#,
            r#"{"id":2}"#,
            r#""odd""#,
            r#"{"id":3,"name":null}"#
        ]
    );
    assert_eq!(
        texts(json!({"shape": "Columns"}), r#"[["id", "v"], [1, 2.50]]"#),
        [r#"{"id":1,"v":2.50}"#]
    );
}

#[test]
fn what_stands_there_instead_is_described() {
    for (path, body, found) in [
        (
            "data",
            r#"{"items": [], "count": 0}"#,
            "an object with the fields items, count",
        ),
        ("data", "{}", "an empty object"),
        (
            "data",
            r#"{"data": {"a": 1}}"#,
            "an object with the fields a",
        ),
        ("data", r#"{"data": "text"}"#, "text"),
        ("data", r#"{"data": 5}"#, "a number"),
        ("data", "[]", "a list"),
        ("data.items", r#"{"data": null, "errors": [1]}"#, "null"),
        ("", r#"{"data": []}"#, "an object with the fields data"),
        ("a[1]", r#"{"a": [[]]}"#, "a list of 1 items"),
    ] {
        let text = shape(json!({"records": path}), body);
        assert!(text.contains(&format!("found {found};")), "{path}: {text}");
    }
    let many: String = (0..50)
        .map(|i| format!("\"{}{i}\": 1,", "n".repeat(60)))
        .collect();
    assert!(shape(json!({"records": "data"}), &format!("{{{many}\"z\": 0}}")).len() < 800);
}

#[test]
fn a_system_may_leave_out_an_empty_list_if_the_manifest_says_so() {
    let list = json!({"records": "data.items", "onMissing": "Empty"});
    assert!(texts(list.clone(), r#"{"data": {}}"#).is_empty());
    assert!(texts(list.clone(), "{}").is_empty());
    assert!(at(list, r#"{"data": {"items": "no"}}"#).is_err());
}

#[test]
fn the_envelope_is_what_pages_need() {
    let pagination = json!({"token": {"from": "meta.next", "sendAs": query("a")}, "stop": {"flag": {"path": "data.done", "is": true}}});
    let list = json!({"records": "data.items", "pagination": pagination});
    let split = at(
        list.clone(),
        r#"{"big": [1], "data": {"items": [1], "done": false, "x": 1}, "meta": {"next": 7}}"#,
    )
    .unwrap();
    assert_eq!(
        split.envelope,
        json!({"data": {"done": false}, "meta": {"next": 7}})
    );
    assert_eq!(at(json!({}), "[1]").unwrap().envelope, Value::Null);
}

#[test]
fn odd_bodies_are_told_apart() {
    let list = || json!({"records": "data"});
    for cut in [
        r#"{"data": [{"a": 1}"#,
        r#"{"data": [{"a": "x"#,
        r#"{"data""#,
        "",
    ] {
        assert_eq!(at(list(), cut).unwrap_err(), SplitError::Truncated, "{cut}");
    }
    let cut = Bytes::from_static(b"{\"data\": [\"\xc3");
    assert_eq!(
        split(&cut, &plan(list())).unwrap_err(),
        SplitError::Truncated
    );
    for bad in [
        &b"<html>"[..],
        b"{\"data\": []} x",
        b"{\"data\": [1,]}",
        b"{\"data\": [\"\xff\"]}",
        b"OK",
    ] {
        let found = split(&Bytes::copy_from_slice(bad), &plan(list())).unwrap_err();
        assert!(matches!(found, SplitError::NotJson(_)), "{found:?}");
    }
    let mut marked = b"\xEF\xBB\xBF".to_vec();
    marked.extend_from_slice(br#"{"data": [1]}"#);
    assert_eq!(
        split(&marked.into(), &plan(list())).unwrap().records.len(),
        1
    );
}

#[test]
fn a_record_nested_too_deeply_is_passed_on_and_breaks_nothing() {
    let deep = format!(
        "{{\"data\": [{}1{}, {{\"id\": 2}}]}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(
        at(json!({"records": "data"}), &deep).unwrap().records.len(),
        2
    );
    let envelope =
        json!({"records": "data", "pagination": {"token": {"from": "next", "sendAs": query("a")}}});
    let deep = format!(
        "{{\"data\": [], \"next\": {}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(at(envelope, &deep).is_err());
}

#[test]
fn a_large_page_is_split() {
    let one = format!("{{\"id\": 1, \"text\": \"{}\"}}", "x".repeat(1000));
    let body = format!("{{\"data\": [{}]}}", vec![one; 10_000].join(","));
    assert!(body.len() > 10_000_000);
    assert_eq!(
        at(json!({"records": "data"}), &body).unwrap().records.len(),
        10_000
    );
}

/// Any JSON, not too deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..5)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn splitting_gives_what_parsing_gives(
        records in prop::collection::vec(any_json(), 0..8),
        others in prop::collection::hash_map("[a-c]{1,3}", any_json(), 0..4),
        next in any_json(),
        pretty in any::<bool>(),
    ) {
        let list = plan(json!({"records": "data.items", "pagination": {"token": {"from": "data.next", "sendAs": {"in": "Body", "name": "n"}}}}));
        let mut body = Value::Object(others.into_iter().collect());
        body["data"] = json!({"items": records, "next": next});
        let text = if pretty { serde_json::to_string_pretty(&body) } else { serde_json::to_string(&body) }.unwrap();
        let split = split(&text.clone().into(), &list).unwrap();
        let parsed: Value = serde_json::from_str(&text).unwrap();
        let found: Vec<Value> = split.records.iter().map(|r| value(r)).collect();
        prop_assert_eq!(&Value::from(found), &parsed["data"]["items"]);
        prop_assert_eq!(&split.envelope["data"]["next"], &parsed["data"]["next"]);
    }

    #[test]
    fn any_bytes_are_split_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = split(&bytes.into(), &plan(json!({"records": "a[*].b"})));
    }
}
