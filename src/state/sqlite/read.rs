//! Queries of the embedded store, on the reader's connection.

use std::collections::HashMap;
use std::sync::LazyLock;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::record::{Fingerprint, Key, Moment, SyncName, TargetId};
use crate::state::{
    Detail, Exception, Holder, Known, Link, Millis, Pick, Present, Session, Stored, SyncState,
    Totals, Trouble, segment,
};

const LINK: &str = "SELECT key, target, raw, mapped, moment, matching, fields, standing FROM link";
const EXCEPTION: &str = "SELECT e.trouble, e.next, e.detail, e.entries FROM exception e";

pub fn outbox(db: &Connection, sync: i64) -> rusqlite::Result<Vec<Stored>> {
    db.prepare_cached(
        "SELECT s.number, s.body, m.states FROM segment s JOIN mark m ON m.sync = s.sync AND m.number = s.number
         WHERE s.sync = ? ORDER BY s.number",
    )?
    .query_map([sync], |row| {
        let body: Vec<u8> = row.get(1)?;
        Ok(Stored {
            number: row.get::<_, i64>(0)? as u64,
            entries: segment::decode(body).map_err(|e| damaged(1, e))?,
            states: row.get(2)?,
        })
    })?
    .collect()
}

fn damaged(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, Box::new(error))
}

/// Keys of one question: running a statement costs as much as finding several keys.
const KEYS: usize = 50;

static LINKS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{LINK} WHERE sync = ? AND key IN ({})",
        vec!["?"; KEYS].join(", ")
    )
});

pub fn known(
    db: &Connection,
    sync: i64,
    keys: &[Key],
    exceptions: bool,
) -> rusqlite::Result<Vec<Known>> {
    // One state for all: a dead letter that is being discarded is there, or its link is.
    let _one_state = db.unchecked_transaction()?;
    let found = links(db, sync, keys)?;
    let mut exception =
        db.prepare_cached(&format!("{EXCEPTION} WHERE e.sync = ? AND e.key = ?"))?;
    keys.iter()
        .map(|key| {
            Ok(Known {
                link: found.get(key).cloned(),
                exception: if exceptions {
                    exception
                        .query_row(params![sync, key.as_str()], read_exception)
                        .optional()?
                        .map(Box::new)
                } else {
                    None
                },
            })
        })
        .collect()
}

/// The links of these keys.
fn links(db: &Connection, sync: i64, keys: &[Key]) -> rusqlite::Result<HashMap<Key, Link>> {
    let mut found = HashMap::with_capacity(keys.len());
    let chunks = keys.chunks_exact(KEYS);
    let mut one = db.prepare_cached(&format!("{LINK} WHERE sync = ? AND key = ?"))?;
    for key in chunks.remainder() {
        let link = one.query_row(params![sync, key.as_str()], read_link);
        if let Some(link) = link.optional()? {
            found.insert(link.key.clone(), link);
        }
    }
    for chunk in chunks {
        let mut many = db.prepare_cached(&LINKS)?;
        many.raw_bind_parameter(1, sync)?;
        for (at, key) in chunk.iter().enumerate() {
            many.raw_bind_parameter(at + 2, key.as_str())?;
        }
        let mut rows = many.raw_query();
        while let Some(row) = rows.next()? {
            let link = read_link(row)?;
            found.insert(link.key.clone(), link);
        }
    }
    Ok(found)
}

fn read_link(row: &Row<'_>) -> rusqlite::Result<Link> {
    let bytes = |column| -> rusqlite::Result<Fingerprint> {
        Ok(Fingerprint::from_slice(row.get_ref(column)?.as_blob()?))
    };
    let (own, presence) = Link::read_standing(row.get(7)?);
    Ok(Link {
        key: Key::from_text(row.get_ref(0)?.as_str()?),
        target: row.get_ref(1)?.as_str_or_null()?.map(TargetId::from_json),
        raw: bytes(2)?,
        mapped: bytes(3)?,
        moment: match row.get_ref(4)? {
            ValueRef::Integer(number) => Some(Moment::Integer(number)),
            ValueRef::Text(text) => Some(Moment::Text(String::from_utf8_lossy(text).into_owned())),
            _ => None,
        },
        matching: row.get(5)?,
        fields: row.get::<_, Option<Vec<u8>>>(6)?.unwrap_or_default(),
        own,
        presence,
    })
}

