//! Scans that cannot tell which records are absent, and lists that are not believed: nothing is deleted then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::{Value, json};

use crate::state::RunReport;

use super::absence::{asked_for, bench, customers};
use super::removal::{customer, deletes, run};
use super::support::Bench;

fn message(report: &RunReport) -> &str {
    report.message.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_scan_that_left_something_out_deletes_nothing_and_says_so() {
    let nothing = |_: &mut Bench| {};
    type Change = fn(&mut Bench);
    let cases: [(&str, Change, Value, &str); 4] = [
        (
            "no key",
            nothing,
            json!({"name": "Bob"}),
            "no key that can be read",
        ),
        (
            "where fails",
            |bench| bench.spec["sync"]["source"]["where"] = json!("record.tier != 'free'"),
            customer(9, json!({})),
            "source.where fails",
        ),
        (
            "filter fails",
            |bench| {
                bench.spec["shop"]["objects"][0]["list"]["filter"] = json!("record.tier != 'free'")
            },
            customer(9, json!({})),
            "something was left out",
        ),
        (
            "ignored",
            |bench| {
                bench.spec["shop"]["responses"] = json!([
                    {"when": "status == 503 && request.path == '/customers'", "class": "Ignore"}
                ]);
            },
            json!("ignored"),
            "something was left out",
        ),
    ];
    for (name, change, odd, why) in cases {
        let mut bench = bench(true, |world, asked| {
            let second = asked.query.get("page").is_some_and(|page| page == "2");
            let ignored = world.pages.get(1).is_some_and(|page| page[0] == "ignored");
            (second && ignored).then(|| (503, json!({})))
        })
        .await;
        let gold = |numbers: &[usize]| -> Vec<Value> {
            let gold = |n: &usize| customer(*n, json!({"tier": "gold"}));
            numbers.iter().map(gold).collect()
        };
        bench.source(gold(&[0, 1]));
        run(&bench).await;
        change(&mut bench);
        bench.source(gold(&[0, 1]));
        bench.run().await;
        bench.world().pages = vec![gold(&[0]), vec![odd]];
        let (report, error) = bench.run().await;
        assert!(error.is_none(), "{name}: {error:?}");
        assert!(message(&report).contains(why), "{name}: {report:?}");
        assert!(deletes(&bench).is_empty(), "{name}");
        assert_eq!(asked_for(&bench, 1), 0, "{name}");
        bench.source(gold(&[0]));
        let (report, _) = bench.run().await;
        assert_eq!(report.counts.deleted, 1, "{name}: {report:?}");
        assert_eq!(report.message, None, "{name}");
    }
}

#[tokio::test]
async fn a_scan_that_went_on_where_another_had_stopped_deletes_nothing() {
    let breaks = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&breaks);
    let bench = bench(true, move |_, asked| {
        let last = asked.query.get("page").is_some_and(|page| page == "3");
        (last && broken.load(SeqCst)).then(|| (400, json!({})))
    })
    .await;
    bench.world().pages = vec![customers(0..2), customers(2..4), customers(4..6)];
    run(&bench).await;
    bench.world().pages[0].pop();
    breaks.store(true, SeqCst);
    assert!(bench.run().await.1.is_some());
    breaks.store(false, SeqCst);
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert!(
        message(&report).contains("an interrupted one"),
        "{report:?}"
    );
    assert!(deletes(&bench).is_empty());
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
}

#[tokio::test]
async fn a_source_that_cannot_be_asked_confirms_nothing() {
    let mut bench = bench(true, |_, asked| {
        let status = match asked.path.as_str() {
            "/customers/c1" => 403,
            "/customers/c2" => 422,
            "/customers/c3" => 401,
            _ => return None,
        };
        Some((status, json!({})))
    })
    .await;
    bench.source(customers(0..5));
    run(&bench).await;
    bench.source(customers([0, 3, 4]));
    assert_eq!(
        run(&bench).await,
        (0, 0, 0, 0),
        "one is refused, for whatever reason"
    );
    bench.source(customers([0, 4]));
    let (report, error) = bench.run().await;
    assert!(error.is_none(), "{error:?}");
    assert!(
        message(&report).contains("could not be asked"),
        "{report:?}"
    );
    assert!(deletes(&bench).is_empty());
    // An answer that is to be ignored says nothing about the record.
    bench.spec["shop"]["responses"] =
        json!([{"when": "status >= 400 && request.path != '/customers'", "class": "Ignore"}]);
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
}

