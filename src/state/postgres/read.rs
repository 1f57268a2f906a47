//! Queries of the PostgreSQL store, on one of the readers' connections. Each is one statement, so that it
//! sees one state.

use std::collections::HashMap;

use deadpool_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::record::{Fingerprint, Key, Moment, SyncName, TargetId};
use crate::state::{
    Detail, Exception, Holder, Known, Link, Millis, Pick, Present, Session, StoreError, Stored,
    SyncState, Totals, Trouble, segment,
};

use super::error::translate;
use super::write::{Print, key_bytes};

const LINK: &str = "l.key, l.target, l.raw, l.mapped, l.moment_number, l.moment_text, l.matching, l.fields, l.standing";
const EXCEPTION: &str = "e.trouble, e.next, e.detail, e.entries";

/// A reader's connection and what to call the store in errors.
pub struct Reader {
    pub client: Client,
    pub place: std::sync::Arc<str>,
}

impl Reader {
    pub(super) async fn query(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, StoreError> {
        let rows = async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.query(&statement, values).await
        };
        rows.await.map_err(|e| translate(&self.place, &e))
    }

    fn damaged(&self, what: &str, error: impl std::fmt::Display) -> StoreError {
        StoreError::Broken {
            place: self.place.to_string(),
            problem: format!("{what} cannot be read: {error}"),
        }
    }

    pub async fn outbox(&self, sync: i64) -> Result<Vec<Stored>, StoreError> {
        let sql = "SELECT number, body, states FROM segment WHERE sync = $1 ORDER BY number";
        let rows = self.query(sql, &[&sync]).await?;
        rows.into_iter()
            .map(|row| {
                let body: Vec<u8> = row.get(1);
                Ok(Stored {
                    number: row.get::<_, i64>(0) as u64,
                    entries: segment::decode(body).map_err(|e| self.damaged("a segment", e))?,
                    states: row.get(2),
                })
            })
            .collect()
    }

    pub async fn known(
        &self,
        sync: i64,
        keys: &[Key],
        exceptions: bool,
    ) -> Result<Vec<Known>, StoreError> {
        let wanted: Vec<&[u8]> = keys.iter().map(key_bytes).collect();
        let sql = if exceptions {
            format!(
                "SELECT {LINK}, {EXCEPTION}, k.key FROM (SELECT DISTINCT unnest($2::bytea[]) AS key) k
                 LEFT JOIN link l ON l.sync = $1 AND l.key = k.key
                 LEFT JOIN exception e ON e.sync = $1 AND e.key = k.key
                 WHERE l.key IS NOT NULL OR e.key IS NOT NULL"
            )
        } else {
            format!("SELECT {LINK} FROM link l WHERE l.sync = $1 AND l.key = ANY($2)")
        };
        let mut found = HashMap::new();
        for row in self.query(&sql, &[&sync, &wanted]).await? {
            let key: Vec<u8> = row.get(if exceptions { 13 } else { 0 });
            let there = |column: usize| row.try_get::<_, &[u8]>(column).is_ok();
            let known = Known {
                link: if there(0) { Some(link(&row)) } else { None },
                exception: if exceptions && there(12) {
                    Some(Box::new(self.exception(&row, 9)?))
                } else {
                    None
                },
            };
            found.insert(key, known);
        }
        let answer = |key: &Key| found.get(key_bytes(key)).cloned().unwrap_or_default();
        Ok(keys.iter().map(answer).collect())
    }

    fn exception(&self, row: &Row, at: usize) -> Result<Exception, StoreError> {
        let entries: Vec<u8> = row.get(at + 3);
        let mut entries = segment::decode(entries)
            .map_err(|e| self.damaged("an exception", e))?
            .into_iter();
        let entry = entries
            .next()
            .ok_or_else(|| self.damaged("an exception", segment::Damaged(0)))?;
        let detail: Detail = serde_json::from_str(row.get(at + 2))
            .map_err(|e| self.damaged("an exception's detail", e))?;
        Ok(Exception {
            entry,
            trouble: Trouble::from_code(row.get::<_, i16>(at).into()).unwrap_or(Trouble::Dead),
            next: row.get(at + 1),
            detail,
            behind: entries.next(),
        })
    }

    pub async fn linked(
        &self,
        wanted: &[(SyncName, Key)],
    ) -> Result<Vec<Option<TargetId>>, StoreError> {
        let namespaces: Vec<&str> = wanted
            .iter()
            .map(|(sync, _)| sync.namespace.as_str())
            .collect();
        let names: Vec<&str> = wanted.iter().map(|(sync, _)| sync.name.as_str()).collect();
        let keys: Vec<&[u8]> = wanted.iter().map(|(_, key)| key_bytes(key)).collect();
        let sql = "SELECT l.target FROM unnest($1::text[], $2::text[], $3::bytea[])
                     WITH ORDINALITY AS w (namespace, name, key, place)
                   LEFT JOIN sync s ON s.namespace = w.namespace AND s.name = w.name
                   LEFT JOIN link l ON l.sync = s.id AND l.key = w.key AND l.target <> 'null'
                   ORDER BY w.place";
        let rows = self.query(sql, &[&namespaces, &names, &keys]).await?;
        Ok(rows.iter().map(|row| target(row, 0)).collect())
    }

