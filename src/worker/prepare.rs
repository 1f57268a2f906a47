//! A source record becomes an entry of the outbox: mapped and frozen; or the reason why not.
//! No state of the worker; used by `digest`, `page` and `resolve`.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::mapping::{Links, Mapped};
use crate::pipeline::matching::match_value;
use crate::pipeline::observe::{Newest, Stage};
use crate::plan::{MatchPlan, Plan};
use crate::record::{Fingerprint, Key, LookupKey, SyncName};
use crate::state::{Awaited, Detail, Entry, Exception, Known, Link, Presence, Trouble};

use super::flight::Base;
use super::now;
use super::seen::Seen;

/// A record after the Mapping.
pub enum Prepared {
    Ready(Box<Entry>),
    /// Dead letter or waiting: what the exception says.
    Trouble(Box<Entry>, Trouble, Box<Detail>),
}

/// The links that the wanted lookups have.
pub async fn find_links(
    plan: &Plan,
    store: &dyn crate::state::Store,
    mut wanted: Vec<LookupKey>,
) -> Result<Links, crate::state::StoreError> {
    wanted.sort();
    wanted.dedup();
    let sync = |lookup: &LookupKey| -> Option<SyncName> {
        plan.lookups
            .iter()
            .find(|l| l.name == lookup.lookup)
            .map(|l| l.sync.clone())
    };
    wanted.retain(|lookup| sync(lookup).is_some());
    let questions = wanted
        .iter()
        .filter_map(|lookup| Some((sync(lookup)?, lookup.key.clone())))
        .collect();
    let answers = store.linked(questions).await?;
    Ok(wanted
        .into_iter()
        .zip(answers)
        .filter_map(|(lookup, target)| Some((lookup, target?)))
        .collect())
}

/// Maps a record into an entry, or says why it cannot fly.
pub fn prepare(plan: &Plan, seen: &Seen, links: &Links, at: i64) -> Prepared {
    let mut entry = Box::new(Entry {
        key: seen.key.clone(),
        raw: seen.raw,
        mapped: Fingerprint::UNKNOWN,
        moment: seen.moment.clone(),
        matching: match_hash(plan, seen, &Value::Null),
        token: token(plan),
        seen: at,
        source: seen.bytes.clone(),
        body: Bytes::new(),
        params: params(plan, seen),
        removal: None,
        untried: false,
    });
    let looks_at_mapped = plan
        .matching
        .as_ref()
        .is_some_and(MatchPlan::looks_at_mapped);
    if seen.problem().is_none()
        && let Some(fields) = &seen.fields
        && let Some(body) = plan.mapping.apply_text(fields, links)
    {
        entry.mapped = Fingerprint::of(&body);
        entry.body = body.into();
        if looks_at_mapped {
            let mapped = serde_json::from_slice(&entry.body).unwrap_or_default();
            entry.matching = match_hash(plan, seen, &mapped);
        }
        return Prepared::Ready(entry);
    }
    let record = seen.value();
    if let Some(problem) = seen.problem() {
        let detail = Detail {
            reason: "InvalidRecord".into(),
            message: problem.into(),
            since: at,
            ..Detail::default()
        };
        return Prepared::Trouble(entry, Trouble::Dead, Box::new(detail));
    }
    let detail = match plan.mapping.apply(record, links) {
        Mapped::Record(record) => {
            entry.body = serde_json::to_vec(&record).unwrap_or_default().into();
            entry.mapped = Fingerprint::of(&entry.body);
            if looks_at_mapped {
                entry.matching = match_hash(plan, seen, &Value::Object(record));
            }
            return Prepared::Ready(entry);
        }
        Mapped::Rejected(rejection) => Detail {
            reason: rejection.reason.into(),
            message: format!("field {}: {}", rejection.field, rejection.message),
            field: Some(rejection.field),
            since: at,
            ..Detail::default()
        },
        Mapped::Waiting(lookup) => match waiting(plan, lookup, at) {
            Ok(detail) => return Prepared::Trouble(entry, Trouble::Waiting, detail),
            Err(detail) => *detail,
        },
    };
    Prepared::Trouble(entry, Trouble::Dead, Box::new(detail))
}

