//! The changes of a group as SQL statements, inside the writer's transaction.

use rusqlite::{Connection, OptionalExtension, params};

use super::link;
use crate::record::{Fingerprint, SyncName};
use crate::state::{Change, Exception, OnMismatch, Session, StoreError, SyncState, segment};

/// Why a write did not happen: the store's own words, or SQLite's.
pub enum WriteError {
    Store(StoreError),
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Applies a group's changes, if the session's epoch is still the Sync's.
pub fn apply(db: &Connection, session: &Session, changes: &[Change]) -> Result<(), WriteError> {
    check_epoch(db, session)?;
    let mut links = Vec::new();
    for change in changes {
        match change {
            Change::Link(link) => links.push(link),
            // It changes a row that a link before it may have made.
            Change::Forget { .. } | Change::Missed(_) | Change::Seen(_) => {
                link::put(db, session.id, &mut links)?;
                one(db, session.id, change)?;
            }
            other => one(db, session.id, other)?,
        }
    }
    link::put(db, session.id, &mut links)
}

fn check_epoch(db: &Connection, session: &Session) -> Result<(), WriteError> {
    let epoch: Option<i64> = db
        .prepare_cached("SELECT epoch FROM sync WHERE id = ?")?
        .query_row([session.id], |row| row.get(0))
        .optional()?;
    if epoch == Some(session.epoch) {
        Ok(())
    } else {
        Err(WriteError::Store(StoreError::Fenced {
            sync: session.sync.clone(),
        }))
    }
}

fn one(db: &Connection, sync: i64, change: &Change) -> Result<(), WriteError> {
    match change {
        Change::Segment {
            number,
            body,
            states,
        } => {
            db.prepare_cached("INSERT INTO segment (sync, number, body) VALUES (?, ?, ?)")?
                .execute(params![sync, *number as i64, body])?;
            db.prepare_cached("INSERT INTO mark (sync, number, states) VALUES (?, ?, ?)")?
                .execute(params![sync, *number as i64, states])?;
        }
        Change::Marks { number, states }
            if states.iter().all(|s| *s == crate::state::mark::DONE) =>
        {
            for table in [
                "DELETE FROM segment WHERE sync = ? AND number = ?",
                "DELETE FROM mark WHERE sync = ? AND number = ?",
            ] {
                db.prepare_cached(table)?
                    .execute(params![sync, *number as i64])?;
            }
        }
        Change::Marks { number, states } => {
            db.prepare_cached("UPDATE mark SET states = ? WHERE sync = ? AND number = ?")?
                .execute(params![states, sync, *number as i64])?;
        }
        Change::Link(link) => link::put(db, sync, &mut vec![link])?,
        Change::Forget { key, target_gone } => {
            let sql = if *target_gone {
                "UPDATE link SET mapped = ?, target = NULL, fields = NULL WHERE sync = ? AND key = ?"
            } else {
                "UPDATE link SET mapped = ?, fields = NULL WHERE sync = ? AND key = ?"
            };
            db.prepare_cached(sql)?.execute(params![
                Fingerprint::UNKNOWN.to_bytes(),
                sync,
                key.as_str()
            ])?;
        }
        Change::Missed(key) => {
            db.prepare_cached(
                "UPDATE link SET standing = coalesce(standing, 0) + 4
                 WHERE sync = ? AND key = ? AND coalesce(standing, 0) < 2",
            )?
            .execute(params![sync, key.as_str()])?;
        }
        Change::Seen(key) => {
            db.prepare_cached(
                "UPDATE link SET standing = standing - 4 WHERE sync = ? AND key = ? AND standing >= 4",
            )?
            .execute(params![sync, key.as_str()])?;
        }
        Change::Exception(exception) => put_exception(db, sync, exception)?,
        Change::Resolved(key) => {
            db.prepare_cached("DELETE FROM exception WHERE sync = ? AND key = ?")?
                .execute(params![sync, key.as_str()])?;
        }
        Change::Release => {
            db.prepare_cached(
                "UPDATE exception SET trouble = 0, next = 0 WHERE sync = ? AND trouble = 5",
            )?
            .execute([sync])?;
        }
        Change::State(state) => {
            db.prepare_cached("UPDATE sync SET state = ? WHERE id = ?")?
                .execute(params![to_json(state.as_ref())?, sync])?;
        }
    }
    Ok(())
}

pub fn put_exception(db: &Connection, sync: i64, exception: &Exception) -> Result<(), WriteError> {
    let awaits = exception.detail.awaits.as_ref();
    let entries = segment::encode(std::iter::once(&exception.entry).chain(&exception.behind));
    db.prepare_cached(
        "INSERT OR REPLACE INTO exception
           (sync, key, trouble, next, reason, wait_namespace, wait_name, wait_key, matching, died, detail, entries)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        sync,
        exception.entry.key.as_str(),
        exception.trouble.code(),
        exception.next,
        exception.detail.reason,
        awaits.map(|a| a.sync.namespace.as_str()),
        awaits.map(|a| a.sync.name.as_str()),
        awaits.map(|a| a.lookup.key.as_str()),
        exception.entry.matching,
        exception.died(),
        to_json(&exception.detail)?,
        entries,
    ])?;
    Ok(())
}

