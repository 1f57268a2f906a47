//! The processes that are measured: the receiver as `syncline run` and the controller have it, and the store
//! alone. Started by `main`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::json;
use syncline::api::connection::ConnectionSpec;
use syncline::connector::{NoSecret, SecretSource};
use syncline::intake::{Endpoint, Endpoints, Receiver};
use syncline::plan::connection::compile;
use syncline::record::{Fingerprint, Key, SyncName};
use syncline::state::{Delivered, Location, Notice, Store, Takeover};
use syncline::telemetry::Metrics;
use tokio::sync::watch;

use crate::{Result, Run, load};

/// The only Secret.
struct Secret;

impl SecretSource for Secret {
    fn read(
        &self,
        _: &str,
        _: &str,
        _: &str,
    ) -> BoxFuture<'_, std::result::Result<SecretString, NoSecret>> {
        Box::pin(async { Ok(SecretString::from(load::SECRET)) })
    }
}

/// Receives until it is killed. Prints `PORT\n` when it is ready.
pub fn serve(setting: &str) -> Result<()> {
    runtime()?.block_on(async {
        let store = open(setting).await?;
        let spec: ConnectionSpec = serde_json::from_value(json!({
            "http": {"baseURL": "https://shop.example.com"},
            "auth": {"none": {}},
            "objects": [{
                "name": "customers",
                "key": ["id"],
                "list": {"path": "/customers"},
                "get": {"path": "/customers/${key.id}"},
            }],
            "webhooks": [{
                "name": "events",
                "verify": {"standardWebhooks": {"secretRef": {"name": "keys", "key": "hook"}}},
                "eventID": "headers[\"webhook-id\"]",
                "routes": [{
                    "when": "body.type.startsWith(\"customer.\")",
                    "object": "customers",
                    "key": {"id": "body.data.id"},
                }],
            }],
        }))?;
        let plan = compile("default", "shop", &spec).map_err(|problems| format!("{problems:?}"))?;
        let hook = plan.webhooks.get("events").ok_or("there is no webhook")?;
        let metrics = Arc::<Metrics>::default();
        let endpoints = Arc::new(Endpoints::new(metrics));
        let sync = SyncName {
            namespace: "default".into(),
            name: "customers".into(),
        };
        endpoints.serve(&sync, Endpoint::new("default", "shop", Arc::clone(hook)));
        let (news, _listening) = watch::channel(BTreeMap::new());
        let receiver = Receiver::new(endpoints, Arc::new(Secret), store, news);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        std::io::stdout().flush()?;
        let (_stop, stopped) = watch::channel(false);
        Ok(receiver.serve(listener, stopped).await?)
    })
}

/// So many callers keep so many events in the store, one after the other.
pub fn bare(setting: &str, callers: usize, events: usize) -> Result<Run> {
    runtime()?.block_on(async {
        let store = open(setting).await?;
        let begun = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|caller| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut waits = Vec::with_capacity(events / callers + 1);
                    for number in (caller..events).step_by(callers) {
                        let asked = Instant::now();
                        let kept =
                            store.receive("default/shop", vec![event(number)], 1_800_000_000_000);
                        kept.await?;
                        waits.push(asked.elapsed().as_nanos() as u64);
                    }
                    Ok::<_, syncline::state::StoreError>(waits)
                })
            })
            .collect();
        let mut waits = Vec::with_capacity(events);
        for task in tasks {
            waits.extend(task.await??);
        }
        Ok(Run::of(waits, begun.elapsed().as_secs_f64()))
    })
}

/// What the receiver makes of one delivery of `load`.
fn event(number: usize) -> Delivered {
    Delivered {
        event: Fingerprint::of(format!("events msg_{number}").as_bytes()),
        notices: vec![Notice {
            object: "customers".into(),
            key: Key::from_text(format!("cus_{number:08}")),
            record: None,
            problem: None,
        }],
    }
}

async fn open(setting: &str) -> Result<Arc<dyn Store>> {
    let location = Location::parse(setting)?;
    Ok(location.open(Takeover::default()).await?)
}

/// As the binary's own.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
