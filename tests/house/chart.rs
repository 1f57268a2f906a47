//! The Helm chart agrees with itself: its CustomResourceDefinitions are those of the types, its README and its
//! schema know the same values as `values.yaml`, and its version is the program's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use syncline::api::crd;

use crate::generated::expect_file;

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/syncline")
}

fn read(name: &str) -> String {
    fs::read_to_string(chart().join(name)).unwrap()
}

/// A definition as a template: optional, and kept when the release is uninstalled.
fn template(crd: &str) -> String {
    let metadata = "\nmetadata:\n";
    let ours = "\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n  \
                labels: {{- include \"syncline.labels\" . | nindent 4 }}\n";
    let escaped = crd.replace("{{", "{{ \"{{\" }}");
    assert_eq!(escaped.matches(metadata).count(), 1);
    format!(
        "{{{{- if .Values.crds.install }}}}\n{}{{{{- end }}}}\n",
        escaped.replace(metadata, ours)
    )
}

#[test]
fn the_charts_crds_are_those_of_the_types() {
    let folder = chart().join("templates/crds");
    for crd in crd::all() {
        let path = folder.join(format!("{}.yaml", crd.plural));
        expect_file(&path, &template(&crd.yaml())).unwrap_or_else(|message| panic!("{message}"));
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), crd::all().len());
}

#[test]
fn the_chart_has_the_programs_version() {
    let chart = read("Chart.yaml");
    for key in ["version", "appVersion"] {
        let wanted = format!("\n{key}: {}\n", env!("CARGO_PKG_VERSION"));
        assert!(chart.contains(&wanted), "Chart.yaml should have {wanted:?}");
    }
}

/// A value of `values.yaml` that a `# --` comment documents.
struct Documented {
    path: String,
    meaning: String,
    default: String,
}

/// Reads the comments of `values.yaml`. A documented key speaks for all below it; a key that has no comment of
/// its own or above it must be a group of others.
fn documented(values: &str) -> Result<Vec<Documented>, String> {
    let mut found: Vec<Documented> = Vec::new();
    let mut above: Vec<(usize, String, bool)> = Vec::new();
    let mut meaning: Option<String> = None;
    for line in values.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if let Some(comment) = text.strip_prefix("# -- ") {
            meaning = Some(comment.to_owned());
        } else if let Some(comment) = text.strip_prefix("# ") {
            if let Some(meaning) = &mut meaning {
                *meaning += &format!(" {comment}");
            }
        } else if let Some((key, value)) = text.split_once(':') {
            above.retain(|(at, _, _)| *at < indent);
            let spoken_for = above.iter().any(|(_, _, documented)| *documented);
            let mut path: Vec<&str> = above.iter().map(|(_, key, _)| key.as_str()).collect();
            path.push(key);
            let path = path.join(".");
            if meaning.is_none() && !spoken_for && !value.trim().is_empty() {
                return Err(format!("values.yaml: {path} needs a `# --` comment"));
            }
            above.push((indent, key.to_owned(), meaning.is_some()));
            if let Some(meaning) = meaning.take() {
                let default = value.trim().to_owned();
                found.push(Documented {
                    path,
                    meaning,
                    default,
                });
            }
        }
    }
    Ok(found)
}

/// The leaves of the schema, by path, with what they may hold.
fn leaves(schema: &Value, path: &str, into: &mut BTreeMap<String, String>) {
    if let Some(properties) = schema["properties"].as_object() {
        for (name, inner) in properties {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            leaves(inner, &path, into);
        }
    } else {
        let kind = match schema["enum"].as_array() {
            Some(values) => values
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(", "),
            None => schema["type"].as_str().unwrap_or("any").to_owned(),
        };
        into.insert(path.to_owned(), kind);
    }
}

fn schema() -> BTreeMap<String, String> {
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut found = BTreeMap::new();
    leaves(&schema, "", &mut found);
    found.remove("global"); // Helm's own
    found
}

/// Whether a documented path is, or stands above, a leaf of the schema.
fn covers(documented: &str, leaf: &str) -> bool {
    leaf.strip_prefix(documented)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[test]
fn the_schema_and_the_values_know_the_same_names() {
    let values = documented(&read("values.yaml")).unwrap_or_else(|message| panic!("{message}"));
    let schema = schema();
    for value in &values {
        let known = schema.keys().any(|leaf| covers(&value.path, leaf));
        assert!(known, "values.schema.json has no {}", value.path);
    }
    for leaf in schema.keys() {
        let known = values.iter().any(|value| covers(&value.path, leaf));
        assert!(known, "values.yaml does not document {leaf}");
    }
}

#[test]
fn the_charts_readme_lists_the_values() {
    let values = documented(&read("values.yaml")).unwrap_or_else(|message| panic!("{message}"));
    let schema = schema();
    let mut table = String::from("| Value | Type | Default | Meaning |\n|---|---|---|---|\n");
    for value in &values {
        let kind = schema.get(&value.path).map_or("object", String::as_str);
        let default = match value.default.as_str() {
            "" => "see values.yaml".to_owned(),
            default => format!("`{default}`"),
        };
        let meaning = value.meaning.replace('|', "\\|");
        table += &format!("| `{}` | {kind} | {default} | {meaning} |\n", value.path);
    }
    let (start, end) = (
        "<!-- values: generated from values.yaml -->\n",
        "<!-- end of values -->",
    );
    let readme = read("README.md");
    let (before, rest) = readme
        .split_once(start)
        .expect("README.md marks its values");
    let (_, after) = rest
        .split_once(end)
        .expect("README.md marks the end of its values");
    let wanted = format!("{before}{start}{table}{end}{after}");
    expect_file(&chart().join("README.md"), &wanted).unwrap_or_else(|message| panic!("{message}"));
}

#[test]
fn a_value_without_a_comment_is_noticed() {
    let error = documented("a:\n  # -- Meaning\n  b: 1\n  c: 2\n")
        .err()
        .unwrap();
    assert_eq!(error, "values.yaml: a.c needs a `# --` comment");
}