    pub async fn by_match(
        &self,
        sync: i64,
        matching: i64,
        except: &Key,
    ) -> Result<Option<Holder>, StoreError> {
        let sql = format!(
            "SELECT {LINK}, d.key FROM (SELECT 1) AS one
             LEFT JOIN LATERAL (SELECT key FROM exception
               WHERE sync = $1 AND matching = $2 AND trouble IN (1, 4) AND key <> $3 LIMIT 1) d ON true
             LEFT JOIN LATERAL (SELECT * FROM link
               WHERE sync = $1 AND matching = $2 AND target IS NOT NULL AND key <> $3 LIMIT 1) l ON true"
        );
        let rows = self
            .query(&sql, &[&sync, &matching, &key_bytes(except)])
            .await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        if let Some(key) = row.get::<_, Option<&[u8]>>(9) {
            return Ok(Some(Holder::InDoubt(key_of(key))));
        }
        let there = row.get::<_, Option<&[u8]>>(0).is_some();
        Ok(there.then(|| Holder::Linked(link(row))))
    }

    pub async fn by_target(
        &self,
        sync: i64,
        id: &TargetId,
        except: &Key,
    ) -> Result<Option<Link>, StoreError> {
        let sql = format!(
            "SELECT {LINK} FROM link l WHERE l.sync = $1 AND hashtextextended(l.target, 0) = hashtextextended($2, 0)
               AND l.target = $2 AND l.matching IS NOT NULL AND l.key <> $3 LIMIT 1"
        );
        Ok(self
            .query(&sql, &[&sync, &id.as_json(), &key_bytes(except)])
            .await?
            .first()
            .map(link))
    }

    pub async fn present(
        &self,
        sync: i64,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Present>, StoreError> {
        let sql = "SELECT key, coalesce(standing, 0) >= 4 FROM link
                   WHERE sync = $1 AND key > $2 AND coalesce(standing, 0) NOT IN (2, 3)
                     AND (target IS NOT NULL OR mapped <> $3)
                   ORDER BY key LIMIT $4";
        let after = after.map(key_bytes).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let unknown = Print(Fingerprint::UNKNOWN);
        let rows = self.query(sql, &[&sync, &after, &unknown, &limit]).await?;
        let present = |row: &Row| Present {
            key: key_of(row.get(0)),
            missed: row.get(1),
        };
        Ok(rows.iter().map(present).collect())
    }

    pub async fn exceptions(
        &self,
        sync: i64,
        pick: &Pick,
        limit: usize,
    ) -> Result<Vec<Exception>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = match pick {
            Pick::Due(now) => {
                let sql = format!(
                    "SELECT {EXCEPTION} FROM exception e WHERE e.sync = $1 AND e.trouble IN (0, 1) AND e.next <= $2
                     ORDER BY e.next LIMIT $3"
                );
                self.query(&sql, &[&sync, now, &limit]).await?
            }
            Pick::Awaited => {
                let sql = format!(
                    "SELECT {EXCEPTION} FROM exception e WHERE e.sync = $1 AND e.trouble = 2
                       AND CASE WHEN e.wait_name IS NULL
                         THEN NOT EXISTS (SELECT 1 FROM exception d WHERE d.sync = e.sync AND d.matching = e.matching
                           AND d.trouble IN (1, 4) AND d.key <> e.key)
                         ELSE EXISTS (SELECT 1 FROM sync s JOIN link l ON l.sync = s.id
                           WHERE s.namespace = e.wait_namespace AND s.name = e.wait_name
                             AND l.key = e.wait_key AND l.target <> 'null') END
                     LIMIT $2"
                );
                self.query(&sql, &[&sync, &limit]).await?
            }
            Pick::DeadLetters { after } => {
                let after = after.as_ref().map(key_bytes).unwrap_or_default();
                let sql = format!(
                    "SELECT {EXCEPTION} FROM exception e WHERE e.sync = $1 AND e.trouble IN (3, 4) AND e.key > $2
                     ORDER BY e.key LIMIT $3"
                );
                self.query(&sql, &[&sync, &after, &limit]).await?
            }
        };
        rows.iter().map(|row| self.exception(row, 0)).collect()
    }

