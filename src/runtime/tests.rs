//! A supervised Sync fails alone, says so, and gets a new chance when something changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::json;

use super::order::{AilmentKind, Desired, Order, Snapshot};
use super::site::Site;
use super::tasks::Tasks;
use super::vault::KeySource;
use crate::connector::{Guard, NoSecret, SecretSource};
use crate::plan::{Plan, ResourceName, Resources, compile};
use crate::record::{Fingerprint, SyncName};
use crate::state::contract::link;
use crate::state::sqlite::SqliteStore;
use crate::state::{Change, OnMismatch, Store};
use crate::worker::{Fence, now};

/// A Plan whose systems are not there.
pub fn plan() -> Arc<Plan> {
    plan_of("sync", "127.0.0.1:9")
}

fn plan_of(sync: &str, address: &str) -> Arc<Plan> {
    let name = |name: &str| ResourceName::new("default", name);
    let connection = json!({
        "http": {"baseURL": format!("http://{address}"), "allowPlaintext": true, "timeout": "2s"},
        "auth": {"bearer": {"secretRef": {"name": "secret", "key": "token"}}},
        "access": ["Read", "Create", "Update"],
        "objects": [{
            "name": "things", "key": ["id"],
            "list": {"path": "/things", "pagination": {"token": {"from": "next", "sendAs": {"in": "Query", "name": "cursor"}}}},
            "find": {"path": "/things", "query": {"email": "${match.email}"}},
            "create": {"path": "/things"},
            "update": {"path": "/things/${key.id}"},
        }],
    });
    let spec = json!({
        "source": {"connectionRef": {"name": "a"}, "object": "things"},
        "target": {"connectionRef": {"name": "b"}, "object": "things"},
        "mappingRef": {"name": "m"},
        "trigger": {"interval": "10s"},
        "match": {"fields": [{"source": "email", "target": "email"}]},
    });
    let mut resources = Resources::default();
    for side in ["a", "b"] {
        let spec = serde_json::from_value(connection.clone()).unwrap();
        resources.connections.insert(name(side), spec);
    }
    let mapping = json!({"fields": [{"to": "email", "from": "email"}]});
    resources
        .mappings
        .insert(name("m"), serde_json::from_value(mapping).unwrap());
    resources
        .syncs
        .insert(name(sync), serde_json::from_value(spec).unwrap());
    let sync = SyncName {
        namespace: "default".to_owned(),
        name: sync.to_owned(),
    };
    Arc::new(compile(&resources, &sync).unwrap())
}

/// A source of credentials that panics while it is told to.
#[derive(Default)]
struct Moody(AtomicBool);

impl SecretSource for Moody {
    fn read(&self, _: &str, _: &str, _: &str) -> BoxFuture<'_, Result<SecretString, NoSecret>> {
        assert!(!self.0.load(Ordering::SeqCst), "out of mood");
        async { Ok(SecretString::from("token")) }.boxed()
    }
}

fn order(plan: &Arc<Plan>, version: u128) -> Desired {
    Desired::Run(Order {
        plan: Arc::clone(plan),
        version: Fingerprint(version),
        requested: None,
        handled: None,
        state: None,
        allow_deletes: None,
    })
}

/// Waits until the Sync shows this.
async fn wait(tasks: &Tasks, name: &SyncName, what: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let shown = async {
        loop {
            if let Some(snapshot) = tasks.snapshot(name).filter(|s| what(s)) {
                return snapshot;
            }
            tasks.changes().take().await;
        }
    };
    let shown = tokio::time::timeout(Duration::from_secs(30), shown).await;
    shown.unwrap_or_else(|_| panic!("{:?}", tasks.snapshot(name)))
}

struct Fixture {
    tasks: Tasks,
    secrets: Arc<Moody>,
    store: Arc<dyn Store>,
    _directory: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let secrets = Arc::<Moody>::default();
    let source: Arc<dyn SecretSource> = secrets.clone();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(directory.path()).unwrap());
    let (guard, fence) = (Guard::default(), Fence::default());
    let site = Site::open(Arc::clone(&store), &KeySource::None, source, guard, fence).unwrap();
    Fixture {
        tasks: Tasks::new(Arc::new(site), false),
        secrets,
        store,
        _directory: directory,
    }
}

