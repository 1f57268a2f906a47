//! Reconciles a Connection: are its Secrets there, does its system answer, and what does that mean?
//! `dereference` reads, `build` decides (pure), `reconcile` applies.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::conditions::{Draft, Outlook, Summary, Truth, conditions};
use super::context::{Context, Credentials, connection_name};
use super::index::{Kind, Target};
use super::status::conditions_of;
use crate::api::condition::{AUTHENTICATED, REACHABLE, find, reason};
use crate::api::connection::{ConnectionStatus, WebhookStatus};
use crate::intake::Endpoint;
use crate::plan::connection::{ConnectionWithObjects, SecretUse, WebhookPlan};
use crate::plan::{ConnectionPlan, Problem, ResourceName};
use crate::runtime::probe::{Health, Probed};

/// A system that does not answer for so long is no passing trouble.
const PASSING: std::time::Duration = std::time::Duration::from_secs(600);

/// What is known of a Connection.
struct Facts {
    uid: String,
    generation: i64,
    /// What is so where the newest version cannot be read.
    unread: Option<Summary>,
    problems: Vec<Problem>,
    compiled: Option<ConnectionWithObjects>,
    webhooks: Vec<WebhookStatus>,
}

impl Facts {
    fn plan(&self) -> Option<&Arc<ConnectionPlan>> {
        self.compiled.as_ref().map(|c| &c.connection)
    }

    fn has_probe(&self) -> bool {
        self.plan().is_some_and(|plan| plan.probe.is_some())
    }
}

/// Brings a Connection's status and probe in line; answers when to look again.
pub async fn reconcile(cx: &Context, name: &ResourceName) -> Result<Option<Instant>, String> {
    let target = Target::new(Kind::Connection, name);
    cx.kept.recover(cx, &target).await?;
    if !cx.kept.is_settled(cx, &target) {
        // It is reconciled again when it is known whether a former version is in use.
        return Ok(None);
    }
    let Some(facts) = facts(cx, &target) else {
        cx.probes.forget(&connection_name(name));
        cx.tasks.site().release(&connection_name(name));
        cx.set_credentials(name, None);
        cx.statuses.forget(&target);
        return cx.kept.forget(&target).await.map(|()| None);
    };
    let rotated = cx.take_rotation(name);
    let credentials = match &facts.compiled {
        Some(compiled) => dereference(cx, compiled).await?,
        None => Credentials::Present,
    };
    if rotated {
        cx.tasks
            .site()
            .forget_credential(&connection_name(name))
            .await;
        nudge_users(cx, name);
    }
    apply(cx, name, &facts, &credentials, rotated);
    cx.kept.keep(cx, &target).await?;
    let before = cx.statuses.current(&target);
    let probed = cx.probes.result(&connection_name(name));
    if probed.as_ref().is_some_and(|p| p.health == Health::Good) && was_in_trouble(&before) {
        // What failed because of it need not wait for its next attempt.
        nudge_users(cx, name);
    }
    if probed.is_none() && was_probed(&facts, &credentials, &before) {
        // This process has not heard of the system yet: what the one before saw stands until it has.
        return Ok(None);
    }
    let now = Timestamp::now();
    let status = build(&facts, &credentials, probed.as_ref(), &before, now);
    cx.statuses.write(
        &target,
        &facts.uid,
        serde_json::to_value(status).map_err(|e| e.to_string())?,
    );
    Ok(probed
        .filter(|p| p.health == Health::Unreachable)
        .map(|p| wake(&p, now)))
}

fn nudge_users(cx: &Context, name: &ResourceName) {
    for sync in cx.users(name) {
        cx.tasks.nudge(&super::context::sync_name(&sync));
    }
}

/// Whether a status is about this very Connection and tells of a probe, of which there will be another.
fn was_probed(facts: &Facts, credentials: &Credentials, status: &Value) -> bool {
    facts.has_probe()
        && *credentials == Credentials::Present
        && status["observedGeneration"] == facts.generation
        && find(&conditions_of(status), REACHABLE).is_some()
        && Vec::<WebhookStatus>::deserialize(&status["webhooks"]).unwrap_or_default()
            == facts.webhooks
}