    pub async fn next_due(&self, sync: i64, after: Millis) -> Result<Option<Millis>, StoreError> {
        let sql =
            "SELECT min(next) FROM exception WHERE sync = $1 AND trouble IN (0, 1) AND next > $2";
        let rows = self.query(sql, &[&sync, &after]).await?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    pub async fn totals(&self, sync: i64) -> Result<Totals, StoreError> {
        let sql = "SELECT trouble, reason, count(*), 0::int8, 0::int8 FROM exception WHERE sync = $1 GROUP BY trouble, reason
                   UNION ALL SELECT NULL, 'link', count(*), count(*) FILTER (WHERE standing IN (2, 3)),
                       count(target) FILTER (WHERE coalesce(standing, 0) NOT IN (2, 3)) FROM link
                     WHERE sync = $1
                   UNION ALL SELECT NULL, 'segment', count(*), 0, 0 FROM segment WHERE sync = $1";
        let mut totals = Totals::default();
        for row in self.query(sql, &[&sync]).await? {
            let count = row.get::<_, i64>(2) as u64;
            let Some(code) = row.get::<_, Option<i16>>(0) else {
                match row.get(1) {
                    "link" => {
                        totals.removed = row.get::<_, i64>(3) as u64;
                        totals.links = count - totals.removed;
                        totals.targets = row.get::<_, i64>(4) as u64;
                    }
                    _ => totals.outbox = count,
                }
                continue;
            };
            match Trouble::from_code(code.into()) {
                Some(Trouble::Retry) => totals.retrying += count,
                Some(Trouble::Unknown) => totals.unknown += count,
                Some(Trouble::Waiting) => totals.waiting += count,
                Some(Trouble::Dead | Trouble::Ambiguous) | None => {
                    *totals.dead.entry(row.get(1)).or_default() += count;
                }
                Some(Trouble::Held) => totals.held += count,
            }
        }
        Ok(totals)
    }

    pub async fn list(&self) -> Result<Vec<(Session, SyncState)>, StoreError> {
        let rows = self
            .query(&format!("{SYNC} ORDER BY namespace, name"), &[])
            .await?;
        rows.iter().map(|row| self.sync(row)).collect()
    }

    pub async fn find(&self, name: &SyncName) -> Result<Option<(Session, SyncState)>, StoreError> {
        let sql = format!("{SYNC} WHERE namespace = $1 AND name = $2");
        let rows = self.query(&sql, &[&name.namespace, &name.name]).await?;
        rows.first().map(|row| self.sync(row)).transpose()
    }

    fn sync(&self, row: &Row) -> Result<(Session, SyncState), StoreError> {
        let session = Session {
            id: row.get(0),
            sync: SyncName {
                namespace: row.get(1),
                name: row.get(2),
            },
            epoch: row.get(3),
        };
        let state = state(&self.place, &session.sync, row.get(4))?;
        Ok((session, state))
    }

    pub async fn oldest_open(&self, sync: i64) -> Result<Option<Millis>, StoreError> {
        // `since` stands in the detail, whose JSON may hold \u0000, which jsonb does not take; within its
        // texts a quote is escaped, so that only the field itself matches. 0 means that it is not known.
        let sql = r#"SELECT min(nullif(substring(detail from '"since":([0-9]+)')::bigint, 0)) FROM exception
                     WHERE sync = $1 AND trouble IN (0, 1, 2, 5)"#;
        let rows = self.query(sql, &[&sync]).await?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    pub async fn value(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self
            .query("SELECT content FROM value WHERE name = $1", &[&name])
            .await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    pub async fn value_names(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT name FROM value WHERE starts_with(name, $1) ORDER BY name";
        let rows = self.query(sql, &[&prefix]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

/// A Sync that has state.
const SYNC: &str = "SELECT id, namespace, name, epoch, state FROM sync";

/// What a Sync remembers, from its text.
pub fn state(place: &str, sync: &SyncName, text: &str) -> Result<SyncState, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Broken {
        place: place.into(),
        problem: format!("the state of Sync {sync} cannot be read: {e}"),
    })
}

fn key_of(bytes: &[u8]) -> Key {
    Key::from_text(String::from_utf8_lossy(bytes))
}

fn target(row: &Row, column: usize) -> Option<TargetId> {
    row.get::<_, Option<String>>(column)
        .map(TargetId::from_json)
}

/// A link from the columns of [`LINK`], which stand first.
fn link(row: &Row) -> Link {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let moment_text: Option<&[u8]> = row.get(5);
    let (own, presence) = Link::read_standing(row.get(8));
    Link {
        key: key_of(row.get(0)),
        target: target(row, 1),
        raw: Fingerprint::from_slice(row.get(2)),
        mapped: Fingerprint::from_slice(row.get(3)),
        moment: match row.get::<_, Option<i64>>(4) {
            Some(number) => Some(Moment::Integer(number)),
            None => moment_text.map(|bytes| Moment::Text(text(bytes))),
        },
        matching: row.get(6),
        fields: row.get::<_, Option<Vec<u8>>>(7).unwrap_or_default(),
        own,
        presence,
    }
}
