//! What somebody said of records becomes records: hints are followed with the source's `get`, each key once.
//! Knows nothing of the worker. Used by `inbox` (webhooks) and `feed`, and by all that reads one record.

use std::collections::HashMap;

use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::connector::{Connector, Look};
use crate::expression::RecordText;
use crate::plan::ObjectPlan;
use crate::record::{Class, Failure, Key, TargetId};

/// Most records fetched at once.
const MOST_FETCHES: usize = 8;

/// What somebody said of a record.
#[derive(Debug)]
pub enum Hint {
    /// What it is now.
    Record(Bytes),
    /// That something happened to it. `deleted`: if it isn't there, that is why.
    Fetch { key: Key, deleted: bool },
    /// It cannot be told of which record; `said` is all there is.
    Broken { said: Bytes, problem: String },
}

/// What came of hints.
#[derive(Debug, Default)]
pub struct Fetched {
    pub records: Vec<RecordText>,
    /// What speaks of no record, or of one that cannot be fetched, and why.
    pub broken: Vec<(Bytes, String)>,
    /// Deleted, as somebody said and `get` confirms.
    pub gone: Vec<Key>,
}

/// The same with one hint to fetch for each key.
pub fn once(hints: Vec<Hint>) -> Vec<Hint> {
    let mut all: Vec<Hint> = Vec::with_capacity(hints.len());
    let mut places = HashMap::new();
    for hint in hints {
        if let Hint::Fetch { key, deleted } = &hint {
            let place = *places.entry(key.clone()).or_insert(all.len());
            if let Some(Hint::Fetch { deleted: said, .. }) = all.get_mut(place) {
                *said |= deleted;
                continue;
            }
        }
        all.push(hint);
    }
    all
}

/// Follows hints. A record that isn't there (404, 410) says nothing where nobody said that it was deleted: it is
/// no tombstone.
///
/// # Errors
/// Why a record cannot be fetched now: all hints are to be followed again.
pub async fn fetch(
    source: &Connector,
    object: &ObjectPlan,
    hints: Vec<Hint>,
) -> Result<Fetched, Failure> {
    let mut fetched = Fetched::default();
    let mut wanted = Vec::new();
    for hint in once(hints) {
        match hint {
            Hint::Record(record) => fetched.records.push(record.into()),
            Hint::Broken { said, problem } => fetched.broken.push((said, problem)),
            Hint::Fetch { key, deleted } => wanted.push((key, deleted)),
        }
    }
    let looks = wanted.into_iter().map(|(key, deleted)| async move {
        let look = match id_of(object, &key) {
            Some(id) => source.look(object, &id).await,
            None => Ok(Look::Ignored),
        };
        (key, deleted, look)
    });
    let mut looks = futures::stream::iter(looks).buffered(MOST_FETCHES);
    while let Some((key, deleted, look)) = looks.next().await {
        match look {
            Ok(Look::Found(found)) => fetched
                .records
                .push(Bytes::from(found.record.to_string()).into()),
            Ok(Look::Gone) if deleted => fetched.gone.push(key),
            Ok(Look::Gone | Look::Ignored) => {}
            Err(failure) if matches!(failure.class, Class::Permanent | Class::Forbidden) => {
                let hint = Bytes::from(json!({"key": key.as_str()}).to_string());
                let problem = format!("the record cannot be fetched: {failure}");
                fetched.broken.push((hint, problem));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(fetched)
}

/// What the source is asked with for the record of this key.
pub fn id_of(object: &ObjectPlan, key: &Key) -> Option<TargetId> {
    let mut parts: Vec<Value> = key
        .parts(object.key.len())
        .into_iter()
        .map(Value::from)
        .collect();
    match parts.len() {
        1 => parts.pop().and_then(|part| TargetId::from_value(&part)),
        _ => TargetId::from_value(&Value::Array(parts)),
    }
}

/// One record of the source by its key, as text.
pub async fn read(
    source: &Connector,
    object: &ObjectPlan,
    key: &Key,
) -> Result<Option<Bytes>, Failure> {
    let Some(id) = id_of(object, key) else {
        return Ok(None);
    };
    let found = source.get(object, &id).await?;
    Ok(found.map(|found| Bytes::from(found.record.to_string())))
}
