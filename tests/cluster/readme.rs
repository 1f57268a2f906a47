//! A new user runs the operator in a cluster as the README says: its commands are taken from there and typed into a
//! shell against a real node. What must hold then is looked at from outside. One test, because the images take
//! minutes to build and a node is one.

use std::path::Path;
use std::time::Duration;

use super::cluster::{eventually, text};
use super::developer::{Cluster, impossible};
use super::{database, release};

/// What the demo's credentials hold: nothing that the operator says may.
const SECRETS: [&str; 3] = ["demo-shop-key", "demo-crm-client", "demo-crm-secret"];
/// What the CRM was asked for.
pub const STATS: &str = "/api/v1/namespaces/demo/services/crm:8182/proxy/_stats";
const METRICS: &str = "/api/v1/namespaces/demo/pods/syncline-0:8080/proxy/metrics";

/// The blocks of commands of a section of the README.
fn commands(section: &str) -> Vec<String> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let start = format!("\n## {section}\n");
    let (_, text) = readme.split_once(&start).expect("the README has it");
    let text = text.split("\n## ").next().unwrap();
    let blocks = text.split("```\n").skip(1).step_by(2);
    blocks.map(str::to_owned).collect()
}

#[test]
fn a_new_user_runs_the_readme() {
    if impossible("the README's commands in a cluster") {
        return;
    }
    let cluster = Cluster::new("demo");
    let blocks = commands("Run it in a cluster");
    let [install, check, look, stop] = &blocks[..] else {
        panic!("the README has other blocks now: {blocks:?}");
    };
    let shown = cluster.type_in(install);
    for name in [
        "connection.syncline.dev/shop",
        "mapping.syncline.dev/order-to-deal",
        "sync.syncline.dev/orders-to-deals",
    ] {
        assert!(shown.contains(name), "{name} is not in\n{shown}");
    }
    // The CRM holds what it should, by its own opinion.
    eventually(Duration::from_secs(180), || cluster.ask(check).map(drop));
    the_pod_is_what_the_chart_says(&cluster);
    the_plugin_works(&cluster, look);
    a_change_is_previewed_before_it_is_applied(&cluster);
    a_dead_letter_is_replayed_in_the_pod(&cluster);
    a_suspended_sync_is_left_alone(&cluster);
    a_new_pod_goes_on_where_the_last_one_was(&cluster);
    nothing_secret_is_shown(&cluster);
    release::state_survives_an_upgrade_and_an_uninstall(&cluster);
    database::two_replicas_share_a_database(&cluster);
    cluster.type_in(check);
    the_image_is_small();
    cluster.type_in(stop);
}

fn the_pod_is_what_the_chart_says(cluster: &Cluster) {
    let field = |path: &str| {
        cluster.type_in(&format!(
            "kubectl get pod syncline-0 --namespace demo -o jsonpath='{{{path}}}'"
        ))
    };
    assert_eq!(field(".spec.serviceAccountName"), "syncline");
    assert_eq!(field(".status.containerStatuses[0].restartCount"), "0");
    let context = ".spec.containers[0].securityContext.readOnlyRootFilesystem";
    assert_eq!(field(context), "true");
    let labels = cluster.type_in("kubectl get namespace demo -o jsonpath='{.metadata.labels}'");
    let restricted = r#""pod-security.kubernetes.io/enforce":"restricted""#;
    assert!(labels.contains(restricted), "{labels}");
    let metrics = cluster.type_in(&format!("kubectl get --raw {METRICS}"));
    let leads = "syncline_controller_leader 1";
    assert!(metrics.contains(leads), "{metrics}");
}

/// Everything in it, as it lies on a node's disk.
fn the_image_is_small() {
    let mut above = Path::new(env!("CARGO_BIN_EXE_syncline")).ancestors();
    let files = above.find_map(|folder| std::fs::read_dir(folder.join("image/syncline")).ok());
    let files = files.expect("where the image was made of").flatten();
    let size: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(size > 1_000_000 && size < 40_000_000, "{size} bytes");
}

/// Every command of the README's block about the plugin, with what a new user looks for in its output.
fn the_plugin_works(cluster: &Cluster, look: &str) {
    let mut seen = Vec::new();
    for line in look.lines() {
        let output = cluster.shell(line);
        let said = text(&output.stdout) + &text(&output.stderr);
        let verb = line.split_whitespace().nth(2).unwrap();
        let (code, words): (i32, &[&str]) = match verb {
            // The demo's data is messy on purpose: some records wait for a person, which is exit code 1.
            "status" => (1, &["customers-to-contacts   True", "orders-to-deals"]),
            "deadletters" => (0, &["Missing", "kubectl syncline deadletters show"]),
            "sync" => (0, &["customers-to-contacts: Succeeded", "created 0"]),
            "preview" => (0, &["Nothing was written"]),
            other => panic!("{other} is not tested"),
        };
        assert_eq!(output.status.code(), Some(code), "{line}\n{said}");
        for word in words {
            assert!(said.contains(word), "{word} is not in\n{line}\n{said}");
        }
        seen.push(verb);
    }
    assert_eq!(seen, ["status", "deadletters", "sync", "preview"]);
}

