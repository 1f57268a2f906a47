//! The life of the controller: connect, wait for the CRDs, be elected, lead, hand over.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Options;
use super::context::Hooks;
use super::health::{Health, Phase};
use super::lead::Lead;
use super::lease::Election;
use super::secrets::ClusterSecrets;
use super::{client, crds};
use crate::connector::{Guard, SecretSource};
use crate::intake::Endpoints;
use crate::runtime::serve::serve;
use crate::runtime::site::{Site, StartError};
use crate::runtime::tasks::Tasks;
use crate::state::{StoreError, Takeover};
use crate::telemetry::Metrics;
use crate::worker::Fence;

/// How long workers may finish what they have sent when the process ends.
const DRAIN: Duration = Duration::from_secs(30);
/// The same when the Lease is lost: nothing is sent any more, answers may still come.
const LOST: Duration = Duration::from_secs(4);
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    #[error("{0}")]
    Client(String),
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: std::net::SocketAddr,
        error: std::io::Error,
    },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0}")]
    Broken(String),
}

/// Runs until it is told to end (SIGTERM, Ctrl-C).
///
/// # Errors
/// What made it end by itself.
pub async fn run(mut options: Options) -> Result<(), ControllerError> {
    let health = Arc::new(Health::new(Arc::new(Metrics::of_controller())));
    let address = options.metrics_address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| ControllerError::Listen { address, error })?;
    tracing::info!(address = %listener.local_addr().unwrap_or(address), "serving /healthz, /readyz and /metrics");
    let server = tokio::spawn(serve(listener, health.clone()));
    let (client, namespace) = client::connect().await.map_err(ControllerError::Client)?;
    if options.watch.is_empty() {
        options.watch.push(namespace.clone());
    }
    let lease = options.lease_namespace.take().unwrap_or(namespace);
    let stop = stop_signal();
    let result = life(&client, &options, &lease, &health, stop).await;
    server.abort();
    result
}

/// Turns true at SIGTERM or Ctrl-C.
fn stop_signal() -> watch::Receiver<bool> {
    let (told, stop) = watch::channel(false);
    tokio::spawn(async move {
        let Ok(mut term) = signal(SignalKind::terminate()) else {
            return;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        told.send_replace(true);
        // Keeps the channel open: whoever waits for a change must not take its end for one.
        std::future::pending::<()>().await;
    });
    stop
}

async fn life(
    client: &Client,
    options: &Options,
    lease: &str,
    health: &Arc<Health>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ControllerError> {
    tokio::select! {
        () = crds::wait(client, health) => {}
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    }
    loop {
        let fence = Fence::closed();
        let mut election = Election::new(client.clone(), lease, options.identity.clone());
        let won = election.win(&fence, |heard| {
            health.enter(match heard {
                Ok(holder) => Phase::Standby(holder.to_owned()),
                Err(problem) => Phase::Waiting(format!("the lease cannot be had: {problem}")),
            });
        });
        let unclean = tokio::select! {
            unclean = won => unclean,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        match reign(
            client,
            options,
            health,
            &fence,
            &mut election,
            unclean,
            &mut stop,
        )
        .await?
        {
            Ending::Told => return Ok(()),
            Ending::Lost(why) => tracing::warn!("no longer leading: {why}"),
        }
    }
}

enum Ending {
    Told,
    Lost(String),
}

/// Leads until the Lease is lost or the process is told to end.
async fn reign(
    client: &Client,
    options: &Options,
    health: &Arc<Health>,
    fence: &Fence,
    election: &mut Election,
    unclean: bool,
    stop: &mut watch::Receiver<bool>,
) -> Result<Ending, ControllerError> {
    let secrets: Arc<dyn SecretSource> = Arc::new(ClusterSecrets::new(client.clone()));
    let mut lead: Option<Lead> = None;
    let ending = {
        let mut hold = std::pin::pin!(election.hold(fence));
        let site = tokio::select! {
            site = open_store(options, &secrets, fence, health) => site?,
            why = &mut hold => return Ok(Ending::Lost(why)),
            _ = stop.wait_for(|stop| *stop) => return Ok(Ending::Told),
        };
        let tasks = Tasks::new(Arc::clone(&site), unclean);
        let (hooks, _receiving) = receive(options, &site, &secrets).await?;
        let lead = lead.insert(Lead::start(client, site, tasks, hooks, health, options));
        health.enter(Phase::Leading);
        tokio::select! {
            why = &mut hold => Ok(Ending::Lost(why)),
            _ = stop.wait_for(|stop| *stop) => Ok(Ending::Told),
            why = lead.broken() => Err(ControllerError::Broken(why)),
        }
    };
    health.enter(Phase::Stopping);
    let bound = if matches!(ending, Ok(Ending::Lost(_))) {
        LOST
    } else {
        DRAIN
    };
    if let Some(lead) = lead.take() {
        // While workers finish, the Lease is renewed: nobody else may begin.
        tokio::select! {
            () = lead.stop(bound) => {}
            why = election.hold(fence), if matches!(ending, Ok(Ending::Told)) => {
                tracing::warn!("the lease was lost while workers finished: {why}");
            }
        }
    }
    fence.close();
    // Whoever leads now shows their figures.
    health.metrics.forget_all();
    election.release().await;
    ending
}

/// Receives webhooks for as long as the second value lives.
async fn receive(
    options: &Options,
    site: &Site,
    secrets: &Arc<dyn SecretSource>,
) -> Result<(Hooks, JoinSet<()>), ControllerError> {
    let (mut hooks, mut tasks) = (Hooks::default(), JoinSet::new());
    hooks.endpoints = Arc::new(Endpoints::new(Arc::clone(site.metrics())));
    let Some(address) = options.webhook_address else {
        return Ok((hooks, tasks));
    };
    hooks.base = Some(options.webhook_url.clone().unwrap_or_default());
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| ControllerError::Listen { address, error })?;
    tracing::info!(address = %listener.local_addr().unwrap_or(address), "receiving webhooks");
    let receiver = site.receiver(Arc::clone(&hooks.endpoints), Arc::clone(secrets));
    tasks.spawn(async move {
        let (_never, stop) = watch::channel(false);
        if let Err(error) = receiver.serve(listener, stop).await {
            tracing::error!("webhooks are not received any more: {error}");
        }
    });
    Ok((hooks, tasks))
}

/// Opens the store; waits while the one who led before still has it open.
async fn open_store(
    options: &Options,
    secrets: &Arc<dyn SecretSource>,
    fence: &Fence,
    health: &Health,
) -> Result<Arc<Site>, ControllerError> {
    let guard = Guard {
        in_cluster: options.in_cluster,
        ..Guard::default()
    };
    loop {
        // Who led before was cut off by the Lease: what it still has of the store is taken from it.
        match options.state.open(Takeover::Force).await {
            Ok(store) => {
                let secrets = Arc::clone(secrets);
                let site = Site::open(store, &options.key, secrets, guard, fence.clone())?
                    .metered(Arc::clone(&health.metrics));
                return Ok(Arc::new(site));
            }
            Err(error) if error.is_passing() || matches!(error, StoreError::Locked { .. }) => {
                health.enter(Phase::Waiting(error.to_string()));
                tokio::time::sleep(STORE_AGAIN).await;
            }
            Err(error) => return Err(StartError::Store(error).into()),
        }
    }
}
