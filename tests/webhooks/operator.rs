//! The operator receives webhooks for the Syncs of a cluster: a real API server, the real controller under the
//! chart's ServiceAccount.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::cluster::{ApiServer, eventually};
use crate::signer::Signer;
use crate::world::{STANDARD, World, manifests};
use crate::{client, event, now, post};

const BOUND: Duration = Duration::from_secs(60);

struct Controller {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Controller {
    fn drop(&mut self) {
        // A test that fails says more than this could.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Controller {
    fn start(server: &ApiServer, namespace: &str) -> Self {
        let roles = server.install_roles(namespace, &[]);
        let folder = tempfile::tempdir().expect("a folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        let child = Command::new(env!("CARGO_BIN_EXE_syncline"))
            .args(["controller", "--metrics-address", "127.0.0.1:0"])
            .args(["--webhook-address", "127.0.0.1:0"])
            .args(["--webhook-url", "https://hooks.example.com/", "--state"])
            .arg(folder.path().join("state"))
            .env("KUBECONFIG", roles)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Self { child, folder }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where it receives webhooks, as soon as it says so.
    fn address(&self) -> Result<String, String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("receiving webhooks"));
        let line = line.and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let address = line.and_then(|line| Some(line["address"].as_str()?.to_owned()));
        address.ok_or(log)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_receives_for_its_syncs_and_says_where() {
    let world = World::default();
    world.held().unlisted = true;
    let systems = world.serve().await;
    let mut signer = Signer::start();
    let server = ApiServer::shared();
    let namespace = server.namespace("webhooks");
    let controller = Controller::start(server, &namespace);
    eventually(BOUND, || controller.address().map(|_| ()));
    let address = controller.address().expect("it said so");
    server
        .apply(&namespace, &manifests(systems, "1h"))
        .expect("the manifests are taken");
    world.until("the first scan", |held| held.lists > 0).await;

    let shown = || {
        let url = "jsonpath={.status.webhooks[?(@.name==\"standard\")].url}";
        server.run(&["get", "connection", "shop", "-n", &namespace, "-o", url])
    };
    let path = format!("/hooks/{namespace}/shop/standard");
    eventually(BOUND, || match shown() {
        url if url == format!("https://hooks.example.com{path}") => Ok(()),
        url => Err(url),
    });

    let client = client();
    world.customer("a", "Ada");
    let body = event("a");
    let headers = signer.sign("standard", STANDARD, "msg_1", &body, now());
    let url = format!("http://{address}{path}");
    let status = post(&client, &url, &headers, &body).await;
    assert_eq!(status, 200, "{}", controller.log());
    world
        .until("what was told", |held| held.contacts.contains_key("a"))
        .await;
    // A webhook that no Sync uses is not received.
    let other = url.replace("standard", "github");
    assert_eq!(post(&client, &other, &headers, &body).await, 404);

    server.run(&["delete", "sync", "standard", "-n", &namespace]);
    let end = std::time::Instant::now() + BOUND;
    while post(&client, &url, &headers, &body).await != 404 {
        assert!(std::time::Instant::now() < end, "it is received for ever");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!controller.log().contains(STANDARD), "{}", controller.log());
}
