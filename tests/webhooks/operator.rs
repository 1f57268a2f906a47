//! The operator receives webhooks for the Syncs of a cluster: a real API server, the real controller under the
//! chart's ServiceAccount.

use std::time::Duration;

use crate::cluster::{ApiServer, eventually};
use crate::process::Operator;
use crate::signer::Signer;
use crate::world::{STANDARD, World, manifests};
use crate::{client, event, now, post};

const BOUND: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_receives_for_its_syncs_and_says_where() {
    let world = World::default();
    world.held().unlisted = true;
    let systems = world.serve().await;
    let mut signer = Signer::start();
    let server = ApiServer::shared();
    let namespace = server.namespace("webhooks");
    let roles = server.install_roles(&namespace, &[]);
    let args = ["--webhook-address", "127.0.0.1:0"];
    let url = ["--webhook-url", "https://hooks.example.com/"];
    let controller = Operator::start(&roles, &[args, url].concat());
    controller.until_leading();
    let address = controller.webhook_address().expect("it said so");
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
