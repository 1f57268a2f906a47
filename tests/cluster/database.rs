//! The operator with its state in PostgreSQL: two Pods, one of which leads, and the other goes on when that is
//! gone. The database is this machine's; a wire into the node's network leads to it. Called by `readme`.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::cluster::eventually;
use super::developer::Cluster;
use super::postgres;
use super::readme::nothing_is_created_again;

pub fn two_replicas_share_a_database(cluster: &Cluster) {
    let database = postgres::cluster().database();
    let address = cluster.machine();
    let port = wire(&address, postgres::cluster().port);
    let password = postgres::PASSWORD.replace('/', "%2F");
    let url = format!(
        "postgres://postgres:{password}@{address}:{port}/{}?sslmode=disable",
        database.name
    );
    cluster.type_in(&format!(
        "helm uninstall syncline --namespace demo --wait --timeout=2m
         kubectl create secret generic syncline-database --namespace demo --from-literal=url='{url}'
         kubectl create secret generic syncline-key --namespace demo --from-literal=key=\"$(head -c 32 /dev/urandom | base64)\"
         helm install syncline charts/syncline --namespace demo --set image.repository=localhost/syncline \
           --set state.postgres.secretName=syncline-database --set state.sealingKey.secretName=syncline-key \
           --set replicas=2 --wait --timeout=3m"
    ));
    // What is in the CRM is found there, not made once more.
    nothing_is_created_again(cluster, "demo");
    let first = leader(cluster).unwrap();
    // Without a chance to let go.
    cluster.type_in(&format!(
        "kubectl delete pod {first} --namespace demo --force --grace-period=0"
    ));
    eventually(Duration::from_secs(90), || match leader(cluster) {
        Ok(now) if now != first && !now.is_empty() => Ok(()),
        other => Err(format!("{other:?} leads after {first}")),
    });
    nothing_is_created_again(cluster, "demo");
    let letters = "kubectl syncline deadletters list --namespace demo customers-to-contacts";
    assert!(cluster.type_in(letters).contains("Missing"));
    let said = cluster.type_in(
        "kubectl logs --namespace demo --selector app.kubernetes.io/name=syncline --tail=-1
         kubectl get pods,events,syncs --namespace demo -o yaml",
    );
    assert!(
        !said.contains("canary-Sesame"),
        "the password is in\n{said}"
    );
    cluster.type_in("helm uninstall syncline --namespace demo --wait --timeout=2m");
}

/// The Pod that leads, as the Lease says.
fn leader(cluster: &Cluster) -> Result<String, String> {
    let holder = cluster
        .ask("kubectl get lease syncline --namespace demo -o jsonpath='{.spec.holderIdentity}'")?;
    let pod = holder.rsplit_once('_').map(|(pod, _)| pod.to_owned());
    pod.ok_or(holder)
}

/// Listens where Pods can reach it, and passes everything on to a port of this machine alone. Ends with the test.
fn wire(address: &str, to: u16) -> u16 {
    let listener = TcpListener::bind((address, 0)).expect("the node's wire is there");
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else {
                continue;
            };
            let (near_back, far_back) = (near.try_clone().unwrap(), far.try_clone().unwrap());
            thread::spawn(move || pass(near, far));
            thread::spawn(move || pass(far_back, near_back));
        }
    });
    port
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    // Either end may hang up at any time.
    let _ = copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
