//! What holds for every Mapping and every record.
//! Tests only.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::strategy::Union;
use serde_json::{Value, json};

use super::{map, mapping};
use crate::expression::Fields;
use crate::mapping::{Links, Mapped, Mapping};

pub fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[0-9]{1,4}[-/.:][0-9]{1,2}[-/.:, T][0-9]{1,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-e]", inner, 0..5)
                .prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// One of these values.
fn of(values: &[Value]) -> Union<Just<Value>> {
    Union::new(values.iter().cloned().map(Just))
}

/// Perhaps the option `name`.
fn option(
    name: &'static str,
    values: Vec<Value>,
) -> impl Strategy<Value = Option<(String, Value)>> {
    prop::option::weighted(0.4, of(&values).prop_map(move |v| (name.to_owned(), v)))
}

fn words(words: &[&str]) -> Vec<Value> {
    words.iter().map(|w| Value::from(*w)).collect()
}

/// A field with any options, most of them valid together, many not.
fn any_field() -> impl Strategy<Value = Value> {
    let source = prop_oneof![
        6 => of(&words(&["a", "b", "c.a", "d[0]", "e.b[1].c", "", "[\"odd name\"]"])).prop_map(|v| ("from", v)),
        1 => any_json().prop_map(|v| ("value", v)),
        1 => of(&words(&["record.a", "size(record.b) > 1", "record.c.map(x, x + x)", "string(record.d)"])).prop_map(|v| ("expr", v)),
        1 => Just(("join", json!({"from": ["a", "c.a"], "separator": " "}))),
    ];
    let shape = prop_oneof![
        2 => Just(None),
        1 => Just(Some(("split", json!({"separator": " ", "into": ["p", "q.r"], "onShort": "Omit"})))),
        2 => any_json().prop_map(|v| Some(("translate", json!([{"from": v, "to": 1}, {"from": "a", "to": null}])))),
        2 => of(&words(&["%m/%d/%Y", "RFC3339", "UnixMillis", "%H:%M", "%s", "%d.%m.%y %I:%M %p"]))
            .prop_map(|v| Some(("date", json!({"parse": v, "orParse": ["UnixSeconds"], "toTimeZone": "America/St_Johns"})))),
        2 => of(&words(&["Decimal", "Text", "Integer", "MinorUnits"]))
            .prop_map(|v| Some(("number", json!({"format": v, "groupSeparator": ",", "currencyCode": "KWD"})))),
        1 => Just(Some(("number", json!({"format": "MinorUnits", "currency": "b"})))),
        1 => Just(Some(("lookup", json!("other")))),
        1 => Just(Some(("each", json!([{"to": "x", "from": "a"}, {"to": "y", "from": "b", "each": [{"to": "z", "from": ""}]}])))),
    ];
    let to = option(
        "to",
        words(&["p", "p.q", "r[0]", "r[1].s", "t", "[\"odd name\"]"]),
    );
    let options = (
        option("onMissing", words(&["Omit", "Null", "Default", "Reject"])),
        option("onUnmapped", words(&["Reject", "Omit", "Default", "Keep"])),
        option("onUnlinked", words(&["Wait", "Omit", "Reject"])),
        option("default", vec![json!(null), json!(1), json!("x")]),
        option(
            "text",
            vec![json!({"trim": true}), json!({"case": "Upper"})],
        ),
    );
    (source, shape, to, options).prop_map(|((source, value), shape, to, options)| {
        let mut field = serde_json::Map::from_iter([(source.to_owned(), value)]);
        field.extend(shape.map(|(name, value)| (name.to_owned(), value)));
        field.extend(to.or_else(|| Some(("to".to_owned(), json!("p")))));
        if field.contains_key("split") {
            field.remove("to");
        }
        let (a, b, c, d, e) = options;
        field.extend([a, b, c, d, e].into_iter().flatten());
        Value::Object(field)
    })
}

