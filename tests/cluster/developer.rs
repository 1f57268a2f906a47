//! A cluster of the developer's kind (`make cluster`) in a folder of its own, which ends with the test.
//! Used by the tests that need a whole node; whoever calls types what a person would.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::{fs, process};

use super::cluster::{feed, script, text};

/// Where the plugin of kubectl is.
const PLUGIN: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/plugin");

pub struct Cluster {
    pub folder: PathBuf,
    /// What is asked when the test fails, of this namespace.
    pub namespace: &'static str,
}

/// Why there can be no node here; says so past the test harness, which shows only what failing tests print.
pub fn impossible(what: &str) -> bool {
    let output = feed(Command::new(script("node")).arg("--check"), "");
    if !output.status.success() {
        let reason = text(&output.stdout);
        let _ = writeln!(std::io::stderr(), "skipped: {what}: {}", reason.trim());
    }
    !output.status.success()
}

impl Cluster {
    /// A place for one; whoever types `make cluster` starts it.
    pub fn new(namespace: &'static str) -> Self {
        let folder = tempfile::Builder::new().prefix("syncline-node-").tempdir();
        let folder = folder.unwrap().keep();
        // The plugin of kubectl, where the commands look for it. Another test may have put it there already.
        let _ = fs::create_dir_all(PLUGIN);
        let plugin = PathBuf::from(PLUGIN).join("kubectl-syncline");
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_syncline"), plugin);
        Self { folder, namespace }
    }

    /// What commands print in a shell of somebody who has started the cluster.
    pub fn shell(&self, commands: &str) -> Output {
        let folder = self.folder.display();
        let mut shell = Command::new("bash");
        shell
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CLUSTER_DIR", &self.folder)
            .env("CLUSTER_OWNER", process::id().to_string());
        let script = format!(
            "export KUBECONFIG={folder}/kubeconfig PATH={folder}/bin:{PLUGIN}:$PATH\n{commands}"
        );
        // Not on its standard input, which the commands would read.
        feed(shell.arg("-c").arg(script), "")
    }

    /// The same, ending at the first failure, which fails the test.
    pub fn type_in(&self, commands: &str) -> String {
        let output = self.shell(&format!("set -euo pipefail\n{commands}"));
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{commands}\n{out}{err}");
        out
    }

    /// The same, and what it prints or why it failed.
    pub fn ask(&self, commands: &str) -> Result<String, String> {
        let output = self.shell(commands);
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stdout) + &text(&output.stderr)),
        }
    }

    /// Where Pods reach the machine: the other end of the node's wire.
    pub fn machine(&self) -> String {
        let kubeconfig = fs::read_to_string(self.folder.join("kubeconfig")).unwrap();
        let (_, rest) = kubeconfig.split_once("https://").unwrap();
        let node = rest.split(':').next().unwrap();
        let (network, _) = node.rsplit_once('.').unwrap();
        format!("{network}.1")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let namespace = self.namespace;
            for what in [
                "kubectl get all,connections,mappings,syncs -o wide",
                "kubectl describe pods",
                "kubectl logs --selector app.kubernetes.io/name=syncline --tail=60",
                "kubectl get events",
            ] {
                let said = self.ask(&format!("{what} --namespace {namespace}"));
                eprintln!("== {what}\n{}", said.unwrap_or_else(|e| e));
            }
        }
        let _ = Command::new(script("down"))
            .env("CLUSTER_DIR", &self.folder)
            .status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