/// The wait for another Sync's link; the error is a dead letter.
fn waiting(plan: &Plan, lookup: LookupKey, at: i64) -> Result<Box<Detail>, Box<Detail>> {
    let declared = plan.lookups.iter().find(|l| l.name == lookup.lookup);
    let Some(sync) = declared.map(|l| l.sync.clone()) else {
        return Err(Box::new(Detail {
            reason: "Unlinked".into(),
            message: format!(
                "lookup {:?} is not declared in the Sync's lookups",
                lookup.lookup
            ),
            since: at,
            ..Detail::default()
        }));
    };
    Ok(Box::new(Detail {
        reason: "Waiting".into(),
        message: format!("waits until Sync {} links record {}", sync.name, lookup.key),
        since: at,
        remap: true,
        awaits: Some(Awaited { sync, lookup }),
        ..Detail::default()
    }))
}

/// By what the record is recognized in the target; none where that is a value of a mapped record that is
/// not there.
fn match_hash(plan: &Plan, seen: &Seen, mapped: &Value) -> Option<i64> {
    let matching = plan.matching.as_ref()?;
    match_value(matching, seen.used(plan), mapped).map(|value| value.hash)
}

/// Names a create to the target; zeros where it takes no idempotency key.
pub(super) fn token(plan: &Plan) -> [u8; 16] {
    let mut token = [0; 16];
    if plan
        .target
        .object
        .create
        .as_ref()
        .is_some_and(|create| create.idempotency_ttl.is_some())
        && getrandom::fill(&mut token).is_err()
    {
        // Without randomness a key of the time is still unique to this record.
        token = Fingerprint(now() as u128).under(plan.hash).to_bytes();
    }
    token
}

/// The values of `${source.…}` that the target's operations use.
fn params(plan: &Plan, seen: &Seen) -> Bytes {
    if plan.source_paths.is_empty() {
        return Bytes::new();
    }
    let source = seen.used(plan);
    let mut values = Value::Object(Map::new());
    for path in &plan.source_paths {
        if let Some(value) = path.get(source) {
            // A path that cannot be set again names no field of an object: it has no value then.
            let _ = path.set(&mut values, value.clone());
        }
    }
    serde_json::to_vec(&values).unwrap_or_default().into()
}

/// A record that has no key or is no object, as a dead letter of its own.
pub fn broken(plan: &Plan, bytes: Bytes, problem: String) -> Exception {
    let raw = Fingerprint::of(&bytes).under(plan.hash);
    Exception {
        entry: Entry {
            key: Key::from_text(format!("invalid-{raw}")),
            raw,
            mapped: Fingerprint::UNKNOWN,
            moment: None,
            matching: None,
            token: [0; 16],
            seen: now(),
            source: bytes,
            body: Bytes::new(),
            params: Bytes::new(),
            removal: None,
            untried: false,
        },
        trouble: Trouble::Dead,
        next: 0,
        detail: Detail {
            reason: "InvalidRecord".into(),
            message: problem,
            since: now(),
            ..Detail::default()
        },
        behind: None,
    }
}

/// The newest version that the store knows of a key.
pub fn newest_known(known: &Known) -> Option<Newest<'_>> {
    if let Some(exception) = &known.exception {
        let newest = exception.behind.as_ref().unwrap_or(&exception.entry);
        let stage = match exception.trouble {
            Trouble::Unknown | Trouble::Ambiguous => Stage::InDoubt,
            Trouble::Retry | Trouble::Waiting | Trouble::Dead | Trouble::Held => Stage::Unsent,
        };
        return Some(Newest {
            stage,
            raw: newest.raw,
            moment: newest.moment.as_ref(),
        });
    }
    let link = known.link.as_ref()?;
    Some(Newest {
        stage: Stage::Applied,
        raw: link.raw,
        moment: link.moment.as_ref(),
    })
}

pub fn seen_link(seen: &Seen) -> Link {
    Link {
        key: seen.key.clone(),
        target: None,
        raw: seen.raw,
        mapped: Fingerprint::UNKNOWN,
        moment: seen.moment.clone(),
        matching: None,
        fields: Vec::new(),
        own: false,
        presence: Presence::Here,
    }
}

/// The link of a version that needs no write.
pub fn touched(base: &Base, entry: &Entry) -> Link {
    Link {
        key: entry.key.clone(),
        target: base.target.clone(),
        raw: entry.raw,
        mapped: base.mapped,
        moment: entry.moment.clone(),
        matching: entry.matching,
        fields: base.fields.clone(),
        own: base.own,
        presence: Presence::Here,
    }
}
