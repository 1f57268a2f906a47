//! Group commit: all that waits becomes one transaction, and is answered when that is durable. What nobody
//! waits for waits for more to come, because making a transaction durable costs as much as a hundred rows.
//! Runs on the thread that writes, which `SqliteStore` starts.

use std::collections::HashMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::schema;
use super::write::WriteError;
use crate::state::StoreError;

/// Most jobs in one transaction, so that nobody waits long for the first of them.
const LARGEST_GROUP: usize = 256;

/// From the beginning of one transaction to that of the next one while nobody waits for it.
const GATHER: Duration = Duration::from_millis(8);

pub type WriteJob = Box<dyn FnOnce(&Connection) -> Result<Finish, WriteError> + Send>;
/// Tells the caller, once the transaction is durable or has failed.
pub type Finish = Box<dyn FnOnce(Option<&StoreError>) + Send>;

pub struct Queued {
    /// The session whose state this changes: after one failed commit all its later ones are refused,
    /// because they build on what was not kept.
    pub session: Option<(i64, i64)>,
    /// Somebody waits for it.
    pub urgent: bool,
    pub job: WriteJob,
    pub refuse: Box<dyn FnOnce(StoreError) + Send>,
}

/// Takes all that waits, up to [`LARGEST_GROUP`] jobs, as one transaction; answers when it is durable.
pub fn write_loop(mut db: Connection, jobs: &mpsc::Receiver<Queued>, place: &str) {
    let mut failed = HashMap::new();
    let mut begun: Option<Instant> = None;
    while let Ok(first) = jobs.recv() {
        let group = gather(first, jobs, begun.map(|begun| begun + GATHER));
        begun = Some(Instant::now());
        write_group(&mut db, group, place, &mut failed);
    }
}

/// Takes what is there, and what comes until then as long as none of it is urgent.
fn gather(first: Queued, jobs: &mpsc::Receiver<Queued>, until: Option<Instant>) -> Vec<Queued> {
    let mut urgent = first.urgent;
    let mut group = vec![first];
    while group.len() < LARGEST_GROUP {
        let next = match (jobs.try_recv(), until) {
            (Ok(next), _) => next,
            (Err(_), Some(until)) if !urgent => {
                let left = until.saturating_duration_since(Instant::now());
                match jobs.recv_timeout(left) {
                    Ok(next) => next,
                    Err(_) => break,
                }
            }
            (Err(_), _) => break,
        };
        urgent |= next.urgent;
        group.push(next);
    }
    group
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

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(urgent: bool) -> Queued {
        Queued {
            session: None,
            urgent,
            job: Box::new(|_| Ok(Box::new(|_| ()))),
            refuse: Box::new(|_| ()),
        }
    }

    #[test]
    fn what_nobody_waits_for_goes_with_the_first_that_somebody_waits_for() {
        let (queue, jobs) = mpsc::channel();
        let hour = Instant::now() + Duration::from_secs(3600);
        let sender = std::thread::spawn(move || {
            for urgent in [false, false, true] {
                queue.send(queued(urgent)).unwrap();
            }
            queue
        });
        let mut group = gather(queued(false), &jobs, Some(hour));
        let queue = sender.join().unwrap();
        assert_eq!(group.len(), 4);
        assert!(group.pop().unwrap().urgent);

        // Who waits, waits for nobody; and after a pause nobody is waited for.
        queue.send(queued(false)).unwrap();
        assert_eq!(gather(queued(true), &jobs, Some(hour)).len(), 2);
        assert_eq!(gather(queued(false), &jobs, None).len(), 1);
        assert_eq!(gather(queued(false), &jobs, Some(Instant::now())).len(), 1);
        // The last ones are not kept back when the store is closed.
        drop(queue);
        assert_eq!(gather(queued(false), &jobs, Some(hour)).len(), 1);
    }
}
