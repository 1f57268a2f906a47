//! What is wrong with a Mapping is said before any record is seen, with its place.
//! Tests only.

use serde_json::{Value, json};

use crate::mapping::Mapping;

/// The first problem of a spec, as `place: message`; empty when there is none.
fn problem(spec: Value) -> String {
    let spec = serde_json::from_value(spec).unwrap();
    match Mapping::compile(&spec) {
        Ok(_) => String::new(),
        Err(problems) => format!("{}: {}", problems[0].field, problems[0].message),
    }
}

/// Each field list has this problem, by parts of its text.
fn check(cases: &[(Value, &[&str])]) {
    for (fields, parts) in cases {
        let problem = problem(json!({ "fields": fields }));
        for part in *parts {
            assert!(
                problem.contains(part),
                "{fields}\n  said {problem:?}\n  lacks {part:?}"
            );
        }
        assert_eq!(parts.is_empty(), problem.is_empty(), "{fields}: {problem}");
    }
}

#[test]
fn two_fields_that_no_record_could_hold_are_refused() {
    let two = |a: &str, b: &str| json!([{"to": a, "from": "x"}, {"to": b, "from": "y"}]);
    check(&[
        (
            two("a", "a"),
            &["spec.fields[1].to: spec.fields[0].to sets a already"],
        ),
        (two("a.b", "a[\"b\"]"), &["spec.fields[1].to", "already"]),
        (two("a", "a.b"), &["spec.fields[1].to", "as a whole"]),
        (
            two("a.b.c", "a.b"),
            &["spec.fields[1].to", "a part of it, a.b.c"],
        ),
        (
            two("a.b", "a[0]"),
            &["spec.fields[1].to", "a list and an object"],
        ),
        (two("a[0].x", "a[1].x"), &[]),
        (two("a.b", "a.c"), &[]),
        (two("ab", "a"), &[]),
        (
            json!([{"to": "[0]", "from": "x"}]),
            &["spec.fields[0].to", "not a list"],
        ),
        (
            json!([{"to": ".", "from": "x"}]),
            &["spec.fields[0].to", "name a field"],
        ),
        (
            json!([{"to": "a", "from": "x"}, {"from": "y", "split": {"separator": ",", "into": ["b", "a"]}}]),
            &["spec.fields[1].split.into[1]: spec.fields[0].to sets a already"],
        ),
        (
            json!([{"from": "y", "split": {"separator": ",", "into": ["b", "b"]}}]),
            &["spec.fields[0].split.into[1]"],
        ),
        (
            json!([{"to": "l", "from": "x", "each": [{"to": "a", "from": "b"}, {"to": "a.c", "from": "d"}]}]),
            &["spec.fields[0].each[1].to", "as a whole"],
        ),
        (
            json!([{"to": "a", "from": "x"}, {"to": "l", "from": "x", "each": [{"to": "a", "from": "b"}]}]),
            &[],
        ),
    ]);
}

#[test]
fn an_option_without_effect_is_refused() {
    let field = |more: Value| {
        let mut field = json!({"to": "a", "from": "x"});
        field
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([field])
    };
    let pairs = json!([{"from": "a", "to": "b"}]);
    check(&[
        (
            field(json!({"onUnmapped": "Omit"})),
            &["fields[0].onUnmapped", "without `translate`"],
        ),
        (
            field(json!({"onUnlinked": "Omit"})),
            &["fields[0].onUnlinked", "without `lookup`"],
        ),
        (
            field(json!({"default": 1})),
            &["fields[0].default", "has no effect"],
        ),
        (
            field(json!({"default": 1, "onMissing": "Null"})),
            &["fields[0].default", "has no effect"],
        ),
        (
            field(json!({"onMissing": "Default"})),
            &["fields[0].onMissing", "`default`"],
        ),
        (
            field(json!({"translate": pairs, "onUnmapped": "Default"})),
            &["fields[0].onUnmapped", "`default`"],
        ),
        (
            field(json!({"translate": pairs, "onUnmapped": "Default", "default": null})),
            &[],
        ),
        (
            field(json!({"text": {}})),
            &["fields[0].text", "has no effect"],
        ),
        (
            field(json!({"text": {"trim": false}})),
            &["fields[0].text", "has no effect"],
        ),
        (field(json!({"text": {"case": "Upper"}})), &[]),
        (
            json!([{"to": "a", "value": 1, "onMissing": "Reject"}]),
            &["fields[0].onMissing", "never missing"],
        ),
        (
            json!([{"to": "a", "value": "x", "text": {"trim": true}}]),
            &["fields[0].text"],
        ),
        (
            field(json!({"text": {"trim": true}, "each": [{"to": "b", "from": "c"}]})),
            &["fields[0].text", "`each`"],
        ),
    ]);
}

#[test]
fn a_number_that_could_not_be_read_is_refused() {
    let number = |number: Value| json!([{"to": "a", "from": "x", "number": number}]);
    check(&[
        (number(json!({})), &[]),
        (
            number(json!({"groupSeparator": "."})),
            &["number.groupSeparator", "decimalSeparator"],
        ),
        (
            number(json!({"groupSeparator": ".", "decimalSeparator": ","})),
            &[],
        ),
        (
            number(json!({"groupSeparator": ",", "decimalSeparator": ","})),
            &["number.groupSeparator"],
        ),
        (
            number(json!({"groupSeparator": "0"})),
            &["number.groupSeparator", "part of a number"],
        ),
        (
            number(json!({"decimalSeparator": "-"})),
            &["number.decimalSeparator", "part of a number"],
        ),
        (
            number(json!({"parse": "Integer", "decimalSeparator": ","})),
            &["number.decimalSeparator", "no effect"],
        ),
        (
            number(json!({"currencyCode": "EUR"})),
            &["number.currencyCode", "without MinorUnits"],
        ),
        (
            number(json!({"currency": "cur", "format": "Text"})),
            &["number.currency", "without MinorUnits"],
        ),
        (
            number(json!({"format": "MinorUnits"})),
            &["fields[0].number", "`currency`"],
        ),
        (
            number(json!({"format": "MinorUnits", "currencyCode": "E€"})),
            &["number.currencyCode", "ISO 4217"],
        ),
        (number(json!({"parse": "Text"})), &["number.parse"]),
    ]);
}

