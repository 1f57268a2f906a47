//! A release over its life: upgraded with other values, uninstalled, installed again. What the operator knows and
//! what people have declared survive all of it. Called by `readme`, on its node.

use super::developer::Cluster;
use super::readme::nothing_is_created_again;

const INSTALL: &str = "helm install syncline charts/syncline --namespace demo --set image.repository=localhost/syncline";

pub fn state_survives_an_upgrade_and_an_uninstall(cluster: &Cluster) {
    let field = |what: &str, path: &str| {
        cluster.type_in(&format!(
            "kubectl get {what} --namespace demo -o jsonpath='{{{path}}}'"
        ))
    };
    let volume = field("pvc/state-syncline-0", ".spec.volumeName");
    let pod = field("pod/syncline-0", ".metadata.uid");
    cluster.type_in(
        "helm upgrade syncline charts/syncline --namespace demo --reuse-values --set commonLabels.team=integrations \
           --set log.level=debug --set terminationGracePeriodSeconds=30 --wait --timeout=3m",
    );
    assert_ne!(field("pod/syncline-0", ".metadata.uid"), pod, "a new Pod");
    nothing_is_created_again(cluster, "demo");

    cluster.type_in("helm uninstall syncline --namespace demo --wait --timeout=2m");
    let left = cluster.type_in(
        "kubectl get pvc,syncs,crd,networkpolicies,statefulsets,roles --namespace demo -o name",
    );
    for name in [
        "persistentvolumeclaim/state-syncline-0",
        "sync.syncline.dev/orders-to-deals",
        "customresourcedefinition.apiextensions.k8s.io/syncs.syncline.dev",
    ] {
        assert!(left.contains(name), "{name} is not in\n{left}");
    }
    for kind in ["networkpolicy", "statefulset", "role."] {
        assert!(!left.contains(kind), "{kind} is in\n{left}");
    }

    cluster.type_in(&format!("{INSTALL} --wait --timeout=3m"));
    assert_eq!(field("pvc/state-syncline-0", ".spec.volumeName"), volume);
    nothing_is_created_again(cluster, "demo");
}
