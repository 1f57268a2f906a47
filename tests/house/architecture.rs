//! Holds the import table of ARCHITECTURE.md against the code, and the rules for files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Longest file.
const MAX_LINES: usize = 400;

/// What a word of the table's last column stands for in code.
const ABSENT: [(&str, &str); 8] = [
    ("kube", r"\bkube::|\bk8s_openapi::"),
    ("kube client", r"\bkube::(Client|Api|api|client|runtime)\b"),
    ("tokio", r"\btokio::"),
    ("HTTP", r"\b(reqwest|hyper|hyper_util)::"),
    ("SQL", r"\b(rusqlite|tokio_postgres|deadpool_postgres)::"),
    ("async fn", r"\basync fn\b"),
    ("clock", r"\b(SystemTime|Instant|Timestamp|Zoned)::now\b"),
    (
        "I/O",
        r"\bstd::(fs|io|net|process|env)\b|\btokio::|\b(reqwest|hyper|hyper_util)::",
    ),
];

struct Room {
    may_import: Vec<String>,
    absent: Vec<String>,
}

/// The rows of the table `| Module | May import | Not there |`.
fn rooms() -> BTreeMap<String, Room> {
    let text = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let start = text
        .find("| Module |")
        .expect("ARCHITECTURE.md has the import table");
    let words = |cell: &str| -> Vec<String> {
        let names = cell
            .split(',')
            .map(|w| w.trim().trim_matches('`').to_owned());
        names.filter(|w| !w.is_empty() && w != "–").collect()
    };
    text[start..]
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let room = Room {
                may_import: words(cells[1]),
                absent: words(cells[2]),
            };
            (cells[0].trim_matches('`').to_owned(), room)
        })
        .collect()
}

struct Source {
    /// `src/plan/sync.rs`
    name: String,
    /// `plan`
    room: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    collect(&Path::new(ROOT).join("src"), &mut files);
    files
        .into_iter()
        .map(|path| {
            let inside = path.strip_prefix(ROOT).unwrap();
            let room = inside
                .components()
                .nth(1)
                .unwrap()
                .as_os_str()
                .to_str()
                .unwrap();
            Source {
                name: inside.display().to_string(),
                room: room.trim_end_matches(".rs").to_owned(),
                text: fs::read_to_string(&path).unwrap(),
            }
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The code that ships: without tests and comments.
fn shipped(source: &Source) -> String {
    let is_test = ["tests", "_tests.rs", "tests.rs", "contract"]
        .iter()
        .any(|t| {
            source
                .name
                .split('/')
                .any(|part| part == *t || part.ends_with("_tests.rs"))
        });
    if is_test {
        return String::new();
    }
    let code = match source.text.find("#[cfg(test)]\nmod tests {") {
        Some(at) => &source.text[..at],
        None => &source.text,
    };
    let comment = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(comment).collect::<Vec<_>>().join("\n")
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let rooms = rooms();
    let import = Regex::new(r"\bcrate::(?:\{([^}]*)\}|(\w+))").unwrap();
    let mut broken = Vec::new();
    for source in sources() {
        if ["lib", "main"].contains(&source.room.as_str()) {
            continue;
        }
        let Some(room) = rooms.get(&source.room) else {
            broken.push(format!(
                "{}: the table has no room {:?}",
                source.name, source.room
            ));
            continue;
        };
        for found in import.captures_iter(&shipped(&source)) {
            let names = found.get(1).or(found.get(2)).unwrap().as_str();
            for name in names
                .split(',')
                .map(|n| n.trim().split("::").next().unwrap_or_default())
            {
                let allowed = name == source.room
                    || !rooms.contains_key(name)
                    || room.may_import.iter().any(|m| m == name || m == "all");
                if !allowed {
                    broken.push(format!(
                        "{}: {} may not import {name}",
                        source.name, source.room
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn what_a_room_must_not_have_is_not_there() {
    let rooms = rooms();
    let patterns: BTreeMap<&str, Regex> = ABSENT
        .iter()
        .map(|(word, pattern)| (*word, Regex::new(pattern).unwrap()))
        .collect();
    let mut broken = Vec::new();
    for source in sources() {
        let Some(room) = rooms.get(&source.room) else {
            continue;
        };
        let code = shipped(&source);
        for word in &room.absent {
            let pattern = patterns.get(word.as_str());
            let pattern = pattern
                .unwrap_or_else(|| panic!("the table says {word:?}, which has no meaning here"));
            if let Some(found) = pattern.find(&code) {
                broken.push(format!(
                    "{}: {:?} in a room without {word}",
                    source.name,
                    found.as_str()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    let mut broken = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            broken.push(format!("{}: does not open with //!", source.name));
        }
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            broken.push(format!(
                "{}: {lines} lines, at most {MAX_LINES}",
                source.name
            ));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_room_of_the_table_exists() {
    for room in rooms().keys() {
        let src = Path::new(ROOT).join("src");
        let exists = src.join(room).is_dir() || src.join(format!("{room}.rs")).is_file();
        assert!(exists, "the table has a room {room:?} that is not in src");
    }
}
