//! The tables of the embedded store and how a connection is opened. Only SQL and settings.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{dead_letters, inbox};
use crate::state::StoreError;

/// How long a statement waits for a lock that another program holds.
pub const BUSY_SECONDS: u64 = 10;

/// SQLite before 3.51.3 can corrupt a WAL file that two connections use
/// (<https://sqlite.org/wal.html#walresetbug>).
const OLDEST_SQLITE: i32 = 3_051_003;

/// Pages of the write-ahead log before it is moved into the database file (4 KiB each).
const CHECKPOINT_PAGES: u32 = 4_000;

/// The statements that lead to version 1, 2, …, kept in `PRAGMA user_version`; one that was released is never
/// changed.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE sync (
  id INTEGER PRIMARY KEY,
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  identity BLOB NOT NULL,
  epoch INTEGER NOT NULL,
  state TEXT NOT NULL,
  UNIQUE (namespace, name)
);
CREATE TABLE link (
  sync INTEGER NOT NULL,
  key TEXT NOT NULL,
  target TEXT,
  raw BLOB NOT NULL,
  mapped BLOB NOT NULL,
  moment,
  matching INTEGER,
  fields BLOB,
  PRIMARY KEY (sync, key)
) WITHOUT ROWID;
CREATE INDEX link_matching ON link (sync, matching) WHERE matching IS NOT NULL;
CREATE INDEX link_target ON link (sync, target) WHERE matching IS NOT NULL;
CREATE TABLE segment (
  sync INTEGER NOT NULL,
  number INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (sync, number)
) WITHOUT ROWID;
CREATE TABLE mark (
  sync INTEGER NOT NULL,
  number INTEGER NOT NULL,
  states BLOB NOT NULL,
  PRIMARY KEY (sync, number)
) WITHOUT ROWID;
CREATE TABLE exception (
  sync INTEGER NOT NULL,
  key TEXT NOT NULL,
  trouble INTEGER NOT NULL,
  next INTEGER NOT NULL,
  reason TEXT NOT NULL,
  wait_namespace TEXT,
  wait_name TEXT,
  wait_key TEXT,
  detail TEXT NOT NULL,
  entries BLOB NOT NULL,
  PRIMARY KEY (sync, key)
) WITHOUT ROWID;
CREATE INDEX exception_due ON exception (sync, trouble, next);
CREATE TABLE value (
  name TEXT PRIMARY KEY,
  content BLOB NOT NULL
) WITHOUT ROWID;
",
    "
ALTER TABLE exception ADD COLUMN matching INTEGER;
CREATE INDEX exception_matching ON exception (sync, matching) WHERE matching IS NOT NULL;
",
    inbox::TABLES,
    "ALTER TABLE link ADD COLUMN standing INTEGER;",
    dead_letters::TABLES,
    // Without a rowid, whoever looks for a segment reads the bodies of those beside it, all of them, to compare.
    "
ALTER TABLE segment RENAME TO segment_by_number;
CREATE TABLE segment (
  sync INTEGER NOT NULL,
  number INTEGER NOT NULL,
  body BLOB NOT NULL,
  UNIQUE (sync, number)
);
INSERT INTO segment (sync, number, body) SELECT sync, number, body FROM segment_by_number;
DROP TABLE segment_by_number;
",
];

/// What a commit that was answered survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A power failure.
    Full,
    /// Nothing: the database is thrown away anyway.
    None,
}

/// Opens the database for writing. Tables of an older version are brought up to date when Syncs are to be run
/// (`runs`), and refused otherwise: another process may be using them.
pub fn open_writer(
    file: &Path,
    runs: bool,
    durability: Durability,
) -> Result<Connection, StoreError> {
    let place = file.display().to_string();
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::Broken {
            place,
            problem: format!(
                "SQLite {} is older than 3.51.3, which can lose data",
                rusqlite::version()
            ),
        });
    }
    let fail = |e| translate(&place, &e);
    let mut db = Connection::open(file).map_err(fail)?;
    settings(&db).map_err(fail)?;
    if durability == Durability::None {
        db.pragma_update(None, "synchronous", "OFF").map_err(fail)?;
    }
    db.pragma_update(None, "journal_mode", "WAL")
        .map_err(fail)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)
        .map_err(fail)?;
    migrate(&mut db, &place, runs, MIGRATIONS)?;
    Ok(db)
}

