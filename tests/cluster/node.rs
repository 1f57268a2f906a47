//! A whole node: that it runs a Pod with the restricted profile and a volume of its own, and that nothing stays
//! of it. Left out, with a word, where a machine cannot have one.

use std::fs;

use super::cluster::text;
use super::developer::{Cluster, impossible};

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

#[test]
fn a_restricted_pod_runs_on_a_real_node_and_nothing_stays_of_it() {
    if impossible("a Pod on a node") {
        return;
    }
    let cluster = Cluster::new("idle");
    cluster.type_in("tests/cluster/up");
    cluster.type_in(&format!(
        "kubectl create namespace idle
         kubectl label namespace idle pod-security.kubernetes.io/enforce=restricted
         kubectl apply --namespace idle -f - <<'END'
{POD}
END
         kubectl rollout status statefulset/idle --namespace idle --timeout=120s"
    ));
    let claim =
        "kubectl get pvc state-idle-0 --namespace idle -o jsonpath='{.status.accessModes[0]}'";
    assert_eq!(cluster.type_in(claim), "ReadWriteOncePod");

    let folder = cluster.folder.clone();
    drop(cluster);
    assert!(!folder.exists());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mine = folder.to_str().unwrap();
    let commands = processes.map(|process| {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        text(&command).replace('\0', " ")
    });
    let left: Vec<String> = commands.filter(|command| command.contains(mine)).collect();
    assert!(
        left.is_empty(),
        "processes of the node still run: {left:#?}"
    );
}
