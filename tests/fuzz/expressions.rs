//! The guard around CEL: whatever is written, compiling and evaluating end, without a panic, after bounded work.

use syncline::expression::Expression;

use crate::fuzz::{damaged_text, run};
use crate::json;

const EXAMPLES: [&str; 14] = [
    r#"record.type.startsWith("customer.")"#,
    r#"has(record.data) && record.data.id > 10 ? "vip" : "standard""#,
    "record.a.map(x, x + x).filter(x, x != record.b)",
    "record.a.all(x, record.b.exists(y, y == x))",
    "duration(record.a) + duration('1h')",
    "timestamp(record.b) < timestamp('2026-01-01T00:00:00Z')",
    "record.a.matches('^(a|b)*c$')",
    "string(record.a) + record.b[0]",
    r#"{"a": record.a, "b": [1, 2.5, null, b"x"]}"#,
    "size(record.a) * size(record.b) + 9223372036854775807",
    "record.a.split(',').join(';').replace('a', 'bbbbbbbbbb')",
    "record['odd name'] in ['a', 'b']",
    "int(record.a) / int(record.b) % 7",
    "!(record.a == null || record.b != 1u)",
];

const PIECES: [&str; 30] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".map(x, ",
    ".filter(x, ",
    ".all(x, x",
    "record",
    ".a",
    " + ",
    " / ",
    " % ",
    "0",
    "-9223372036854775808",
    "1e308",
    "\"",
    "'",
    "\\u",
    "r'''",
    "b\"",
    "? ",
    " : ",
    "&& ",
    "!",
    "matches(",
    "((((((((((((((((((((((((((",
    "has(",
    "..",
];

#[test]
fn whatever_is_written_compiling_and_evaluating_end() {
    // The parser has a thread of its own for each text.
    run("expressions", 2_000, 10, |random| {
        let text = damaged_text(random, &EXAMPLES, &PIECES);
        let Ok(expression) = Expression::compile(&text, &["record"]) else {
            return;
        };
        assert_eq!(expression.source(), text);
        let record = json::any(random, 4);
        let variables = [("record", &record)];
        let (one, two) = (
            expression.evaluate(&variables),
            expression.evaluate(&variables),
        );
        assert_eq!(one, two, "{text:?} of {record}");
        assert_eq!(
            expression.test(&variables).ok(),
            one.ok().and_then(|value| value.as_bool())
        );
    });
}
