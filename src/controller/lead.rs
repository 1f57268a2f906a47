//! What the leader does: watches, reconciles, runs workers, writes statuses; all of it ends together.
//! Called by `run` while the Lease is held.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::Options;
use super::context::{Context, Hooks};
use super::events::Events;
use super::health::{DEAF, Health};
use super::index::{Kind, Target};
use super::secrets::ClusterSecrets;
use super::status::{Statuses, WRITERS};
use super::streams::{Listed, MOST_SIGHTINGS, Sighting, Streams};
use crate::plan::ResourceName;
use crate::record::SyncName;
use crate::runtime::site::Site;
use crate::runtime::tasks::Tasks;

/// Resources that are reconciled at once.
const RECONCILERS: usize = 8;
/// How long the first reconciliations wait until all is listed: a Sync whose Mapping was not seen yet has none. What
/// cannot be listed for so long holds up no other.
const LISTS: Duration = Duration::from_secs(10);
/// Time between two looks at state that no Sync belongs to.
const SWEEP: Duration = Duration::from_secs(3600);
/// Everything that runs while this process leads. Dropping it ends it all.
pub struct Lead {
    context: Arc<Context>,
    tasks: JoinSet<()>,
}

impl Lead {
    /// Begins to lead.
    pub fn start(
        client: &Client,
        site: Arc<Site>,
        tasks: Tasks,
        hooks: Hooks,
        health: &Arc<Health>,
        options: &Options,
    ) -> Self {
        let (events, publisher) =
            Events::new(client.clone(), Arc::clone(health), options.identity.clone());
        let statuses = Statuses::new(client.clone(), Arc::clone(health), Arc::new(events));
        let (sender, sightings) = mpsc::channel(MOST_SIGHTINGS);
        let context = Arc::new(Context::new(
            site,
            Arc::new(statuses),
            ClusterSecrets::new(client.clone()),
            Arc::clone(health),
            tasks,
            hooks,
            sender.clone(),
        ));
        let mut lead = Self {
            context,
            tasks: JoinSet::new(),
        };
        lead.tasks.spawn(publisher.run());
        let begun = lead.watch_all(client, options, (sender, sightings));
        lead.work(&begun);
        lead
    }

    /// Begins to follow all kinds; `true` comes when what there is may be judged.
    fn watch_all(
        &mut self,
        client: &Client,
        options: &Options,
        (sender, mut sightings): (mpsc::Sender<Sighting>, mpsc::Receiver<Sighting>),
    ) -> watch::Receiver<bool> {
        let (mut lists, listed) = (Vec::new(), Arc::<Listed>::default());
        for namespace in options.namespaces() {
            Streams {
                client,
                health: &self.context.health,
                namespace,
                sender: &sender,
                tasks: &mut self.tasks,
                lists: &mut lists,
                listed: &listed,
            }
            .all();
        }
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move {
            while let Some(sighting) = sightings.recv().await {
                sighting(&context);
            }
        });
        let context = Arc::clone(&self.context);
        let (begin, begun) = watch::channel(false);
        self.tasks.spawn(async move {
            let mut all = futures::future::join_all(lists);
            let soon = tokio::time::timeout(LISTS, &mut all).await;
            begin.send_replace(true);
            // One that cannot be listed holds up no other: what it holds is not swept.
            let all = match soon {
                Ok(all) => Ok(all),
                Err(_) => tokio::time::timeout(DEAF - LISTS, all).await,
            };
            if all.is_ok_and(|all| all.iter().any(Result::is_err)) {
                // Nobody lists any more: then there is nothing to sweep either.
                return;
            }
            sweep(&context, &listed).await;
        });
        begun
    }

    fn work(&mut self, begun: &watch::Receiver<bool>) {
        for _ in 0..RECONCILERS {
            let (context, mut begun) = (Arc::clone(&self.context), begun.clone());
            self.tasks.spawn(async move {
                // Who begins it has gone when all of this ends.
                if begun.wait_for(|begun| *begun).await.is_ok() {
                    super::reconcile::run(&context).await;
                }
            });
        }
        for _ in 0..WRITERS {
            let statuses = Arc::clone(&self.context.statuses);
            self.tasks.spawn(async move { statuses.run().await });
        }
        let context = Arc::clone(&self.context);
        self.tasks
            .spawn(async move { context.hear_workers().await });
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move { context.hear_probes().await });
    }

    /// Waits until a part of it ends, which none should; says so.
    pub async fn broken(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => "a part of the controller panicked".to_owned(),
            _ => "a part of the controller ended".to_owned(),
        }
    }

    /// Ends everything: workers finish what is sent, within `bound`.
    pub async fn stop(mut self, bound: Duration) {
        // Nobody tells workers anything any more.
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        self.context.tasks.stop(bound).await;
        self.context.health.forget_pulses();
    }
}

/// Counts the time of state that no Sync belongs to, for ever.
async fn sweep(cx: &Context, listed: &Listed) {
    loop {
        let declared = |sync: &SyncName| {
            if !listed.holds(Kind::Sync, &sync.namespace) {
                return None;
            }
            let name = ResourceName::new(&sync.namespace, &sync.name);
            Some(cx.index().entry(&Target::new(Kind::Sync, &name)).is_some())
        };
        if let Err(error) = cx.tasks.sweep(super::sync::RETENTION, declared).await {
            tracing::warn!("state that no Sync belongs to was not looked at: {error}");
        }
        let gone = |target: &Target| {
            listed.holds(target.kind, &target.name.namespace) && cx.index().entry(target).is_none()
        };
        if let Err(error) = cx.kept.sweep(gone).await {
            tracing::warn!("manifests of resources that are gone were not looked at: {error}");
        }
        cx.tasks.tidy();
        tokio::time::sleep(SWEEP).await;
    }
}
