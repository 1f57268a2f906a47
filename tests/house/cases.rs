//! What `syncline validate` says about manifests: each folder of `tests/cases/validate` holds
//! `manifests/` and the output that belongs to it. `UPDATE=1` writes the outputs.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use super::generated::expect_file;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/validate");

/// Runs the program in a folder; its output and exit code, as a person sees them.
fn syncline(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.current_dir(folder).args(arguments);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("SYNCLINE_") {
            command.env_remove(name);
        }
    }
    let output = command.output().unwrap();
    format!(
        "{}{}exit {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap_or(-1)
    )
}

#[test]
fn every_mistake_is_named_with_its_place_and_what_to_do() {
    let mut cases: Vec<_> = fs::read_dir(CASES)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() > 15, "the cases are gone");
    let mut wrong = Vec::new();
    for case in cases {
        let found = syncline(&case, &["validate", "-f", "manifests"]);
        wrong.extend(expect_file(&case.join("expected.txt"), &found).err());
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
}

#[test]
fn problems_are_json_for_programs() {
    let folder = Path::new(CASES).join("unknown-field");
    let found = syncline(&folder, &["validate", "-f", "manifests", "-o", "json"]);
    let (json, exit) = found.rsplit_once("exit").unwrap();
    let report: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(exit.trim(), "1");
    assert_eq!(report["valid"], false);
    let problem = &report["problems"][0];
    assert_eq!(problem["file"], "manifests/sync.yaml");
    assert_eq!(problem["resource"], "Sync/customers");
    assert_eq!(problem["severity"], "Error");
    assert!(problem["line"].is_u64() && problem["column"].is_u64());
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = Path::new(CASES);
    for arguments in [&["validate"][..], &["validte"], &["crds", "--log", "a=b=c"]] {
        let found = syncline(folder, arguments);
        assert!(found.ends_with("exit 2\n"), "{arguments:?}: {found}");
    }
}

#[test]
fn the_crds_and_completions_are_printed() {
    let folder = Path::new(CASES);
    let crds = syncline(folder, &["crds"]);
    assert_eq!(crds.matches("kind: CustomResourceDefinition").count(), 3);
    assert_eq!(crds.matches("\n---\n").count(), 2);
    for shell in ["bash", "zsh", "fish"] {
        let script = syncline(folder, &["completions", shell]);
        assert!(
            script.contains("validate") && script.ends_with("exit 0\n"),
            "{shell}"
        );
    }
}
