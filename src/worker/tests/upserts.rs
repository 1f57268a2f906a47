//! Removals of what was made under the source's own key: the target tells its id, or nobody knows it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::removal::{bench, customer, figures, gone, run};
use super::support::Bench;
use crate::record::{Fingerprint, Key, Removal};
use crate::state::segment::encode;
use crate::state::{Change, Entry, mark};

/// The target makes or changes a record under the source's key, and tells its own id.
async fn upserting() -> Bench {
    let mut bench = bench(|world, asked| {
        if asked.method == "PUT" && asked.path == "/contacts/0" && asked.body["name"] == "B" {
            world.records[0] = Value::Null;
        }
        let key = asked.path.strip_prefix("/by-external/")?;
        let at = world.records.iter().position(|r| r["key"] == key);
        let at = at.unwrap_or_else(|| {
            world.records.push(json!({"key": key}));
            world.records.len() - 1
        });
        Some((200, json!({"id": at})))
    })
    .await;
    let target = &mut bench.spec["crm"]["objects"][0];
    target["upsert"] = json!({"path": "/by-external/${source.id}"});
    for unused in ["create", "find"] {
        target.as_object_mut().unwrap().remove(unused);
    }
    bench.spec["sync"].as_object_mut().unwrap().remove("match");
    bench
}

/// The upsert has made a record, and nobody knows its id: it must be learned before it can be deleted.
#[tokio::test]
async fn a_record_whose_upsert_is_in_doubt_is_upserted_before_it_is_deleted() {
    let bench = upserting().await;
    bench.source(vec![customer(0, json!({}))]);
    bench.crash("PUT /by-external/c0", 1).await;
    bench.source(vec![gone(0)]);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(figures(&report).2, 1, "{report:?}");
    assert_eq!(bench.world().records, [Value::Null]);
    assert!(bench.dead_letters().await.is_empty());
}

/// A removal that took the place of the only version leaves nothing in doubt, also where a crash came before
/// its turn.
#[tokio::test]
async fn what_was_never_sent_is_no_dead_letter_after_a_crash() {
    for (untried, dead) in [(true, 0), (false, 1)] {
        let bench = upserting().await;
        run(&bench).await;
        let entry = Entry {
            key: Key::from_text("c0"),
            raw: Fingerprint(7),
            mapped: Fingerprint::UNKNOWN,
            moment: None,
            matching: None,
            token: [0; 16],
            seen: 0,
            source: gone(0).to_string().into(),
            body: Bytes::new(),
            params: Bytes::new(),
            removal: Some(Removal::Deleted),
            untried,
        };
        let segment = Change::Segment {
            number: 7,
            body: encode([&entry]),
            states: vec![mark::PENDING],
        };
        let store = bench.store();
        let session = bench.session(store.as_ref()).await;
        store.commit(&session, vec![segment]).await.unwrap();
        drop(store);
        bench.run().await;
        assert_eq!(bench.dead_letters().await.len(), dead, "untried: {untried}");
        assert!(bench.world().records.is_empty());
    }
}

/// The link must not lead to the old record once a new one may be there.
#[tokio::test]
async fn what_was_upserted_anew_because_it_was_gone_is_deleted_also_after_a_crash() {
    let bench = upserting().await;
    bench.source(vec![customer(0, json!({}))]);
    run(&bench).await;
    // The target loses the record before this update, and it is made again; its answer is lost.
    bench.source(vec![customer(0, json!({"name": "B"}))]);
    bench.crash("PUT /by-external/c0", 1).await;
    assert_eq!(bench.world().records.len(), 2);
    bench.source(vec![gone(0)]);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(figures(&report).2, 1, "{report:?}");
    assert_eq!(bench.world().records, [Value::Null, Value::Null]);
}
