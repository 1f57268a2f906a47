//! docs/dead-letters.md knows every reason of the code, and so does `deadletters show`.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use syncline::cli::dead_letter_reasons;

use crate::generated::expect_file;

const START: &str = "<!-- reasons: generated from src/cli/deadletters/reason.rs -->\n";
const END: &str = "<!-- end of reasons -->";

/// Why a record waits, which is no dead letter.
const PASSING: [&str; 6] = [
    "Held",
    "Waiting",
    "MatchInDoubt",
    "NotSent",
    "Promoted",
    "Unanswered",
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_page_lists_the_reasons_of_the_code() {
    let page = path("docs/dead-letters.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(START).expect("the page marks its reasons");
    let (_, after) = rest
        .split_once(END)
        .expect("the page marks the end of its reasons");
    let wanted = format!("{before}{START}{}{END}{after}", dead_letter_reasons());
    expect_file(&page, &wanted).unwrap_or_else(|message| panic!("{message}"));
}

/// The sources of a room, without its tests.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_reason_that_the_code_gives_is_explained() {
    let mut code = String::new();
    for room in ["src/worker", "src/pipeline", "src/mapping"] {
        sources(&path(room), &mut code);
    }
    let known = dead_letter_reasons();
    let mut count = 0;
    for pattern in [
        r#"Dead\("(\w+)"\)"#,
        r#"Outcome::dead\(\s*id,\s*"(\w+)""#,
        r#"reason(?: =|:) "([A-Z]\w+)""#,
        r#"\breject\(\s*"(\w+)""#,
        r#"\bdetail\("([A-Z]\w+)"\)"#,
    ] {
        for found in Regex::new(pattern).unwrap().captures_iter(&code) {
            let reason = &found[1];
            let explained = known.contains(&format!("| {reason} |"));
            assert!(
                explained || PASSING.contains(&reason),
                "{reason} is not explained"
            );
            count += 1;
        }
    }
    assert!(count > 25, "the patterns find nothing any more: {count}");
}