#[tokio::test]
async fn a_worker_that_panics_is_started_again_later_and_a_nudge_makes_it_now() {
    let Fixture {
        tasks,
        secrets,
        _directory,
        ..
    } = fixture();
    secrets.0.store(true, Ordering::SeqCst);
    let plan = plan();
    tasks.tell(&plan.name, order(&plan, 1));
    let ill = wait(&tasks, &plan.name, |s| s.ailment.is_some()).await;
    let ailment = ill.ailment.unwrap();
    assert_eq!(ailment.kind, AilmentKind::Panic);
    assert!(
        !ailment.message.contains("out of mood"),
        "{}",
        ailment.message
    );
    let delay = ailment.next_attempt.unwrap() - now();
    assert!(
        (110_000..=120_000).contains(&delay),
        "2 minutes after the first failure: {delay}"
    );
    secrets.0.store(false, Ordering::SeqCst);
    tasks.nudge(&plan.name);
    let other = wait(&tasks, &plan.name, |s| {
        s.ailment
            .as_ref()
            .is_some_and(|a| a.kind == AilmentKind::Unreachable)
    });
    assert!(other.await.last_run.is_some());
}

#[tokio::test]
async fn a_sync_that_is_gone_keeps_its_state_until_it_expires() {
    let Fixture {
        tasks, _directory, ..
    } = fixture();
    let plan = plan();
    tasks.tell(&plan.name, order(&plan, 1));
    wait(&tasks, &plan.name, |s| s.ailment.is_some()).await;
    let store = Arc::clone(tasks.site().store());
    let retention = Duration::from_secs(3600);
    tasks.tell(&plan.name, Desired::Gone { retention });
    let expires = async {
        loop {
            let found = store.find(&plan.name).await.unwrap();
            match found.and_then(|(_, state)| state.expires) {
                Some(at) => return at,
                None => tokio::task::yield_now().await,
            }
        }
    };
    let expires = tokio::time::timeout(Duration::from_secs(30), expires)
        .await
        .unwrap();
    assert!((3_500_000..=3_600_000).contains(&(expires - now())));
    tasks.sweep(retention, |_| Some(false)).await.unwrap();
    assert!(store.find(&plan.name).await.unwrap().is_some(), "not yet");
    // Declared again: the state stays.
    tasks.tell(&plan.name, order(&plan, 1));
    wait(&tasks, &plan.name, |s| s.ailment.is_some()).await;
    let (_, state) = store.find(&plan.name).await.unwrap().unwrap();
    assert_eq!(state.expires, None);
    // Gone for longer than it is kept.
    tasks.stop(Duration::from_secs(30)).await;
    store.expire(&plan.name, Some(now() - 1)).await.unwrap();
    let beside = format!("echoes/{}", plan.name);
    store.save_value(&beside, Some(vec![1])).await.unwrap();
    tasks.sweep(retention, |_| None).await.unwrap();
    assert!(
        store.find(&plan.name).await.unwrap().is_some(),
        "not ours to know"
    );
    tasks.sweep(retention, |_| Some(false)).await.unwrap();
    assert!(store.find(&plan.name).await.unwrap().is_none());
    assert_eq!(store.load_value(&beside).await.unwrap(), None);
}

#[tokio::test]
async fn state_of_other_systems_waits_for_a_persons_word() {
    let Fixture {
        tasks,
        store,
        _directory,
        ..
    } = fixture();
    let before = plan_of("sync", "127.0.0.1:9");
    // State without a record would be of no system.
    let (session, _) = store
        .open(&before.name, before.identity, OnMismatch::Refuse)
        .await
        .unwrap();
    let link = Change::Link(link("c0", 1));
    store.commit(&session, vec![link]).await.unwrap();
    tasks.tell(&before.name, order(&before, 1));
    wait(&tasks, &before.name, |s| s.ailment.is_some()).await;
    let after = plan_of("sync", "127.0.0.1:10");
    tasks.tell(&after.name, order(&after, 2));
    let ill = wait(&tasks, &after.name, |s| {
        s.ailment
            .as_ref()
            .is_some_and(|a| a.kind == AilmentKind::StateMismatch)
    });
    let message = ill.await.ailment.unwrap().message;
    let hash = super::order::short(after.identity);
    assert!(message.contains(&format!("Adopt-{hash}")), "{message}");
    tasks.tell(
        &after.name,
        Desired::Run(Order {
            plan: Arc::clone(&after),
            // Nothing but the annotation is new.
            version: Fingerprint(2),
            requested: None,
            handled: None,
            state: Some(format!("Reset-{hash}")),
            allow_deletes: None,
        }),
    );
    wait(&tasks, &after.name, |s| {
        s.ailment
            .as_ref()
            .is_some_and(|a| a.kind == AilmentKind::Unreachable)
    })
    .await;
}
