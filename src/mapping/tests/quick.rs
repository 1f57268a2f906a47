//! The quick way to map a record gives the bytes of the usual way, or leaves the record to it.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::mapping;
use crate::expression::Fields;
use crate::mapping::{Links, Mapped, Mapping};

/// The quick way and the usual way, as bytes; the quick way may leave a record to the usual one.
fn both_ways(mapping: &Mapping, record: &str) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let quick =
        Fields::of(&record.to_owned().into()).and_then(|r| mapping.apply_text(&r, &Links::new()));
    let value: Value = serde_json::from_str(record).unwrap();
    let usual = match mapping.apply(&value, &Links::new()) {
        Mapped::Record(map) => Some(serde_json::to_vec(&map).unwrap()),
        Mapped::Rejected(_) | Mapped::Waiting(_) => None,
    };
    (quick, usual)
}

fn many_kinds() -> Value {
    json!([
        {"to": "z", "from": "id", "onMissing": "Reject"},
        {"to": "a.b", "from": "x.y"},
        {"to": "a.c", "from": "name", "text": {"case": "Upper"}},
        {"to": "a.d.e", "from": "x.z", "onMissing": "Null"},
        {"from": "name", "split": {"separator": " ", "into": ["first", "deep.last"], "onShort": "Empty"}},
        {"to": "all", "from": "x"},
        {"to": "n", "from": "n", "onMissing": "Default", "default": 7},
        {"to": "list", "from": "list[1].v"},
        {"to": "fixed", "value": {"k": [1]}},
    ])
}

#[test]
fn the_quick_way_writes_what_the_usual_way_writes() {
    for record in [
        r#"{"id":1,"x":{"y":"é \u00e9","z":null},"name":"Ada King","n":1.50,"list":[0,{"v":true}]}"#,
        r#"{ "id" : "a\/b" , "x" : { "y" : -0, "w": 1e3 } , "name" : "One" , "n" : 12345678901234567890 }"#,
        r#"{"id":12345678901234567,"x":{"y":{"q": 1, "p": 2}},"name":"A B","x":{"z":2}}"#,
        r#"{"id":false,"x":5,"name":"A B"}"#,
        r#"{"id":"1","name":"A  B C","n":null}"#,
    ] {
        let (quick, usual) = both_ways(&mapping(many_kinds()), record);
        let text = |b: Option<Vec<u8>>| b.map(|b| String::from_utf8(b).unwrap());
        assert_eq!(text(quick), text(usual), "{record}");
    }
    for record in [r#"{"name":"no id"}"#, r#"{"id":1,"name":7}"#] {
        assert_eq!(
            both_ways(&mapping(many_kinds()), record),
            (None, None),
            "{record}"
        );
    }
}

/// A field of each kind that has a quick way, with the options that take it away.
fn quick_kinds() -> Value {
    let names = |into: [&str; 2], more: Value| {
        let mut split = json!({"separator": " ", "into": into});
        split
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"from": "name", "split": split})
    };
    let pairs = json!([{"from": "new", "to": {"k": 1}}, {"from": 7, "to": "seven"}, {"from": true, "to": null}]);
    let money = json!({"format": "MinorUnits", "currency": "money.code"});
    json!([
        names(["n.first", "n.last"], json!({"rest": "First"})),
        names(["n.one", "n.two"], json!({"onShort": "Omit"})),
        names(["n.none", "n.a"], json!({"onShort": "Empty", "separator": ", "})),
        {"to": "state.omit", "from": "state", "translate": pairs, "onUnmapped": "Omit"},
        {"to": "state.keep", "from": "state", "translate": pairs, "onUnmapped": "Keep", "text": {"trim": true}},
        {"to": "state.other", "from": "state", "translate": pairs, "onUnmapped": "Default", "default": ["?"], "onMissing": "Null"},
        {"to": "day", "from": "day", "date": {"parse": "%m/%d/%Y", "orParse": ["RFC3339"], "format": "%Y-%m-%d"}},
        {"to": "cents", "from": "money.amount", "number": money},
        {"to": "yen", "from": "money.amount", "onMissing": "Default", "default": 0, "number": {"format": "Text"}},
        {"to": "plain", "from": "plain", "text": {"trim": true}, "onMissing": "Null"},
        {"to": "list[1].plain", "from": "plain"},
        {"to": "list[0]", "from": "deep.a.b.c.d.e.f"},
    ])
}

