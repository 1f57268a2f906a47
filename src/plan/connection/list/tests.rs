//! Rules of compiling a list, and of reading and writing moments.

use serde_json::{Value, json};

use super::moment::{MomentFormat, MomentPlan};
use crate::expression::Path;
use crate::plan::Problem;
use crate::plan::connection::{ConnectionWithObjects, compile};
use crate::record::Moment;

fn compiled(objects: Value) -> Result<ConnectionWithObjects, Vec<Problem>> {
    let spec =
        json!({"http": {"baseURL": "https://a.example"}, "auth": {"none": {}}, "objects": objects});
    compile("team", "shop", &serde_json::from_value(spec).unwrap())
}

/// The problems of a list, as `field: message`.
fn problems(list: Value) -> Vec<String> {
    let found = compiled(json!([{"name": "things", "key": ["id"], "list": list}]))
        .err()
        .unwrap_or_default();
    found
        .iter()
        .map(|p| format!("{}: {}", p.field, p.message))
        .collect()
}

fn query(name: &str) -> Value {
    json!({"in": "Query", "name": name})
}

#[test]
fn the_list_of_the_design_compiles() {
    let list = json!({
        "path": "/customers",
        "query": {"limit": "100"},
        "records": "data",
        "pagination": {"token": {"from": "next_cursor", "sendAs": query("cursor")}},
        "cursor": {"field": {"path": "updated_at", "format": "RFC3339", "sendAs": query("updated_since"), "overlap": "5m"}},
    });
    assert_eq!(problems(list), Vec::<String>::new());
}

#[test]
fn what_cannot_work_is_named_with_its_field() {
    let field = |change: Value| {
        let mut cursor = json!({"path": "at", "sendAs": query("s")});
        cursor
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        json!({"path": "/a", "cursor": {"field": cursor}})
    };
    let pages = |pagination: Value| json!({"path": "/a", "pagination": pagination});
    for (list, field, text) in [
        (
            json!({"path": "/a", "pagination": {}}),
            "list.pagination",
            "exactly one of token",
        ),
        (
            pages(json!({"link": {}, "page": {"sendAs": query("p")}})),
            "list.pagination",
            "exactly one of token",
        ),
        (
            pages(json!({"link": {}, "stop": {}})),
            "list.pagination.stop",
            "exactly one of empty",
        ),
        (
            pages(json!({"link": {}, "stop": {"empty": true, "short": true}})),
            "list.pagination.stop",
            "exactly one of empty",
        ),
        (
            pages(json!({"page": {"sendAs": query("p")}, "stop": {"short": true}})),
            "list.pagination.stop.short",
            "size of a page",
        ),
        (
            pages(json!({"nextURL": {"from": ""}})),
            "list.pagination.nextURL.from",
            "name a field",
        ),
        (
            pages(json!({"page": {"sendAs": {"in": "Header", "name": "a b"}}})),
            "list.pagination.page.sendAs",
            "cannot be the name",
        ),
        (
            json!({"path": "/a", "cursor": {}}),
            "list.cursor",
            "exactly one of field, token",
        ),
        (
            json!({"path": "/a", "cursor": {"field": {"path": "at"}}}),
            "list.cursor.field.sendAs",
            "sent nowhere",
        ),
        (
            field(json!({"clientSide": true})),
            "list.cursor.field.clientSide",
            "remove",
        ),
        (
            field(json!({"format": "iso"})),
            "list.cursor.field.format",
            "is no format",
        ),
        (
            field(json!({"format": "%H:%M"})),
            "list.cursor.field.format",
            "whole date",
        ),
        (
            field(json!({"formats": ["RFC3339", "Integer"]})),
            "list.cursor.field.formats",
            "one kind",
        ),
        (
            field(json!({"start": "2024"})),
            "list.cursor.field.start",
            "is not written as RFC 3339",
        ),
        (
            field(json!({"step": "24h", "sendUntilAs": query("u")})),
            "list.cursor.field.step",
            "needs start",
        ),
        (
            field(json!({"step": "24h", "start": "2024-01-01T00:00:00Z"})),
            "list.cursor.field.sendUntilAs",
            "end of the window",
        ),
        (
            field(
                json!({"format": "%Y-%m-%d", "step": "1h", "start": "2024-01-01", "sendUntilAs": query("u")}),
            ),
            "list.cursor.field.step",
            "shorter than the granularity",
        ),
        (
            field(json!({"format": "Integer", "overlap": "1h"})),
            "list.cursor.field.overlap",
            "length of time",
        ),
        (
            json!({"path": "/a", "cursor": {"token": {"from": "t"}}}),
            "list.cursor.token",
            "together with sendAs",
        ),
        (
            json!({"path": "/a", "cursor": {"token": {"nextURL": "t"}}, "forEach": [{"values": ["x"]}]}),
            "list.cursor",
            "cannot be used with forEach",
        ),
        (
            json!({"path": "/a/${cursor.since}"}),
            "list",
            "needs cursor.field",
        ),
        (
            json!({"path": "/a", "query": {"q": "${cursor.now}"}}),
            "list",
            "since and until",
        ),
        (json!({"path": "/a/${parent.id}"}), "list", "needs forEach"),
        (
            json!({"path": "/a", "include": [{"field": "x", "from": "id"}]}),
            "list.include",
            "needs forEach",
        ),
        (
            json!({"path": "/a/${parent.id}", "forEach": [{"values": ["x"]}]}),
            "list",
            "parent.value only",
        ),
        (
            json!({"path": "/a", "forEach": [{}]}),
            "list.forEach[0]",
            "values (at least one) or object",
        ),
        (
            json!({"path": "/a", "forEach": [{"object": {"name": "nobody"}}]}),
            "list.forEach[0].object.name",
            "no object \"nobody\"",
        ),
        (
            json!({"path": "/a", "forEach": [{"object": {"name": "things"}}]}),
            "list.forEach[0].object.name",
            "its own parent",
        ),
        (
            json!({"path": "/a", "mapKey": "k"}),
            "list.mapKey",
            "shape: Map",
        ),
        (
            json!({"path": "/a", "columns": {"from": "c"}}),
            "list.columns",
            "shape: Columns",
        ),
    ] {
        let found = problems(list.clone());
        let wanted = format!("spec.objects[0].{field}");
        assert!(
            found
                .iter()
                .any(|p| p.starts_with(&wanted) && p.contains(text)),
            "{list}: {found:?}"
        );
    }
}