fn migrate(
    db: &mut Connection,
    place: &str,
    runs: bool,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let fail = |e| translate(place, &e);
    let tx = db
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(fail)?;
    let found: i64 = tx
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(fail)?;
    let known = migrations.len() as i64;
    let place = || place.to_owned();
    if found > known {
        return Err(StoreError::Newer {
            place: place(),
            found,
            known,
        });
    }
    if found < known && !runs {
        return Err(StoreError::Older {
            place: place(),
            found,
            known,
        });
    }
    let from = usize::try_from(found).unwrap_or_default();
    for statements in &migrations[from..] {
        tx.execute_batch(statements).map_err(fail)?;
    }
    tx.pragma_update(None, "user_version", known)
        .map_err(fail)?;
    tx.commit().map_err(fail)
}

/// Writes what the database holds now to the new file `copy`, beside whoever uses it.
pub fn copy(file: &Path, copy: &Path) -> Result<(), StoreError> {
    let place = file.display().to_string();
    let fail = |e| translate(&place, &e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(file, flags).map_err(fail)?;
    settings(&db).map_err(fail)?;
    // The only way to copy a database that others write to; it changes nothing in the original
    // (<https://sqlite.org/lang_vacuum.html#vacuuminto>).
    let into = copy.display().to_string();
    db.execute("VACUUM INTO ?", [into]).map_err(fail)?;
    Ok(())
}

/// Opens the database for reading beside the writer.
pub fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    let place = file.display().to_string();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let db = Connection::open_with_flags(file, flags)?;
        settings(&db)?;
        db.pragma_update(None, "query_only", true)?;
        Ok(db)
    };
    open().map_err(|e| translate(&place, &e))
}

fn settings(db: &Connection) -> rusqlite::Result<()> {
    db.busy_timeout(Duration::from_secs(BUSY_SECONDS))?;
    // FULL: a commit that was answered survives a power failure, also in WAL mode.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -4_096)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// An SQLite error in words for the person who runs this.
pub fn translate(place: &str, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase,
        PermissionDenied, ReadOnly, SystemIoFailure,
    };
    let (place, problem) = (place.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(DiskFull) => StoreError::Full { place },
        // The index of the write-ahead log could not be made larger.
        Some(SystemIoFailure) if extended(error) == rusqlite::ffi::SQLITE_IOERR_SHMSIZE => {
            StoreError::Full { place }
        }
        Some(SystemIoFailure) => StoreError::Broken {
            place,
            problem: format!("{problem}; check the disk, its quota and the limit of file sizes"),
        },
        Some(DatabaseBusy | DatabaseLocked) => StoreError::Busy {
            place,
            seconds: BUSY_SECONDS,
        },
        Some(DatabaseCorrupt | NotADatabase) => StoreError::Damaged { place, problem },
        Some(CannotOpen | PermissionDenied | ReadOnly) => StoreError::Unwritable { place, problem },
        _ => StoreError::Broken { place, problem },
    }
}

fn extended(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |e| e.extended_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_brought_up_to_date_once_and_newer_ones_are_refused()
    -> Result<(), Box<dyn std::error::Error>> {
        let mut db = Connection::open_in_memory()?;
        migrate(&mut db, "x", true, MIGRATIONS)?;
        let next = [MIGRATIONS, &["ALTER TABLE sync ADD COLUMN later INTEGER"]].concat();
        let refused = migrate(&mut db, "x", false, &next);
        assert!(
            matches!(refused, Err(StoreError::Older { .. })),
            "{refused:?}"
        );
        for _ in 0..2 {
            migrate(&mut db, "x", true, &next)?;
        }
        db.execute("UPDATE sync SET later = 1", [])?;
        for runs in [true, false] {
            let refused = migrate(&mut db, "x", runs, MIGRATIONS);
            assert!(
                matches!(refused, Err(StoreError::Newer { .. })),
                "{refused:?}"
            );
        }
        Ok(())
    }
}
