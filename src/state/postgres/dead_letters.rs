//! Dead letters in PostgreSQL: sent again, dropped by a person or by age and number, remembered. Each is one
//! transaction on the writer's connection.

use tokio_postgres::{Client, Error, Row, Transaction};

use crate::record::{Fingerprint, Key, TargetId};
use crate::state::{
    Closed, Closing, Detail, Exception, How, Keep, MOST_CLOSED, Millis, Session, StoreError,
    Trouble, Which, segment,
};

use super::read::Reader;
use super::write::{EXCEPTION_PUT, ExceptionRows, Print, json, key_bytes};

/// When a dead letter became one, and what is remembered of those that are gone. No text of a detail is read
/// as JSON: it may hold characters that PostgreSQL's cannot.
pub const TABLES: &str = "
ALTER TABLE exception ADD COLUMN died int8;
UPDATE exception SET died = extract(epoch FROM now())::int8 * 1000 WHERE trouble IN (3, 4);
CREATE INDEX exception_died ON exception (sync, died) WHERE died IS NOT NULL;
CREATE TABLE closed (
  number int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sync int8 NOT NULL,
  content text NOT NULL
);
CREATE INDEX closed_sync ON closed (sync, number);
";

const LETTERS: &str = "SELECT key, detail, entries, trouble FROM exception WHERE sync = $1";

/// A dead letter as it stands in its row.
struct Letter {
    key: Vec<u8>,
    detail: Detail,
    entries: Vec<u8>,
    trouble: i16,
}

impl Letter {
    fn read(row: &Row) -> Self {
        Self {
            key: row.get(0),
            detail: serde_json::from_str(row.get(1)).unwrap_or_default(),
            entries: row.get(2),
            trouble: row.get(3),
        }
    }
}

/// Locks the Sync, as the worker's transactions do first, too.
async fn lock(tx: &Transaction<'_>, session: &Session) -> Result<(), Error> {
    let sql = "SELECT 1 FROM sync WHERE id = $1 FOR UPDATE";
    tx.execute(sql, &[&session.id]).await.map(drop)
}

/// The dead letters that are meant, locked.
async fn chosen(
    tx: &Transaction<'_>,
    session: &Session,
    which: &Which,
) -> Result<Vec<Letter>, Error> {
    let (key, reason) = match which {
        Which::Key(key) => (Some(key_bytes(key)), None),
        Which::Reason(reason) => (None, Some(reason.as_str())),
        Which::All => (None, None),
    };
    lock(tx, session).await?;
    let sql = format!(
        "{LETTERS} AND trouble IN (3, 4) AND ($2::bytea IS NULL OR key = $2) AND ($3::text IS NULL OR reason = $3)"
    );
    let rows = tx.query(&sql, &[&session.id, &key, &reason]).await?;
    Ok(rows.iter().map(Letter::read).collect())
}

/// Dead letters become due at once, through the Mapping again.
pub async fn replay(client: &mut Client, session: &Session, which: &Which) -> Result<u64, Error> {
    let tx = client.transaction().await?;
    let letters = chosen(&tx, session, which).await?;
    let (keys, details): (Vec<_>, Vec<_>) = letters
        .into_iter()
        .map(|letter| (letter.key, json(&letter.detail.replay())))
        .unzip();
    let changed = tx
        .execute(
            "UPDATE exception SET trouble = $2, next = 0, died = NULL, detail = r.detail
             FROM unnest($3::bytea[], $4::text[]) AS r (key, detail)
             WHERE exception.sync = $1 AND exception.key = r.key",
            &[
                &session.id,
                &(Trouble::Retry.code() as i16),
                &keys,
                &details,
            ],
        )
        .await?;
    tx.commit().await?;
    Ok(changed)
}

/// Dead letters are dropped; the version that was seen is kept as dealt with. An ambiguous one stands in the
/// target then: its match value stays taken, and it is never created again. A newer version behind it goes
/// back to work.
pub async fn discard(
    client: &mut Client,
    session: &Session,
    which: &Which,
    closing: &Closing,
) -> Result<u64, Error> {
    let tx = client.transaction().await?;
    let letters = chosen(&tx, session, which).await?;
    let count = close(&tx, session, letters, closing).await?;
    tx.commit().await?;
    Ok(count)
}