#[tokio::test]
async fn a_list_that_lacks_a_thousand_records_that_get_finds_is_not_believed() {
    let bench = bench(true, |_, asked| {
        // Making so many takes its time elsewhere: they are adopted.
        (asked.path == "/contacts" && asked.method == "GET").then(|| {
            let email = asked.query["email"].clone();
            let id: usize = email[1..email.find('@').unwrap()].parse().unwrap();
            (
                200,
                json!({"data": [{"id": id, "email": email, "name": "Ada"}]}),
            )
        })
    })
    .await;
    bench.source(customers(0..1_200));
    bench.run().await;
    let all = customers(0..1_200);
    bench.source(all[..10].to_vec());
    bench.world().hidden = all[10..].to_vec();
    let (report, error) = bench.run().await;
    assert!(error.is_none());
    assert!(
        message(&report).contains("check its query, filter and pagination"),
        "{report:?}"
    );
    let asked = (0..1_200).filter(|n| asked_for(&bench, *n) > 0).count();
    assert!((1_000..1_050).contains(&asked), "{asked}");
}

#[tokio::test]
async fn without_get_a_list_that_shows_nothing_at_all_deletes_nothing() {
    let mut empty = bench(false, |_, _| None).await;
    empty.source(customers(0..2));
    run(&empty).await;
    empty.source(Vec::new());
    for _ in 0..3 {
        let (report, error) = empty.run().await;
        assert!(error.is_none());
        assert!(
            message(&report).contains("shows no record at all"),
            "{report:?}"
        );
    }
    assert!(deletes(&empty).is_empty());
    // Each of them is asked for, where that can be done.
    empty.spec["shop"]["objects"][0]["get"] = json!({"path": "/customers/${key.id}"});
    assert_eq!(run(&empty).await, (0, 0, 2, 0));
}

#[tokio::test]
async fn records_of_a_parent_are_absent_only_when_all_parents_were_read() {
    let mut bench = bench(true, |world, asked| {
        let page = asked.query.get("page").map(String::as_str);
        let part = |name: &str| asked.path == format!("/shops/{name}/customers");
        let hides = world.hidden.iter().any(|hidden| *hidden == asked.path);
        match () {
            () if hides => Some((404, json!({}))),
            () if asked.path == "/shops" && page == Some("1") => {
                Some((200, json!([{"name": "north"}, {"name": "south"}])))
            }
            () if asked.path == "/shops" => Some((200, json!([]))),
            () if part("north") => Some((200, json!(world.pages[0]))),
            () if part("south") => Some((200, json!(world.pages[1]))),
            () => None,
        }
    })
    .await;
    let pages = json!({"page": {"sendAs": {"in": "Query", "name": "page"}}});
    let objects = &mut bench.spec["shop"]["objects"];
    objects[0]["list"] = json!({
        "path": "/shops/${parent.name}/customers", "absent": "Deleted", "forEach": [{"object": {"name": "shops"}}],
    });
    let shops =
        json!({"name": "shops", "key": ["name"], "list": {"path": "/shops", "pagination": pages}});
    objects.as_array_mut().unwrap().push(shops);
    bench.world().pages = vec![customers(0..2), customers(2..4)];
    assert_eq!(run(&bench).await, (4, 0, 0, 0));
    // The customers of a shop whose list is not there were not seen.
    bench.world().pages = vec![customers([0]), customers(2..4)];
    bench.world().hidden = vec![json!("/shops/south/customers")];
    let (report, _) = bench.run().await;
    assert_eq!(report.counts.deleted, 0);
    assert!(
        message(&report).contains("a parent without a list"),
        "{report:?}"
    );
    bench.world().hidden.clear();
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
}

#[tokio::test]
async fn only_a_full_refresh_can_tell_where_there_is_a_cursor() {
    let mut bench = bench(true, |_, _| None).await;
    let list = &mut bench.spec["shop"]["objects"][0]["list"];
    list["cursor"] = json!({"field": {"path": "at", "sendAs": {"in": "Query", "name": "since"}}});
    bench.spec["sync"]["trigger"]["fullRefresh"] = json!({"interval": "24h"});
    let dated = |numbers: &[usize]| -> Vec<Value> {
        let at = json!({"at": "2026-01-01T00:00:00Z"});
        numbers.iter().map(|n| customer(*n, at.clone())).collect()
    };
    bench.source(dated(&[0, 1]));
    bench.full = false;
    run(&bench).await;
    bench.source(dated(&[0]));
    assert_eq!(run(&bench).await, (0, 0, 0, 0));
    assert_eq!(asked_for(&bench, 1), 0);
    bench.full = true;
    assert_eq!(run(&bench).await, (0, 0, 1, 0));
}