/// A value as it should be, mostly; else one of any kind.
fn value(usual: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = Value> {
    let odd = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
        Just(json!([1.50, {"a": "b"}])),
    ];
    prop_oneof![6 => usual.prop_map(Value::from), 1 => odd]
}

fn record() -> impl Strategy<Value = Value> {
    (
        value(r"[A-Za-zé]{0,4}[ \u{a0}]{0,2}[a-zß,]{0,4}[ \u{3000}]?, ?[a-z]{0,4}"),
        value("new|7|old"),
        value("0?[1-9]/[0-3][0-9]/[0-9]{4}| ?[01][0-9]/[0-3][0-9]/[0-9]{4} |2024-[01][0-9]-11T10:00:00Z"),
        value(r"-?[0-9]{0,19}\.?[0-9]{0,4}| ?[1-9]{1,3}\.[0-9]{2}|1e3"),
        value("EUR|eur|JPY|KWD| CLF|EURO|"),
        value(" ?[a-z]{0,3} ?"),
        any::<bool>(),
    )
        .prop_map(|(name, state, day, amount, code, plain, deep)| {
            let deep = if deep { json!({"b": {"c": {"d": {"e": {"f": code, "g": 1}}}}}) } else { json!(1) };
            json!({
                "name": name, "state": state, "day": day, "plain": plain, "other": [name],
                "money": {"amount": amount, "code": code}, "deep": {"a": deep},
            })
        })
}

/// One field at a time, so that no other one takes the record away from it; and all of them.
static MAPPINGS: LazyLock<Vec<Mapping>> = LazyLock::new(|| {
    let inside = json!({"format": "MinorUnits", "currency": "money.code[0]"});
    let never = json!({"to": "cents", "from": "money.amount", "number": inside});
    let kinds = quick_kinds();
    let each = kinds.as_array().unwrap().iter().chain([&never]);
    let each = each.map(|field| json!([field])).collect::<Vec<_>>();
    each.into_iter().chain([kinds]).map(mapping).collect()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn each_quick_way_writes_what_the_usual_way_writes(record in record(), escaped: bool, leave_out in 0..9_usize) {
        let mut record = record;
        if let Some(name) = record.as_object().unwrap().keys().nth(leave_out).cloned() {
            record.as_object_mut().unwrap().remove(&name);
        }
        let text = record.to_string();
        let text = if escaped { text.replace('e', r"\u0065") } else { text };
        prop_assume!(serde_json::from_str::<Value>(&text).is_ok());
        for mapping in MAPPINGS.iter() {
            let (quick, usual) = both_ways(mapping, &text);
            prop_assert!(quick.is_none() || quick == usual, "{text}: {:?} {:?}",
                quick.map(String::from_utf8), usual.map(String::from_utf8));
        }
    }
}

#[test]
fn what_is_as_it_should_be_is_mapped_quickly() {
    let record = r#"{"name":"Ada King","state":"new","day":"11/25/2024","money":{"amount":"12.3","code":"eur"},"plain":"x","deep":{"a":{"b":{"c":{"d":{"e":{"f":"\u0065"}}}}}}}"#;
    let (quick, usual) = both_ways(&mapping(quick_kinds()), record);
    assert_eq!(quick, usual);
    let expected = r#"{"cents":1230,"day":"2024-11-25","list":["e",{"plain":"x"}],"n":{"a":"","first":"Ada","last":"King","none":"Ada King","one":"Ada","two":"King"},"plain":"x","state":{"keep":{"k":1},"omit":{"k":1},"other":{"k":1}},"yen":"12.3"}"#;
    assert_eq!(String::from_utf8(quick.unwrap()).unwrap(), expected);
}
