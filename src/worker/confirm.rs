//! Asks the source whether it has records that its list does not show. Knows nothing of the worker; used by
//! `absence`.

use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Map, Value};

use crate::connector::{Connector, Look};
use crate::expression::Expression;
use crate::plan::ObjectPlan;
use crate::record::{Class, Failure, Key};

use super::fetch::id_of;

/// Most records asked for at once.
const MOST_READS: usize = 8;

/// What `get` says of records that the list does not show.
#[derive(Debug, Default)]
pub struct Confirmed {
    pub gone: Vec<Key>,
    /// Those that are there or may be.
    pub found: u64,
    pub failure: Option<Failure>,
}

/// Asks for each of these records, until too many are there or the source fails.
pub async fn confirm(
    source: &Connector,
    object: &ObjectPlan,
    keys: Vec<Key>,
    most: u64,
) -> Confirmed {
    let reads = keys.into_iter().map(|key| async move {
        let look = match id_of(object, &key) {
            Some(id) => source.look(object, &id).await,
            None => Ok(Look::Ignored),
        };
        (key, look)
    });
    let mut reads = futures::stream::iter(reads).buffered(MOST_READS);
    let mut confirmed = Confirmed::default();
    while confirmed.found < most
        && let Some((key, look)) = reads.next().await
    {
        match look {
            Ok(Look::Gone) => confirmed.gone.push(key),
            Ok(Look::Found(found)) if is_tombstone(object, &found.record) => {
                confirmed.gone.push(key);
            }
            Ok(Look::Found(_) | Look::Ignored) => confirmed.found += 1,
            Err(failure) if matches!(failure.class, Class::Permanent | Class::Forbidden) => {
                confirmed.found += 1;
            }
            Err(failure) => {
                confirmed.failure = Some(failure);
                break;
            }
        }
    }
    confirmed
}

/// Whether a record that the list does not show is shown as deleted.
fn is_tombstone(object: &ObjectPlan, record: &Value) -> bool {
    let test = |deleted: &Expression| deleted.test(&[("record", record)]);
    let told = object.deleted.as_ref().map(test);
    matches!(told, Some(Ok(true)))
}

/// All that is left of a record: its key.
pub fn last_word(object: &ObjectPlan, key: &Key) -> Bytes {
    let mut record = Value::Object(Map::new());
    for (path, part) in object.key.iter().zip(key.parts(object.key.len())) {
        // Paths of a key are fields of an object that is empty here: they fit.
        let _ = path.set(&mut record, part.into());
    }
    record.to_string().into()
}
