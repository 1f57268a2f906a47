//! One record of a page as far as it was read: its key and version always, the rest when somebody wants
//! to look into it, because most records of most scans have not changed. Used by `digest` and `resolve`.

use std::cell::OnceCell;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::expression::{Fields, Path, RecordText, raw};
use crate::plan::Plan;
use crate::plan::connection::MomentPlan;
use crate::record::{Fingerprint, Key, Moment};

pub struct Seen {
    pub key: Key,
    pub raw: Fingerprint,
    pub moment: Option<Moment>,
    pub bytes: Bytes,
    /// Where its fields stand, as long as somebody may want to know.
    pub fields: Option<Fields>,
    /// Parsed as a whole; the error is for a person.
    value: OnceCell<Result<Value, String>>,
    used: OnceCell<Value>,
}

impl Seen {
    /// The record itself; null where it nests deeper than anything is parsed, as `problem` says then.
    pub fn value(&self) -> &Value {
        // Its text was read as a JSON object before, which skips over what nobody reads.
        let parse = || serde_json::from_slice(&self.bytes).map_err(|e| invalid(&e));
        self.value
            .get_or_init(parse)
            .as_ref()
            .unwrap_or(&Value::Null)
    }

    /// Why the record cannot be parsed as a whole, if somebody has tried.
    pub fn problem(&self) -> Option<&str> {
        self.value.get()?.as_ref().err().map(String::as_str)
    }

    /// The record, or as much of it as operations and `match` look at.
    pub fn used(&self, plan: &Plan) -> &Value {
        let whole = self.value.get().and_then(|value| value.as_ref().ok());
        whole.unwrap_or_else(|| {
            self.used.get_or_init(|| {
                let paths: Vec<&Path> = used_paths(plan).collect();
                let found = match &self.fields {
                    Some(fields) => fields.values(&paths),
                    None => raw::fields(&self.bytes, &paths).unwrap_or_default(),
                };
                part(&paths, found.into_iter())
            })
        })
    }

    /// Lets go of what was parsed.
    pub fn forget_value(&mut self) {
        if self.problem().is_none() {
            self.value.take();
        }
        self.used.take();
        self.fields = None;
    }
}

/// The places that operations and `match` look at.
fn used_paths(plan: &Plan) -> impl Iterator<Item = &Path> {
    let matching = plan.matching.iter().flat_map(|m| &m.fields);
    plan.source_paths
        .iter()
        .chain(matching.filter_map(|f| f.source.as_ref()))
}

/// A record with only these values.
fn part(paths: &[&Path], found: impl Iterator<Item = Option<Value>>) -> Value {
    let mut record = Value::Object(Map::new());
    for (path, value) in paths.iter().zip(found) {
        if let Some(value) = value {
            // Both stand in one record, so neither can be in the other's way.
            let _ = path.set(&mut record, value);
        }
    }
    record
}

/// Reads the key and the version of one record, and its cursor value. `new`: it will have to be written,
/// so what that takes is read along. The error holds the bytes and what is wrong.
pub fn see(
    plan: &Plan,
    record: RecordText,
    new: bool,
) -> Result<(Seen, Option<Moment>), (Bytes, String)> {
    let object = &plan.source.object;
    let cursor = object.list.as_ref().and_then(|list| list.cursor.as_ref());
    let (modified, cursor) = (object.modified.as_ref(), cursor.map(|c| &c.moment));
    let moments = modified.into_iter().chain(cursor).map(|m| &m.path);
    let mut paths: Vec<&Path> = object.key.iter().chain(moments).collect();
    let own = paths.len();
    if new {
        paths.extend(used_paths(plan));
    }
    let (bytes, fields) = record.open();
    let found = match &fields {
        Some(fields) => fields.values(&paths),
        // Texts that are not UTF-8 harm nobody where nobody reads them.
        None => match raw::fields(&bytes, &paths) {
            Some(found) => found,
            None => return Err(unreadable(bytes)),
        },
    };
    let mut found = found.into_iter();
    let keys: Vec<Option<Value>> = found.by_ref().take(object.key.len()).collect();
    let mut moment = |plan: Option<&MomentPlan>| -> Option<Moment> {
        let plan = plan?;
        plan.read_value(&found.next()??)
    };
    let (moment, cursor) = (moment(modified), moment(cursor));
    let used = OnceCell::new();
    if new {
        used.get_or_init(|| part(&paths[own..], found));
    }
    let names = object.key_names.iter().map(String::as_str);
    let key = match Key::from_values(names.zip(keys.iter().map(Option::as_ref))) {
        Ok(key) => key,
        Err(e) => return Err((bytes, format!("{e}; check `key` of object {}", object.name))),
    };
    let raw = Fingerprint::of(&bytes).under(plan.hash);
    let seen = Seen {
        key,
        raw,
        moment,
        bytes,
        fields,
        value: OnceCell::new(),
        used,
    };
    Ok((seen, cursor))
}

/// What is wrong with a record that is no object.
fn unreadable(bytes: Bytes) -> (Bytes, String) {
    let problem = match serde_json::from_slice::<Value>(&bytes) {
        Err(e) => invalid(&e),
        Ok(_) => "the record is not an object; check `records` and `shape` of the list".to_owned(),
    };
    (bytes, problem)
}

fn invalid(error: &serde_json::Error) -> String {
    format!("the record is not valid JSON: {error}")
}
