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

/// Keeps the events that are new and what they say, when there is room. Gives one row without an event when none was
/// kept.
const KEEP: &str = "
WITH room AS (
  SELECT coalesce(max(number) - min(number), 0) < $3 AS room FROM inbox
), new AS (
  INSERT INTO inbox_event AS e (connection, event, received)
  SELECT connection, event, $4
  FROM unnest($1::text[], $2::bytea[]) AS n (connection, event), room
  WHERE room
  ORDER BY connection, event
  ON CONFLICT (connection, event) DO UPDATE SET received = excluded.received WHERE e.received < $5
  RETURNING connection, event
), kept AS (
  INSERT INTO inbox (connection, object, key, record, problem, received)
  SELECT connection, object, key, record, problem, $4
  FROM unnest($6::text[], $7::bytea[], $8::text[], $9::bytea[], $10::bytea[], $11::text[])
    WITH ORDINALITY AS n (connection, event, object, key, record, problem, place)
    JOIN new USING (connection, event)
  ORDER BY place
)
SELECT room, connection, event FROM room LEFT JOIN new ON true";

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
    keep: Statement,
}

impl Statements {
    pub async fn prepare(client: &Client) -> Result<Self, Error> {
        let lock = format!("SELECT pg_advisory_xact_lock({NUMBERING})");
        Ok(Self {
            lock: client.prepare(&lock).await?,
            keep: client.prepare(KEEP).await?,
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
    // The same event may be among them twice: the first one counts.
    let mut first: BTreeMap<(&str, [u8; 16]), (usize, &Delivered)> = BTreeMap::new();
    for (caller, received) in group.iter().enumerate() {
        for delivered in &received.events {
            let name = (received.connection.as_str(), delivered.event.to_bytes());
            first.entry(name).or_insert((caller, delivered));
        }
    }
    let at = group.iter().map(|received| received.at).max().unwrap_or(0);
    let (most, forgotten) = (MOST as i64, at - REMEMBERED);
    let connections: Vec<&str> = first.keys().map(|(connection, _)| *connection).collect();
    let events: Vec<&[u8]> = first.keys().map(|(_, event)| event.as_slice()).collect();
    // In the order in which they came.
    let mut callers: Vec<_> = first.iter().collect();
    callers.sort_by_key(|(_, (caller, _))| *caller);
    let notices = Notices::of(callers.into_iter().flat_map(|(name, (_, delivered))| {
        let notices = delivered.notices.iter();
        notices.map(move |notice| (name.0, name.1.as_slice(), notice))
    }));
    let [of, event, object, key, record, problem] = notices.values();
    let values: [&(dyn ToSql + Sync); 11] = [
        &connections,
        &events,
        &most,
        &at,
        &forgotten,
        of,
        event,
        object,
        key,
        record,
        problem,
    ];
    // On their way together, and carried out in this order. After a failure the end takes everything back.
    let (begun, locked, rows, ended) = join4(
        client.batch_execute("BEGIN"),
        client.execute(&statements.inbox.lock, &[]),
        client.query(&statements.inbox.keep, &values),
        client.batch_execute("COMMIT"),
    )
    .await;
    let fail = |e: Error| translate(place, &e);
    begun.map_err(fail)?;
    locked.map_err(fail)?;
    let rows = rows.map_err(fail)?;
    ended.map_err(fail)?;
    if !rows.first().is_some_and(|row| row.get(0)) {
        return Err(StoreError::InboxFull { most: MOST });
    }
    let mut new = vec![0; group.len()];
    for row in &rows {
        let (connection, event): (Option<&str>, Option<&[u8]>) = (row.get(1), row.get(2));
        if let (Some(connection), Some(Ok(event))) = (connection, event.map(TryInto::try_into))
            && let Some((caller, _)) = first.get(&(connection, event))
        {
            new[*caller] += 1;
        }
    }
    Ok(new)
}

/// Columns of the notices of a group, each with its event.
#[derive(Default)]
struct Notices<'a> {
    connections: Vec<&'a str>,
    events: Vec<&'a [u8]>,
    objects: Vec<&'a str>,
    keys: Vec<&'a [u8]>,
    records: Vec<Option<&'a [u8]>>,
    problems: Vec<Option<&'a str>>,
}

impl<'a> Notices<'a> {
    fn of(notices: impl Iterator<Item = (&'a str, &'a [u8], &'a Notice)>) -> Self {
        let mut all = Self::default();
        for (connection, event, notice) in notices {
            all.connections.push(connection);
            all.events.push(event);
            all.objects.push(&notice.object);
            all.keys.push(notice.key.as_str().as_bytes());
            all.records.push(notice.record.as_deref());
            all.problems.push(notice.problem.as_deref());
        }
        all
    }

    fn values(&self) -> [&(dyn ToSql + Sync); 6] {
        [
            &self.connections,
            &self.events,
            &self.objects,
            &self.keys,
            &self.records,
            &self.problems,
        ]
    }
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
