//! The Helm chart: what it renders, that a real API server takes it, that its roles give the operator what it
//! needs and no more, and that nothing of the user's is lost on the way.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::cluster::{ApiServer, feed, program, succeed, text};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn chart() -> PathBuf {
    Path::new(ROOT).join("charts/syncline")
}

fn helm() -> Command {
    Command::new(program("helm"))
}

/// The cases of `tests/cases/chart`: a folder with `values.yaml`, and what should come of it.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new(ROOT).join("tests/cases/chart");
    let mut cases: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    cases
}

/// What Helm renders for a case, or why it refuses.
fn render(case: &Path, namespace: &str) -> Result<String, String> {
    let mut command = helm();
    command.args(["template", "syncline"]).arg(chart());
    command
        .args(["--namespace", namespace, "--values"])
        .arg(case.join("values.yaml"));
    let output = feed(&mut command, "");
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}

/// The documents of a rendering, each with the line that says where it comes from.
fn documents(rendered: &str) -> impl Iterator<Item = &str> {
    rendered
        .split("---\n")
        .filter(|document| !document.trim().is_empty())
}

#[test]
fn helm_has_no_complaint() {
    succeed(helm().args(["lint", "--strict"]).arg(chart()), "");
}

/// `UPDATE=1` writes what is expected, to be read before it is committed.
#[test]
fn values_render_as_expected() {
    let mut broken = Vec::new();
    for case in cases() {
        let (name, found) = match render(&case, "integrations") {
            // The definitions are compared elsewhere, and long.
            Ok(rendered) => {
                let ours = documents(&rendered).filter(|d| !d.contains("/templates/crds/"));
                ("expected.yaml", ours.map(|d| format!("---\n{d}")).collect())
            }
            // Helm finds problems in any order.
            Err(message) => {
                let mut lines: Vec<&str> = message.lines().collect();
                lines.sort_unstable();
                ("expected.txt", lines.join("\n") + "\n")
            }
        };
        let path = case.join(name);
        if env::var_os("UPDATE").is_some() {
            fs::write(&path, &found).unwrap();
        }
        if fs::read_to_string(&path).unwrap_or_default() != found {
            broken.push(format!("{} should be\n{found}", path.display()));
        }
    }
    assert!(
        broken.is_empty(),
        "{}\n(UPDATE=1 writes them)",
        broken.join("\n")
    );
}

#[test]
fn a_real_api_server_takes_what_the_chart_renders() {
    let server = ApiServer::shared();
    for case in cases() {
        let namespace = server.namespace("chart");
        let Ok(rendered) = render(&case, &namespace) else {
            continue;
        };
        for name in ["sales", "2024"] {
            let _ = server
                .kubectl()
                .args(["create", "namespace", name])
                .output();
        }
        // The kinds of the Prometheus operator and of the Gateway API are not there.
        let elsewhere = ["monitoring.coreos.com/", "gateway.networking.k8s.io/"];
        let is_known = |document: &&str| {
            let is_of = |group: &&str| document.contains(&format!("\napiVersion: {group}"));
            !elsewhere.iter().any(is_of)
        };
        let known: Vec<&str> = documents(&rendered).filter(is_known).collect();
        let mut kubectl = server.kubectl();
        kubectl.args([
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            "-",
        ]);
        let output = feed(&mut kubectl, &known.join("---\n"));
        assert!(
            output.status.success(),
            "{}: {}",
            case.display(),
            text(&output.stderr)
        );
        // Warnings, such as of the Pod Security Standard, count too.
        let said = text(&output.stderr);
        assert!(!said.contains("Warning"), "{}: {said}", case.display());
    }
}

