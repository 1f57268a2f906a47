//! The tables of the PostgreSQL store and the way from one version of them to the next. Only SQL.
//!
//! Text that people choose (keys, match values) is kept as bytes: PostgreSQL's text holds no NUL, and bytes
//! have one order in every database. `convert_from(key, 'UTF8')` shows it.

use tokio_postgres::{Client, GenericClient};

use crate::state::StoreError;

use super::error::translate;

/// The schema that holds the tables; whoever shares the database sees nothing else of them.
pub const NAME: &str = "syncline";

/// Held while tables are changed, so that of several processes one does it. ("Syncline" in ASCII.)
const MIGRATING: i64 = 0x5379_6e63_6c69_6e65;

/// The statements that lead to version 1, 2, …; one that was released is never changed.
pub const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE sync (
  id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  namespace text COLLATE \"C\" NOT NULL,
  name text COLLATE \"C\" NOT NULL,
  identity bytea NOT NULL,
  epoch int8 NOT NULL,
  state text NOT NULL,
  UNIQUE (namespace, name)
) WITH (fillfactor = 50);
CREATE TABLE link (
  sync int8 NOT NULL,
  key bytea NOT NULL,
  target text COLLATE \"C\",
  raw bytea NOT NULL,
  mapped bytea NOT NULL,
  moment_number int8,
  moment_text bytea,
  matching int8,
  fields bytea,
  PRIMARY KEY (sync, key)
) WITH (fillfactor = 85);
CREATE INDEX link_matching ON link (sync, matching) WHERE matching IS NOT NULL;
-- A hash, because an index entry has at most 2.7 KB and an id may be longer.
CREATE INDEX link_target ON link (sync, hashtextextended(target, 0)) WHERE matching IS NOT NULL;
CREATE TABLE segment (
  sync int8 NOT NULL,
  number int8 NOT NULL,
  states bytea NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (sync, number)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
-- Bodies live for seconds: compressing them is not worth the time.
ALTER TABLE segment ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE exception (
  sync int8 NOT NULL,
  key bytea NOT NULL,
  trouble int2 NOT NULL,
  next int8 NOT NULL,
  reason text COLLATE \"C\" NOT NULL,
  wait_namespace text COLLATE \"C\",
  wait_name text COLLATE \"C\",
  wait_key bytea,
  detail text NOT NULL,
  entries bytea NOT NULL,
  PRIMARY KEY (sync, key)
);
CREATE INDEX exception_due ON exception (sync, trouble, next);
CREATE TABLE value (
  name text COLLATE \"C\" PRIMARY KEY,
  content bytea NOT NULL
);
",
    "
ALTER TABLE exception ADD COLUMN matching int8;
CREATE INDEX exception_matching ON exception (sync, matching) WHERE matching IS NOT NULL;
",
    super::inbox::TABLES,
    "ALTER TABLE link ADD COLUMN standing int8;",
    super::dead_letters::TABLES,
    // Which of the server's processes runs a Sync. A lock for each would fill the server's table of locks, which all
    // its databases share, and every commit looks through those of its connection.
    "ALTER TABLE sync ADD COLUMN holder int4, ADD COLUMN holder_since timestamptz;",
];

/// The version of the tables; `None` where there are none.
async fn version(client: &impl GenericClient) -> Result<Option<i64>, tokio_postgres::Error> {
    let there = "SELECT to_regclass('syncline.schema_version') IS NOT NULL";
    if !client.query_one(there, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let found = "SELECT max(version) FROM syncline.schema_version";
    let found: Option<i32> = client.query_one(found, &[]).await?.get(0);
    Ok(Some(found.map_or(0, i64::from)))
}

/// Whether there are tables, and of this version.
///
/// # Errors
/// They are older or newer than this program knows.
pub async fn is_there(client: &Client, place: &str) -> Result<bool, StoreError> {
    let known = MIGRATIONS.len() as i64;
    match version(client).await.map_err(|e| translate(place, &e))? {
        None => Ok(false),
        Some(found) if found < known => Err(StoreError::Older {
            place: place.into(),
            found,
            known,
        }),
        Some(found) if found > known => Err(StoreError::Newer {
            place: place.into(),
            found,
            known,
        }),
        Some(_) => Ok(true),
    }
}

/// Brings the tables up to the last of `migrations`, in one transaction and one process at a time.
///
/// # Errors
/// They are newer than that, or the role may not create them.
pub async fn migrate(
    client: &mut Client,
    place: &str,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let fail = |e| translate(place, &e);
    let tx = client.transaction().await.map_err(fail)?;
    // Another process may be at it, and a change of large tables takes its time.
    tx.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10min'")
        .await
        .map_err(fail)?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATING])
        .await
        .map_err(fail)?;
    let found = version(&tx).await.map_err(fail)?;
    let known = migrations.len();
    let from = match found {
        Some(found) if found > known as i64 => {
            return Err(StoreError::Newer {
                place: place.into(),
                found,
                known: known as i64,
            });
        }
        Some(found) => usize::try_from(found).unwrap_or_default(),
        None => {
            let named = "SELECT to_regnamespace('syncline') IS NOT NULL";
            let row = tx.query_one(named, &[]).await.map_err(fail)?;
            if !row.get::<_, bool>(0) {
                tx.batch_execute("CREATE SCHEMA syncline")
                    .await
                    .map_err(fail)?;
            }
            tx.batch_execute(
                "CREATE TABLE syncline.schema_version
                   (version int4 PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())",
            )
            .await
            .map_err(fail)?;
            0
        }
    };
    for (number, statements) in migrations.iter().enumerate().skip(from) {
        tx.batch_execute(statements).await.map_err(fail)?;
        let version = i32::try_from(number + 1).unwrap_or(i32::MAX);
        tx.execute(
            "INSERT INTO syncline.schema_version (version) VALUES ($1)",
            &[&version],
        )
        .await
        .map_err(fail)?;
    }
    tx.commit().await.map_err(fail)
}
