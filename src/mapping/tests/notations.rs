//! Dates, numbers and names in the forms that real systems write them.
//! Tests only.

use serde_json::{Value, json};

use super::map;

/// What a field makes of a value: the target value, or the reason of the rejection.
fn one(option: &str, spec: &Value, given: Value) -> Result<Value, String> {
    let mapped = map(
        json!([{"to": "v", "from": "v", option: spec}]),
        json!({ "v": given }),
    );
    mapped.map(|record| record["v"].clone())
}

fn number(spec: &Value, given: Value) -> Result<Value, String> {
    one("number", spec, given)
}

fn date(spec: &Value, given: &str) -> Result<Value, String> {
    one("date", spec, given.into())
}

#[test]
fn groups_of_digits_stand_where_they_belong() {
    let bad = Err("v BadNumber".to_owned());
    let german = json!({"decimalSeparator": ",", "groupSeparator": ".", "format": "Text"});
    for (given, expected) in [
        ("1.234,56", Ok("1234.56")),
        ("-1.234.567,5", Ok("-1234567.5")),
        ("1234,56", Ok("1234.56")),
        ("12.34.567,5", Ok("1234567.5")),
        ("1.23", Err(())),
        ("1.2345", Err(())),
        (".123", Err(())),
        ("1..234", Err(())),
        ("1.234,5.6", Err(())),
        ("1.234,", Err(())),
        ("12.345.67,8", Err(())),
        ("1_000", Err(())),
        ("", Err(())),
        ("-", Err(())),
    ] {
        let expected = expected.map(Value::from).or(bad.clone());
        assert_eq!(number(&german, given.into()), expected, "{given}");
    }
    let indian = json!({"groupSeparator": ",", "format": "Text"});
    assert_eq!(
        number(&indian, json!("1,23,45,678.90")),
        Ok(json!("12345678.90"))
    );
    let french = json!({"decimalSeparator": ",", "groupSeparator": " ", "format": "Text"});
    for space in ['\u{20}', '\u{a0}', '\u{202f}'] {
        let text = format!("1{space}234{space}567,8");
        assert_eq!(number(&french, text.into()), Ok(json!("1234567.8")));
    }
    assert_eq!(number(&french, json!("1\n234")), bad);
}

