//! A group's changes as SQL: one statement for each kind of row, whatever its length. Inside the writer's
//! transaction, which has checked the epochs.

use bytes::BytesMut;
use futures::future::join_all;
use tokio_postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

use crate::record::{Fingerprint, Key, Moment};
use crate::state::{Exception, Link, SyncState, segment};

use super::group::{Group, LinkChange, SegmentChange};
use super::inbox;

const LOCK: &str = "SELECT id, epoch FROM sync WHERE id = ANY($1) ORDER BY id FOR UPDATE";
pub const LINK_PUT: &str = "
INSERT INTO link (sync, key, target, raw, mapped, moment_number, moment_text, matching, fields, standing)
SELECT * FROM unnest($1::int8[], $2::bytea[], $3::text[], $4::bytea[], $5::bytea[], $6::int8[], $7::bytea[],
  $8::int8[], $9::bytea[], $10::int8[])
ON CONFLICT (sync, key) DO UPDATE SET target = excluded.target, raw = excluded.raw, mapped = excluded.mapped,
  moment_number = excluded.moment_number, moment_text = excluded.moment_text, matching = excluded.matching,
  fields = excluded.fields, standing = excluded.standing";
const LINK_FORGET: &str = "
UPDATE link SET mapped = $4, fields = NULL, target = CASE WHEN f.gone THEN NULL ELSE link.target END
FROM unnest($1::int8[], $2::bytea[], $3::bool[]) AS f (sync, key, gone)
WHERE link.sync = f.sync AND link.key = f.key";
const LINK_MISS: &str = "
UPDATE link SET standing = coalesce(link.standing, 0) + CASE WHEN m.missed THEN 4 ELSE -4 END
FROM unnest($1::int8[], $2::bytea[], $3::bool[]) AS m (sync, key, missed)
WHERE link.sync = m.sync AND link.key = m.key
  AND CASE WHEN m.missed THEN coalesce(link.standing, 0) < 2 ELSE link.standing >= 4 END";
pub const EXCEPTION_PUT: &str = "
INSERT INTO exception (sync, key, trouble, next, reason, wait_namespace, wait_name, wait_key, detail, entries,
  matching, died)
SELECT * FROM unnest($1::int8[], $2::bytea[], $3::int2[], $4::int8[], $5::text[], $6::text[], $7::text[],
  $8::bytea[], $9::text[], $10::bytea[], $11::int8[], $12::int8[])
ON CONFLICT (sync, key) DO UPDATE SET trouble = excluded.trouble, next = excluded.next, reason = excluded.reason,
  wait_namespace = excluded.wait_namespace, wait_name = excluded.wait_name, wait_key = excluded.wait_key,
  detail = excluded.detail, entries = excluded.entries, matching = excluded.matching, died = excluded.died";
const EXCEPTION_RELEASE: &str =
    "UPDATE exception SET trouble = 0, next = 0 WHERE sync = ANY($1::int8[]) AND trouble = 5";
const EXCEPTION_DROP: &str = "
DELETE FROM exception USING unnest($1::int8[], $2::bytea[]) AS d (sync, key)
WHERE exception.sync = d.sync AND exception.key = d.key";
const SEGMENT_PUT: &str = "
INSERT INTO segment (sync, number, states, body)
SELECT * FROM unnest($1::int8[], $2::int8[], $3::bytea[], $4::bytea[])";
const SEGMENT_MARK: &str = "
UPDATE segment SET states = m.states FROM unnest($1::int8[], $2::int8[], $3::bytea[]) AS m (sync, number, states)
WHERE segment.sync = m.sync AND segment.number = m.number";
const SEGMENT_DROP: &str = "
DELETE FROM segment USING unnest($1::int8[], $2::int8[]) AS d (sync, number)
WHERE segment.sync = d.sync AND segment.number = d.number";
const STATE: &str = "
UPDATE sync SET state = s.state FROM unnest($1::int8[], $2::text[]) AS s (id, state) WHERE sync.id = s.id";

/// The writer's statements, prepared once for each connection.
pub struct Statements {
    /// Locks Syncs and gives their epochs.
    pub lock: Statement,
    link_put: Statement,
    link_forget: Statement,
    link_miss: Statement,
    exception_release: Statement,
    exception_put: Statement,
    exception_drop: Statement,
    segment_put: Statement,
    segment_mark: Statement,
    segment_drop: Statement,
    state: Statement,
    /// What the inbox is received with.
    pub inbox: inbox::Statements,
}

impl Statements {
    pub async fn prepare(client: &Client) -> Result<Self, Error> {
        Ok(Self {
            lock: client.prepare(LOCK).await?,
            link_put: client.prepare(LINK_PUT).await?,
            link_forget: client.prepare(LINK_FORGET).await?,
            link_miss: client.prepare(LINK_MISS).await?,
            exception_release: client.prepare(EXCEPTION_RELEASE).await?,
            exception_put: client.prepare(EXCEPTION_PUT).await?,
            exception_drop: client.prepare(EXCEPTION_DROP).await?,
            segment_put: client.prepare(SEGMENT_PUT).await?,
            segment_mark: client.prepare(SEGMENT_MARK).await?,
            segment_drop: client.prepare(SEGMENT_DROP).await?,
            state: client.prepare(STATE).await?,
            inbox: inbox::Statements::prepare(client).await?,
        })
    }

