//! The table "Classification of answers", row by row, over HTTP: a target gives these answers to the first writes,
//! then behaves. Each row says what becomes of the record and how often it was written.

use serde_json::{Value, json};

use super::support::{Asked, Bench, World};

/// What becomes of the record.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The target has it, once.
    Applied,
    /// A dead letter with this reason.
    Dead(&'static str),
    /// The Sync stalls, and says this; nothing of it is a dead letter.
    Stalls(&'static str),
    /// Nothing is written, and nothing is wrong.
    Left,
}

struct Row {
    signal: &'static str,
    /// The answers to the first writes; true: the target did what it was asked for.
    answers: Vec<(u16, Value, bool)>,
    /// Changes the manifests.
    with: fn(&mut Value),
    end: End,
    writes: usize,
}

fn nothing(_: &mut Value) {}

fn row(signal: &'static str, answers: &[(u16, Value)], end: End, writes: usize) -> Row {
    let answers = answers
        .iter()
        .map(|(status, body)| (*status, body.clone(), false));
    Row {
        signal,
        answers: answers.collect(),
        with: nothing,
        end,
        writes,
    }
}

fn plain(status: u16, times: usize) -> Vec<(u16, Value)> {
    vec![(status, json!({"error": "no"})); times]
}

fn headed(status: u16, name: &str, value: &str) -> Vec<(u16, Value)> {
    vec![(status, json!({"$headers": {name: value}}))]
}

/// Plays a row on a record that the target has (`update`) or has not; answers what became of it.
async fn play(row: Row, update: bool) {
    let signal = format!(
        "{} on {}",
        row.signal,
        if update { "update" } else { "create" }
    );
    let answers = row.answers.clone();
    let armed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(!update));
    let on = std::sync::Arc::clone(&armed);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut bench = Bench::new(move |world: &mut World, asked: &Asked| {
        let write = asked.method != "GET" && on.load(std::sync::atomic::Ordering::SeqCst);
        if !write {
            return None;
        }
        let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let (status, body, done) = answers.get(number)?.clone();
        if done {
            let _ = world.behave(asked);
        }
        Some((status, body))
    })
    .await;
    (row.with)(&mut bench.spec);
    let customer = |name: &str| vec![json!({"id": "c0", "email": "c0@example.com", "name": name})];
    if update {
        bench.source(customer("before"));
        bench.run().await;
        armed.store(true, std::sync::atomic::Ordering::SeqCst);
    }
    let before = bench.world().asked.len();
    bench.source(customer("after"));
    let mut error = None;
    for _ in 0..8 {
        error = bench.run().await.1;
        let totals = bench.totals().await;
        if error.is_some() || totals.exceptions() == totals.dead_letters() {
            break;
        }
    }
    let writes = bench.world().asked[before..]
        .iter()
        .filter(|asked| asked.method != "GET")
        .count();
    assert_eq!(writes, row.writes, "{signal}: writes, {error:?}");
    let dead = bench.dead_letters().await;
    let reasons: Vec<&str> = dead
        .iter()
        .map(|letter| letter.detail.reason.as_str())
        .collect();
    let records = bench.world().records.clone();
    let after = records
        .iter()
        .filter(|record| record["name"] == "after")
        .count();
    match row.end {
        End::Applied => assert_eq!(
            (reasons.as_slice(), after, records.len()),
            (&[][..], 1, 1),
            "{signal}"
        ),
        End::Dead(reason) => {
            assert_eq!((reasons.as_slice(), after), (&[reason][..], 0), "{signal}")
        }
        End::Stalls(words) => {
            assert!(reasons.is_empty() && after == 0, "{signal}: {reasons:?}");
            let error = error.map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(words), "{signal}: {error:?}");
        }
        End::Left => assert_eq!((reasons.as_slice(), after), (&[][..], 0), "{signal}"),
    }
}