#[test]
fn money_loses_no_digit_on_any_way() {
    let bad = Err("v BadNumber".to_owned());
    let units = |code: &str| json!({"format": "MinorUnits", "currencyCode": code});
    for (code, given, expected) in [
        ("JPY", json!("1200"), 1200),
        ("JPY", json!("-1200"), -1200),
        ("EUR", json!("-0.01"), -1),
        ("EUR", json!("0.10"), 10),
        ("KWD", json!("-1.001"), -1001),
        ("KWD", json!(0.125), 125),
        ("EUR", json!("92233720368547758.07"), i64::MAX),
        ("EUR", json!("1e3"), 100_000),
        ("EUR", json!("  12.30 "), 1230),
    ] {
        assert_eq!(
            number(&units(code), given.clone()),
            Ok(json!(expected)),
            "{given} {code}"
        );
    }
    for (code, given) in [
        ("JPY", json!("0.5")),
        ("EUR", json!("0.001")),
        ("EUR", json!(0.1 + 0.2)),
        ("EUR", json!("92233720368547758.08")),
        ("EUR", json!("1e30")),
        ("EUR", json!("1e-30")),
        ("EUR", json!("٣")),
        ("EUR", json!("12,30")),
        ("EUR", json!(true)),
        ("EUR", json!("NaN")),
    ] {
        assert_eq!(number(&units(code), given.clone()), bad, "{given} {code}");
    }
    // A double has no room for these cents: 99999999999999.99 would come out as …98.
    let record: Value = serde_json::from_str(r#"{"v": 99999999999999.99}"#).unwrap();
    assert_eq!(number(&units("EUR"), record["v"].clone()), bad);
    assert_eq!(
        number(&units("EUR"), json!("99999999999999.99")),
        Ok(json!(9_999_999_999_999_999_i64))
    );
    let record: Value = serde_json::from_str(r#"{"v": 35184372088832.29}"#).unwrap();
    assert_eq!(number(&units("EUR"), record["v"].clone()), bad);
    assert_eq!(number(&json!({"format": "Text"}), record["v"].clone()), bad);
    let back = json!({"parse": "MinorUnits", "currencyCode": "EUR"});
    assert_eq!(number(&back, json!(1230)), Ok(json!(12.3)));
    assert_eq!(number(&back, json!(9_999_999_999_999_999_i64)), bad);
    for (code, text) in [("JPY", "-1230"), ("EUR", "-12.30"), ("KWD", "-1.230")] {
        let spec = json!({"parse": "MinorUnits", "format": "Text", "currencyCode": code});
        assert_eq!(number(&spec, json!(-1230)), Ok(json!(text)));
    }
}

#[test]
fn a_copied_number_keeps_its_digits_or_is_rejected() {
    let copy = |text: &str| {
        let record = serde_json::from_str(&format!(r#"{{"v": {text}}}"#)).unwrap();
        map(json!([{"to": "v", "from": "v"}]), record).map(|r| r["v"].to_string())
    };
    for text in [
        "18446744073709551615",
        "-9223372036854775808",
        "0.1",
        "1e300",
        "52.520006599999997",
        "1e20",
    ] {
        let same: f64 = copy(text).unwrap().parse().unwrap();
        assert_eq!(same.to_string(), text.parse::<f64>().unwrap().to_string());
    }
    assert_eq!(
        copy("18446744073709551615").unwrap(),
        "18446744073709551615"
    );
    assert_eq!(copy("123456789012345678901234"), Err("v BadNumber".into()));
    assert_eq!(
        copy(r#"[{"id": 18446744073709551617}]"#),
        Err("v BadNumber".into())
    );
}

#[test]
fn a_day_does_not_move_with_the_time_zone() {
    let day = json!({"parse": "%d.%m.%Y", "orParse": ["RFC3339"], "format": "%Y-%m-%d",
        "timeZone": "Pacific/Kiritimati", "toTimeZone": "Pacific/Pago_Pago"});
    assert_eq!(date(&day, "01.07.2024"), Ok(json!("2024-07-01")));
    assert_eq!(date(&day, "2024-07-01"), Ok(json!("2024-07-01")));
    // A moment does.
    assert_eq!(date(&day, "2024-07-01T00:00:00Z"), Ok(json!("2024-06-30")));
    // A day that becomes a moment is its midnight in `timeZone`.
    let midnight = json!({"parse": "%Y-%m-%d", "timeZone": "Europe/Berlin", "toTimeZone": "UTC"});
    assert_eq!(
        date(&midnight, "2024-07-01"),
        Ok(json!("2024-06-30T22:00:00Z"))
    );
}

#[test]
fn a_clock_change_has_one_documented_answer() {
    let berlin =
        json!({"parse": "%Y-%m-%d %H:%M", "timeZone": "Europe/Berlin", "toTimeZone": "UTC"});
    for (local, utc) in [
        ("2024-03-31 01:59", "2024-03-31T00:59:00Z"),
        ("2024-03-31 02:30", "2024-03-31T01:30:00Z"),
        ("2024-03-31 03:00", "2024-03-31T01:00:00Z"),
        ("2024-10-27 02:30", "2024-10-27T00:30:00Z"),
        ("2024-10-27 03:00", "2024-10-27T02:00:00Z"),
    ] {
        assert_eq!(date(&berlin, local), Ok(json!(utc)), "{local}");
    }
    let shown = json!({"toTimeZone": "Europe/Berlin"});
    assert_eq!(
        date(&shown, "2024-10-27T01:30:00Z"),
        Ok(json!("2024-10-27T02:30:00+01:00"))
    );
}

#[test]
fn moments_are_read_in_every_notation() {
    let any = json!({"parse": "RFC3339", "orParse": ["UnixSeconds", "%a, %d %b %Y %H:%M:%S %z", "%m/%d/%Y %I:%M %p"]});
    for (text, expected) in [
        ("2024-02-29T12:00:00.5+02:00", Ok("2024-02-29T10:00:00.5Z")),
        ("2024-02-29 12:00:00", Ok("2024-02-29T12:00:00Z")),
        ("2024-02-29", Ok("2024-02-29T00:00:00Z")),
        ("1700000000", Ok("2023-11-14T22:13:20Z")),
        ("1700000000.25", Ok("2023-11-14T22:13:20.25Z")),
        ("-1", Ok("1969-12-31T23:59:59Z")),
        (
            "Thu, 29 Feb 2024 12:00:00 -0500",
            Ok("2024-02-29T17:00:00Z"),
        ),
        ("02/29/2024 11:30 PM", Ok("2024-02-29T23:30:00Z")),
        ("02/29/2023 11:30 PM", Err(())),
        ("2023-02-29", Err(())),
        ("99999999999999999999", Err(())),
        ("yesterday", Err(())),
    ] {
        let expected = expected
            .map(Value::from)
            .map_err(|()| "v BadDate".to_owned());
        assert_eq!(date(&any, text), expected, "{text}");
    }
}

#[test]
fn names_are_split_at_any_white_space_and_nowhere_else() {
    let last = json!([{"from": "n", "split": {"separator": " ", "into": ["first", "last"]}}]);
    for (name, first, rest) in [
        ("Ada King Lovelace", "Ada", "King Lovelace"),
        ("Sukarno", "Sukarno", ""),
        ("山田太郎", "山田太郎", ""),
        ("山田\u{3000}太郎", "山田", "太郎"),
        ("محمد بن سلمان", "محمد", "بن سلمان"),
        (
            "Zoe\u{308} \u{a0} O\u{2019}Hara",
            "Zoe\u{308}",
            "O\u{2019}Hara",
        ),
        ("\u{202b}דוד לוי\u{202c}", "\u{202b}דוד", "לוי\u{202c}"),
        ("Jean\u{2011}Luc Picard", "Jean\u{2011}Luc", "Picard"),
        (
            "\u{200b}\u{1F469}\u{200d}\u{1F52C} Ada",
            "\u{200b}\u{1F469}\u{200d}\u{1F52C}",
            "Ada",
        ),
    ] {
        let expected = Ok(json!({"first": first, "last": rest}));
        assert_eq!(map(last.clone(), json!({ "n": name })), expected, "{name}");
    }
}