fn read_exception(row: &Row<'_>) -> rusqlite::Result<Exception> {
    let entries: Vec<u8> = row.get(3)?;
    let mut entries = segment::decode(entries)
        .map_err(|e| damaged(3, e))?
        .into_iter();
    let entry = entries
        .next()
        .ok_or_else(|| damaged(3, segment::Damaged(0)))?;
    let detail: Detail =
        serde_json::from_str(&row.get::<_, String>(2)?).map_err(|e| damaged(2, e))?;
    Ok(Exception {
        entry,
        trouble: Trouble::from_code(row.get(0)?).unwrap_or(Trouble::Dead),
        next: row.get(1)?,
        detail,
        behind: entries.next(),
    })
}

pub fn linked(
    db: &Connection,
    wanted: &[(SyncName, Key)],
) -> rusqlite::Result<Vec<Option<TargetId>>> {
    let mut statement = db.prepare_cached(
        "SELECT l.target FROM sync s JOIN link l ON l.sync = s.id AND l.key = ?3
         WHERE s.namespace = ?1 AND s.name = ?2 AND l.target <> 'null'",
    )?;
    wanted
        .iter()
        .map(|(sync, key)| {
            let target: Option<Option<String>> = statement
                .query_row(params![sync.namespace, sync.name, key.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            Ok(target.flatten().map(TargetId::from_json))
        })
        .collect()
}

pub fn by_match(
    db: &Connection,
    sync: i64,
    matching: i64,
    except: &Key,
) -> rusqlite::Result<Option<Holder>> {
    // Doubt first: a create that is confirmed between the two is found as a link.
    let in_doubt: Option<String> = db
        .prepare_cached(
            "SELECT key FROM exception WHERE sync = ? AND matching = ? AND trouble IN (1, 4) AND key <> ? LIMIT 1",
        )?
        .query_row(params![sync, matching, except.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(key) = in_doubt {
        return Ok(Some(Holder::InDoubt(Key::from_text(key))));
    }
    let link = db
        .prepare_cached(&format!(
            "{LINK} WHERE sync = ? AND matching = ? AND key <> ? AND target IS NOT NULL LIMIT 1"
        ))?
        .query_row(params![sync, matching, except.as_str()], read_link)
        .optional()?;
    Ok(link.map(Holder::Linked))
}

pub fn by_target(
    db: &Connection,
    sync: i64,
    target: &TargetId,
    except: &Key,
) -> rusqlite::Result<Option<Link>> {
    db.prepare_cached(&format!(
        "{LINK} WHERE sync = ? AND target = ? AND matching IS NOT NULL AND key <> ? LIMIT 1"
    ))?
    .query_row(params![sync, target.as_json(), except.as_str()], read_link)
    .optional()
}

pub fn present(
    db: &Connection,
    sync: i64,
    after: Option<&Key>,
    limit: usize,
) -> rusqlite::Result<Vec<Present>> {
    db.prepare_cached(
        "SELECT key, coalesce(standing, 0) >= 4 FROM link
         WHERE sync = ? AND key > ? AND coalesce(standing, 0) NOT IN (2, 3) AND (target IS NOT NULL OR mapped <> ?)
         ORDER BY key LIMIT ?",
    )?
    .query_map(
        params![
            sync,
            after.map_or("", Key::as_str),
            Fingerprint::UNKNOWN.to_bytes(),
            limit as i64
        ],
        |row| {
            Ok(Present {
                key: Key::from_text(row.get_ref(0)?.as_str()?),
                missed: row.get(1)?,
            })
        },
    )?
    .collect()
}

pub fn exceptions(
    db: &Connection,
    sync: i64,
    pick: &Pick,
    limit: usize,
) -> rusqlite::Result<Vec<Exception>> {
    let limit = limit as i64;
    match pick {
        Pick::Due(now) => db
            .prepare_cached(&format!(
                "{EXCEPTION} WHERE e.sync = ? AND e.trouble IN (0, 1) AND e.next <= ? ORDER BY e.next LIMIT ?"
            ))?
            .query_map(params![sync, now, limit], read_exception)?
            .collect(),
        Pick::Awaited => db
            .prepare_cached(&format!(
                "{EXCEPTION} WHERE e.sync = ? AND e.trouble = 2 AND CASE WHEN e.wait_name IS NULL
                   THEN NOT EXISTS (SELECT 1 FROM exception d WHERE d.sync = e.sync AND d.matching = e.matching
                     AND d.trouble IN (1, 4) AND d.key <> e.key)
                   ELSE EXISTS (SELECT 1 FROM sync s JOIN link l ON l.sync = s.id WHERE s.namespace = e.wait_namespace
                     AND s.name = e.wait_name AND l.key = e.wait_key AND l.target <> 'null') END
                 LIMIT ?"
            ))?
            .query_map(params![sync, limit], read_exception)?
            .collect(),
        Pick::DeadLetters { after } => db
            .prepare_cached(&format!(
                "{EXCEPTION} WHERE e.sync = ? AND e.trouble IN (3, 4) AND e.key > ? ORDER BY e.key LIMIT ?"
            ))?
            .query_map(params![sync, after.as_ref().map_or("", Key::as_str), limit], read_exception)?
            .collect(),
    }
}

pub fn next_due(db: &Connection, sync: i64, after: Millis) -> rusqlite::Result<Option<Millis>> {
    db.prepare_cached(
        "SELECT min(next) FROM exception WHERE sync = ? AND trouble IN (0, 1) AND next > ?",
    )?
    .query_row([sync, after], |row| row.get(0))
}

pub fn totals(db: &Connection, sync: i64) -> rusqlite::Result<Totals> {
    let (links, removed, targets) = db
        .prepare_cached(
            "SELECT count(*), count(*) FILTER (WHERE standing IN (2, 3)),
               count(target) FILTER (WHERE coalesce(standing, 0) NOT IN (2, 3)) FROM link WHERE sync = ?",
        )?
        .query_row([sync], |row| {
            let count = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)? as u64);
            Ok((count(0)?, count(1)?, count(2)?))
        })?;
    let outbox = db
        .prepare_cached("SELECT count(*) FROM segment WHERE sync = ?")?
        .query_row([sync], |row| row.get::<_, i64>(0))?;
    let mut totals = Totals {
        links: links - removed,
        removed,
        targets,
        outbox: outbox as u64,
        ..Totals::default()
    };
    let mut statement = db.prepare_cached(
        "SELECT trouble, reason, count(*) FROM exception WHERE sync = ? GROUP BY trouble, reason",
    )?;
    let rows = statement.query_map([sync], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, i64>(2)? as u64,
        ))
    })?;
    for row in rows {
        let (code, reason, count) = row?;
        match Trouble::from_code(code) {
            Some(Trouble::Retry) => totals.retrying += count,
            Some(Trouble::Unknown) => totals.unknown += count,
            Some(Trouble::Waiting) => totals.waiting += count,
            Some(Trouble::Dead | Trouble::Ambiguous) | None => {
                *totals.dead.entry(reason).or_default() += count
            }
            Some(Trouble::Held) => totals.held += count,
        }
    }
    Ok(totals)
}

