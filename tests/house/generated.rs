//! Generated files are what the code generates. `UPDATE=1 cargo test` (or `make generate`) writes them.

use std::path::Path;
use std::{env, fs};

use syncline::api::crd;
use syncline::cli::reference;

/// Compares a committed file with what it should hold, or writes it.
pub fn expect_file(path: &Path, wanted: &str) -> Result<(), String> {
    if env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, wanted).unwrap();
        return Ok(());
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    if found == wanted {
        return Ok(());
    }
    let line = found
        .lines()
        .zip(wanted.lines())
        .take_while(|(a, b)| a == b)
        .count();
    let show = |text: &str| text.lines().nth(line).unwrap_or("(end)").to_owned();
    Err(format!(
        "{} differs from line {}: it has\n  {}\nand should have\n  {}\n(UPDATE=1 cargo test --test house writes it)",
        path.display(),
        line + 1,
        show(&found),
        show(wanted)
    ))
}

#[test]
fn the_crds_are_those_of_the_types() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["crds", "src/api/written"].map(|folder| here.join(folder));
    for crd in crd::all() {
        let [yaml, json] = &folders;
        for (path, wanted) in [
            (yaml.join(format!("{}.yaml", crd.plural)), crd.yaml()),
            (json.join(format!("{}.json", crd.plural)), crd.json()),
        ] {
            expect_file(&path, &wanted).unwrap_or_else(|message| panic!("{message}"));
        }
    }
    for folder in folders {
        let files = fs::read_dir(&folder).unwrap().count();
        assert_eq!(
            files,
            3,
            "{} holds something else than the three definitions",
            folder.display()
        );
    }
}

#[test]
fn the_reference_of_the_command_line_is_that_of_its_parser() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    expect_file(&path, &reference::markdown()).unwrap_or_else(|message| panic!("{message}"));
}