/// The oldest dead letters go, as many as are too old or too many.
pub async fn expire(
    client: &mut Client,
    session: &Session,
    keep: Keep,
    at: Millis,
    limit: usize,
) -> Result<u64, Error> {
    let tx = client.transaction().await?;
    lock(&tx, session).await?;
    let sql = "SELECT count(*), count(*) FILTER (WHERE died < $2) FROM exception WHERE sync = $1 AND died IS NOT NULL";
    let row = tx.query_one(sql, &[&session.id, &keep.since]).await?;
    let (all, old): (i64, i64) = (row.get(0), row.get(1));
    let most = i64::try_from(keep.most).unwrap_or(i64::MAX);
    let count = old
        .max(all - most)
        .min(i64::try_from(limit).unwrap_or(i64::MAX));
    if count <= 0 {
        return Ok(0);
    }
    let sql = format!("{LETTERS} AND died IS NOT NULL ORDER BY died, key LIMIT $2");
    let rows = tx.query(&sql, &[&session.id, &count]).await?;
    let letters = rows.iter().map(Letter::read).collect();
    let closing = Closing {
        how: How::Expired,
        note: None,
        at,
    };
    let count = close(&tx, session, letters, &closing).await?;
    tx.commit().await?;
    Ok(count)
}

/// Rows of links for versions that were dropped.
#[derive(Default)]
struct Seen {
    keys: Vec<Vec<u8>>,
    raws: Vec<Print>,
    targets: Vec<Option<String>>,
    matching: Vec<Option<i64>>,
}

/// Drops these dead letters.
async fn close(
    tx: &Transaction<'_>,
    session: &Session,
    letters: Vec<Letter>,
    closing: &Closing,
) -> Result<u64, Error> {
    let (mut keys, mut seen, mut promoted) = (Vec::new(), Seen::default(), Vec::new());
    let mut contents = Vec::new();
    for letter in letters {
        let mut entries = segment::decode(letter.entries)
            .unwrap_or_default()
            .into_iter();
        let Some(entry) = entries.next() else {
            continue;
        };
        let behind = entries.next();
        let there = Trouble::from_code(letter.trouble.into()) == Some(Trouble::Ambiguous);
        if there || behind.is_none() {
            let raw = behind.as_ref().map_or(entry.raw, |_| Fingerprint::UNKNOWN);
            seen.keys.push(letter.key.clone());
            seen.raws.push(Print(raw));
            seen.targets
                .push(there.then(TargetId::untold).map(|t| t.as_json().to_owned()));
            seen.matching.push(entry.matching.filter(|_| there));
        }
        promoted.extend(behind.map(Exception::promoted));
        let key = Key::from_text(String::from_utf8_lossy(&letter.key));
        contents.push(json(&Closed::of(key, letter.detail, closing)));
        keys.push(letter.key);
    }
    tx.execute(
        "DELETE FROM exception WHERE sync = $1 AND key = ANY($2)",
        &[&session.id, &keys],
    )
    .await?;
    let mut rows = ExceptionRows::default();
    promoted
        .iter()
        .for_each(|exception| rows.push(session.id, exception));
    tx.execute(EXCEPTION_PUT, &rows.values()).await?;
    tx.execute(
        "INSERT INTO link (sync, key, raw, target, matching, mapped)
         SELECT $1, s.key, s.raw, s.target, s.matching, $6
         FROM unnest($2::bytea[], $3::bytea[], $4::text[], $5::int8[]) AS s (key, raw, target, matching)
         ON CONFLICT (sync, key) DO UPDATE SET raw = excluded.raw, mapped = CASE WHEN excluded.target IS NULL
             THEN link.mapped ELSE excluded.mapped END,
           target = coalesce(link.target, excluded.target), matching = coalesce(excluded.matching, link.matching)",
        &[
            &session.id,
            &seen.keys,
            &seen.raws,
            &seen.targets,
            &seen.matching,
            &Print(Fingerprint::UNKNOWN),
        ],
    )
    .await?;
    remember(tx, session.id, &contents).await?;
    Ok(keys.len() as u64)
}

/// Keeps what is remembered of dead letters that are gone.
async fn remember(tx: &Transaction<'_>, sync: i64, contents: &[String]) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO closed (sync, content) SELECT $1, content
         FROM unnest($2::text[]) WITH ORDINALITY AS c (content, place) ORDER BY place",
        &[&sync, &contents],
    )
    .await?;
    tx.execute(
        "DELETE FROM closed WHERE sync = $1 AND number <= (SELECT number FROM closed WHERE sync = $1
           ORDER BY number DESC LIMIT 1 OFFSET $2)",
        &[&sync, &(MOST_CLOSED as i64)],
    )
    .await
    .map(drop)
}

impl Reader {
    /// Dead letters that are gone, the last one first.
    pub async fn closed(&self, sync: i64, limit: usize) -> Result<Vec<Closed>, StoreError> {
        let sql = "SELECT content FROM closed WHERE sync = $1 ORDER BY number DESC LIMIT $2";
        let rows = self.query(sql, &[&sync, &(limit as i64)]).await?;
        rows.iter()
            .map(|row| {
                serde_json::from_str(row.get(0)).map_err(|e| StoreError::Damaged {
                    place: self.place.to_string(),
                    problem: e.to_string(),
                })
            })
            .collect()
    }
}
