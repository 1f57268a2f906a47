//! The rules of mapping, by example and by property.

mod laws;
mod notations;
mod problems;
mod quick;

use serde_json::{Value, json};

use super::{Links, Mapped, Mapping};
use crate::record::{Key, LookupKey, TargetId};

fn mapping(fields: Value) -> Mapping {
    Mapping::compile(&serde_json::from_value(json!({ "fields": fields })).unwrap()).unwrap()
}

fn map(fields: Value, record: Value) -> Result<Value, String> {
    match mapping(fields).apply(&record, &Links::new()) {
        Mapped::Record(map) => Ok(Value::Object(map)),
        Mapped::Rejected(r) => Err(format!("{} {}", r.field, r.reason)),
        Mapped::Waiting(lookup) => Err(format!("waits {} {}", lookup.lookup, lookup.key)),
    }
}

#[test]
fn money_is_never_a_floating_point_number() {
    let cents = json!([{"to": "cents", "from": "total", "number": {"format": "MinorUnits", "currency": "cur"}}]);
    for (total, currency, expected) in [
        (json!("12.30"), "USD", Ok(json!({"cents": 1230}))),
        (json!(12.3), "USD", Ok(json!({"cents": 1230}))),
        (json!(0.29), "USD", Ok(json!({"cents": 29}))),
        (json!(4.35), "EUR", Ok(json!({"cents": 435}))),
        (json!("-19.99"), "eur", Ok(json!({"cents": -1999}))),
        (json!(12), "JPY", Ok(json!({"cents": 12}))),
        (json!("1.234"), "KWD", Ok(json!({"cents": 1234}))),
        (json!("12.345"), "USD", Err("cents BadNumber".to_owned())),
        (json!("12.5"), "JPY", Err("cents BadNumber".to_owned())),
        (
            json!("9".repeat(40)),
            "USD",
            Err("cents BadNumber".to_owned()),
        ),
        (json!("twelve"), "USD", Err("cents BadNumber".to_owned())),
        (json!("12"), "US", Err("cents BadNumber".to_owned())),
    ] {
        assert_eq!(
            map(cents.clone(), json!({"total": total, "cur": currency})),
            expected,
            "{total} {currency}"
        );
    }
    let text = json!([{"to": "t", "from": "c", "number": {"parse": "MinorUnits", "format": "Text", "currencyCode": "USD"}}]);
    assert_eq!(map(text, json!({"c": 1230})), Ok(json!({"t": "12.30"})));
    let german = json!([{"to": "n", "from": "n", "number": {"decimalSeparator": ",", "groupSeparator": "."}}]);
    assert_eq!(
        map(german, json!({"n": "1.234,56"})),
        Ok(json!({"n": 1234.56}))
    );
}

#[test]
fn names_are_split_in_any_script() {
    let names = json!([{"from": "n", "split": {"separator": " ", "into": ["first", "last"]}}]);
    for (name, first, last) in [
        ("Ada King Lovelace", "Ada", "King Lovelace"),
        ("Nemo", "Nemo", ""),
        ("  María \u{a0} José ", "María", "José"),
        ("山田\u{3000}太郎", "山田", "太郎"),
        ("", "", ""),
    ] {
        assert_eq!(
            map(names.clone(), json!({ "n": name })),
            Ok(json!({"first": first, "last": last})),
            "{name}"
        );
    }
    let first = json!([{"from": "n", "split": {"separator": " ", "into": ["given", "family"], "rest": "First"}}]);
    assert_eq!(
        map(first, json!({"n": "Ada King Lovelace"})),
        Ok(json!({"given": "Ada King", "family": "Lovelace"}))
    );
}

#[test]
fn dates_change_their_notation_and_impossible_ones_are_rejected() {
    let us = json!([{"to": "d", "from": "d", "date": {"parse": "%m/%d/%Y", "format": "%Y-%m-%d"}}]);
    assert_eq!(
        map(us.clone(), json!({"d": "12/10/1815"})),
        Ok(json!({"d": "1815-12-10"}))
    );
    for bad in ["02/30/2024", "13/01/2024", "2024-01-01", "", "12/10"] {
        assert_eq!(
            map(us.clone(), json!({ "d": bad })),
            Err("d BadDate".to_owned()),
            "{bad}"
        );
    }
    let berlin = json!([{"to": "d", "from": "d",
        "date": {"parse": "%Y-%m-%d %H:%M", "timeZone": "Europe/Berlin", "toTimeZone": "UTC"}}]);
    assert_eq!(
        map(berlin.clone(), json!({"d": "2024-07-01 12:00"})),
        Ok(json!({"d": "2024-07-01T10:00:00Z"}))
    );
    assert_eq!(
        map(berlin, json!({"d": "2024-03-31 02:30"})),
        Ok(json!({"d": "2024-03-31T01:30:00Z"}))
    );
    let unix =
        json!([{"to": "d", "from": "d", "date": {"parse": "UnixMillis", "format": "UnixSeconds"}}]);
    assert_eq!(
        map(unix, json!({"d": 1_700_000_000_123_i64})),
        Ok(json!({"d": 1_700_000_000}))
    );
}