/// Whether a status says that the system did not answer, or did not take the credential.
fn was_in_trouble(status: &Value) -> bool {
    let conditions = conditions_of(status);
    [REACHABLE, AUTHENTICATED]
        .into_iter()
        .any(|kind| find(&conditions, kind).is_some_and(|c| c.status == "False"))
}

fn facts(cx: &Context, target: &Target) -> Option<Facts> {
    let index = cx.index();
    let entry = index.entry(target)?;
    let compiled = index.compiled.connections.get(&target.name);
    Some(Facts {
        uid: entry.meta.uid.clone(),
        generation: entry.meta.generation,
        unread: entry
            .unread
            .as_ref()
            .map(|unread| Summary::unread(entry, &unread.problem, compiled.is_some())),
        problems: entry.problems.clone(),
        compiled: compiled.cloned(),
        webhooks: compiled
            .map(|c| webhooks(cx, &target.name, c))
            .unwrap_or_default(),
    })
}

/// Where each webhook of a Connection is received, if any is.
fn webhooks(
    cx: &Context,
    name: &ResourceName,
    compiled: &ConnectionWithObjects,
) -> Vec<WebhookStatus> {
    let Some(base) = &cx.hooks.base else {
        return Vec::new();
    };
    let status = |webhook: &Arc<WebhookPlan>| WebhookStatus {
        name: webhook.name.clone(),
        url: format!(
            "{base}{}",
            Endpoint::new(&name.namespace, &name.name, Arc::clone(webhook)).path()
        ),
    };
    compiled.webhooks.values().map(status).collect()
}