    /// Sends all statements of a group at once; gives the first error when all are answered, so that none is
    /// still on its way when the transaction ends.
    pub async fn apply(&self, client: &Client, group: &Group) -> Result<(), Error> {
        let unknown = Print(Fingerprint::UNKNOWN);
        let (puts, forgets) = LinkRows::of(group);
        let (exceptions, resolved) = ExceptionRows::of(group);
        let segments = SegmentRows::of(group);
        let (states, texts) = state_rows(&group.states);
        let mut forgotten = forgets.values();
        forgotten.push(&unknown);
        let SegmentRows { new, marks, gone } = &segments;
        let released: Vec<i64> = group.released.iter().copied().collect();
        let (of, keys, missed) = miss_rows(group);
        let kinds: [(usize, &Statement, Values<'_>); 10] = [
            (released.len(), &self.exception_release, vec![&released]),
            (puts.keys.len(), &self.link_put, puts.values()),
            (forgets.keys.len(), &self.link_forget, forgotten),
            (keys.len(), &self.link_miss, vec![&of, &keys, &missed]),
            (
                exceptions.keys.len(),
                &self.exception_put,
                exceptions.values(),
            ),
            (
                resolved.0.len(),
                &self.exception_drop,
                vec![&resolved.0, &resolved.1],
            ),
            (
                new.0.len(),
                &self.segment_put,
                vec![&new.0, &new.1, &new.2, &new.3],
            ),
            (
                marks.0.len(),
                &self.segment_mark,
                vec![&marks.0, &marks.1, &marks.2],
            ),
            (gone.0.len(), &self.segment_drop, vec![&gone.0, &gone.1]),
            (states.len(), &self.state, vec![&states, &texts]),
        ];
        let answers = kinds
            .iter()
            .filter(|(rows, ..)| *rows > 0)
            .map(|(_, statement, values)| client.execute(*statement, values));
        join_all(answers)
            .await
            .into_iter()
            .try_for_each(|answer| answer.map(drop))
    }
}

/// The values of a statement, one array for each column.
type Values<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// A fingerprint as a column's 16 bytes.
#[derive(Debug)]
pub struct Print(pub Fingerprint);

impl ToSql for Print {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0.to_bytes());
        Ok(IsNull::No)
    }

    accepts!(BYTEA);
    to_sql_checked!();
}

#[derive(Default)]
pub struct LinkRows<'a> {
    syncs: Vec<i64>,
    keys: Vec<&'a [u8]>,
    targets: Vec<Option<&'a str>>,
    raws: Vec<Print>,
    mapped: Vec<Print>,
    numbers: Vec<Option<i64>>,
    texts: Vec<Option<&'a [u8]>>,
    matching: Vec<Option<i64>>,
    fields: Vec<Option<&'a [u8]>>,
    standing: Vec<i64>,
}

#[derive(Default)]
struct ForgetRows<'a> {
    syncs: Vec<i64>,
    keys: Vec<&'a [u8]>,
    gone: Vec<bool>,
}

impl ForgetRows<'_> {
    fn values(&self) -> Values<'_> {
        vec![&self.syncs, &self.keys, &self.gone]
    }
}

impl<'a> LinkRows<'a> {
    fn of(group: &'a Group) -> (Self, ForgetRows<'a>) {
        let (mut puts, mut forgets) = (Self::default(), ForgetRows::default());
        for ((sync, key), change) in &group.links {
            match change {
                LinkChange::Put(link) => puts.push(*sync, link),
                LinkChange::Forget { target_gone } => {
                    forgets.syncs.push(*sync);
                    forgets.keys.push(key.as_str().as_bytes());
                    forgets.gone.push(*target_gone);
                }
            }
        }
        (puts, forgets)
    }

    pub fn push(&mut self, sync: i64, link: &'a Link) {
        self.syncs.push(sync);
        self.keys.push(link.key.as_str().as_bytes());
        self.targets.push(link.target.as_ref().map(|t| t.as_json()));
        self.raws.push(Print(link.raw));
        self.mapped.push(Print(link.mapped));
        let (number, text) = match &link.moment {
            None => (None, None),
            Some(Moment::Time(at)) => (Some(i64::try_from(*at).unwrap_or(i64::MAX)), None),
            Some(Moment::Integer(number)) => (Some(*number), None),
            Some(Moment::Text(text)) => (None, Some(text.as_bytes())),
        };
        self.numbers.push(number);
        self.texts.push(text);
        self.matching.push(link.matching);
        self.fields
            .push((!link.fields.is_empty()).then_some(link.fields.as_slice()));
        self.standing.push(link.standing());
    }

