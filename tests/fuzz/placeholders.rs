//! Templates: what parses prints and parses the same, and no value of a record leads to another URL.

use serde_json::{Value, json};
use syncline::expression::{Scope, Template};

use crate::fuzz::{damaged_text, run};
use crate::json;

const EXAMPLES: [&str; 7] = [
    "/contacts/${key.id}",
    "/a/${source.data.id}/b/${match.type | backslash}?x=1",
    "select * from x where name = '${match.a | doubled}'",
    "${record.a | json}",
    r#"${source["odd name"]}"#,
    "$${literally} ${settings.b}",
    "${page.c | urlencode}-${cursor.a}${parent.b}",
];

const PIECES: [&str; 18] = [
    "${",
    "}",
    "$${",
    "$",
    "|",
    " | json",
    " | doubled",
    "${key.id}",
    "${record}",
    ".",
    "..",
    "/",
    "?",
    "#",
    "%2F",
    "\"",
    "[\"}\"]",
    "\\",
];

fn parse(text: &str) -> Option<Template> {
    serde_json::from_value(text.into()).ok()
}

#[test]
fn what_parses_prints_the_same_and_keeps_its_place_in_a_url() {
    run("placeholders", 20_000, 1, |random| {
        let text = damaged_text(random, &EXAMPLES, &PIECES);
        let Some(template) = parse(&text) else {
            return;
        };
        let printed = serde_json::to_value(&template).expect("a template is text");
        assert_eq!(printed, json!(text));
        let again: Template = serde_json::from_value(printed).expect("it parsed before");
        assert_eq!(again, template);
        let value = json::any(random, 3);
        let other = json!({"a": "x", "b": "x", "c": "x", "id": "x", "type": "x", "odd name": "x", "data": {"id": "x"}});
        let rendered = [&value, &other].map(|value| template.render_url(&all(value)).ok());
        if let [Some(one), Some(two)] = &rendered {
            // Only the literal parts have what divides a URL.
            for divider in ['/', '?', '#', '&', '=', ':', '@', '\\', ' '] {
                let count = |url: &String| url.matches(divider).count();
                assert_eq!(count(one), count(two), "{text:?}: {one:?} and {two:?}");
            }
        }
        // Whatever comes of it.
        let _ = template.render(&all(&value));
        let _ = template.render_value(&all(&value));
    });
}

/// Every namespace holds this.
fn all(value: &Value) -> Scope<'_> {
    Scope {
        settings: Some(value),
        key: Some(value),
        record: Some(value),
        source: Some(value),
        matching: Some(value),
        current: Some(value),
        cursor: Some(value),
        page: Some(value),
        parent: Some(value),
    }
}
