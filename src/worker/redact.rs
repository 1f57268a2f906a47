//! Dead letters without the values that nobody is to see: those are not even kept. Before such a record is sent
//! again it is read again. The hiding itself is pure, in `pipeline::redact`.

use bytes::Bytes;

use crate::connector::Connector;
use crate::pipeline::redact::{Hidden, REDACTED, hidden};
use crate::plan::{ObjectPlan, Plan};
use crate::record::{Failure, Key};
use crate::state::{Detail, Entry, Exception};

use super::fetch;

/// Takes out of a new dead letter what nobody is to see; does nothing to another exception.
pub fn redact(plan: &Plan, exception: &mut Exception) {
    let entry = &exception.entry;
    if !exception.trouble.is_dead_letter() {
        return;
    }
    let Some(hidden) = hidden(plan, &entry.source, &entry.body) else {
        return;
    };
    let entry = &mut exception.entry;
    let source = hidden.source_record(&entry.source);
    // The newer version is kept whole, because it goes on by itself; it is not shown.
    exception.detail.redacted |= source.is_some() || exception.behind.is_some();
    entry.source = source.unwrap_or_else(|| entry.source.clone());
    for mapped in [&mut entry.body, &mut entry.params] {
        *mapped = hidden
            .mapped_record(mapped)
            .unwrap_or_else(|| mapped.clone());
    }
    hide_detail(&hidden, &mut exception.detail);
}

/// Takes everything out of a record that cannot be read as one of the object's: its fields cannot be told.
pub fn redact_whole(plan: &Plan, exception: &mut Exception) {
    if hidden(plan, &[], &[]).is_some() {
        exception.entry.source = Bytes::from(format!("{REDACTED:?}"));
        exception.detail.redacted = true;
    }
}

/// What may be told of a record's trouble.
pub fn told(plan: &Plan, entry: &Entry, detail: &Detail) -> Detail {
    let mut told = detail.clone();
    if let Some(hidden) = hidden(plan, &entry.source, &entry.body) {
        hide_detail(&hidden, &mut told);
    }
    told
}

fn hide_detail(hidden: &Hidden<'_>, detail: &mut Detail) {
    detail.message = hidden.text(&detail.message);
    let Some(failure) = &mut detail.failure else {
        return;
    };
    failure.message = hidden.text(&failure.message);
    failure.excerpt = failure.excerpt.take().map(|text| hidden.text(&text).into());
    if let Some(request) = &mut failure.request {
        request.url = hidden.text(&request.url);
        request.body = request.body.take().map(|text| hidden.text(&text));
    }
}

/// Why a record cannot be read again.
pub enum Unread {
    /// There is nothing to read it with, or it is gone.
    Never(&'static str),
    Failed(Failure),
}

/// Reads a record whose values were not kept.
pub async fn read_again(
    source: &Connector,
    object: &ObjectPlan,
    key: &Key,
) -> Result<Bytes, Unread> {
    if object.get.is_none() {
        return Err(Unread::Never("the source object has no get"));
    }
    match fetch::read(source, object, key).await {
        Ok(Some(record)) => Ok(record),
        Ok(None) => Err(Unread::Never(
            "the source does not have the record any more",
        )),
        Err(failure) => Err(Unread::Failed(failure)),
    }
}
