//! Group commit: all that waits becomes one transaction, and is answered when that is durable.
//! Runs on the thread that writes, which `SqliteStore` starts.

use std::collections::HashMap;
use std::sync::mpsc;

use rusqlite::Connection;

use super::schema;
use super::write::WriteError;
use crate::state::StoreError;

/// Most jobs in one transaction, so that nobody waits long for the first of them.
const LARGEST_GROUP: usize = 256;

pub type WriteJob = Box<dyn FnOnce(&Connection) -> Result<Finish, WriteError> + Send>;
/// Tells the caller, once the transaction is durable or has failed.
pub type Finish = Box<dyn FnOnce(Option<&StoreError>) + Send>;

pub struct Queued {
    /// The session whose state this changes: after one failed commit all its later ones are refused,
    /// because they build on what was not kept.
    pub session: Option<(i64, i64)>,
    pub job: WriteJob,
    pub refuse: Box<dyn FnOnce(StoreError) + Send>,
}

/// Takes all that waits, up to [`LARGEST_GROUP`] jobs, as one transaction; answers when it is durable.
pub fn write_loop(mut db: Connection, jobs: &mpsc::Receiver<Queued>, place: &str) {
    let mut failed = HashMap::new();
    while let Ok(first) = jobs.recv() {
        let mut group = vec![first];
        while group.len() < LARGEST_GROUP
            && let Ok(next) = jobs.try_recv()
        {
            group.push(next);
        }
        write_group(&mut db, group, place, &mut failed);
    }
}

fn write_group(
    db: &mut Connection,
    group: Vec<Queued>,
    place: &str,
    failed: &mut HashMap<(i64, i64), StoreError>,
) {
    let sessions: Vec<_> = group.iter().filter_map(|queued| queued.session).collect();
    let mut group = group.into_iter();
    let mut finishes: Vec<Finish> = Vec::new();
    let result = (|| {
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        for queued in group.by_ref() {
            if let Some(error) = queued.session.and_then(|s| failed.get(&s)) {
                (queued.refuse)(error.clone());
                continue;
            }
            // A job that the store itself refuses (a fenced worker) has changed nothing before.
            match (queued.job)(&tx) {
                Ok(finish) => finishes.push(finish),
                Err(WriteError::Store(error)) => (queued.refuse)(error),
                Err(WriteError::Sql(error)) => {
                    (queued.refuse)(schema::translate(place, &error));
                    return Err(error);
                }
            }
        }
        tx.commit()
    })();
    let failure = result.err().map(|e| schema::translate(place, &e));
    for finish in finishes {
        finish(failure.as_ref());
    }
    if let Some(failure) = failure {
        failed.extend(
            sessions
                .into_iter()
                .map(|session| (session, failure.clone())),
        );
        for queued in group {
            (queued.refuse)(failure.clone());
        }
    }
}
