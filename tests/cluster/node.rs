//! A whole node: that it runs a Pod with the restricted profile and a volume of its own, and that nothing stays
//! of it. Left out, with a word, where a machine cannot have one.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::{fs, process};

use super::cluster::{feed, script, succeed, text};

/// A Pod as the chart makes them, of the one image that every node has.
const POD: &str = r"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: idle}
spec:
  serviceName: idle
  selector: {matchLabels: {app: idle}}
  template:
    metadata: {labels: {app: idle}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: idle
          image: localhost/pause:test
          imagePullPolicy: Never
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts: [{name: state, mountPath: /state}]
  volumeClaimTemplates:
    - metadata: {name: state}
      spec: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Gi}}}
";

/// A cluster of the developer's kind in a folder of its own, which ends with the test.
struct Cluster {
    folder: PathBuf,
}

impl Cluster {
    /// Starts one, or says why there can be none here.
    fn start() -> Result<Self, String> {
        let check = Command::new(script("node"))
            .arg("--check")
            .output()
            .unwrap();
        if !check.status.success() {
            return Err(text(&check.stdout).trim().to_owned());
        }
        let folder = tempfile::Builder::new().prefix("syncline-node-").tempdir();
        let cluster = Self {
            folder: folder.unwrap().keep(),
        };
        let owner = process::id().to_string();
        succeed(cluster.script("up").env("CLUSTER_OWNER", owner), "");
        Ok(cluster)
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(script(name));
        command.env("CLUSTER_DIR", &self.folder);
        command
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> String {
        let mut kubectl = Command::new(self.folder.join("bin/kubectl"));
        kubectl
            .arg("--kubeconfig")
            .arg(self.folder.join("kubeconfig"));
        succeed(kubectl.args(arguments), input)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        feed(&mut self.script("down"), "");
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_restricted_pod_runs_on_a_real_node_and_nothing_stays_of_it() {
    let cluster = match Cluster::start() {
        Ok(cluster) => cluster,
        Err(reason) => {
            // Past the test harness, which shows only what failing tests print.
            let _ = writeln!(std::io::stderr(), "skipped: no test on a node: {reason}");
            return;
        }
    };
    cluster.kubectl(&["create", "namespace", "idle"], "");
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    cluster.kubectl(&["label", "namespace", "idle", restricted], "");
    cluster.kubectl(&["apply", "--namespace", "idle", "-f", "-"], POD);
    let wait = [
        "rollout",
        "status",
        "statefulset/idle",
        "--namespace",
        "idle",
        "--timeout=120s",
    ];
    cluster.kubectl(&wait, "");
    let claim = [
        "get",
        "pvc",
        "state-idle-0",
        "--namespace",
        "idle",
        "-o=jsonpath={.status.accessModes[0]}",
    ];
    assert_eq!(cluster.kubectl(&claim, ""), "ReadWriteOncePod");

    let folder = cluster.folder.clone();
    drop(cluster);
    assert!(!folder.exists());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mine = folder.to_str().unwrap();
    let left = processes.filter(|process| {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        text(&command).contains(mine)
    });
    assert_eq!(left.count(), 0, "processes of the node still run");
}
