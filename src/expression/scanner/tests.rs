//! The scanner says what serde_json says, of texts by hand and of any that were damaged.

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;

fn skips(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.value().is_ok() && scanner.end().is_ok()
}

/// Whether serde_json takes the text where it skips it.
fn ignores(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[test]
fn what_is_json_is_told_as_serde_json_tells_it() {
    let deep = "[".repeat(100_000);
    let closed = format!("{deep}{}", "]".repeat(100_000));
    for text in [
        "",
        " ",
        "1",
        "-",
        "-0",
        "01",
        "1.",
        "1.5e",
        "1.5e+",
        "1.5E-07",
        ".5",
        "1e5",
        "true",
        "tru",
        "trueish",
        "nul",
        "null",
        "[]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1",
        "]",
        "{}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r#"{"a":1]"#,
        r#"[1}"#,
        r#"{"a" : {"b":[ ]} , "c":[{}]}"#,
        "\"a",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\u123""#,
        r#""\ud800""#,
        r#""\"\\\/\b\f\n\r\tä""#,
        "\"a\tb\"",
        "\"12345678\t\"",
        "\"\u{7f}\u{80}\u{2028}\"",
        "1 1",
        "{\"a\":1}x",
        &deep,
        &closed,
        "\u{feff}1",
        "+1",
        "Infinity",
        "'a'",
    ] {
        assert_eq!(skips(text.as_bytes()), ignores(text), "{text:.40}");
    }
}

#[test]
fn names_and_items_are_met_in_their_order() {
    let text = br#" { "a" : [ 1 , {"x": [2]}, "]" ] , "\u0062" : {} , "c":{"d" :"}"}}"#;
    let mut scanner = Scanner::new(text);
    scanner.enter().unwrap();
    assert_eq!(scanner.name().unwrap().as_deref(), Some(&b"a"[..]));
    scanner.enter().unwrap();
    let mut items = Vec::new();
    while scanner.item().unwrap() {
        items.push(std::str::from_utf8(scanner.value().unwrap()).unwrap());
    }
    assert_eq!(items, ["1", r#"{"x": [2]}"#, r#""]""#]);
    assert_eq!(scanner.name().unwrap().as_deref(), Some(&b"b"[..]));
    assert_eq!(scanner.value().unwrap(), b"{}");
    assert_eq!(scanner.name().unwrap().as_deref(), Some(&b"c"[..]));
    scanner.enter().unwrap();
    assert_eq!(scanner.name().unwrap().as_deref(), Some(&b"d"[..]));
    assert_eq!(scanner.value().unwrap(), br#""}""#);
    assert_eq!(scanner.name().unwrap(), None);
    assert_eq!(scanner.name().unwrap(), None);
    scanner.end().unwrap();
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".{0,12}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_told_as_serde_json_tells_it(
        value in json(),
        pretty: bool,
        cut in any::<prop::sample::Index>(),
        with in prop::sample::select(vec!["", "\"", "\\", "{", "}", "[", "]", ",", ":", "0", ".", "e", "\u{1}", "ä"]),
    ) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert!(skips(text.as_bytes()));
        // One character is lost, and another one comes in.
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[cut.index(places.len())];
        let mut damaged = text.clone();
        damaged.remove(at);
        damaged.insert_str(at, with);
        prop_assert_eq!(skips(damaged.as_bytes()), ignores(&damaged), "{}", damaged);
    }
}