/// A field from `s` to `t` that can be turned around, and a value for it.
fn turnable() -> impl Strategy<Value = (Value, Value)> {
    let at = -2_000_000_000_i64..4_000_000_000;
    let iso = at
        .clone()
        .prop_map(|s| json!(jiff::Timestamp::from_second(s).unwrap().to_string()));
    let day = at.clone().prop_map(|s| {
        json!(
            jiff::Timestamp::from_second(s)
                .unwrap()
                .to_zoned(TimeZone::UTC)
                .strftime("%m/%d/%Y")
                .to_string()
        )
    });
    let amount = (any::<i32>(), 0..4_usize).prop_map(|(n, digits)| {
        let text = format!("{:0width$}", i64::from(n).abs(), width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let dot = if digits > 0 { "." } else { "" };
        json!(format!(
            "{}{whole}{dot}{fraction}",
            if n < 0 { "-" } else { "" }
        ))
    });
    let pairs = json!([{"from": "a", "to": 1}, {"from": "b", "to": "a"}, {"from": 1, "to": "b"}]);
    let text = prop_oneof!["[a-c ,\u{a0}é]{0,12}", "[a,]{0,5}", ".{0,12}"];
    let split = |separator: &str, rest: &str, short: &str| {
        let into = ["t.x", "t.y", "t.z"];
        json!({"split": {"separator": separator, "into": into, "rest": rest, "onShort": short}})
    };
    let splits = [
        split(" ", "Last", "Empty"),
        split(" ", "First", "Reject"),
        split(",", "Last", "Reject"),
        split(", ", "First", "Empty"),
    ];
    prop_oneof![
        1 => any_json().prop_map(|v| (json!({}), v)),
        1 => (any_json(), of(&words(&["Null", "Reject", "Omit"]))).prop_map(|(v, m)| (json!({"onMissing": m}), v)),
        1 => of(&[json!("a"), json!("b"), json!(1), json!("?")])
            .prop_map(move |v| (json!({"translate": pairs, "onUnmapped": "Reject"}), v)),
        1 => iso.prop_map(|v| (json!({"date": {"format": "%Y-%m-%dT%H:%M:%S.%f%z", "toTimeZone": "Asia/Kolkata"}}), v)),
        1 => day.prop_map(|v| (json!({"date": {"parse": "%m/%d/%Y", "format": "%d.%m.%Y"}}), v)),
        1 => at.clone().prop_map(|v| (json!({"date": {"parse": "UnixSeconds", "format": "UnixMillis"}}), json!(v))),
        1 => at.prop_map(|v| (json!({"date": {"parse": "UnixMillis", "format": "RFC3339", "toTimeZone": "Europe/Berlin"}}), json!(v))),
        1 => amount.clone().prop_map(|v| (json!({"number": {"format": "MinorUnits", "currencyCode": "KWD"}}), v)),
        1 => amount.prop_map(|v| (json!({"number": {}}), v)),
        1 => any::<i64>().prop_map(|v| (json!({"number": {"parse": "MinorUnits", "currencyCode": "EUR"}}), json!(v))),
        1 => any::<i64>().prop_map(|v| (json!({"number": {"parse": "MinorUnits", "format": "Text", "currencyCode": "JPY"}}), json!(v))),
        4 => (of(&splits), text).prop_map(|(spec, text)| (spec, json!(text))),
    ]
}

fn record_of(mapped: Mapped) -> Option<Value> {
    match mapped {
        Mapped::Record(map) => Some(Value::Object(map)),
        Mapped::Rejected(_) | Mapped::Waiting(_) => None,
    }
}

#[test]
fn what_cannot_be_turned_around_says_so() {
    let why = |field: Value| mapping(json!([field])).invertible()[0].1;
    for (field, expected) in [
        (json!({"to": "a", "value": 1}), "one source field"),
        (json!({"to": "a", "expr": "record.x"}), "one source field"),
        (
            json!({"to": "a", "join": {"from": ["x"], "separator": ""}}),
            "one source field",
        ),
        (json!({"to": "a", "from": ""}), "whole source record"),
        (
            json!({"to": "a", "from": "x", "text": {"case": "Lower"}}),
            "case",
        ),
        (
            json!({"to": "a", "from": "x", "onMissing": "Default", "default": 1}),
            "default",
        ),
        (
            json!({"to": "a", "from": "x", "translate": [{"from": 1, "to": 1}, {"from": 2, "to": 1}]}),
            "same target value",
        ),
        (
            json!({"to": "a", "from": "x", "translate": [{"from": 1, "to": 2}], "onUnmapped": "Omit"}),
            "lost",
        ),
        (
            json!({"to": "a", "from": "x", "translate": [{"from": 1, "to": 2}], "onUnmapped": "Keep"}),
            "kept",
        ),
        (
            json!({"to": "a", "from": "x", "date": {"format": "%Y-%m-%d"}}),
            "time of day",
        ),
        (
            json!({"to": "a", "from": "x", "date": {"format": "UnixSeconds"}}),
            "small parts",
        ),
        (
            json!({"to": "a", "from": "x", "date": {"parse": "%Y-%m-%d", "format": "%Y"}}),
            "whole date",
        ),
        (
            json!({"to": "a", "from": "x", "date": {"parse": "%F %T", "timeZone": "Europe/Berlin"}}),
            "two moments",
        ),
        (
            json!({"to": "a", "from": "x", "date": {"orParse": ["%F"]}}),
            "several notations",
        ),
        (
            json!({"to": "a", "from": "x", "number": {"groupSeparator": ","}}),
            "separators",
        ),
        (
            json!({"to": "a", "from": "x", "number": {"format": "Text"}}),
            "zeros",
        ),
        (
            json!({"to": "a", "from": "x", "number": {"format": "MinorUnits", "currency": "cur"}}),
            "currency",
        ),
        (json!({"to": "a", "from": "x", "lookup": "l"}), "looked up"),
        (
            json!({"from": "x", "split": {"separator": " ", "into": ["a", "b"], "onShort": "Omit"}}),
            "left out",
        ),
        (
            json!({"to": "a", "from": "x", "each": [{"to": "a", "expr": "1"}]}),
            "one source field",
        ),
    ] {
        let said = why(field.clone()).unwrap_err();
        assert!(said.contains(expected), "{field}: {said}");
    }
    let with_currency = mapping(json!([
        {"to": "cents", "from": "total", "number": {"format": "MinorUnits", "currency": "cur"}},
        {"to": "money.currency", "from": "cur"},
        {"to": "origin", "value": "shop"},
    ]));
    let inverse = with_currency.inverse().unwrap();
    let target = json!({"cents": 1234, "money": {"currency": "KWD"}, "origin": "shop"});
    assert_eq!(
        record_of(inverse.apply(&target, &Links::new())),
        Some(json!({"total": 1.234, "cur": "KWD"}))
    );
}

proptest! {
    #[test]
    fn mapping_inverting_and_mapping_again_gives_the_same_record(fields in prop::collection::vec(turnable(), 1..4)) {
        let (mut specs, mut record) = (Vec::new(), json!({}));
        for (index, (mut spec, value)) in fields.into_iter().enumerate() {
            let target = format!("t{index}");
            match spec.get_mut("split") {
                Some(split) => split["into"] = json!([format!("{target}.x"), format!("{target}.y"), format!("{target}.z")]),
                None => spec["to"] = json!(target),
            }
            spec["from"] = json!(format!("s{index}"));
            record[format!("s{index}")] = value;
            specs.push(spec);
        }
        let nested = json!([{"to": "list", "from": "items", "each": specs.clone()}]);
        for (specs, record) in [(json!(specs), record.clone()), (nested, json!({"items": [record, {}]}))] {
            let forth = mapping(specs);
            let back = forth.inverse().map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
            let Some(once) = record_of(forth.apply(&record, &Links::new())) else { return Ok(()) };
            let source = record_of(back.apply(&once, &Links::new()));
            prop_assert!(source.is_some(), "not turned around: {once}");
            let again = record_of(forth.apply(&source.unwrap(), &Links::new()));
            prop_assert_eq!(Some(once), again);
        }
    }

    #[test]
    fn no_mapping_and_no_record_make_it_panic(
        fields in prop::collection::vec(any_field(), 1..4), record in any_json()
    ) {
        let Ok(spec) = serde_json::from_value(json!({ "fields": fields })) else { return Ok(()) };
        let Ok(mapping) = Mapping::compile(&spec) else { return Ok(()) };
        let first = mapping.apply(&record, &Links::new());
        prop_assert_eq!(&first, &mapping.apply(&record, &Links::new()));
        let mut wanted = Vec::new();
        mapping.lookups(&record, &mut wanted);
        if let Mapped::Waiting(lookup) = &first {
            prop_assert!(wanted.contains(lookup), "waits for {lookup:?}, which was not asked for");
        }
        // The quick way leaves a record alone or writes what the usual way writes.
        if let Some(quick) = Fields::of(&record.to_string().into()).and_then(|r| mapping.apply_text(&r, &Links::new())) {
            let read: Value = serde_json::from_str(&record.to_string()).unwrap();
            let usual = record_of(mapping.apply(&read, &Links::new()));
            prop_assert_eq!(Some(String::from_utf8(quick).unwrap()), usual.map(|v| v.to_string()));
        }
        // A path that one field blocks for another was refused when it was compiled.
        if let Mapped::Rejected(rejection) = &first {
            prop_assert_ne!(rejection.reason, "BadPath");
        }
        let _ = mapping.inverse().map(|inverse| inverse.apply(&record, &Links::new()));
    }

    #[test]
    fn null_is_missing(mut record in any_json()) {
        let mapping = mapping(json!([
            {"to": "p", "from": "a"},
            {"from": "b", "split": {"separator": " ", "into": ["f", "l"]}},
            {"to": "d", "from": "c", "date": {"parse": "%m/%d/%Y", "orParse": ["RFC3339", "UnixSeconds"]}},
            {"to": "n", "from": "d", "number": {"format": "MinorUnits", "currencyCode": "USD"}},
            {"to": "x", "from": "e", "each": [{"to": "y", "from": "a", "lookup": "co", "onUnlinked": "Omit"}]},
        ]));
        let first = mapping.apply(&record, &Links::new());
        if let Value::Object(fields) = &mut record {
            fields.retain(|_, value| !value.is_null());
        }
        prop_assert_eq!(first, mapping.apply(&record, &Links::new()));
    }

    #[test]
    fn a_missing_value_has_the_answer_of_its_field(field in any_field(), default in any_json()) {
        for (answer, expected) in [
            ("Omit", Ok(json!({}))),
            ("Null", Ok(json!({"p": null}))),
            ("Default", Ok(json!({"p": default}))),
            ("Reject", Err("p Missing".to_owned())),
        ] {
            let mut field = field.clone();
            for (name, value) in [("from", json!("gone")), ("to", json!("p")), ("onMissing", json!(answer)), ("default", default.clone())] {
                field[name] = value;
            }
            for other in ["value", "expr", "join", "split", "onUnmapped", "onUnlinked"] {
                field.as_object_mut().unwrap().remove(other);
            }
            if answer != "Default" {
                field.as_object_mut().unwrap().remove("default");
            }
            let spec = serde_json::from_value(json!({"fields": [field]})).unwrap();
            if Mapping::compile(&spec).is_ok() {
                prop_assert_eq!(map(json!([field]), json!({"other": 1})), expected);
            }
        }
    }

    #[test]
    fn an_unknown_value_has_the_answer_of_its_field(value in any_json(), known in any_json(), default in any_json()) {
        prop_assume!(!value.is_null() && value != known);
        let pairs = json!([{"from": known, "to": "known"}]);
        for (answer, expected) in [
            ("Omit", Ok(json!({}))),
            ("Keep", Ok(json!({"p": value}))),
            ("Default", Ok(json!({"p": default}))),
            ("Reject", Err("p Unmapped".to_owned())),
        ] {
            let mut field = json!({"to": "p", "from": "v", "translate": pairs, "onUnmapped": answer});
            if answer == "Default" {
                field["default"] = default.clone();
            }
            let got = map(json!([field]), json!({"v": value}));
            prop_assert!(got == expected || got == Err("p BadNumber".into()), "{answer}: {got:?}");
        }
    }

    #[test]
    fn money_is_what_the_digits_say(negative: bool, whole in 0_u64..90_000_000_000_000, fraction in "[0-9]{0,4}", digits in 0..4_usize) {
        let code = ["JPY", "XXX", "EUR", "KWD"][digits];
        prop_assume!(digits != 1);
        let sign = if negative { "-" } else { "" };
        let dot = if fraction.is_empty() { "" } else { "." };
        let text = format!("{sign}{whole}{dot}{fraction}");
        let significant = fraction.trim_end_matches('0');
        let expected = (significant.len() <= digits)
            .then(|| format!("{sign}{whole}{significant:0<digits$}").parse::<i64>().unwrap());
        let spec = json!([{"to": "v", "from": "v", "number": {"format": "MinorUnits", "currencyCode": code}}]);
        let got = map(spec.clone(), json!({"v": text})).ok().and_then(|r| r["v"].as_i64());
        prop_assert_eq!(got, expected, "{}", text);
        // As a JSON number it is the same amount, or none; what is far below its smallest unit is not seen.
        prop_assume!(expected.is_some() || whole < 100_000_000_000);
        let number: Value = serde_json::from_str(&text).unwrap();
        let got = map(spec, json!({"v": number})).ok().and_then(|r| r["v"].as_i64());
        prop_assert!(got.is_none() || got == expected, "{text}: {got:?}");
    }

    #[test]
    fn a_local_time_is_the_moment_that_the_zone_says(
        seconds in -2_000_000_000_i64..4_000_000_000,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    ) {
        let at: DateTime = jiff::Timestamp::from_second(seconds).unwrap().to_zoned(TimeZone::UTC).datetime();
        let text = at.strftime("%d.%m.%Y %H:%M:%S").to_string();
        let expected = at.to_zoned(TimeZone::get(zone).unwrap()).unwrap().timestamp().as_second();
        let spec = json!([{"to": "v", "from": "v", "date": {"parse": "%d.%m.%Y %H:%M:%S", "timeZone": zone, "format": "UnixSeconds"}}]);
        prop_assert_eq!(map(spec, json!({"v": text})), Ok(json!({"v": expected})));
    }
}