#[test]
fn an_unknown_field_is_refused() {
    let list = json!({"path": "/a", "pagination": {"page": {"sendAs": {"in": "Query", "name": "p"}, "sizes": 3}}});
    let spec = json!({"name": "things", "key": ["id"], "list": list});
    let error = serde_json::from_value::<crate::api::connection::ObjectSpec>(spec).unwrap_err();
    assert!(error.to_string().contains("sizes"), "{error}");
}

fn nanos(seconds: i128, nanos: i128) -> Option<Moment> {
    Some(Moment::Time(seconds * 1_000_000_000 + nanos))
}

#[test]
fn moments_are_read_in_every_format() {
    let day = 1_706_659_200; // 2024-01-31T00:00:00Z
    for (format, value, moment) in [
        ("RFC3339", json!("2024-01-31T00:00:00Z"), nanos(day, 0)),
        (
            "RFC3339",
            json!("2024-01-31T01:30:00.123456789+01:30"),
            nanos(day, 123_456_789),
        ),
        ("RFC3339", json!("2024-01-30 19:00:00-05:00"), nanos(day, 0)),
        ("RFC3339", json!("1969-12-31T23:59:59Z"), nanos(-1, 0)),
        ("RFC3339", json!("2024-01-31T00:00:00"), None),
        ("RFC3339", json!("2024-02-30T00:00:00Z"), None),
        ("RFC3339", json!(1_706_659_200), None),
        ("UnixSeconds", json!(1_706_659_200), nanos(day, 0)),
        (
            "UnixSeconds",
            json!(1_706_659_200.25),
            nanos(day, 250_000_000),
        ),
        (
            "UnixSeconds",
            json!("1706659200.123456789"),
            nanos(day, 123_456_789),
        ),
        ("UnixSeconds", json!("-1.5"), nanos(-2, 500_000_000)),
        ("UnixSeconds", json!("1e9"), None),
        ("UnixSeconds", json!(""), None),
        (
            "UnixMillis",
            json!(1_706_659_200_123_i64),
            nanos(day, 123_000_000),
        ),
        (
            "UnixMillis",
            json!("1706659200123.5"),
            nanos(day, 123_500_000),
        ),
        ("Integer", json!(17), Some(Moment::Integer(17))),
        ("Integer", json!("17"), Some(Moment::Integer(17))),
        ("Integer", json!(1.5), None),
        ("Text", json!("v2"), Some(Moment::Text("v2".into()))),
        ("Text", json!(""), None),
        ("%Y-%m-%d", json!("2024-01-31"), nanos(day, 0)),
        (
            "%m/%d/%Y %H:%M",
            json!("01/31/2024 10:00"),
            nanos(day + 36_000, 0),
        ),
        (
            "%Y-%m-%dT%H:%M:%S%z",
            json!("2024-01-31T01:00:00+0100"),
            nanos(day, 0),
        ),
        ("%Y%m%d", json!(20_240_131), nanos(day, 0)),
        ("%Y-%m-%d", json!("2024-01-31T00"), None),
        ("%Y-%m-%d", json!(null), None),
    ] {
        let plan = MomentPlan {
            path: Path::parse("at").unwrap(),
            formats: vec![MomentFormat::parse(format).unwrap()],
        };
        assert_eq!(plan.read(&json!({"at": value})), moment, "{format} {value}");
    }
}

#[test]
fn the_first_format_that_fits_counts() {
    let formats = ["RFC3339", "%Y-%m-%d", "UnixSeconds"]
        .map(|f| MomentFormat::parse(f).unwrap())
        .to_vec();
    let plan = MomentPlan {
        path: Path::parse("at").unwrap(),
        formats,
    };
    for value in [
        json!("1970-01-02T00:00:00Z"),
        json!("1970-01-02"),
        json!(86_400),
        json!("86400"),
    ] {
        assert_eq!(
            plan.read(&json!({"at": value})),
            nanos(86_400, 0),
            "{value}"
        );
    }
    assert_eq!(plan.read(&json!({})), None);
}

#[test]
fn what_is_written_is_read_again() {
    for format in [
        "RFC3339",
        "UnixSeconds",
        "UnixMillis",
        "%Y-%m-%d %H:%M:%S%.f",
    ] {
        let format = MomentFormat::parse(format).unwrap();
        for moment in [
            0,
            1_706_659_200_123_000_000,
            -1_500_000_000,
            253_402_207_200_000_000_000 - 1,
        ] {
            let moment = Moment::Time(moment);
            let text = format.write(&moment).unwrap();
            assert_eq!(
                format.read(&text),
                Some(moment.clone()),
                "{format:?} {text}"
            );
        }
        assert_eq!(
            format
                .write(&Moment::Time(i128::MAX / 2))
                .and_then(|v| format.read(&v)),
            None
        );
        assert_eq!(format.write(&Moment::Integer(1)), None);
    }
}
