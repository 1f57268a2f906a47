//! The inbox in PostgreSQL: notices in the order of their commits, and ids of events. Several processes may
//! receive; a lock makes numbers and commits come in one order.

use std::collections::BTreeMap;

use futures::future::join4;
use tokio::sync::mpsc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use crate::record::Key;
use crate::state::inbox::{MOST, REMEMBERED};
use crate::state::{Delivered, Millis, Notice, StoreError};

use super::error::translate;
use super::read::Reader;
use super::write::Statements as AllStatements;
use super::writer::{Job, Reply};

pub const TABLES: &str = "
CREATE TABLE inbox (
  number int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  connection text COLLATE \"C\" NOT NULL,
  object text COLLATE \"C\" NOT NULL,
  key bytea NOT NULL,
  record bytea,
  problem text,
  received int8 NOT NULL
);
CREATE INDEX inbox_connection ON inbox (connection, number);
CREATE TABLE inbox_event (
  connection text COLLATE \"C\" NOT NULL,
  event bytea NOT NULL,
  received int8 NOT NULL,
  PRIMARY KEY (connection, event)
);
CREATE INDEX inbox_event_received ON inbox_event (connection, received);
";

/// Held while notices get their numbers. (\"inbox\" in ASCII.)
const NUMBERING: i64 = 0x69_6e62_6f78;

/// Most callers in one transaction.
const MOST_CALLERS: usize = 256;

const NEW: &str = "
INSERT INTO inbox_event AS e (connection, event, received)
SELECT connection, event, $3 FROM unnest($1::text[], $2::bytea[]) AS n (connection, event)
ORDER BY connection, event
ON CONFLICT (connection, event) DO UPDATE SET received = excluded.received WHERE e.received < $4
RETURNING connection, event";

const PUT: &str = "
INSERT INTO inbox (connection, object, key, record, problem, received)
SELECT connection, object, key, record, problem, $6
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[], $5::text[])
  WITH ORDINALITY AS n (connection, object, key, record, problem, place)
ORDER BY place";

/// What one caller wants to have kept.
pub struct Received {
    pub connection: String,
    pub events: Vec<Delivered>,
    pub at: Millis,
}

/// Takes what else was received and waits, up to a bound; gives back the first job that is something else.
pub fn gather(
    group: &mut Vec<(Received, Reply<u64>)>,
    jobs: &mut mpsc::UnboundedReceiver<Job>,
) -> Option<Job> {
    while group.len() < MOST_CALLERS {
        match jobs.try_recv() {
            Ok(Job::Receive(received, reply)) => group.push((received, reply)),
            Ok(other) => return Some(other),
            Err(_) => return None,
        }
    }
    None
}

/// Prepared once for each connection.
pub struct Statements {
    /// Only one process numbers notices at a time.
    lock: Statement,
    /// How many numbers are between the oldest notice and the newest.
    waiting: Statement,
    new: Statement,
    put: Statement,
}

impl Statements {
    pub async fn prepare(client: &Client) -> Result<Self, Error> {
        let lock = format!("SELECT pg_advisory_xact_lock({NUMBERING})");
        let waiting = "SELECT max(number) - min(number) FROM inbox";
        Ok(Self {
            lock: client.prepare(&lock).await?,
            waiting: client.prepare(waiting).await?,
            new: client.prepare(NEW).await?,
            put: client.prepare(PUT).await?,
        })
    }
}