/// All that a ServiceAccount may do in a namespace with resources, as `verb group/resource[/subresource]`.
fn permissions(kubeconfig: &Path, namespace: &str) -> BTreeSet<String> {
    let review = format!(
        r#"{{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview","spec":{{"namespace":"{namespace}"}}}}"#
    );
    let mut kubectl = Command::new(program("kubectl"));
    kubectl.arg("--kubeconfig").arg(kubeconfig);
    // Not validated: that needs the right to list definitions.
    kubectl.args(["create", "--validate=false", "-f", "-", "-o", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&succeed(&mut kubectl, &review)).unwrap();
    let words = |rule: &serde_json::Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().into_iter().flatten();
        list.map(|word| word.as_str().unwrap().to_owned()).collect()
    };
    let mut found = BTreeSet::new();
    for rule in answer["status"]["resourceRules"].as_array().unwrap() {
        let names = match words(rule, "resourceNames") {
            names if names.is_empty() => String::new(),
            names => format!(" {}", names.join(",")),
        };
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                for verb in words(rule, "verbs") {
                    found.insert(format!("{verb} {group}/{resource}{names}"));
                }
            }
        }
    }
    // What everybody may: ask what they may.
    found.retain(|permission| !permission.contains("selfsubject"));
    found
}

#[test]
fn the_operator_may_do_its_work_and_no_more() {
    let server = ApiServer::shared();
    let (home, elsewhere) = (server.namespace("home"), server.namespace("elsewhere"));
    let kubeconfig = server.install_roles(&home, &[]);
    let mut wanted = BTreeSet::new();
    for kind in ["connections", "mappings", "syncs"] {
        for verb in ["get", "list", "watch"] {
            wanted.insert(format!("{verb} syncline.dev/{kind}"));
        }
        wanted.insert(format!("patch syncline.dev/{kind}/status"));
    }
    for verb in ["get", "list", "watch"] {
        wanted.insert(format!("{verb} /secrets"));
    }
    for verb in ["create", "patch"] {
        wanted.insert(format!("{verb} events.k8s.io/events"));
    }
    wanted.insert("create coordination.k8s.io/leases".to_owned());
    for verb in ["get", "update"] {
        wanted.insert(format!("{verb} coordination.k8s.io/leases syncline"));
    }
    assert_eq!(permissions(&kubeconfig, &home), wanted);
    assert_eq!(permissions(&kubeconfig, &elsewhere), BTreeSet::new());

    // Elsewhere when it is told to, and there without the Lease.
    let kubeconfig = server.install_roles(&home, &[&format!("watchNamespaces={{{elsewhere}}}")]);
    wanted.retain(|permission| !permission.contains("leases"));
    assert_eq!(permissions(&kubeconfig, &elsewhere), wanted);
}

#[test]
fn what_was_defined_survives_an_uninstall_and_an_upgrade() {
    let server = ApiServer::start_empty();
    let release = |verb: &[&str]| {
        let mut command = helm();
        command.env("KUBECONFIG", server.kubeconfig()).args(verb);
        command.args(["--namespace", "integrations"]);
        succeed(&mut command, "")
    };
    let chart = chart();
    let chart = chart.to_str().unwrap();
    let notes = release(&["install", "syncline", chart, "--create-namespace"]);
    assert!(
        notes.contains("kubectl rollout status statefulset/syncline --namespace integrations"),
        "{notes}"
    );
    server.wait_for_crds();
    let manifests = Path::new(ROOT).join("examples/shop-to-crm/customer-to-contact.yaml");
    let mapping = fs::read_to_string(manifests).unwrap();
    server.apply("integrations", &mapping).unwrap();

    release(&[
        "upgrade",
        "syncline",
        chart,
        "--set",
        "commonLabels.environment=test",
    ]);
    let label = "-o=jsonpath={.metadata.labels.environment}";
    assert_eq!(
        server.run(&["get", "crd", "mappings.syncline.dev", label]),
        "test",
        "definitions upgrade too"
    );

    release(&["uninstall", "syncline"]);
    let left = |what: &str| server.run(&["get", what, "--namespace", "integrations", "-o", "name"]);
    assert_eq!(left("statefulsets"), "");
    assert_eq!(
        left("mappings"),
        "mapping.syncline.dev/customer-to-contact\n"
    );

    release(&["install", "syncline", chart]);
    assert_eq!(left("statefulsets"), "statefulset.apps/syncline\n");
}