pub fn to_json(value: &impl serde::Serialize) -> Result<String, WriteError> {
    serde_json::to_string(value)
        .map_err(|e| WriteError::Sql(rusqlite::Error::ToSqlConversionFailure(Box::new(e))))
}

/// Takes a Sync over and raises its epoch.
pub fn open(
    db: &Connection,
    sync: &SyncName,
    identity: Fingerprint,
    on: OnMismatch,
) -> Result<(Session, SyncState), WriteError> {
    let found: Option<(i64, Vec<u8>, i64, String)> = db
        .prepare_cached(
            "SELECT id, identity, epoch, state FROM sync WHERE namespace = ? AND name = ?",
        )?
        .query_row(params![sync.namespace, sync.name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((id, stored, epoch, state)) = found else {
        let state = SyncState::default();
        db.execute(
            "INSERT INTO sync (namespace, name, identity, epoch, state) VALUES (?, ?, ?, 1, ?)",
            params![
                sync.namespace,
                sync.name,
                identity.to_bytes(),
                to_json(&state)?
            ],
        )?;
        return Ok((
            Session {
                sync: sync.clone(),
                id: db.last_insert_rowid(),
                epoch: 1,
            },
            state,
        ));
    };
    let stored = Fingerprint::from_slice(&stored);
    let mut state: SyncState = serde_json::from_str(&state).map_err(|e| {
        let text = rusqlite::types::Type::Text;
        rusqlite::Error::FromSqlConversionFailure(3, text, Box::new(e))
    })?;
    if stored != identity {
        match on {
            // Nothing is known of any record: a URL was corrected after a first run that failed.
            OnMismatch::Refuse if is_blank(db, id)? => state = SyncState::default(),
            OnMismatch::Refuse => {
                return Err(WriteError::Store(StoreError::Mismatch {
                    sync: sync.clone(),
                    stored,
                    given: identity,
                }));
            }
            OnMismatch::Adopt => {}
            OnMismatch::Reset => {
                empty(db, id)?;
                state = SyncState::default();
            }
        }
    }
    db.execute(
        "UPDATE sync SET identity = ?, epoch = ?, state = ? WHERE id = ?",
        params![identity.to_bytes(), epoch + 1, to_json(&state)?, id],
    )?;
    Ok((
        Session {
            sync: sync.clone(),
            id,
            epoch: epoch + 1,
        },
        state,
    ))
}

/// Forgets all records of a Sync.
fn empty(db: &Connection, id: i64) -> rusqlite::Result<()> {
    for table in ["link", "segment", "mark", "exception", "closed"] {
        db.execute(&format!("DELETE FROM {table} WHERE sync = ?"), [id])?;
    }
    Ok(())
}

pub fn expire(db: &Connection, sync: &SyncName, at: Option<i64>) -> Result<(), WriteError> {
    let found: Option<(i64, String)> = db
        .prepare_cached("SELECT id, state FROM sync WHERE namespace = ? AND name = ?")?
        .query_row([&sync.namespace, &sync.name], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    if let Some((id, state)) = found {
        let state: SyncState = serde_json::from_str(&state).unwrap_or_default();
        let state = to_json(&SyncState {
            expires: at,
            ..state
        })?;
        db.execute("UPDATE sync SET state = ? WHERE id = ?", params![state, id])?;
    }
    Ok(())
}

pub fn forget(db: &Connection, sync: &SyncName) -> Result<(), WriteError> {
    let id: Option<i64> = db
        .prepare_cached("SELECT id FROM sync WHERE namespace = ? AND name = ?")?
        .query_row([&sync.namespace, &sync.name], |row| row.get(0))
        .optional()?;
    if let Some(id) = id {
        empty(db, id)?;
        db.execute("DELETE FROM sync WHERE id = ?", [id])?;
    }
    Ok(())
}

/// Whether the store knows no record of a Sync.
fn is_blank(db: &Connection, sync: i64) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM link WHERE sync = ?1) \
            AND NOT EXISTS (SELECT 1 FROM segment WHERE sync = ?1) \
            AND NOT EXISTS (SELECT 1 FROM exception WHERE sync = ?1)",
        [sync],
        |row| row.get(0),
    )
}

/// Keeps a value under its name, or forgets it.
pub fn value(db: &Connection, name: &str, value: Option<Vec<u8>>) -> rusqlite::Result<()> {
    match value {
        Some(content) => db.execute(
            "INSERT OR REPLACE INTO value (name, content) VALUES (?, ?)",
            params![name, content],
        )?,
        None => db.execute("DELETE FROM value WHERE name = ?", [name])?,
    };
    Ok(())
}
