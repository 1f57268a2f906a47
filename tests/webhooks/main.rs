//! Webhooks with the real binary: what is answered with 2xx is applied, and nothing else is.

mod bad;
#[path = "../support/cluster.rs"]
mod cluster;
mod operator;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/operator.rs"]
mod process;
mod signer;
mod world;

use std::sync::{Arc, Once};

use serde_json::json;
use tokio::sync::Notify;

use signer::Signer;
use world::{Folder, STANDARD, World};

/// Deliveries of a round in the tests that kill.
const DELIVERIES: usize = 80;

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_secs() as i64
}

fn client() -> reqwest::Client {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| {
        // Somebody else in this process may have chosen it.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::new()
}

async fn post(
    client: &reqwest::Client,
    url: &str,
    headers: &[(String, String)],
    body: &str,
) -> u16 {
    let mut request = client.post(url).body(body.to_owned());
    if !headers.iter().any(|(name, _)| name == "content-type") {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    match request.send().await {
        Ok(answer) => answer.status().as_u16(),
        Err(_) => 0,
    }
}

fn event(id: &str) -> String {
    json!({"type": "customer.changed", "data": {"id": id}}).to_string()
}

/// Each bad delivery gets the status that tells its sender what is wrong, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_taken_only_when_its_signature_is_good_and_fresh() {
    let world = World::default();
    world.customer("a", "Ada");
    let folder = Folder::new(world.serve().await, "1h");
    let engine = folder.start();
    world
        .until("the first scan", |held| held.contacts.contains_key("a"))
        .await;

    let (client, mut signer) = (client(), Signer::start());
    let url = format!("{}/standard", engine.url);
    world.customer("a", "Ada Lovelace");
    world.customer("b", "Grace");
    let body = event("a");
    let good = signer.sign("standard", STANDARD, "msg_1", &body, now());
    let forged = signer.sign("standard", "whsec_d3Jvbmc=", "msg_2", &body, now());
    let stale = signer.sign("standard", STANDARD, "msg_3", &body, now() - 400);
    let mut form = good.clone();
    form.push((
        "content-type".into(),
        "application/x-www-form-urlencoded".into(),
    ));
    let large = format!("{{\"pad\":\"{}\"}}", "x".repeat(3_000));
    let signed_large = signer.sign("standard", STANDARD, "msg_4", &large, now());
    let broken = signer.sign("standard", STANDARD, "msg_5", "{", now());
    let none = Vec::new();
    for (what, headers, body, status) in [
        ("unsigned", &none, &body, 401),
        ("forged", &forged, &body, 401),
        ("stale", &stale, &body, 401),
        ("changed", &good, &event("b"), 401),
        ("a form", &form, &body, 415),
        ("too large", &signed_large, &large, 413),
        ("not JSON", &broken, &"{".to_owned(), 400),
    ] {
        assert_eq!(post(&client, &url, headers, body).await, status, "{what}");
    }
    let nowhere = format!("{}/other", engine.url);
    assert_eq!(post(&client, &nowhere, &good, &body).await, 404);
    let read = client.get(&url).send().await.expect("an answer");
    assert_eq!(read.status().as_u16(), 405);
    assert_eq!(
        world.held().contacts["a"]["name"],
        "Ada",
        "nothing was taken yet"
    );

    assert_eq!(post(&client, &url, &good, &body).await, 200);
    world
        .until("what was told", |held| {
            held.contacts["a"]["name"] == "Ada Lovelace"
        })
        .await;
    // Again, and an event that no route wants: both are fine, and change nothing.
    assert_eq!(post(&client, &url, &good, &body).await, 200);
    let other = json!({"type": "invoice.paid", "data": {"id": "b"}}).to_string();
    let headers = signer.sign("standard", STANDARD, "msg_6", &other, now());
    assert_eq!(post(&client, &url, &headers, &other).await, 200);
    // What comes after them is there, so they have been dealt with.
    let last = event("b");
    let headers = signer.sign("standard", STANDARD, "msg_7", &last, now());
    assert_eq!(post(&client, &url, &headers, &last).await, 200);
    world
        .until("the last one", |held| held.contacts.contains_key("b"))
        .await;
    assert_eq!(world.held().writes["a"].len(), 2);
    assert_eq!(world.held().lists, 1, "nothing of this was found by a scan");
}

/// kill -9 while deliveries come: whatever was acknowledged is applied by a later process.
async fn survives_a_kill(place: Option<&str>) {
    let world = World::default();
    world.held().unlisted = true;
    let mut folder = Folder::new(world.serve().await, "1h");
    if let Some(place) = place {
        folder = folder.keep_state_in(place);
    }
    let mut engine = folder.start();
    world.until("the first scan", |held| held.lists > 0).await;
    let client = client();
    let mut signer = Signer::start();
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let url = format!("{}/standard", engine.url);
        let mut under_way = tokio::task::JoinSet::new();
        for n in 0..DELIVERIES {
            let id = format!("{round}-{n}");
            world.customer(&id, "told");
            let body = event(&id);
            let headers = signer.sign("standard", STANDARD, &format!("msg_{id}"), &body, now());
            let (client, url) = (client.clone(), url.clone());
            under_way.spawn(async move { (id, post(&client, &url, &headers, &body).await) });
        }
        let mut answered = 0;
        while let Some(done) = under_way.join_next().await {
            let (id, status) = done.expect("a delivery");
            if status == 200 {
                acknowledged.push(id);
            }
            answered += 1;
            if answered == DELIVERIES / 8 * (2 * round + 1) {
                engine.kill();
            }
        }
        engine = folder.start();
    }
    assert!(acknowledged.len() >= DELIVERIES, "{}", acknowledged.len());
    let all = |held: &world::Held| acknowledged.iter().all(|id| held.contacts.contains_key(id));
    world.until("all that was acknowledged", all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill() {
    survives_a_kill(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_with_state_in_postgresql() {
    let database = postgres::cluster().database();
    survives_a_kill(Some(&database.url())).await;
}

/// A page is asked for, then the record changes and a webhook tells so, and only then the page arrives with
/// the old version: without an order of versions the record is read again, and the new one stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_overtakes_a_page_that_was_read_before_it() {
    let world = World::default();
    world.customer("a", "first");
    let folder = Folder::new(world.serve().await, "1s");
    let engine = folder.start();
    world
        .until("the first scan", |held| held.contacts.contains_key("a"))
        .await;
    let (client, mut signer) = (client(), Signer::start());

    let hold = Arc::new(Notify::new());
    let lists = {
        let mut held = world.held();
        held.hold_list = Some(Arc::clone(&hold));
        held.lists
    };
    // The page is read now, with the first name in it, and does not arrive.
    world
        .until("a page that is held back", |held| {
            held.lists > lists && held.hold_list.is_none()
        })
        .await;
    world.customer("a", "second");
    let body = event("a");
    let headers = signer.sign("standard", STANDARD, "msg_1", &body, now());
    let url = format!("{}/standard", engine.url);
    assert_eq!(post(&client, &url, &headers, &body).await, 200);
    world
        .until("what was told", |held| {
            held.contacts["a"]["name"] == "second"
        })
        .await;
    let lists = world.held().lists;
    hold.notify_one();
    world
        .until("two scans more", |held| held.lists >= lists + 2)
        .await;
    let names: Vec<_> = world.held().writes["a"]
        .iter()
        .map(|w| w["name"].clone())
        .collect();
    assert_eq!(names, ["first", "second"], "the old page changed nothing");
}

/// The ways of Stripe and GitHub, signed by their own libraries.
#[tokio::test(flavor = "multi_thread")]
async fn the_vendors_own_libraries_sign_what_is_taken() {
    let world = World::default();
    let systems = world.serve().await;
    let (client, mut signer) = (client(), Signer::start());
    for (way, secret) in [("stripe", world::STRIPE), ("github", world::GITHUB)] {
        let folder = Folder::new(systems, "1h");
        folder.use_webhook(way);
        let engine = folder.start();
        world.customer(way, "told");
        let body = json!({"id": "evt_1", "data": {"id": way}}).to_string();
        let url = format!("{}/{way}", engine.url);
        let headers = signer.sign(way, secret, "d-1", &body, now());
        assert_eq!(post(&client, &url, &headers, &body).await, 200, "{way}");
        let forged = signer.sign(way, "other", "d-2", &body, now());
        assert_eq!(post(&client, &url, &forged, &body).await, 401, "{way}");
        world
            .until(way, |held| held.contacts.contains_key(way))
            .await;
    }
}
