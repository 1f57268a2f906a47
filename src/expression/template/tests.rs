//! The rules of placeholders, by example.
//! Tests only.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn template(text: &str) -> Template {
    Template::parse(text, &NAMESPACES).unwrap()
}

#[test]
fn placeholders_are_filled_and_an_escape_stays_text() {
    let record = json!({"id": 7, "odd}|name": "x", "on": true});
    let scope = Scope {
        record: Some(&record),
        ..Scope::default()
    };
    for (text, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("a ${record.id} b ${record.on}", "a 7 b true"),
        ("$${record.id} $ $$ ${ record.id }", "${record.id} $ $$ 7"),
        (r#"${record["odd}|name"]}!"#, "x!"),
    ] {
        assert_eq!(template(text).render(&scope).unwrap(), expected, "{text}");
    }
    assert!(template("$${record.id}").is_literal());
}

#[test]
fn a_placeholder_that_is_the_whole_text_keeps_its_type() {
    let record = json!({"id": 7, "list": [1]});
    let scope = Scope {
        record: Some(&record),
        ..Scope::default()
    };
    let value = |text: &str| template(text).render_value(&scope).unwrap();
    assert_eq!(value("${record.id}"), json!(7));
    assert_eq!(value("${record.list}"), json!([1]));
    assert_eq!(value("${record}"), record);
    assert_eq!(value("n${record.id}"), json!("n7"));
    assert_eq!(value("${record.list | json}"), json!("[1]"));
}

#[test]
fn a_filter_quotes_a_value() {
    let matching = json!({"Name": r#"O'Hara "\"#});
    let scope = Scope {
        matching: Some(&matching),
        ..Scope::default()
    };
    let text = |text: &str| template(text).render(&scope).unwrap();
    assert_eq!(text("${match.Name | backslash}"), r#"O\'Hara \"\\"#);
    assert_eq!(text("${match.Name|doubled}"), r#"O''Hara "\"#);
    assert_eq!(text("${match.Name | json}"), r#""O'Hara \"\\""#);
    assert_eq!(text("${match.Name | urlencode}"), "O%27Hara%20%22%5C");
}

#[test]
fn in_a_url_every_value_is_encoded_and_none_changes_the_path() {
    let key = json!({"id": "a/b?c=ü", "n": 5, "empty": "", "up": "..", "fine": "..."});
    let scope = Scope {
        key: Some(&key),
        ..Scope::default()
    };
    let url = |text: &str| template(text).render_url(&scope);
    assert_eq!(
        url("/x/${key.id}?n=${key.n}").unwrap(),
        "/x/a%2Fb%3Fc%3D%C3%BC?n=5"
    );
    assert_eq!(
        url("/${key.id | urlencode}").unwrap(),
        "/a%2Fb%3Fc%3D%C3%BC"
    );
    assert_eq!(url("/${key.fine}").unwrap(), "/...");
    assert!(url("/${key.empty}").is_err());
    assert!(url("/${key.up}/x").is_err());
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let record = json!({"none": null, "list": []});
    let scope = Scope {
        record: Some(&record),
        ..Scope::default()
    };
    let problem = |text: &str| template(text).render(&scope).unwrap_err().problem;
    assert_eq!(problem("${record.a.b}!"), "${record.a.b} has no value");
    assert_eq!(problem("${record.none}!"), "${record.none} is null");
    assert!(problem("${record.list}!").contains("filter json"));
    assert!(problem("${parent.id}").contains("there is no parent here"));
    for (text, part) in [
        ("${nothing.x}", "known are: record, key"),
        ("${page.x}", "known are: record, key"),
        ("${}", "known are: record, key"),
        ("${record.x", "without }"),
        ("${record.}", "ends with a dot"),
        ("${record.x | shout}", "unknown filter \"shout\""),
        ("${record.x y}", "odd names"),
    ] {
        let error = Template::parse(text, &["record", "key"]).unwrap_err();
        assert!(error.problem.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_paths_of_a_namespace_come_once() {
    let made = template("${source.id}/${source.a.b}/${source.id}/${key.x}");
    let paths: Vec<_> = made
        .paths_of("source")
        .iter()
        .map(Path::to_string)
        .collect();
    assert_eq!(paths, ["id", "a.b"]);
    let again: Template = serde_json::from_value(json!(made)).unwrap();
    assert_eq!(again, made);
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>()) {
        let _ = Template::parse(&text, &NAMESPACES);
        let _ = Template::parse(&format!("${{record{text}}}"), &NAMESPACES);
    }

    #[test]
    fn text_without_a_dollar_is_itself(text in "[^$]{0,40}") {
        prop_assert_eq!(template(&text).render(&Scope::default()).unwrap(), text);
    }

    #[test]
    fn no_value_gets_out_of_its_place_in_a_url(
        value in prop_oneof![any::<String>(), "[a/.%?#&\\\\ {}$é]{0,8}"],
        template_text in prop::sample::select(vec![
            "/x/${key.id}/y?q=1", "/x/${key.id | urlencode}/y?q=1", "/x/${key.id | json}/y?q=1",
            "/x/${key.id | backslash}/y?q=1", "/x/${key.id | doubled}/y?q=1",
        ])
    ) {
        let key = json!({"id": value});
        let scope = Scope { key: Some(&key), ..Scope::default() };
        match template(template_text).render_url(&scope) {
            Err(_) => prop_assert!(["", ".", ".."].contains(&value.as_str())),
            Ok(url) => {
                let inside = url.strip_prefix("/x/").and_then(|u| u.strip_suffix("/y?q=1"));
                let inside = inside.ok_or_else(|| TestCaseError::fail(format!("{url} left its place")))?;
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._~%".contains(c);
                prop_assert!(!inside.is_empty() && inside.chars().all(plain), "{}", url);
                prop_assert!(![".", ".."].contains(&inside));
                if !template_text.contains('|') || template_text.contains("urlencode") {
                    let query = format!("v={inside}");
                    let back = url::form_urlencoded::parse(query.as_bytes()).next();
                    prop_assert_eq!(back.map(|(_, v)| v.into_owned()), Some(value));
                }
            }
        }
    }

    #[test]
    fn a_template_survives_its_text(
        parts in prop::collection::vec(prop::sample::select(vec![
            "${", "}", "$", "$${", "record", "key", ".", "a", "[0]", "[\"o }\"]", " | ", "json", "urlencode", "x", " ", "\"", "[", "]", "é",
        ]), 0..12)
    ) {
        if let Ok(made) = Template::parse(&parts.concat(), &NAMESPACES) {
            let again: Template = serde_json::from_value(json!(made)).unwrap();
            prop_assert_eq!(&again, &made);
            let record = json!({"a": ["x", {"o }": 1}]});
            let scope = Scope { record: Some(&record), ..Scope::default() };
            let _ = (made.render(&scope), made.render_url(&scope), made.render_value(&scope));
        }
    }
}