    pub fn values(&self) -> Values<'_> {
        vec![
            &self.syncs,
            &self.keys,
            &self.targets,
            &self.raws,
            &self.mapped,
            &self.numbers,
            &self.texts,
            &self.matching,
            &self.fields,
            &self.standing,
        ]
    }
}

#[derive(Default)]
pub struct ExceptionRows<'a> {
    syncs: Vec<i64>,
    keys: Vec<&'a [u8]>,
    troubles: Vec<i16>,
    next: Vec<i64>,
    reasons: Vec<String>,
    wait_namespaces: Vec<Option<&'a str>>,
    wait_names: Vec<Option<&'a str>>,
    wait_keys: Vec<Option<&'a [u8]>>,
    details: Vec<String>,
    entries: Vec<Vec<u8>>,
    matching: Vec<Option<i64>>,
    died: Vec<Option<i64>>,
}

impl<'a> ExceptionRows<'a> {
    fn of(group: &'a Group) -> (Self, (Vec<i64>, Vec<&'a [u8]>)) {
        let (mut puts, mut resolved) = (Self::default(), (Vec::new(), Vec::new()));
        for ((sync, key), exception) in &group.exceptions {
            match exception {
                Some(exception) => puts.push(*sync, exception),
                None => {
                    resolved.0.push(*sync);
                    resolved.1.push(key.as_str().as_bytes());
                }
            }
        }
        (puts, resolved)
    }

    pub fn push(&mut self, sync: i64, exception: &'a Exception) {
        let awaits = exception.detail.awaits.as_ref();
        self.syncs.push(sync);
        self.keys.push(exception.entry.key.as_str().as_bytes());
        // Codes are 0 to 5.
        self.troubles.push(exception.trouble.code() as i16);
        self.next.push(exception.next);
        self.reasons.push(exception.detail.reason.replace('\0', ""));
        self.wait_namespaces
            .push(awaits.map(|a| a.sync.namespace.as_str()));
        self.wait_names.push(awaits.map(|a| a.sync.name.as_str()));
        self.wait_keys
            .push(awaits.map(|a| a.lookup.key.as_str().as_bytes()));
        self.details.push(json(&exception.detail));
        let entries = std::iter::once(&exception.entry).chain(&exception.behind);
        self.entries.push(segment::encode(entries));
        self.matching.push(exception.entry.matching);
        self.died.push(exception.died());
    }

    pub fn values(&self) -> Values<'_> {
        vec![
            &self.syncs,
            &self.keys,
            &self.troubles,
            &self.next,
            &self.reasons,
            &self.wait_namespaces,
            &self.wait_names,
            &self.wait_keys,
            &self.details,
            &self.entries,
            &self.matching,
            &self.died,
        ]
    }
}

/// Bytes of one column.
type Blobs<'a> = Vec<&'a [u8]>;

/// By column: Sync, number, and what the statement needs beside them.
#[derive(Default)]
struct SegmentRows<'a> {
    new: (Vec<i64>, Vec<i64>, Blobs<'a>, Blobs<'a>),
    marks: (Vec<i64>, Vec<i64>, Blobs<'a>),
    gone: (Vec<i64>, Vec<i64>),
}

impl<'a> SegmentRows<'a> {
    fn of(group: &'a Group) -> Self {
        let mut rows = Self::default();
        for ((sync, number), change) in &group.segments {
            // Segments are counted from 0, one for each page.
            let number = *number as i64;
            match change {
                SegmentChange::New { body, states } => {
                    rows.new.0.push(*sync);
                    rows.new.1.push(number);
                    rows.new.2.push(states);
                    rows.new.3.push(body);
                }
                SegmentChange::Marks(states) => {
                    rows.marks.0.push(*sync);
                    rows.marks.1.push(number);
                    rows.marks.2.push(states);
                }
                SegmentChange::Gone => {
                    rows.gone.0.push(*sync);
                    rows.gone.1.push(number);
                }
            }
        }
        rows
    }
}

/// By column: Sync, key, and whether the link was missed.
fn miss_rows(group: &Group) -> (Vec<i64>, Blobs<'_>, Vec<bool>) {
    let (mut syncs, mut keys, mut missed) = (Vec::new(), Vec::new(), Vec::new());
    for ((sync, key), is) in &group.missed {
        syncs.push(*sync);
        keys.push(key.as_str().as_bytes());
        missed.push(*is);
    }
    (syncs, keys, missed)
}

fn state_rows(states: &std::collections::BTreeMap<i64, Box<SyncState>>) -> (Vec<i64>, Vec<String>) {
    states
        .iter()
        .map(|(sync, state)| (*sync, json(state.as_ref())))
        .unzip()
}

/// JSON text of a value of ours: its maps have text as keys, so that this cannot fail.
pub fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The columns of a key, for statements about a single one.
pub fn key_bytes(key: &Key) -> &[u8] {
    key.as_str().as_bytes()
}
