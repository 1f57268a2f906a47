//! docs/observability.md knows the metrics of the code and the alerts of the chart, and the alerts ask for
//! metrics that there are.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use syncline::telemetry::reference;

use crate::generated::expect_file;

const START: &str = "<!-- metrics: generated from src/telemetry/table.rs -->\n";
const END: &str = "<!-- end of metrics -->";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn alerts() -> String {
    fs::read_to_string(path("charts/syncline/files/alerts.yaml")).unwrap()
}

#[test]
fn the_page_lists_the_metrics_of_the_code() {
    let page = path("docs/observability.md");
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(START).expect("the page marks its metrics");
    let (_, after) = rest
        .split_once(END)
        .expect("the page marks the end of its metrics");
    let wanted = format!("{before}{START}{}{END}{after}", reference());
    expect_file(&page, &wanted).unwrap_or_else(|message| panic!("{message}"));
}

#[test]
fn the_page_says_what_to_do_about_each_alert() {
    let page = fs::read_to_string(path("docs/observability.md")).unwrap();
    let names = Regex::new(r"- alert: (\w+)").unwrap();
    let alerts = alerts();
    let names: Vec<&str> = names
        .captures_iter(&alerts)
        .map(|c| c.get(1).unwrap().as_str())
        .collect();
    assert!(names.len() >= 6, "the alerts are gone");
    for name in names {
        assert!(page.contains(&format!("| {name} | ")), "{name} is missing");
    }
}

#[test]
fn alerts_and_page_name_metrics_that_there_are() {
    let known = reference();
    let page = fs::read_to_string(path("docs/observability.md")).unwrap();
    let name = Regex::new(r"\bsyncline_\w+").unwrap();
    for found in name.find_iter(&alerts()).chain(name.find_iter(&page)) {
        let listed = known.contains(&format!("| `{}` |", found.as_str()));
        assert!(listed, "{} is no metric", found.as_str());
    }
}

#[test]
fn the_page_lists_the_attributes_of_the_spans_of_the_code() {
    let code = fs::read_to_string(path("src/telemetry/spans.rs")).unwrap();
    let page = fs::read_to_string(path("docs/observability.md")).unwrap();
    let dotted = Regex::new(
        r#"\b(?:syncline|http|server|url)(?:\.[a-z_]+)+ =|"(?:syncline|error)[.][a-z.]+""#,
    )
    .unwrap();
    let found: Vec<&str> = dotted
        .find_iter(&code)
        .map(|found| found.as_str().trim_end_matches(" =").trim_matches('"'))
        .collect();
    assert!(found.len() > 20, "the attributes are gone: {found:?}");
    for name in found {
        assert!(page.contains(&format!("`{name}`")), "{name} is missing");
    }
}