/// Looks whether every Secret and key is there; those that requests need come first.
async fn dereference(
    cx: &Context,
    compiled: &ConnectionWithObjects,
) -> Result<Credentials, String> {
    let mut wanted: BTreeMap<(SecretUse<'_>, &str), Vec<&str>> = BTreeMap::new();
    for named in compiled.secrets() {
        let keys = wanted.entry((named.used_for, &named.secret.name));
        keys.or_default().push(&named.secret.key);
    }
    let namespace = &compiled.connection.namespace;
    for ((used_for, name), keys) in wanted {
        let Some(what) = cx.secrets.missing(namespace, name, &keys).await? else {
            continue;
        };
        return Ok(match used_for {
            SecretUse::Requests => Credentials::Missing(what),
            SecretUse::Webhook(webhook) => Credentials::WebhookMissing {
                webhook: webhook.to_owned(),
                what,
            },
        });
    }
    Ok(Credentials::Present)
}

/// Probes what can be used, and tells the Syncs that use it.
fn apply(
    cx: &Context,
    name: &ResourceName,
    facts: &Facts,
    credentials: &Credentials,
    rotated: bool,
) {
    let runtime_name = connection_name(name);
    match (facts.plan(), credentials) {
        (Some(plan), Credentials::Present | Credentials::WebhookMissing { .. }) => {
            cx.probes.watch(plan);
            if rotated {
                cx.probes.nudge(&runtime_name);
            }
        }
        _ => {
            cx.probes.forget(&runtime_name);
            cx.tasks.site().release(&runtime_name);
        }
    }
    cx.set_credentials(name, Some(credentials.clone()));
}

/// When trouble that may pass becomes trouble that stays.
fn wake(probed: &Probed, now: Timestamp) -> Instant {
    let passed = now.as_millisecond().saturating_sub(probed.since).max(0);
    let rest = PASSING.saturating_sub(std::time::Duration::from_millis(passed.unsigned_abs()));
    Instant::now() + rest.max(std::time::Duration::from_secs(1)).min(PASSING)
}

fn build(
    facts: &Facts,
    credentials: &Credentials,
    probed: Option<&Probed>,
    before: &Value,
    now: Timestamp,
) -> ConnectionStatus {
    ConnectionStatus {
        observed_generation: Some(facts.generation),
        webhooks: facts.webhooks.clone(),
        conditions: conditions(
            summary(facts, credentials, probed, now),
            probe_conditions(facts, credentials, probed),
            facts.generation,
            &conditions_of(before),
            now,
        ),
    }
}

fn summary(
    facts: &Facts,
    credentials: &Credentials,
    probed: Option<&Probed>,
    now: Timestamp,
) -> Summary {
    if let Some(unread) = &facts.unread
        && unread.outlook != Outlook::Good
    {
        return unread.clone();
    }
    if facts.compiled.is_none() {
        return invalid(&facts.problems);
    }
    if let Credentials::Missing(what) = credentials {
        return Summary::new(Outlook::Blocked, reason::SECRET_MISSING, what.clone());
    }
    let configured = |message: &str| match credentials {
        Credentials::WebhookMissing { webhook, what } => {
            let message = unverified(webhook, what);
            Summary::new(Outlook::Blocked, reason::SECRET_MISSING, message)
        }
        _ => facts
            .unread
            .clone()
            .unwrap_or_else(|| Summary::new(Outlook::Good, reason::CONFIGURED, message)),
    };
    let Some(probed) = probed else {
        return match facts.has_probe() {
            true => configured("configured; not probed yet"),
            false => configured("configured"),
        };
    };
    let message = probed.message.as_str();
    match probed.health {
        Health::Good => configured("configured; the system answers and accepts the credential"),
        Health::Rejected => Summary::new(Outlook::Stalled, reason::CREDENTIAL_REJECTED, message),
        Health::Misconfigured => Summary::new(Outlook::Stalled, reason::MISCONFIGURED, message),
        Health::Unreachable => {
            let since = now.as_millisecond().saturating_sub(probed.since);
            let passing = u128::from(since.max(0).unsigned_abs()) < PASSING.as_millis();
            let outlook = if passing {
                Outlook::Recovering
            } else {
                Outlook::Blocked
            };
            Summary::new(outlook, reason::UNREACHABLE, message)
        }
    }
}

/// What it means that a webhook's key is not there.
pub fn unverified(webhook: &str, what: &str) -> String {
    format!("webhook {webhook}: {what}: deliveries that are signed with it are refused")
}

/// A resource that breaks a rule which the schema cannot check.
pub fn invalid(problems: &[Problem]) -> Summary {
    Summary::new(Outlook::Stalled, reason::INVALID_SPEC, list(problems))
}

/// Problems in one line: the first ones, and how many more there are.
pub fn list(problems: &[Problem]) -> String {
    const SHOWN: usize = 3;
    let mut parts: Vec<String> = problems
        .iter()
        .filter(|p| p.is_error())
        .take(SHOWN)
        .map(|p| match p.field.as_str() {
            "" => p.message.clone(),
            field => format!("{field}: {}", p.message),
        })
        .collect();
    let all = problems.iter().filter(|p| p.is_error()).count();
    if all > SHOWN {
        parts.push(format!("and {} more", all - SHOWN));
    }
    parts.join("; ")
}

fn probe_conditions(
    facts: &Facts,
    credentials: &Credentials,
    probed: Option<&Probed>,
) -> Vec<Draft> {
    let usable = facts.plan().is_some() && !matches!(credentials, Credentials::Missing(_));
    let Some(probed) = probed.filter(|_| usable) else {
        return Vec::new();
    };
    let draft = |kind, truth, reason, message: &str| Draft {
        kind,
        truth,
        reason,
        message: message.to_owned(),
    };
    let message = probed.message.as_str();
    let answers = "the system answers";
    let (reachable, authenticated) = match probed.health {
        Health::Good => (
            draft(REACHABLE, Truth::True, reason::ANSWERED, answers),
            draft(
                AUTHENTICATED,
                Truth::True,
                reason::ACCEPTED,
                "the system accepts the credential",
            ),
        ),
        Health::Rejected => (
            draft(REACHABLE, Truth::True, reason::ANSWERED, answers),
            draft(
                AUTHENTICATED,
                Truth::False,
                reason::CREDENTIAL_REJECTED,
                message,
            ),
        ),
        Health::Unreachable => (
            draft(REACHABLE, Truth::False, reason::UNREACHABLE, message),
            draft(
                AUTHENTICATED,
                Truth::Unknown,
                reason::UNREACHABLE,
                "the system does not answer",
            ),
        ),
        Health::Misconfigured => (
            draft(REACHABLE, Truth::False, reason::MISCONFIGURED, message),
            draft(
                AUTHENTICATED,
                Truth::Unknown,
                reason::MISCONFIGURED,
                "not tried",
            ),
        ),
    };
    vec![reachable, authenticated]
}
