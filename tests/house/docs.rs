//! The examples of docs/mapping.md: each is the spec of a Mapping, whose tests pass; and that of docs/changes.md.

use std::process::Command;
use std::{fs, path::Path};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mapping.md");

/// The YAML blocks of a page.
fn examples(page: &str) -> Vec<&str> {
    page.split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

fn manifest(index: usize, spec: &str) -> String {
    let indented: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: syncline.dev/v1alpha1\nkind: Mapping\nmetadata: {{name: example-{index}}}\nspec:\n{indented}"
    )
}

fn validate(folder: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_syncline"))
        .args(["validate", "-f"])
        .arg(folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (
        output.status.success(),
        text + &String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn every_example_of_the_mapping_page_does_what_it_says() {
    let page = fs::read_to_string(PAGE).unwrap();
    let examples = examples(&page);
    assert!(examples.len() >= 10, "the examples are gone");
    let folder = tempfile::tempdir().unwrap();
    for (index, spec) in examples.iter().enumerate() {
        assert!(spec.contains("tests:"), "example {index} shows nothing");
        let file = folder.path().join(format!("{index}.yaml"));
        fs::write(file, manifest(index, spec)).unwrap();
    }
    let (valid, said) = validate(folder.path());
    assert!(valid, "{said}");
}

#[test]
fn an_example_that_is_wrong_is_found() {
    let page = fs::read_to_string(PAGE).unwrap();
    let wrong = examples(&page)[0].replace("total_cents: 1230", "total_cents: 1231");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("wrong.yaml"), manifest(0, &wrong)).unwrap();
    let (valid, said) = validate(folder.path());
    assert!(!valid);
    assert!(
        said.contains("total_cents: expected 1231, got 1230"),
        "{said}"
    );
}

#[test]
fn the_example_of_a_feed_of_changes_is_right() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/changes.md");
    let page = fs::read_to_string(page).unwrap();
    let head = "apiVersion: syncline.dev/v1alpha1\nkind: Connection\nmetadata: {name: shop}\n";
    let system = "  http: {baseURL: \"https://shop.example.com\"}\n  auth: {none: {}}\n";
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{head}{}{system}", examples(&page)[0]);
    fs::write(folder.path().join("shop.yaml"), text).unwrap();
    let (valid, said) = validate(folder.path());
    assert!(valid, "{said}");
}
