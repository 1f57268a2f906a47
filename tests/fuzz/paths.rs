//! Paths: what parses prints and parses the same, and walks through any JSON.

use serde_json::json;
use syncline::expression::Path;

use crate::fuzz::{damaged_text, run};
use crate::json;

const EXAMPLES: [&str; 8] = [
    "a.b[0].c",
    r#"a["odd name"].b"#,
    "['id'].data[3]",
    r#"["\u00e9\n"][""]"#,
    ".",
    "",
    "straße.x-y",
    "data[0][1][2].type",
];

const PIECES: [&str; 14] = [
    ".", "[", "]", "\"", "'", "[0]", "[10000]", "[00]", "[\"", "\"]", "\\u0000", "\\", " ", "$",
];

#[test]
fn what_parses_prints_and_parses_the_same_and_reads_any_json() {
    run("paths", 20_000, 1, |random| {
        let text = damaged_text(random, &EXAMPLES, &PIECES);
        let Ok(path) = Path::parse(&text) else {
            return;
        };
        assert_eq!(
            Path::parse(&path.to_string()).as_ref(),
            Ok(&path),
            "{text:?}"
        );
        let mut record = json::any(random, 4);
        let known = path.get(&record).cloned();
        let before = record.clone();
        match path.set(&mut record, json!("new")) {
            Ok(()) => assert_eq!(
                path.get(&record),
                Some(&json!("new")),
                "{text:?} in {before}"
            ),
            // It could not be read either.
            Err(_) => assert_eq!(known, None, "{text:?} in {before}"),
        }
    });
}