const SYNC: &str = "SELECT id, namespace, name, epoch, state FROM sync";

pub fn list(db: &Connection) -> rusqlite::Result<Vec<(Session, SyncState)>> {
    db.prepare(&format!("{SYNC} ORDER BY namespace, name"))?
        .query_map([], sync)?
        .collect()
}

pub fn find(db: &Connection, name: &SyncName) -> rusqlite::Result<Option<(Session, SyncState)>> {
    db.prepare_cached(&format!("{SYNC} WHERE namespace = ? AND name = ?"))?
        .query_row([&name.namespace, &name.name], sync)
        .optional()
}

fn sync(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Session, SyncState)> {
    let session = Session {
        id: row.get(0)?,
        sync: SyncName {
            namespace: row.get(1)?,
            name: row.get(2)?,
        },
        epoch: row.get(3)?,
    };
    let state: String = row.get(4)?;
    Ok((session, serde_json::from_str(&state).unwrap_or_default()))
}

pub fn oldest_open(db: &Connection, sync: i64) -> rusqlite::Result<Option<Millis>> {
    // `since` stands in the detail, which is JSON; 0 means that it is not known.
    db.prepare_cached(
        "SELECT min(json_extract(detail, '$.since')) FROM exception
         WHERE sync = ? AND trouble IN (0, 1, 2, 5) AND json_extract(detail, '$.since') > 0",
    )?
    .query_row([sync], |row| row.get(0))
}

/// The value of this name.
pub fn value(db: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let sql = "SELECT content FROM value WHERE name = ?";
    db.query_row(sql, [name], |row| row.get(0)).optional()
}

/// The names of all values that begin so.
pub fn value_names(db: &Connection, prefix: &str) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM value WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([prefix], |row| row.get(0))?;
    rows.collect()
}