#[test]
fn missing_unmapped_and_unlinked_each_have_their_answer() {
    let record = json!({"email": null, "status": "odd", "company": 7});
    for (field, expected) in [
        (json!({"to": "e", "from": "email"}), Ok(json!({}))),
        (
            json!({"to": "e", "from": "email", "onMissing": "Null"}),
            Ok(json!({"e": null})),
        ),
        (
            json!({"to": "e", "from": "email", "onMissing": "Default", "default": "-"}),
            Ok(json!({"e": "-"})),
        ),
        (
            json!({"to": "e", "from": "email", "onMissing": "Reject"}),
            Err("e Missing".to_owned()),
        ),
        (
            json!({"to": "s", "from": "status", "translate": [{"from": "a", "to": "b"}]}),
            Err("s Unmapped".to_owned()),
        ),
        (
            json!({"to": "s", "from": "status", "translate": [{"from": "a", "to": "b"}], "onUnmapped": "Keep"}),
            Ok(json!({"s": "odd"})),
        ),
        (
            json!({"to": "c", "from": "company", "lookup": "co"}),
            Err("waits co 7".to_owned()),
        ),
        (
            json!({"to": "c", "from": "company", "lookup": "co", "onUnlinked": "Omit"}),
            Ok(json!({})),
        ),
    ] {
        assert_eq!(map(json!([field]), record.clone()), expected, "{field}");
    }
}

#[test]
fn a_lookup_keeps_the_type_of_the_targets_id() {
    let mapping = mapping(json!([{"to": "c", "from": "company", "lookup": "co"}]));
    let mut wanted = Vec::new();
    mapping.lookups(&json!({"company": 7}), &mut wanted);
    let key = LookupKey {
        lookup: "co".into(),
        key: Key::from_text("7"),
    };
    assert_eq!(wanted, std::slice::from_ref(&key));
    let links = Links::from([(key, TargetId::from_value(&json!(17)).unwrap())]);
    let Mapped::Record(mapped) = mapping.apply(&json!({"company": "7"}), &links) else {
        panic!("not mapped")
    };
    assert_eq!(Value::Object(mapped), json!({"c": 17}));
}

#[test]
fn items_of_a_list_are_mapped_and_a_rejection_names_the_item() {
    let lines = json!([{"to": "lines", "from": "items", "each": [
        {"to": "sku", "from": "id", "onMissing": "Reject"}, {"to": "a.qty", "from": "n"}]}]);
    assert_eq!(
        map(lines.clone(), json!({"items": [{"id": "x", "n": 2}]})),
        Ok(json!({"lines": [{"sku": "x", "a": {"qty": 2}}]}))
    );
    assert_eq!(
        map(lines, json!({"items": [{"id": "x"}, {}]})),
        Err("lines[1].sku Missing".to_owned())
    );
}

#[test]
fn what_is_wrong_is_named_by_its_place() {
    for (fields, place) in [
        (json!([{"to": "a"}]), "spec.fields[0]"),
        (
            json!([{"to": "a", "from": "b", "value": 1}]),
            "spec.fields[0]",
        ),
        (
            json!([{"to": "a", "from": "b"}, {"to": "a", "from": "c"}]),
            "spec.fields[1].to",
        ),
        (json!([{"to": "a", "expr": "rec.x"}]), "spec.fields[0].expr"),
        (
            json!([{"to": "a", "from": "b", "date": {"timeZone": "Mars/Base"}}]),
            "spec.fields[0].date.timeZone",
        ),
        (
            json!([{"to": "a", "from": "b", "number": {"format": "MinorUnits"}}]),
            "spec.fields[0].number",
        ),
        (
            json!([{"to": "a", "from": "b", "each": [{"to": "c", "from": "d[", "onMissing": "Omit"}]}]),
            "spec.fields[0].each[0].from",
        ),
    ] {
        let spec = serde_json::from_value(json!({ "fields": fields })).unwrap();
        let problems = Mapping::compile(&spec).unwrap_err();
        assert_eq!(problems[0].field, place, "{problems:?}");
    }
}

#[test]
fn a_record_that_will_be_rejected_does_not_wait_first() {
    let fields = json!([
        {"to": "company", "from": "c", "lookup": "companies"},
        {"to": "lines", "from": "l", "each": [{"to": "sku", "from": "s", "lookup": "items"}, {"to": "n", "from": "n", "onMissing": "Reject"}]},
        {"to": "email", "from": "e", "onMissing": "Reject"},
    ]);
    let line = json!([{"s": 1}, {"s": 2}]);
    let map = |record: Value| map(fields.clone(), record);
    assert_eq!(map(json!({"c": 1})), Err("email Missing".into()));
    assert_eq!(
        map(json!({"c": 1, "l": line, "e": "x"})),
        Err("lines[0].n Missing".into())
    );
    assert_eq!(
        map(json!({"c": 1, "e": "x"})),
        Err("waits companies 1".into())
    );
    assert_eq!(
        map(json!({"c": [1, {}], "e": "x"})),
        Err("company BadKey".into())
    );
}

#[test]
fn join_takes_texts_and_refuses_lists() {
    let fields = json!([{"to": "j", "join": {"from": ["a", "b", "c"], "separator": ", "}}]);
    let map = |record: Value| map(fields.clone(), record);
    assert_eq!(
        map(json!({"a": "x", "b": null, "c": 3})),
        Ok(json!({"j": "x, 3"}))
    );
    assert_eq!(map(json!({"b": null})), Ok(json!({})));
    assert_eq!(map(json!({"a": "x", "b": ["y"]})), Err("j BadText".into()));
    assert_eq!(map(json!({"a": "x", "b": {}})), Err("j BadText".into()));
}
