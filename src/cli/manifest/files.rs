//! Finds and reads manifest files: a folder with all below it, a file, or standard input.
//! Called by `manifest::load`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest manifest file.
const MAX_BYTES: u64 = 4 << 20;

/// Most files of one `-f`.
const MAX_FILES: usize = 10_000;

/// A file's name as people know it, and its text.
pub struct Source {
    pub name: String,
    pub text: String,
}

/// The files that `-f` names, in the order of their names. Each error is one line.
pub fn read_all(paths: &[PathBuf]) -> (Vec<Source>, Vec<String>) {
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        if path.as_os_str() == "-" {
            keep(
                read_bounded("standard input", std::io::stdin()),
                &mut sources,
                &mut errors,
            );
            continue;
        }
        let mut files = Vec::new();
        if let Err(error) = collect(path, true, &mut files) {
            errors.push(error);
        }
        if files.is_empty() && path.is_dir() {
            errors.push(format!(
                "{}: no manifests here; they end in .yaml, .yml or .json",
                path.display()
            ));
        }
        for file in files {
            keep(read_file(&file), &mut sources, &mut errors);
        }
    }
    (sources, errors)
}

fn keep(read: Result<Source, String>, sources: &mut Vec<Source>, errors: &mut Vec<String>) {
    match read {
        Ok(source) => sources.push(source),
        Err(error) => errors.push(error),
    }
}

/// The manifest files at and below `path`; a file that is named itself may have any name.
fn collect(path: &Path, named: bool, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let describe = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{}: no such file or directory", path.display()),
        _ => format!("{}: {error}", path.display()),
    };
    let metadata = fs::metadata(path).map_err(describe)?;
    if !metadata.is_dir() {
        if named || is_manifest(path) {
            files.push(path.to_owned());
        }
        return match files.len() {
            0..=MAX_FILES => Ok(()),
            _ => Err(format!(
                "{}: more than {MAX_FILES} manifest files",
                path.display()
            )),
        };
    }
    let entries = fs::read_dir(path).map_err(describe)?;
    let mut below: Vec<PathBuf> = entries
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(describe)?;
    below.sort();
    for entry in below.iter().filter(|e| !is_hidden(e)) {
        // A link to a folder may lead in circles; kubectl doesn't follow it either.
        if entry.is_symlink() && entry.is_dir() {
            continue;
        }
        collect(entry, false, files)?;
    }
    Ok(())
}

/// A manifest by its name. A kustomization is about manifests and is none.
fn is_manifest(path: &Path) -> bool {
    let stem = path
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or_default();
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    matches!(extension, "yaml" | "yml" | "json") && !stem.eq_ignore_ascii_case("kustomization")
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .and_then(|n| n.to_str())
        .is_some_and(|n| n.starts_with('.'))
}

fn read_file(path: &Path) -> Result<Source, String> {
    let name = path.display().to_string();
    let file = fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("{name}: no such file or directory"),
        _ => format!("{name}: {error}"),
    })?;
    read_bounded(&name, file)
}

fn read_bounded(name: &str, from: impl Read) -> Result<Source, String> {
    let mut bytes = Vec::new();
    from.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{name}: larger than 4 MiB"));
    }
    let text = String::from_utf8(bytes).map_err(|_| format!("{name}: is not UTF-8 text"))?;
    Ok(Source {
        name: name.to_owned(),
        text: text.trim_start_matches('\u{feff}').to_owned(),
    })
}