/// A Mapping of this machine in place of the one in the cluster: all contacts would change, none does.
fn a_change_is_previewed_before_it_is_applied(cluster: &Cluster) {
    let preview = |change: &str| {
        let output = cluster.shell(&format!(
            "sed '{change}' examples/shop-to-crm/customer-to-contact.yaml |
               kubectl syncline preview --namespace demo --full-refresh -f - customers-to-contacts"
        ));
        // Some customers have no email, which is a dead letter; and so is all under a Mapping that is wrong.
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    };
    let said = preview("s/value: shop/value: web/; s/origin: shop/origin: web/");
    for wanted in [
        r#"origin  "shop" → "web""#,
        "next: kubectl apply --namespace demo -f -",
    ] {
        assert!(said.contains(wanted), "{wanted} is not in\n{said}");
    }
    let said = preview("s/to: email/too: email/");
    let wanted = "standard input:9:8: Mapping/customer-to-contact: spec.fields[0].too";
    assert!(said.contains(wanted), "{said}");
}

fn a_dead_letter_is_replayed_in_the_pod(cluster: &Cluster) {
    let list =
        "kubectl syncline deadletters list --namespace demo customers-to-contacts --output json";
    let letters: serde_json::Value = serde_json::from_str(&cluster.type_in(list)).unwrap();
    let key = letters[0]["key"]
        .as_str()
        .expect("a dead letter")
        .to_owned();
    let show =
        format!("kubectl syncline deadletters show --namespace demo customers-to-contacts {key}");
    assert!(cluster.type_in(&show).contains(&key));
    let replay =
        format!("kubectl syncline deadletters replay --namespace demo customers-to-contacts {key}");
    let said = cluster.type_in(&replay);
    assert!(said.contains("1 dead letter: will be sent again"), "{said}");
    // It is as wrong as before, and comes back.
    cluster.type_in("kubectl syncline sync now --wait --namespace demo customers-to-contacts");
    let again: serde_json::Value = serde_json::from_str(&cluster.type_in(list)).unwrap();
    assert_eq!(
        again.as_array().unwrap().len(),
        letters.as_array().unwrap().len()
    );
    let output = cluster
        .shell("kubectl syncline deadletters show --namespace demo customers-to-contacts nobody");
    assert_eq!(output.status.code(), Some(1));
}

fn a_suspended_sync_is_left_alone(cluster: &Cluster) {
    cluster.type_in("kubectl syncline sync suspend --namespace demo orders-to-deals");
    eventually(Duration::from_secs(60), || {
        let said = cluster.shell("kubectl syncline status --namespace demo orders-to-deals");
        let said = text(&said.stdout);
        said.contains("Suspended").then_some(()).ok_or(said)
    });
    let now = cluster.ask("kubectl syncline sync now --namespace demo orders-to-deals");
    let now = now.unwrap_err();
    assert!(
        now.contains("kubectl syncline sync resume orders-to-deals"),
        "{now}"
    );
    cluster.type_in(
        "kubectl syncline sync resume --namespace demo orders-to-deals
         kubectl syncline sync now --wait --namespace demo orders-to-deals",
    );
}

fn a_new_pod_goes_on_where_the_last_one_was(cluster: &Cluster) {
    cluster.type_in(
        "kubectl delete pod syncline-0 --namespace demo
         kubectl rollout status statefulset/syncline --namespace demo --timeout=2m",
    );
    nothing_is_created_again(cluster, "demo");
}

/// A full round through the Syncs, after which the CRM has made no record.
pub fn nothing_is_created_again(cluster: &Cluster, namespace: &str) {
    let stats = cluster.type_in(&format!(
        "kubectl wait --for=condition=Ready syncs --all --namespace {namespace} --timeout=2m >&2
         kubectl create --raw {STATS}/reset -f /dev/null >&2
         kubectl syncline sync now --wait --namespace {namespace} customers-to-contacts orders-to-deals >&2
         kubectl get --raw {STATS}"
    ));
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    let created = stats.get("contacts.create");
    assert!(created.is_none(), "records were created again: {stats}");
}

fn nothing_secret_is_shown(cluster: &Cluster) {
    let said = cluster.type_in(&format!(
        "kubectl logs syncline-0 --namespace demo
         kubectl get events,connections,mappings,syncs,configmaps,pods --namespace demo -o yaml
         kubectl get --raw {METRICS}"
    ));
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} is in\n{said}");
    }
}
