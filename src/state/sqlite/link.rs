//! Links as rows: written many at a time and in the order of their keys, so that a group touches each
//! page of the tree once. Used by `write`.

use std::sync::LazyLock;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use super::write::WriteError;
use crate::record::Moment;
use crate::state::Link;

/// Rows of one statement: running a statement costs as much as several rows.
const ROWS: usize = 32;
const COLUMNS: usize = 9;

static MANY: LazyLock<String> = LazyLock::new(|| sql(ROWS));
static ONE: LazyLock<String> = LazyLock::new(|| sql(1));

fn sql(rows: usize) -> String {
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?)";
    format!(
        "INSERT INTO link (sync, key, target, raw, mapped, moment, matching, fields, standing) VALUES {} \
         ON CONFLICT (sync, key) DO UPDATE SET target = excluded.target, raw = excluded.raw, \
         mapped = excluded.mapped, moment = excluded.moment, matching = excluded.matching, fields = excluded.fields, \
         standing = excluded.standing",
        vec![row; rows].join(", ")
    )
}

/// Writes the links and takes them out of the list. Of two with the same key the later one stands.
pub fn put(db: &Connection, sync: i64, links: &mut Vec<&Link>) -> Result<(), WriteError> {
    links.sort_by(|a, b| a.key.cmp(&b.key));
    let chunks = links.chunks_exact(ROWS);
    let rest = chunks.remainder();
    for chunk in chunks {
        run(&mut *db.prepare_cached(&MANY)?, sync, chunk)?;
    }
    for link in rest {
        run(
            &mut *db.prepare_cached(&ONE)?,
            sync,
            std::slice::from_ref(link),
        )?;
    }
    links.clear();
    Ok(())
}

fn run(statement: &mut Statement<'_>, sync: i64, links: &[&Link]) -> rusqlite::Result<()> {
    for (row, link) in links.iter().enumerate() {
        let first = row * COLUMNS + 1;
        statement.raw_bind_parameter(first, sync)?;
        statement.raw_bind_parameter(first + 1, link.key.as_str())?;
        statement.raw_bind_parameter(first + 2, link.target.as_ref().map(|t| t.as_json()))?;
        statement.raw_bind_parameter(first + 3, link.raw.to_bytes())?;
        statement.raw_bind_parameter(first + 4, link.mapped.to_bytes())?;
        statement.raw_bind_parameter(first + 5, link.moment.as_ref().map(SqlMoment))?;
        statement.raw_bind_parameter(first + 6, link.matching)?;
        let fields = (!link.fields.is_empty()).then_some(link.fields.as_slice());
        statement.raw_bind_parameter(first + 7, fields)?;
        statement.raw_bind_parameter(first + 8, link.standing())?;
    }
    statement.raw_execute().map(|_| ())
}

/// A moment as it is kept in a column: a number or a text.
struct SqlMoment<'a>(&'a Moment);

impl ToSql for SqlMoment<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Moment::Time(at) => ToSqlOutput::from(i64::try_from(*at).unwrap_or(i64::MAX)),
            Moment::Integer(number) => ToSqlOutput::from(*number),
            Moment::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::record::{Fingerprint, Key, SyncName, TargetId};
    use crate::state::sqlite::SqliteStore;
    use crate::state::{Change, Link, OnMismatch, Presence, Store};

    fn link(key: usize, version: u128) -> Link {
        Link {
            key: Key::from_text(format!("k{key}")),
            target: Some(TargetId::from_json(format!("{key}"))),
            raw: Fingerprint(version),
            mapped: Fingerprint(version + 1),
            moment: None,
            matching: None,
            fields: Vec::new(),
            own: true,
            presence: Presence::Here,
        }
    }

    #[tokio::test]
    async fn every_link_of_a_large_group_is_found_and_the_later_of_two_stands() {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path()).unwrap();
        let sync = SyncName {
            namespace: "default".into(),
            name: "s".into(),
        };
        let (session, _) = store
            .open(&sync, Fingerprint(1), OnMismatch::Refuse)
            .await
            .unwrap();
        let twice = [link(7, 20), link(64, 20)];
        let links = (0..101).map(|key| link(key, 10)).chain(twice);
        let changes = links.map(Change::Link).collect();
        store.commit(&session, changes).await.unwrap();
        let forget = Change::Forget {
            key: Key::from_text("k3"),
            target_gone: true,
        };
        let again = vec![Change::Link(link(3, 30)), forget];
        store.commit(&session, again).await.unwrap();

        let keys: Vec<Key> = (0..130)
            .rev()
            .chain([5, 5])
            .map(|key| Key::from_text(format!("k{key}")))
            .collect();
        let known = store.known(&session, keys.clone(), false).await.unwrap();
        assert_eq!(known.len(), keys.len());
        for (key, known) in keys.iter().zip(known) {
            let number: usize = key.as_str()[1..].parse().unwrap();
            let expected = match number {
                3 => Some(Link {
                    target: None,
                    mapped: Fingerprint::UNKNOWN,
                    ..link(3, 30)
                }),
                7 | 64 => Some(link(number, 20)),
                0..=100 => Some(link(number, 10)),
                _ => None,
            };
            assert_eq!(known.link, expected, "{key}");
        }
    }
}
