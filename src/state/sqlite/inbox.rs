//! The inbox of the embedded store: notices in the order of their commits, and ids of events.

use rusqlite::{Connection, OptionalExtension, params};

use crate::record::Key;
use crate::state::inbox::{MOST, REMEMBERED};
use crate::state::{Delivered, Millis, Notice, StoreError};

use super::write::WriteError;

/// One writer numbers the notices, so a smaller number is never seen after a larger one.
pub const TABLES: &str = "
CREATE TABLE inbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  connection TEXT NOT NULL,
  object TEXT NOT NULL,
  key TEXT NOT NULL,
  record BLOB,
  problem TEXT,
  received INTEGER NOT NULL
);
CREATE INDEX inbox_connection ON inbox (connection, number);
CREATE TABLE inbox_event (
  connection TEXT NOT NULL,
  event BLOB NOT NULL,
  received INTEGER NOT NULL,
  PRIMARY KEY (connection, event)
) WITHOUT ROWID;
CREATE INDEX inbox_event_received ON inbox_event (connection, received);
";

pub fn receive(
    db: &Connection,
    connection: &str,
    events: &[Delivered],
    at: Millis,
) -> Result<u64, WriteError> {
    let waiting: Option<i64> = db
        .prepare_cached("SELECT (SELECT max(number) FROM inbox) - (SELECT min(number) FROM inbox)")?
        .query_row([], |row| row.get(0))?;
    if waiting.is_some_and(|waiting| waiting as u64 >= MOST) {
        return Err(WriteError::Store(StoreError::InboxFull { most: MOST }));
    }
    let mut is_new = db.prepare_cached(
        "INSERT INTO inbox_event (connection, event, received) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET received = ?3 WHERE received < ?4",
    )?;
    let mut insert = db.prepare_cached(
        "INSERT INTO inbox (connection, object, key, record, problem, received) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    let mut new = 0;
    for event in events {
        let forgotten = at - REMEMBERED;
        if is_new.execute(params![connection, event.event.to_bytes(), at, forgotten])? == 0 {
            continue;
        }
        new += 1;
        for notice in &event.notices {
            insert.execute(params![
                connection,
                notice.object,
                notice.key.as_str(),
                notice.record.as_deref(),
                notice.problem,
                at
            ])?;
        }
    }
    Ok(new)
}

pub fn inbox(
    db: &Connection,
    connection: &str,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<(u64, Notice)>> {
    db.prepare_cached(
        "SELECT number, object, key, record, problem FROM inbox
         WHERE connection = ? AND number > ? ORDER BY number LIMIT ?",
    )?
    .query_map(params![connection, after as i64, limit as i64], |row| {
        let notice = Notice {
            object: row.get(1)?,
            key: Key::from_text(row.get::<_, String>(2)?),
            record: row.get::<_, Option<Vec<u8>>>(3)?.map(Into::into),
            problem: row.get(4)?,
        };
        Ok((row.get::<_, i64>(0)? as u64, notice))
    })?
    .collect()
}

/// From SQLite's own counter, which knows the numbers of rows that are gone.
pub fn end(db: &Connection) -> rusqlite::Result<u64> {
    let number: Option<i64> = db
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'inbox'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(number.unwrap_or(0) as u64)
}

pub fn prune(db: &Connection, connection: &str, at: Millis) -> Result<(), WriteError> {
    let passed: Option<i64> = db.query_row(
        "SELECT min(json_extract(state, '$.inbox.after')) FROM sync
         WHERE json_extract(state, '$.inbox.connection') = ?",
        [connection],
        |row| row.get(0),
    )?;
    if let Some(passed) = passed {
        db.execute(
            "DELETE FROM inbox WHERE connection = ? AND number <= ?",
            params![connection, passed],
        )?;
    } else {
        db.execute(
            "DELETE FROM inbox WHERE connection = ? AND received < ?",
            params![connection, at - REMEMBERED],
        )?;
    }
    db.execute(
        "DELETE FROM inbox_event WHERE connection = ? AND received < ?",
        params![connection, at - REMEMBERED],
    )?;
    Ok(())
}