/// All rows at once: most of their time is waiting.
async fn play_all(rows: Vec<Row>, update: bool) {
    futures::future::join_all(rows.into_iter().map(|row| play(row, update))).await;
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_a_wait_that_is_asked_for_is_no_attempt() {
    let passing = [408, 425, 500, 502, 503, 504]
        .map(|status| row("408, 425, 5xx", &plain(status, 2), End::Applied, 3));
    let mut rows: Vec<Row> = passing.into();
    rows.extend([
        row(
            "429 with Retry-After",
            &headed(429, "retry-after", "1"),
            End::Applied,
            2,
        ),
        row(
            "503 with Retry-After",
            &headed(503, "retry-after", "1"),
            End::Applied,
            2,
        ),
        row(
            "403 with an empty quota",
            &headed(403, "x-ratelimit-remaining", "0"),
            End::Applied,
            2,
        ),
    ]);
    play_all(rows, true).await;
}

#[tokio::test]
async fn a_credential_or_an_address_that_is_wrong_stalls_the_sync() {
    let rows = vec![
        row("401", &plain(401, 9), End::Stalls("401"), 1),
        row(
            "redirect to another origin",
            &headed(307, "location", "http://127.0.0.1:9/contacts/0"),
            End::Stalls("a write is not sent elsewhere"),
            1,
        ),
    ];
    play_all(rows, true).await;
}

#[tokio::test]
async fn what_is_refused_for_good_is_a_dead_letter_at_once() {
    let mut rows: Vec<Row> = [400, 413, 415, 422]
        .map(|status| {
            row(
                "400, 413, 415, 422",
                &plain(status, 9),
                End::Dead("Permanent"),
                1,
            )
        })
        .into();
    rows.push(row("403", &plain(403, 9), End::Dead("Forbidden"), 1));
    rows.push(Row {
        with: |spec| {
            spec["crm"]["responses"] =
                json!([{"when": "status == 200 && has(body.error)", "class": "Permanent"}]);
        },
        ..row(
            "2xx with an error in the body",
            &plain(200, 9),
            End::Dead("Permanent"),
            1,
        )
    });
    rows.push(Row {
        with: |spec| {
            spec["map"]["fields"][1]["translate"] = json!([{"from": "before", "to": "old"}])
        },
        ..row("mapping reject", &[], End::Dead("Unmapped"), 0)
    });
    play_all(rows, true).await;
}

#[tokio::test]
async fn a_target_record_that_is_gone_is_treated_as_the_sync_says() {
    let gone = |status, with: fn(&mut Value), end, writes| Row {
        with,
        ..row("404, 410 on update", &plain(status, 1), end, writes)
    };
    let mut rows = Vec::new();
    for status in [404, 410] {
        // It is looked for first, and found here: linked anew, and updated.
        rows.push(gone(status, nothing, End::Applied, 2));
        rows.push(gone(
            status,
            |spec| spec["sync"]["write"] = json!({"onGone": "DeadLetter"}),
            End::Dead("Gone"),
            1,
        ));
        rows.push(gone(
            status,
            |spec| spec["sync"]["write"] = json!({"onGone": "Skip"}),
            End::Left,
            1,
        ));
    }
    play_all(rows, true).await;
}

#[tokio::test]
async fn a_conflict_is_tried_three_times_more() {
    let mut rows = Vec::new();
    for status in [409, 412] {
        rows.push(row("409, 412", &plain(status, 3), End::Applied, 4));
        rows.push(row(
            "409, 412",
            &plain(status, 9),
            End::Dead("VersionConflict"),
            4,
        ));
    }
    play_all(rows, true).await;
}

#[tokio::test]
async fn a_create_that_may_have_arrived_is_looked_for_before_anything_else() {
    let arrived = |status, with: fn(&mut Value)| Row {
        answers: vec![(status, json!({}), true)],
        with,
        // It is found, linked, and gets the version as an update.
        ..row("ambiguous, arrived", &[], End::Applied, 2)
    };
    let in_flight = |spec: &mut Value| {
        spec["crm"]["responses"] = json!([{"when": "status == 409", "class": "InFlight"}]);
    };
    let mut rows: Vec<Row> = [408, 500, 502, 504]
        .map(|status| arrived(status, nothing))
        .into();
    rows.extend([
        arrived(409, in_flight),
        // What stands there has this version already: it is only linked.
        Row {
            writes: 1,
            ..arrived(409, nothing)
        },
        row("ambiguous, not arrived", &plain(500, 1), End::Applied, 2),
        row(
            "429 on create",
            &headed(429, "retry-after", "1"),
            End::Applied,
            2,
        ),
        row("422 on create", &plain(422, 9), End::Dead("Permanent"), 1),
    ]);
    play_all(rows, false).await;
}

/// 207, or any batch: each record by its own class.
#[tokio::test]
async fn of_a_batch_each_record_has_its_own_outcome() {
    let bench = {
        let mut bench = Bench::new(|world, asked| {
            if asked.path != "/batch" {
                return None;
            }
            let first = world.count("PATCH /batch") == 1;
            let items = asked.body["list"].as_array().cloned().unwrap_or_default();
            let results = items.iter().map(|item| {
                let status = match item["fields"]["name"].as_str() {
                    Some("refused") => 422,
                    Some("forbidden") => 403,
                    Some("late") if first => 503,
                    Some("fast") if first => 429,
                    _ => 200,
                };
                if status == 200 {
                    let id = usize::try_from(item["id"].as_u64().unwrap()).unwrap();
                    world.records[id] = item["fields"].clone();
                }
                json!({"status": status})
            });
            let results: Vec<Value> = results.collect();
            Some((207, json!({"out": results})))
        })
        .await;
        let object = &mut bench.spec["crm"]["objects"][0];
        object["update"] = json!({"path": "/batch", "batch": {
            "max": 10, "at": "list", "item": "fields", "key": "id", "results": "out", "status": "status",
        }});
        bench
    };
    let names = ["good", "refused", "forbidden", "late", "fast"];
    let customers = |name: fn(&str) -> String| {
        let of = |(n, known): (usize, &&str)| json!({"id": format!("c{n}"), "email": format!("c{n}@x"), "name": name(known)});
        names.iter().enumerate().map(of).collect::<Vec<_>>()
    };
    bench.source(customers(|_| "new".into()));
    bench.run().await;
    bench.source(customers(str::to_owned));
    for _ in 0..4 {
        bench.run().await;
    }
    let dead = bench.dead_letters().await;
    let reasons: Vec<_> = dead
        .iter()
        .map(|d| (d.entry.key.as_str(), d.detail.reason.as_str()))
        .collect();
    assert_eq!(reasons, [("c1", "Permanent"), ("c2", "Forbidden")]);
    assert_eq!(bench.totals().await.exceptions(), 2);
    let world = bench.world();
    let held: Vec<_> = ["good", "late", "fast"]
        .map(|name| world.records.iter().any(|r| r["name"] == name))
        .into();
    assert_eq!(held, [true; 3], "{:?}", world.records);
}

/// 400, 413, 422 for a batch as a whole: it is split, so that only the record at fault is a dead letter.
#[tokio::test]
async fn a_batch_that_is_refused_as_a_whole_is_split_first() {
    let mut bench = Bench::new(|world, asked| {
        if asked.path != "/batch" {
            return None;
        }
        let items = asked.body["list"].as_array().cloned().unwrap_or_default();
        if items.iter().any(|item| item["fields"]["name"] == "bad") {
            return Some((413, json!({"error": "no"})));
        }
        for item in &items {
            let id = usize::try_from(item["id"].as_u64().unwrap()).unwrap();
            world.records[id] = item["fields"].clone();
        }
        Some((
            200,
            json!({"out": items.iter().map(|_| json!({"status": 200})).collect::<Vec<_>>()}),
        ))
    })
    .await;
    bench.spec["crm"]["objects"][0]["update"] = json!({"path": "/batch", "batch": {
        "max": 10, "at": "list", "item": "fields", "key": "id", "results": "out", "status": "status",
    }});
    let customers = |names: [&str; 4]| {
        let of =
            |(n, name)| json!({"id": format!("c{n}"), "email": format!("c{n}@x"), "name": name});
        names.iter().enumerate().map(of).collect::<Vec<_>>()
    };
    bench.source(customers(["new"; 4]));
    bench.run().await;
    bench.source(customers(["good", "bad", "good", "good"]));
    bench.run().await;
    let dead = bench.dead_letters().await;
    let keys: Vec<_> = dead
        .iter()
        .map(|d| (d.entry.key.as_str(), d.detail.reason.as_str()))
        .collect();
    assert_eq!(keys, [("c1", "Permanent")]);
    let world = bench.world();
    let good = world
        .records
        .iter()
        .filter(|record| record["name"] == "good")
        .count();
    assert_eq!(good, 3, "{:?}", world.records);
}
