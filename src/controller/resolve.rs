//! What a Sync is with all that it refers to: which versions are in use, the Plan that they make, or why they make
//! none. Pure: reads the index. Used by `sync`.

use std::sync::Arc;

use super::conditions::{Outlook, Summary};
use super::connection::{invalid, list};
use super::context::sync_name;
use super::index::{Index, Kind, Meta, Target};
use crate::api::condition::reason;
use crate::api::sync::SyncSpec;
use crate::plan::{Plan, Problem, ResourceName, compile_with, connection_of};
use crate::record::Fingerprint;

/// A Sync with what it refers to.
#[derive(Clone)]
pub struct Resolved {
    pub meta: Meta,
    pub suspend: bool,
    /// Of all specs that made the Plan.
    pub version: Fingerprint,
    /// The Connections that it uses.
    pub connections: Vec<ResourceName>,
    pub plan: Result<Arc<Plan>, Summary>,
    /// What is so of the Sync where its newest version cannot be read.
    pub unread: Option<Summary>,
    /// Which generation of it is in use.
    pub used: i64,
    /// What is so of parts whose newest version is not the one in use.
    pub older: Vec<String>,
    /// One of them cannot be read: what it means for a Sync that has not run with it is not known.
    pub leans: bool,
}

/// What the index makes of a Sync; `None`: it is gone.
pub fn look_up(
    index: &Index,
    target: &Target,
    before: Option<(Fingerprint, Arc<Plan>)>,
) -> Option<Resolved> {
    let entry = index.entry(target)?;
    let meta = entry.meta.clone();
    let in_use = index.in_use(target);
    let unread = entry.unread.as_ref();
    let unread = unread.map(|unread| Summary::unread(entry, &unread.problem, in_use));
    let Some(spec) = index.resources.syncs.get(&target.name) else {
        return Some(Resolved {
            meta,
            suspend: false,
            version: Fingerprint::UNKNOWN,
            connections: Vec::new(),
            plan: Err(unread.clone()?),
            unread,
            used: entry.used.generation,
            older: Vec::new(),
            leans: false,
        });
    };
    let (connections, mapping) = (connections_of(target, spec), mapping_of(target, spec));
    let version = version(index, target, &connections, &mapping);
    let plan = compile_with(&index.resources, &index.compiled, &sync_name(&target.name));
    let plan = match (plan, before) {
        // The same version is the same Plan: whoever runs it needn't hear of another.
        (Ok(_), Some((known, plan))) if known == version => Ok(plan),
        (Ok(plan), _) => Ok(Arc::new(plan)),
        (Err(problems), _) => {
            let mut why_not = why_not(&problems, index, &connections, &mapping);
            if let Some(unread) = &unread {
                why_not.message = format!("{}; {}", why_not.message, unread.message);
            }
            Err(why_not)
        }
    };
    let parts = parts(&connections, &mapping);
    let leans = |part: &Target| index.entry(part).is_some_and(|e| e.unread.is_some());
    Some(Resolved {
        meta,
        suspend: spec.suspend,
        version,
        leans: parts.iter().any(leans),
        older: parts.iter().filter_map(|part| older(index, part)).collect(),
        connections,
        plan,
        unread,
        used: entry.used.generation,
    })
}

/// What a Sync is made of beside itself.
pub fn parts(connections: &[ResourceName], mapping: &ResourceName) -> Vec<Target> {
    let connections = connections.iter().map(|c| Target::new(Kind::Connection, c));
    let mut parts: Vec<Target> = connections.collect();
    parts.dedup();
    parts.push(Target::new(Kind::Mapping, mapping));
    parts
}

/// What is so of a part whose newest version is not the one in use.
fn older(index: &Index, part: &Target) -> Option<String> {
    let entry = index.entry(part).filter(|_| index.in_use(part))?;
    let why = match &entry.unread {
        _ if entry.is_good() => return None,
        Some(unread) => unread.problem.as_str(),
        None => "its status says why",
    };
    Some(format!(
        "{} {} goes on as of generation {}, since its newest version cannot be used: {why}",
        part.kind.as_str(),
        part.name.name,
        entry.used.generation,
    ))
}

/// The Connections that a Sync uses: of its source, of its target.
pub fn connections_of(target: &Target, spec: &SyncSpec) -> Vec<ResourceName> {
    let references = [&spec.source.connection_ref, &spec.target.connection_ref];
    let name = |reference| connection_of(&target.name.namespace, reference);
    references.map(name).into()
}

pub fn mapping_of(target: &Target, spec: &SyncSpec) -> ResourceName {
    ResourceName::new(&target.name.namespace, &spec.mapping_ref.name)
}

/// Of all specs that make the Plan.
fn version(
    index: &Index,
    target: &Target,
    connections: &[ResourceName],
    mapping: &ResourceName,
) -> Fingerprint {
    let own = [target.clone()].into_iter();
    let used: Vec<_> = own
        .chain(parts(connections, mapping))
        .map(|part| index.entry(&part).map(|e| (e.meta.uid.clone(), e.used)))
        .collect();
    let text = serde_json::to_vec(&used).unwrap_or_default();
    Fingerprint::of(&text)
}

/// Why there is no Plan.
fn why_not(
    problems: &[Problem],
    index: &Index,
    connections: &[ResourceName],
    mapping: &ResourceName,
) -> Summary {
    let is_reference = |p: &Problem| p.field.ends_with("Ref") || p.field.ends_with("Ref.name");
    let (references, own): (Vec<Problem>, Vec<Problem>) =
        problems.iter().cloned().partition(is_reference);
    if !own.is_empty() {
        return invalid(problems);
    }
    if !references.is_empty() {
        return Summary::new(
            Outlook::Blocked,
            reason::REFERENCE_MISSING,
            list(&references),
        );
    }
    let broken = connections
        .iter()
        .find(|c| !index.compiled.connections.contains_key(c))
        .map(|c| ("Connection", c))
        .unwrap_or(("Mapping", mapping));
    Summary::new(
        Outlook::Blocked,
        reason::REFERENCE_NOT_READY,
        format!(
            "{} {} cannot be used; its own status says why",
            broken.0, broken.1.name
        ),
    )
}
