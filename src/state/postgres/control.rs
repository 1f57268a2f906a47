//! What is asked of the writer one by one: taking a Sync over, forgetting one, keeping a value. Each is one
//! transaction on the writer's connection.

use tokio_postgres::{Client, GenericClient, Transaction};

use crate::record::{Fingerprint, SyncName};
use crate::state::{Millis, OnMismatch, Session, StoreError, SyncState, Takeover};

use super::connect::Backend;
use super::error::translate;
use super::write::{Print, json};

/// First half of the advisory lock of a Sync that is being taken over; the other half is its number. ("SYNC" in ASCII.)
const OPENING: i32 = 0x5359_4e43;

/// How long the server waits for another process's connection to end that a takeover has ended.
const END_MILLIS: i64 = 5_000;

/// Takes a Sync over and raises its epoch.
pub async fn open(
    client: &mut Client,
    place: &str,
    sync: &SyncName,
    identity: Fingerprint,
    on: OnMismatch,
    takeover: Takeover,
) -> Result<(Session, SyncState), StoreError> {
    let fail = |e| translate(place, &e);
    let tx = client.transaction().await.map_err(fail)?;
    if takeover == Takeover::Force {
        cut_off(&tx, sync).await.map_err(fail)?;
    }
    let select =
        "SELECT id, identity, epoch, state FROM sync WHERE namespace = $1 AND name = $2 FOR UPDATE";
    let found = tx
        .query_opt(select, &[&sync.namespace, &sync.name])
        .await
        .map_err(fail)?;
    let row = match found {
        Some(row) => row,
        None => {
            // Another process may be doing the same in this moment.
            let fresh = "INSERT INTO sync (namespace, name, identity, epoch, state) VALUES ($1, $2, $3, 0, $4)
                         ON CONFLICT (namespace, name) DO NOTHING";
            let empty = json(&SyncState::default());
            tx.execute(
                fresh,
                &[&sync.namespace, &sync.name, &Print(identity), &empty],
            )
            .await
            .map_err(fail)?;
            tx.query_one(select, &[&sync.namespace, &sync.name])
                .await
                .map_err(fail)?
        }
    };
    let (id, epoch): (i64, i64) = (row.get(0), row.get(2));
    let stored = Fingerprint::from_slice(row.get(1));
    let mut on = on;
    if stored != identity && on == OnMismatch::Refuse && is_blank(&tx, id).await.map_err(fail)? {
        // Nothing is known of any record: a URL was corrected after a first run that failed.
        on = OnMismatch::Reset;
    }
    if stored != identity && on == OnMismatch::Refuse {
        return Err(StoreError::Mismatch {
            sync: sync.clone(),
            stored,
            given: identity,
        });
    }
    hold(&tx, place, sync, id, takeover).await?;
    let state = if stored != identity && on == OnMismatch::Reset {
        for table in ["link", "segment", "exception", "closed"] {
            tx.execute(&format!("DELETE FROM {table} WHERE sync = $1"), &[&id])
                .await
                .map_err(fail)?;
        }
        SyncState::default()
    } else {
        super::read::state(place, sync, row.get(3))?
    };
    tx.execute(
        "UPDATE sync SET identity = $2, epoch = $3, state = $4, holder = pg_backend_pid(),
                holder_since = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
         WHERE id = $1",
        &[&id, &Print(identity), &(epoch + 1), &json(&state)],
    )
    .await
    .map_err(fail)?;
    tx.commit().await.map_err(fail)?;
    let session = Session {
        sync: sync.clone(),
        id,
        epoch: epoch + 1,
    };
    Ok((session, state))
}

/// Whether the store knows no record of a Sync.
async fn is_blank(tx: &Transaction<'_>, sync: i64) -> Result<bool, tokio_postgres::Error> {
    let select = "SELECT NOT EXISTS (SELECT 1 FROM link WHERE sync = $1) \
                  AND NOT EXISTS (SELECT 1 FROM segment WHERE sync = $1) \
                  AND NOT EXISTS (SELECT 1 FROM exception WHERE sync = $1)";
    Ok(tx.query_one(select, &[&sync]).await?.get(0))
}

