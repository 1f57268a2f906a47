//! Dead letters of the embedded store: sent again, dropped by a person or by age and number, remembered.
//! Inside the writer's transaction.

use rusqlite::{Connection, ToSql, params};

use super::write::{WriteError, put_exception, to_json};
use crate::record::{Fingerprint, Key, TargetId};
use crate::state::{
    Closed, Closing, Detail, Exception, How, Keep, MOST_CLOSED, Millis, Session, Trouble, Which,
    segment,
};

/// When a dead letter became one, and what is remembered of those that are gone.
pub const TABLES: &str = "
ALTER TABLE exception ADD COLUMN died INTEGER;
UPDATE exception SET died = unixepoch() * 1000 WHERE trouble IN (3, 4);
CREATE INDEX exception_died ON exception (sync, died) WHERE died IS NOT NULL;
CREATE TABLE closed (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  sync INTEGER NOT NULL,
  content TEXT NOT NULL
);
CREATE INDEX closed_sync ON closed (sync, number);
";

const CHOSEN: &str = "FROM exception WHERE sync = ?1 AND trouble IN (3, 4) AND (?2 IS NULL OR key = ?2) AND (?3 IS NULL OR reason = ?3)";

const OLDEST: &str =
    "FROM exception WHERE sync = ?1 AND died IS NOT NULL ORDER BY died, key LIMIT ?2";

fn selection(which: &Which) -> (Option<&str>, Option<&str>) {
    match which {
        Which::Key(key) => (Some(key.as_str()), None),
        Which::Reason(reason) => (None, Some(reason)),
        Which::All => (None, None),
    }
}

/// Dead letters become due at once, through the Mapping again.
pub fn replay(db: &Connection, session: &Session, which: &Which) -> Result<u64, WriteError> {
    let (key, reason) = selection(which);
    let mut changed = 0;
    let rows: Vec<(String, String)> = db
        .prepare(&format!("SELECT key, detail {CHOSEN}"))?
        .query_map(params![session.id, key, reason], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (key, detail) in rows {
        let detail: Detail = serde_json::from_str(&detail).unwrap_or_default();
        changed += db.execute(
            "UPDATE exception SET trouble = ?, next = 0, died = NULL, detail = ? WHERE sync = ? AND key = ?",
            params![
                Trouble::Retry.code(),
                to_json(&detail.replay())?,
                session.id,
                key
            ],
        )?;
    }
    Ok(changed as u64)
}

/// Dead letters are dropped; the version that was seen is kept as dealt with. An ambiguous one stands
/// in the target then: its match value stays taken, and it is never created again. A newer version
/// behind it goes back to work.
pub fn discard(
    db: &Connection,
    session: &Session,
    which: &Which,
    closing: &Closing,
) -> Result<u64, WriteError> {
    let (key, reason) = selection(which);
    let sync = session.id;
    close(db, sync, CHOSEN, &[&sync, &key, &reason], closing)
}

/// The oldest dead letters go, as many as are too old or too many.
pub fn expire(
    db: &Connection,
    session: &Session,
    keep: Keep,
    at: Millis,
    limit: usize,
) -> Result<u64, WriteError> {
    let sync = session.id;
    let (all, old): (i64, i64) = db
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE died < ?2) FROM exception WHERE sync = ?1 AND died IS NOT NULL",
        )?
        .query_row([sync, keep.since], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let most = i64::try_from(keep.most).unwrap_or(i64::MAX);
    let count = old
        .max(all - most)
        .min(i64::try_from(limit).unwrap_or(i64::MAX));
    if count <= 0 {
        return Ok(0);
    }
    let closing = Closing {
        how: How::Expired,
        note: None,
        at,
    };
    close(db, sync, OLDEST, &[&sync, &count], &closing)
}

/// Drops the dead letters that are chosen.
fn close(
    db: &Connection,
    sync: i64,
    chosen: &str,
    values: &[&dyn ToSql],
    closing: &Closing,
) -> Result<u64, WriteError> {
    let rows: Vec<(String, Vec<u8>, i64, String)> = db
        .prepare(&format!("SELECT key, entries, trouble, detail {chosen}"))?
        .query_map(values, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<_, _>>()?;
    let count = rows.len() as u64;
    for (key, entries, trouble, detail) in rows {
        let mut entries = segment::decode(entries).unwrap_or_default().into_iter();
        let Some(entry) = entries.next() else {
            continue;
        };
        db.execute(
            "DELETE FROM exception WHERE sync = ? AND key = ?",
            params![sync, key],
        )?;
        let behind = entries.next();
        let there = Trouble::from_code(trouble) == Some(Trouble::Ambiguous);
        if there || behind.is_none() {
            let raw = behind.as_ref().map_or(entry.raw, |_| Fingerprint::UNKNOWN);
            put_seen(db, sync, &key, raw, there, entry.matching)?;
        }
        if let Some(behind) = behind {
            put_exception(db, sync, &Exception::promoted(behind))?;
        }
        let detail: Detail = serde_json::from_str(&detail).unwrap_or_default();
        let closed = Closed::of(Key::from_text(key), detail, closing);
        db.prepare_cached("INSERT INTO closed (sync, content) VALUES (?, ?)")?
            .execute(params![sync, to_json(&closed)?])?;
    }
    if count > 0 {
        db.execute(
            "DELETE FROM closed WHERE sync = ?1 AND number <= (SELECT number FROM closed WHERE sync = ?1
               ORDER BY number DESC LIMIT 1 OFFSET ?2)",
            params![sync, MOST_CLOSED as i64],
        )?;
    }
    Ok(count)
}

/// The link of a version that was dropped; `there`: the target has it under an id that nobody told.
fn put_seen(
    db: &Connection,
    sync: i64,
    key: &str,
    raw: Fingerprint,
    there: bool,
    matching: Option<i64>,
) -> Result<(), WriteError> {
    db.execute(
        "INSERT INTO link (sync, key, target, raw, mapped, matching) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (sync, key) DO UPDATE SET raw = excluded.raw,
           mapped = CASE WHEN excluded.target IS NULL THEN mapped ELSE excluded.mapped END,
           target = coalesce(target, excluded.target), matching = coalesce(excluded.matching, matching)",
        params![
            sync,
            key,
            there.then(TargetId::untold).as_ref().map(TargetId::as_json),
            raw.to_bytes(),
            Fingerprint::UNKNOWN.to_bytes(),
            matching.filter(|_| there),
        ],
    )?;
    Ok(())
}

/// Dead letters that are gone, the last one first.
pub fn closed(db: &Connection, sync: i64, limit: usize) -> rusqlite::Result<Vec<Closed>> {
    db.prepare_cached("SELECT content FROM closed WHERE sync = ? ORDER BY number DESC LIMIT ?")?
        .query_map([sync, limit as i64], |row| {
            let content: String = row.get(0)?;
            serde_json::from_str(&content).map_err(|e| {
                let text = rusqlite::types::Type::Text;
                rusqlite::Error::FromSqlConversionFailure(0, text, Box::new(e))
            })
        })?
        .collect()
}
