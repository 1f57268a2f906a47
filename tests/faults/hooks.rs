//! The source's webhook: deliveries that are lost, repeated, late and in another order, to a real receiver.
//! Notes in the source what was answered with 2xx; used by `life`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ring::hmac;
use serde_json::json;
use syncline::intake::{Endpoint, Endpoints, Receiver};
use syncline::plan::Plan;
use syncline::state::Store;
use syncline::worker::Board;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::case::Case;
use crate::life::Given;
use crate::manifests::{SECRET, sync_name};
use crate::server::Server;

pub struct Hooks {
    case: Case,
    /// Versions of which the source has tried to tell, by record.
    sent: std::collections::BTreeMap<String, usize>,
    /// Deliveries that come once more, later: id, version, body.
    again: Vec<(String, usize, String)>,
}

impl Hooks {
    pub fn new(case: Case) -> Self {
        Self {
            case,
            sent: Default::default(),
            again: Vec::new(),
        }
    }

    /// Tells of everything that is new, in a strange order.
    pub fn deliver<'a>(
        &mut self,
        life: u64,
        plan: &Plan,
        server: &'a Server,
        store: Arc<dyn Store>,
        board: &Board,
    ) -> impl Future<Output = ()> + use<'a> {
        let dice = self.case.dice();
        let mut bodies = std::mem::take(&mut self.again);
        if self.case.hook.is_some() {
            let world = server.world();
            for (id, history) in &world.source.history {
                let from = self.sent.insert(id.clone(), history.len()).unwrap_or(0);
                for index in from..history.len() {
                    let event = format!("{id}-{index}");
                    if dice.chance(&format!("lost {event}"), 0, 20) {
                        continue;
                    }
                    let record = world.source.at(id, index);
                    let body = json!({"id": event, "record": record}).to_string();
                    let delivery = (id.clone(), index, body);
                    if dice.chance(&format!("late {event}"), 0, 20) {
                        self.again.push(delivery);
                        continue;
                    }
                    if dice.chance(&format!("twice {event}"), 0, 30) {
                        bodies.push(delivery.clone());
                    }
                    if dice.chance(&format!("again {event}"), 0, 15) {
                        self.again.push(delivery.clone());
                    }
                    bodies.push(delivery);
                }
            }
        }
        let order =
            |body: &(String, usize, String)| dice.roll(&format!("order {}", body.2), life, 1 << 40);
        bodies.sort_by_key(order);
        let endpoints = Arc::new(Endpoints::default());
        if let Some(webhook) = &plan.webhook {
            let source = &plan.source.connection;
            let endpoint = Endpoint::new(&source.namespace, &source.name, Arc::clone(webhook));
            endpoints.serve(&sync_name(&self.case), endpoint);
        }
        let path = format!("/hooks/default/source-{}/events", self.case.seed);
        let receiver = Receiver::new(endpoints, Arc::new(Given), store, board.news.clone());
        async move {
            if bodies.is_empty() {
                return;
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let url = format!(
                "http://{}{path}",
                listener.local_addr().expect("an address")
            );
            let (_stop, stopped) = watch::channel(false);
            let serving = receiver.serve(listener, stopped);
            let telling = tell(client(), &url, bodies, server);
            tokio::select! {
                served = serving => served.expect("the receiver serves"),
                () = telling => {}
            }
        }
    }
}

/// What tells, for all cases: making one reads the machine's certificates.
fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        // reqwest is built without a way to choose one by itself.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A receiver that is gone leaves its port to another one.
        let client = reqwest::Client::builder().pool_max_idle_per_host(0);
        client.build().expect("a client")
    })
}

async fn tell(
    client: &reqwest::Client,
    url: &str,
    bodies: Vec<(String, usize, String)>,
    server: &Server,
) {
    for (id, index, body) in bodies {
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = hmac::sign(&key, body.as_bytes());
        let tag: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let request = client
            .post(url)
            .header("content-type", "application/json")
            .header("x-signature", tag)
            .timeout(Duration::from_secs(30))
            .body(body);
        let Ok(answer) = request.send().await else {
            continue;
        };
        if answer.status().is_success() {
            let mut world = server.world();
            let told = world.source.told.entry(id).or_default();
            *told = index.max(*told);
        }
    }
}