/// Ends the connection of another process that runs the Sync, or is taking it over. Done before the Sync is locked: a
/// process that was frozen within a transaction holds it for ever.
async fn cut_off(tx: &Transaction<'_>, sync: &SyncName) -> Result<(), tokio_postgres::Error> {
    let end = "SELECT pg_terminate_backend(a.pid, $4) FROM sync s
               JOIN pg_stat_activity a ON (a.pid = s.holder AND a.backend_start = s.holder_since) OR a.pid IN (
                 SELECT l.pid FROM pg_locks l
                 WHERE l.locktype = 'advisory' AND l.classid = $3::int4::oid AND l.objid = s.id::int4::oid
                   AND l.objsubid = 2 AND l.granted
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
               WHERE s.namespace = $1 AND s.name = $2 AND a.pid <> pg_backend_pid()";
    tx.execute(end, &[&sync.namespace, &sync.name, &OPENING, &END_MILLIS])
        .await?;
    Ok(())
}

/// Looks whether another connection runs the Sync, and ends it where that is wanted. Sessions of another role cannot be
/// seen; who is replaced by one only finds out by its epoch.
async fn hold(
    tx: &Transaction<'_>,
    place: &str,
    sync: &SyncName,
    id: i64,
    takeover: Takeover,
) -> Result<(), StoreError> {
    let fail = |e| translate(place, &e);
    // What this transaction writes is seen by others only at its end. Numbers are given out from 1 on, one for each
    // Sync.
    let opening = "SELECT pg_try_advisory_xact_lock($1, $2)";
    tx.query_one(opening, &[&OPENING, &(id as i32)])
        .await
        .map_err(fail)?;
    let other = "SELECT a.pid FROM sync s
                 JOIN pg_stat_activity a ON a.pid = s.holder AND a.backend_start = s.holder_since
                 WHERE s.id = $1 AND a.pid <> pg_backend_pid()";
    let Some(other) = tx.query_opt(other, &[&id]).await.map_err(fail)? else {
        return Ok(());
    };
    let ended = match takeover {
        Takeover::Force => {
            let end = "SELECT pg_terminate_backend($1, $2)";
            let pid: i32 = other.get(0);
            let row = tx.query_one(end, &[&pid, &END_MILLIS]).await;
            row.map_err(fail)?.get(0)
        }
        Takeover::Refuse => false,
    };
    match ended {
        true => Ok(()),
        false => Err(StoreError::Running {
            place: place.into(),
            sync: sync.clone(),
        }),
    }
}

/// Notes when the state of a Sync is to be forgotten.
pub async fn expire(
    client: &mut Client,
    sync: &SyncName,
    at: Option<Millis>,
) -> Result<(), tokio_postgres::Error> {
    let tx = client.transaction().await?;
    let select = "SELECT id, state FROM sync WHERE namespace = $1 AND name = $2 FOR UPDATE";
    if let Some(row) = tx.query_opt(select, &[&sync.namespace, &sync.name]).await? {
        let (id, text): (i64, &str) = (row.get(0), row.get(1));
        // A state that cannot be read is not replaced by an empty one.
        if let Ok(state) = serde_json::from_str::<SyncState>(text) {
            let state = json(&SyncState {
                expires: at,
                ..state
            });
            tx.execute("UPDATE sync SET state = $2 WHERE id = $1", &[&id, &state])
                .await?;
        }
    }
    tx.commit().await
}

/// Forgets everything of a Sync.
pub async fn forget(client: &mut Client, sync: &SyncName) -> Result<(), tokio_postgres::Error> {
    let tx = client.transaction().await?;
    let select = "SELECT id FROM sync WHERE namespace = $1 AND name = $2 FOR UPDATE";
    if let Some(row) = tx.query_opt(select, &[&sync.namespace, &sync.name]).await? {
        let id: i64 = row.get(0);
        for table in ["link", "segment", "exception", "closed"] {
            tx.execute(&format!("DELETE FROM {table} WHERE sync = $1"), &[&id])
                .await?;
        }
        tx.execute("DELETE FROM sync WHERE id = $1", &[&id]).await?;
    }
    tx.commit().await
}

/// Keeps a value under its name, or forgets it.
pub async fn save_value(
    client: &impl GenericClient,
    name: &str,
    value: Option<&[u8]>,
) -> Result<(), tokio_postgres::Error> {
    let Some(value) = value else {
        let sql = "DELETE FROM value WHERE name = $1";
        return client.execute(sql, &[&name]).await.map(drop);
    };
    let sql = "INSERT INTO value (name, content) VALUES ($1, $2)
               ON CONFLICT (name) DO UPDATE SET content = excluded.content";
    client.execute(sql, &[&name, &value]).await.map(drop)
}

/// Ends what the server still has of a connection that was lost, so that its locks go.
pub async fn end(client: &Client, last: Option<&Backend>) -> Result<(), tokio_postgres::Error> {
    if let Some(last) = last {
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2";
        client.execute(sql, &[&last.pid, &last.started]).await?;
    }
    Ok(())
}
