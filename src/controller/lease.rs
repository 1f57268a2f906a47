//! Who leads: the holder of a Lease. Others judge it by what they saw change on their own clock, so that
//! clocks that disagree do no harm, and every write is checked against what was read. The leader stops
//! sending well before anybody else may lead, also when the API server cannot be reached.
//! kube has no leader election, and the crate that offers one does not tell its user of a loss while the
//! API server is away. Used by `run`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use std::time::Instant;

use super::watch::describe;
use crate::worker::Fence;

/// Name of the Lease.
pub const NAME: &str = "syncline";
/// How long a Lease counts after its last renewal.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long the leader sends after its last renewal: the rest of the duration is for what is under way.
const SENDING: Duration = Duration::from_secs(10);
/// Time between two renewals or looks.
const EVERY: Duration = Duration::from_secs(2);
/// The longest time for one request.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A candidate.
pub struct Election {
    api: Api<Lease>,
    identity: String,
    /// What was last seen of another holder, and when on our clock.
    seen: Option<(Record, Instant)>,
}

/// What says that a holder is alive: it changes with every renewal.
#[derive(Clone, Debug, PartialEq)]
struct Record {
    holder: String,
    renewed: Option<MicroTime>,
}

/// What one look showed.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// This process leads; `unclean`: the one before did not let go by itself.
    Won { unclean: bool },
    /// Somebody else leads.
    Held { by: String },
}

impl Election {
    pub fn new(client: Client, namespace: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            identity,
            seen: None,
        }
    }

    /// Waits until this process leads; `tell` hears who leads meanwhile, or what is wrong.
    pub async fn win(&mut self, fence: &Fence, mut tell: impl FnMut(Result<&str, &str>)) -> bool {
        loop {
            let began = Instant::now();
            match bounded(self.look()).await {
                Ok(Look::Won { unclean }) => {
                    fence.open_until(began + SENDING);
                    return unclean;
                }
                Ok(Look::Held { by }) => tell(Ok(&by)),
                Err(problem) => tell(Err(&problem)),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Renews until that is no longer possible; says why.
    pub async fn hold(&mut self, fence: &Fence) -> String {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(EVERY).await;
            let began = Instant::now();
            match bounded(self.look()).await {
                Ok(Look::Won { .. }) => {
                    renewed = began;
                    fence.open_until(began + SENDING);
                }
                Ok(Look::Held { by }) => {
                    fence.close();
                    return format!("{by} leads now");
                }
                Err(problem) => {
                    tracing::warn!("the lease cannot be renewed: {problem}");
                    if renewed.elapsed() >= SENDING {
                        fence.close();
                        return format!(
                            "the lease could not be renewed for {} s: {problem}",
                            SENDING.as_secs()
                        );
                    }
                }
            }
        }
    }

    /// Lets go, so that the next one needn't wait.
    pub async fn release(&mut self) {
        let release = async {
            let lease = self.api.get(NAME).await?;
            let spec = lease.spec.clone().unwrap_or_default();
            if spec.holder_identity.as_deref() == Some(self.identity.as_str()) {
                let spec = LeaseSpec {
                    holder_identity: Some(String::new()),
                    ..spec
                };
                let lease = Lease {
                    spec: Some(spec),
                    ..lease
                };
                self.api
                    .replace(NAME, &PostParams::default(), &lease)
                    .await?;
            }
            Ok(())
        };
        if let Err(problem) = bounded(release).await {
            tracing::warn!(
                "the lease cannot be released, the next one waits for it to end: {problem}"
            );
        }
    }

    /// Reads the Lease, and takes or renews it where that is allowed.
    async fn look(&mut self) -> Result<Look, kube::Error> {
        let Some(lease) = self.api.get_opt(NAME).await? else {
            let lease = self.claim(Lease::default(), 0);
            self.api.create(&PostParams::default(), &lease).await?;
            return Ok(Look::Won { unclean: false });
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let mine = holder == self.identity;
        if !mine && !holder.is_empty() && !self.expired(&spec, &holder) {
            return Ok(Look::Held { by: holder });
        }
        let transitions = spec.lease_transitions.unwrap_or(0) + i32::from(!mine);
        let lease = self.claim(lease, transitions);
        // Somebody else who was quicker makes this a conflict.
        self.api
            .replace(NAME, &PostParams::default(), &lease)
            .await?;
        self.seen = None;
        Ok(Look::Won {
            unclean: !mine && !holder.is_empty(),
        })
    }

    /// Whether the holder was seen without a renewal for as long as its Lease counts.
    fn expired(&mut self, spec: &LeaseSpec, holder: &str) -> bool {
        let record = Record {
            holder: holder.to_owned(),
            renewed: spec.renew_time.clone(),
        };
        let duration = spec
            .lease_duration_seconds
            .and_then(|s| u64::try_from(s).ok());
        let duration = duration.map_or(DURATION, Duration::from_secs);
        match &self.seen {
            Some((seen, since)) if *seen == record => since.elapsed() >= duration,
            _ => {
                self.seen = Some((record, Instant::now()));
                false
            }
        }
    }

    /// The Lease as ours.
    fn claim(&self, lease: Lease, transitions: i32) -> Lease {
        let now = MicroTime(Timestamp::now());
        let before = lease.spec.unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(self.identity.as_str());
        let metadata = match lease.metadata.name {
            Some(_) => lease.metadata,
            None => ObjectMeta {
                name: Some(NAME.to_owned()),
                ..ObjectMeta::default()
            },
        };
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                acquire_time: if mine {
                    before.acquire_time
                } else {
                    Some(now.clone())
                },
                renew_time: Some(now),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: Some(transitions),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// A request within its time, with its failure in words.
async fn bounded<T>(work: impl Future<Output = Result<T, kube::Error>>) -> Result<T, String> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(describe(&error)),
        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
    }
}
