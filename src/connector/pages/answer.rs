//! From the raw records of a page to those that take part: filter, client-side cursor, parents' fields.
//! Pure. Used by `scan`.

use std::cmp::Ordering;

use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use crate::expression::{Expression, RecordText, raw};
use crate::plan::connection::{CursorPlan, ListPlan, PageWay};
use crate::record::{Fingerprint, Moment};

/// The records that take part, in order, with the parent's fields that the list includes; and how many were left
/// out because the filter failed on them.
pub(super) fn records_of(
    mut records: Vec<RecordText>,
    list: &ListPlan,
    parent: Option<&Value>,
    since: Option<&Moment>,
) -> (Vec<RecordText>, u32) {
    let mut failed = 0;
    if let Some(filter) = &list.records.filter {
        records.retain(|record| passes(filter, record, &mut failed));
    }
    if let (Some(cursor), Some(since)) = (list.cursor.as_ref().filter(|c| c.client_side), since) {
        records.retain(|record| !is_before(record, cursor, since));
    }
    let Some(parent) = parent.filter(|_| !list.include.is_empty()) else {
        return (records, failed);
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
    let records = records
        .iter()
        .map(|record| raw::with_fields(record, &fields).into())
        .collect();
    (records, failed)
}

/// What is no object is kept: the engine names it. An error of the expression is a no.
fn passes(filter: &Expression, record: &[u8], failed: &mut u32) -> bool {
    let Some(record) = serde_json::from_slice::<Value>(record)
        .ok()
        .filter(Value::is_object)
    else {
        return true;
    };
    filter.test(&[("record", &record)]).unwrap_or_else(|_| {
        *failed += 1;
        false
    })
}

/// Whether a record has not changed since; one without a readable moment may have.
fn is_before(record: &[u8], cursor: &CursorPlan, since: &Moment) -> bool {
    let moment =
        raw::field(record, &cursor.moment.path).and_then(|value| cursor.moment.read_value(&value));
    moment.and_then(|moment| moment.order(since)) == Some(Ordering::Less)
}

/// The fingerprint of a page's content, where a page that comes again would go unnoticed.
pub(super) fn content(way: &PageWay, records: &[RecordText]) -> Fingerprint {
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