/// Keeps what several callers received, as one transaction. Gives how many events of each were new.
pub async fn receive(
    client: &Client,
    statements: &AllStatements,
    place: &str,
    group: &[Received],
) -> Result<Vec<u64>, StoreError> {
    let result = async {
        let new = put(client, &statements.inbox, place, group).await?;
        let commit = client.batch_execute("COMMIT").await;
        commit.map_err(|e| translate(place, &e)).map(|()| new)
    }
    .await;
    if result.is_err() && !client.is_closed() {
        // Fails only with the connection, which ends the transaction, too.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    result
}

async fn put(
    client: &Client,
    statements: &Statements,
    place: &str,
    group: &[Received],
) -> Result<Vec<u64>, StoreError> {
    let fail = |e: Error| translate(place, &e);
    // The same event may be among them twice: the first one counts.
    let mut first: BTreeMap<(&str, [u8; 16]), (usize, &Delivered)> = BTreeMap::new();
    for (caller, received) in group.iter().enumerate() {
        for delivered in &received.events {
            let name = (received.connection.as_str(), delivered.event.to_bytes());
            first.entry(name).or_insert((caller, delivered));
        }
    }
    let at = group.iter().map(|received| received.at).max().unwrap_or(0);
    let connections: Vec<&str> = first.keys().map(|(connection, _)| *connection).collect();
    let events: Vec<&[u8]> = first.keys().map(|(_, event)| event.as_slice()).collect();
    let forgotten = at - REMEMBERED;
    // On their way together, and carried out in this order.
    let values: [&(dyn ToSql + Sync); 4] = [&connections, &events, &at, &forgotten];
    let (begun, locked, waiting, rows) = join4(
        client.batch_execute("BEGIN"),
        client.execute(&statements.lock, &[]),
        client.query_one(&statements.waiting, &[]),
        client.query(&statements.new, &values),
    )
    .await;
    begun.map_err(fail)?;
    locked.map_err(fail)?;
    let waiting: Option<i64> = waiting.map_err(fail)?.get(0);
    let rows = rows.map_err(fail)?;
    if waiting.is_some_and(|waiting| waiting as u64 >= MOST) {
        return Err(StoreError::InboxFull { most: MOST });
    }
    let mut new = vec![0; group.len()];
    let mut kept: Vec<(usize, &str, &Delivered)> = Vec::with_capacity(rows.len());
    for row in &rows {
        let (connection, event): (&str, &[u8]) = (row.get(0), row.get(1));
        let Ok(event) = <[u8; 16]>::try_from(event) else {
            continue;
        };
        if let Some(((connection, _), (caller, delivered))) =
            first.get_key_value(&(connection, event))
        {
            new[*caller] += 1;
            kept.push((*caller, connection, delivered));
        }
    }
    // In the order in which they came.
    kept.sort_by_key(|(caller, ..)| *caller);
    let notices: Vec<(&str, &Notice)> = kept
        .iter()
        .flat_map(|(_, connection, delivered)| delivered.notices.iter().map(|n| (*connection, n)))
        .collect();
    let connections: Vec<&str> = notices.iter().map(|(connection, _)| *connection).collect();
    let objects: Vec<&str> = notices.iter().map(|(_, n)| n.object.as_str()).collect();
    let keys: Vec<&[u8]> = notices
        .iter()
        .map(|(_, n)| n.key.as_str().as_bytes())
        .collect();
    let records: Vec<Option<&[u8]>> = notices.iter().map(|(_, n)| n.record.as_deref()).collect();
    let problems: Vec<Option<&str>> = notices.iter().map(|(_, n)| n.problem.as_deref()).collect();
    client
        .execute(
            &statements.put,
            &[&connections, &objects, &keys, &records, &problems, &at],
        )
        .await
        .map_err(fail)?;
    Ok(new)
}

/// Removes what every Sync has passed, and what nobody took for long.
pub async fn prune(client: &mut Client, connection: &str, at: Millis) -> Result<(), Error> {
    let passed: Option<i64> = client
        .query_one(
            "SELECT min((state::jsonb -> 'inbox' ->> 'after')::int8) FROM sync
             WHERE state::jsonb -> 'inbox' ->> 'connection' = $1",
            &[&connection],
        )
        .await?
        .get(0);
    let forgotten = at - REMEMBERED;
    match passed {
        Some(passed) => {
            let statement = "DELETE FROM inbox WHERE connection = $1 AND number <= $2";
            client.execute(statement, &[&connection, &passed]).await?;
        }
        None => {
            let statement = "DELETE FROM inbox WHERE connection = $1 AND received < $2";
            client
                .execute(statement, &[&connection, &forgotten])
                .await?;
        }
    }
    let statement = "DELETE FROM inbox_event WHERE connection = $1 AND received < $2";
    client
        .execute(statement, &[&connection, &forgotten])
        .await?;
    Ok(())
}

impl Reader {
    pub async fn inbox(
        &self,
        connection: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Notice)>, StoreError> {
        let rows = self
            .query(
                "SELECT number, object, key, record, problem FROM inbox
                 WHERE connection = $1 AND number > $2 ORDER BY number LIMIT $3",
                &[&connection, &(after as i64), &(limit as i64)],
            )
            .await?;
        let notice = |row: &tokio_postgres::Row| {
            let key: &[u8] = row.get(2);
            let notice = Notice {
                object: row.get(1),
                key: Key::from_text(String::from_utf8_lossy(key).into_owned()),
                record: row.get::<_, Option<Vec<u8>>>(3).map(Into::into),
                problem: row.get(4),
            };
            (row.get::<_, i64>(0) as u64, notice)
        };
        Ok(rows.iter().map(notice).collect())
    }

    /// From the counter of numbers, which knows those of rows that are gone. A number that is given and not
    /// committed yet belongs to something that is told later: it is not counted.
    pub async fn inbox_end(&self) -> Result<u64, StoreError> {
        let rows = self
            .query("SELECT coalesce(max(number), 0) FROM inbox", &[])
            .await?;
        let newest: i64 = rows.first().map_or(0, |row| row.get(0));
        Ok(newest as u64)
    }
}
