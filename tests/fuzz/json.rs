//! Any JSON, for what reads records. Used by the targets.

use serde_json::{Map, Value};

use crate::fuzz::Random;

/// Names and texts that mean something to the examples, and some that are odd.
const WORDS: [&str; 16] = [
    "a",
    "b",
    "c",
    "id",
    "data",
    "type",
    "odd name",
    "",
    "customer.changed",
    "../x",
    "'\"\\",
    "é\u{202e}",
    "2026-02-30T25:61:00Z",
    "-0",
    "9223372036854775808",
    "${record.a}",
];

/// Nested at most `depth` deep.
pub fn any(random: &mut Random, depth: usize) -> Value {
    let kinds = if depth == 0 { 6 } else { 9 };
    match random.below(kinds) {
        0 => Value::Null,
        1 => random.once_in(2).into(),
        2 => (random.next() as i64).into(),
        3 => f64::from_bits(random.next()).into(),
        4 => (random.below(20) as u64).into(),
        5 => (*random.pick(&WORDS)).into(),
        6 => (0..random.below(4))
            .map(|_| any(random, depth - 1))
            .collect(),
        _ => {
            let mut map = Map::new();
            for _ in 0..random.below(5) {
                let name = (*random.pick(&WORDS)).to_owned();
                map.insert(name, any(random, depth - 1));
            }
            Value::Object(map)
        }
    }
}
