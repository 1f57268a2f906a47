//! From the raw records of a page to those that take part: filter, client-side cursor, parents' fields.
//! Pure. Used by `scan`.

use std::cmp::Ordering;

use bytes::Bytes;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::expression::Expression;
use crate::expression::raw;
use crate::plan::connection::{CursorPlan, ListPlan, PageWay};
use crate::record::{Fingerprint, Moment};

/// The records that take part, in order, with the parent's fields that the list includes.
pub(super) fn records_of(
    mut records: Vec<Bytes>,
    list: &ListPlan,
    parent: Option<&Value>,
    since: Option<&Moment>,
) -> Vec<Bytes> {
    if let Some(filter) = &list.records.filter {
        records.retain(|record| passes(filter, record));
    }
    if let (Some(cursor), Some(since)) = (list.cursor.as_ref().filter(|c| c.client_side), since) {
        records.retain(|record| !is_before(record, cursor, since));
    }
    let Some(parent) = parent.filter(|_| !list.include.is_empty()) else {
        return records;
    };
    let texts: Vec<(&str, String)> = list
        .include
        .iter()
        .filter_map(|(field, path)| Some((field.as_str(), path.get(parent)?.to_string())))
        .collect();
    let fields: Vec<(&str, &str)> = texts
        .iter()
        .map(|(field, text)| (*field, text.as_str()))
        .collect();
    records
        .iter()
        .map(|record| raw::with_fields(record, &fields))
        .collect()
}

/// What is no object is kept: the engine names it. An error of the expression is a no.
fn passes(filter: &Expression, record: &[u8]) -> bool {
    match serde_json::from_slice::<Value>(record) {
        Ok(record) if record.is_object() => filter.test(&[("record", &record)]).unwrap_or(false),
        _ => true,
    }
}

/// Whether a record has not changed since; one without a readable moment may have.
fn is_before(record: &[u8], cursor: &CursorPlan, since: &Moment) -> bool {
    let moment =
        raw::field(record, &cursor.moment.path).and_then(|value| cursor.moment.read_value(&value));
    moment.and_then(|moment| moment.order(since)) == Some(Ordering::Less)
}

/// The fingerprint of a page's content, where a page that comes again would go unnoticed.
pub(super) fn content(way: &PageWay, records: &[Bytes]) -> Fingerprint {
    if matches!(way, PageWay::LastKey { .. }) {
        return Fingerprint::UNKNOWN;
    }
    let mut hasher = Xxh3::new();
    for record in records {
        hasher.update(record);
        hasher.update(b"\n");
    }
    Fingerprint(hasher.digest128().max(1))
}
