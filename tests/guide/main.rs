//! docs/guide.md as a reader follows it: its manifests are written where it says, its commands are typed in its
//! order against the demo's systems, and every line that it shows of their output is there.

#[path = "../support/systems.rs"]
mod systems;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use systems::System;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide.md");

/// What a reader does, in the order of the page.
#[derive(Debug)]
enum Step {
    Write { file: String, text: String },
    Type { command: String, shows: Vec<String> },
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut file = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix('`').and_then(|l| l.strip_suffix('`')) {
            file = Some(name.to_owned());
        }
        let Some(kind) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
        match kind {
            "yaml" => steps.push(Step::Write {
                file: file.take().expect("a manifest says which file it is"),
                text: block.join("\n") + "\n",
            }),
            "console" => {
                for line in block {
                    match (line.strip_prefix("$ "), steps.last_mut()) {
                        (Some(command), _) => steps.push(Step::Type {
                            command: command.to_owned(),
                            shows: Vec::new(),
                        }),
                        (None, Some(Step::Type { shows, .. })) => shows.push(line.to_owned()),
                        (None, _) => panic!("output without a command: {line}"),
                    }
                }
            }
            _ => {}
        }
    }
    steps
}

/// Runs a command and gives its status and all that it said.
fn run(command: &str, folder: &Path, variables: &BTreeMap<String, String>) -> (i32, String) {
    let arguments = command
        .strip_prefix("syncline ")
        .unwrap_or_else(|| panic!("{command}: not a command of ours"));
    let output = Command::new(env!("CARGO_BIN_EXE_syncline"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .envs(variables)
        .stdin(Stdio::null())
        .output()
        .expect("syncline starts");
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let shop = System::start("shop", &[]);
    let crm = System::start("crm", &["--shop", &shop.url]);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let page = std::fs::read_to_string(GUIDE).expect("the guide");
    let mut variables = BTreeMap::new();
    let mut typed = 0;
    for step in steps(&page) {
        match step {
            Step::Write { file, text } => {
                let path = folder.path().join(file);
                std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
                let text = text
                    .replace("http://127.0.0.1:8181", &shop.url)
                    .replace("http://127.0.0.1:8182", &crm.url);
                std::fs::write(path, text).expect("a manifest");
            }
            Step::Type { command, shows } => {
                if let Some(variable) = command.strip_prefix("export ") {
                    let (name, value) = variable.split_once('=').expect("NAME=VALUE");
                    variables.insert(name.to_owned(), value.to_owned());
                    continue;
                }
                typed += 1;
                let (code, said) = run(&command, folder.path(), &variables);
                // Both end with 1 where there are dead letters.
                let told = [" preview ", " status"]
                    .iter()
                    .any(|word| command.contains(word));
                let expected = i32::from(told);
                assert_eq!(code, expected, "{command}\n{said}");
                for line in shows {
                    assert!(
                        said.lines().any(|l| l.trim() == line),
                        "{command} does not say {line:?}, but:\n{said}"
                    );
                }
            }
        }
    }
    assert!(typed >= 8, "the guide has only {typed} commands");

    // It says that a second run writes nothing: here is a third.
    let before = contacts(&crm);
    assert!(before > 1000, "the CRM has only {before} contacts");
    let writes = |stats: &Value| -> i64 {
        let count = |what: &str| stats[what].as_i64().unwrap_or_default();
        count("contacts.create") + count("contacts.update")
    };
    let counted = writes(&crm.get("/_stats"));
    let (code, said) = run("syncline run -f my --once", folder.path(), &variables);
    assert_eq!(code, 0, "{said}");
    assert_eq!(writes(&crm.get("/_stats")), counted, "{said}");

    // And that only what changed is written.
    shop.post("/_change", &json!({"customers": 10}));
    let (code, said) = run("syncline run -f my --once", folder.path(), &variables);
    assert_eq!(code, 0, "{said}");
    let updated = writes(&crm.get("/_stats")) - counted;
    assert!((1..=10).contains(&updated), "{updated} writes\n{said}");
}

fn contacts(crm: &System) -> i64 {
    crm.get("/_stats")["contacts.create"]
        .as_i64()
        .unwrap_or_default()
}