#[test]
fn a_date_that_could_not_be_read_is_refused() {
    let date = |date: Value| json!([{"to": "a", "from": "x", "date": date}]);
    let no_date = &["date.parse", "no whole date"][..];
    check(&[
        (date(json!({"parse": "%m/%d"})), no_date),
        (date(json!({"parse": "%H:%M"})), no_date),
        (date(json!({"parse": "%Y-%m"})), no_date),
        (
            date(json!({"parse": "%Y-%m-%d %I:%M"})),
            &["date.parse", "without %p"],
        ),
        (date(json!({"parse": "%Y-%m-%d %I:%M %p"})), &[]),
        (date(json!({"parse": "%Y-%j"})), &[]),
        (date(json!({"parse": "%s"})), &[]),
        (date(json!({"parse": "%Y-%m-%dT%H:%M:%S%z"})), &[]),
        (date(json!({"parse": "%d %b %Y"})), &[]),
        (
            date(json!({"parse": "RFC3339", "orParse": ["%d.%m"]})),
            &["date.orParse[0]", "no whole date"],
        ),
        (
            date(json!({"parse": "%Y-%m-%d", "orParse": ["%Y-%m-%d"]})),
            &["date.orParse[0]", "already"],
        ),
        (date(json!({"format": "%Y"})), &[]),
        (
            date(json!({"format": "%!"})),
            &["date.format", "is no pattern"],
        ),
        (
            date(json!({"format": "yyyy"})),
            &["date.format", "is no notation"],
        ),
        (
            date(json!({"format": "100%%"})),
            &["date.format", "is no notation"],
        ),
        (
            date(json!({"parse": "%m/%d/%Y", "format": "%Y-%m-%d", "toTimeZone": "Asia/Tokyo"})),
            &["date.toTimeZone", "days without a time"],
        ),
        (
            date(json!({"parse": "%m/%d/%Y", "format": "%Y-%m-%d", "timeZone": "Asia/Tokyo"})),
            &["date.timeZone", "no effect"],
        ),
        (
            date(json!({"format": "UnixMillis", "toTimeZone": "Asia/Tokyo"})),
            &["date.toTimeZone", "Unix time"],
        ),
        (
            date(json!({"timeZone": "Mars/Base"})),
            &["date.timeZone", "no time zone"],
        ),
    ]);
}

#[test]
fn a_test_that_could_not_pass_is_refused() {
    let fields = json!([
        {"to": "email", "from": "e"},
        {"to": "lines", "from": "l", "each": [{"to": "sku", "from": "s", "lookup": "items"}]},
    ]);
    let test = |test: Value| problem(json!({"fields": fields, "tests": [test]}));
    for (case, part) in [
        (json!({"name": "n", "given": {}}), "spec.tests[0]: "),
        (
            json!({"name": "n", "given": {}, "expect": {}, "rejects": "email"}),
            "spec.tests[0]: ",
        ),
        (
            json!({"name": "n", "given": {}, "rejects": "emial"}),
            "spec.tests[0].rejects: no field sets",
        ),
        (
            json!({"name": "n", "given": {}, "rejects": "lines[0].skus"}),
            "spec.tests[0].rejects",
        ),
        (
            json!({"name": "n", "given": {}, "expect": {}, "links": [{"lookup": "x", "key": "1", "id": 1}]}),
            "spec.tests[0].links[0].lookup: no field has the lookup",
        ),
    ] {
        assert!(
            test(case.clone()).contains(part),
            "{case}: {}",
            test(case.clone())
        );
    }
    assert_eq!(
        test(json!({"name": "n", "given": {}, "rejects": "lines[0].sku"})),
        ""
    );
}

#[test]
fn a_failing_test_names_each_field_with_what_was_expected() {
    let spec = json!({
        "fields": [
            {"to": "address.city", "from": "city"},
            {"to": "address.zip", "from": "zip"},
            {"to": "lines", "from": "items", "each": [{"to": "n", "from": "n"}]},
            {"to": "stage", "from": "stage", "onMissing": "Reject"},
        ],
        "tests": [
            {"name": "a", "given": {"city": "Köln", "zip": 1, "stage": "x", "items": [{"n": 1}, {"n": 2}]},
             "expect": {"address": {"city": "Bonn", "country": "DE"}, "stage": "x", "lines": [{"n": 1}, {"n": 3}]}},
            {"name": "b", "given": {}, "rejects": "address.zip"},
        ],
    });
    let mapping = Mapping::compile(&serde_json::from_value(spec).unwrap()).unwrap();
    let failures = mapping.run_tests();
    assert_eq!(
        failures[0].message,
        "address.city: expected \"Bonn\", got \"Köln\"; address.country: expected \"DE\", got nothing; \
         address.zip: expected nothing, got 1; lines[1].n: expected 3, got 2"
    );
    assert_eq!(
        failures[1].message,
        "expected field address.zip to reject it, and field stage does (Missing): the source has no value at stage"
    );
}
