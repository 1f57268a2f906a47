//! Field cursors with overlap and windows, client-side cursors, delta links with reset.

use super::*;
use crate::record::Moment;

const DAY: i128 = 24 * 3600 * 1_000_000_000;

fn since(nanos: i128) -> ScanStart {
    ScanStart {
        since: Some(Moment::Time(nanos)),
        ..ScanStart::default()
    }
}

fn list(cursor: Value) -> Value {
    json!({"path": "/things", "cursor": {"field": cursor}})
}

fn nothing(_: &Asked) -> Answered {
    json!([]).into()
}

#[tokio::test]
async fn the_watermark_less_the_overlap_is_sent() {
    let cursor = json!({"path": "at", "sendAs": query("since"), "sendUntilAs": query("until"), "overlap": "5m"});
    let system = System::new(list(cursor), nothing);
    system.pages(since(NOW - DAY + 999)).await.unwrap();
    system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(system.sent("since"), ["2024-05-30T23:55:00Z", "-"]);
    assert_eq!(system.sent("until"), ["2024-06-01T00:00:00Z"; 2]);
}

#[tokio::test]
async fn the_first_scan_begins_at_start() {
    let system = System::new(
        list(json!({"path": "at", "start": "2020-01-01T00:00:00Z", "sendAs": query("since")})),
        nothing,
    );
    system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(system.sent("since"), ["2020-01-01T00:00:00Z"]);
}

#[tokio::test]
async fn the_cursor_is_sent_in_its_first_format() {
    for (format, text) in [
        ("RFC3339", "2024-05-31T00:00:00.5Z"),
        ("UnixSeconds", "1717113600"),
        ("UnixMillis", "1717113600500"),
        ("%Y-%m-%d", "2024-05-31"),
        ("%d/%m/%Y %H:%M", "31/05/2024 00:00"),
    ] {
        let system = System::new(
            list(json!({"path": "at", "format": format, "sendAs": query("since")})),
            nothing,
        );
        system.pages(since(NOW - DAY + 500_000_000)).await.unwrap();
        assert_eq!(system.sent("since"), [text], "{format}");
    }
}

#[tokio::test]
async fn counters_and_texts_are_cursors_too() {
    for (format, moment, text) in [
        ("Integer", Moment::Integer(41), "41"),
        ("Text", Moment::Text("k-9".into()), "k-9"),
    ] {
        let system = System::new(
            list(json!({"path": "v", "format": format, "sendAs": query("since")})),
            nothing,
        );
        system
            .pages(ScanStart {
                since: Some(moment),
                ..ScanStart::default()
            })
            .await
            .unwrap();
        assert_eq!(system.sent("since"), [text]);
    }
}

#[tokio::test]
async fn what_names_an_unknown_watermark_is_left_out() {
    let list = json!({
        "path": "/things", "method": "POST",
        "query": {"q": "updated>${cursor.since}", "to": "${cursor.until}"},
        "body": {"template": {"filter": {"from": "${cursor.since}"}, "all": ["${cursor.since}", "x"], "size": 5}},
        "cursor": {"field": {"path": "at", "format": "UnixSeconds"}},
    });
    let system = System::new(list, nothing);
    system.pages(ScanStart::default()).await.unwrap();
    system.pages(since(NOW - DAY)).await.unwrap();
    let asked = system.asked();
    assert_eq!(system.sent("q"), ["-", "updated>1717113600"]);
    assert_eq!(system.sent("to"), ["1717200000"; 2]);
    assert_eq!(asked[0].body, json!({"all": ["x"], "size": 5}));
    assert_eq!(
        asked[1].body,
        json!({"filter": {"from": 1_717_113_600}, "all": [1_717_113_600, "x"], "size": 5})
    );
}

fn stepped() -> Value {
    let mut list = list(json!({
        "path": "at", "format": "%Y-%m-%d", "start": "2024-05-20", "step": "120h",
        "sendAs": query("from"), "sendUntilAs": query("to"),
    }));
    list["pagination"] = json!({"page": {"sendAs": query("page")}});
    list
}

#[tokio::test]
async fn a_long_history_is_read_in_windows_that_touch() {
    let system = System::new(stepped(), |a: &Asked| match a.number("page", 0) {
        1 => json!([{"id": a.query("from").unwrap()[8..].parse::<i64>().unwrap()}]).into(),
        _ => json!([]).into(),
    });
    assert_eq!(system.ids().await, [20, 25, 30]);
    assert_eq!(
        system.sent("from"),
        [
            "2024-05-20",
            "2024-05-20",
            "2024-05-25",
            "2024-05-25",
            "2024-05-30",
            "2024-05-30"
        ]
    );
    assert_eq!(
        system.sent("to"),
        [
            "2024-05-25",
            "2024-05-25",
            "2024-05-30",
            "2024-05-30",
            "2024-06-01",
            "2024-06-01"
        ]
    );
    assert_eq!(system.sent("page"), ["1", "2", "1", "2", "1", "2"]);
}

#[tokio::test]
async fn a_scan_goes_on_in_the_window_that_it_was_in() {
    let system = System::new(stepped(), |a: &Asked| {
        match a.number("page", 0) {
        1 | 2 => json!([{"id": a.query("from").unwrap()[8..].parse::<i64>().unwrap() * 10 + a.number("page", 0) as i64}]).into(),
        _ => json!([]).into(),
    }
    });
    let pages = system.pages(ScanStart::default()).await.unwrap();
    for (i, page) in pages.iter().enumerate() {
        let rest = system.pages(resume(page)).await.unwrap();
        assert_eq!(ids(&rest), ids(&pages[i + 1..]), "after page {i}");
    }
}

#[tokio::test]
async fn the_end_of_a_window_is_rounded_up_to_what_the_system_sees() {
    let cursor = json!({"path": "at", "granularity": "1h", "sendAs": query("since"), "sendUntilAs": query("until")});
    let system = System::new(list(cursor), nothing);
    let mut reader = PageReader::over(
        system.clone(),
        &system.plans.objects["things"],
        since(NOW - DAY + 1),
        NOW + 1,
    );
    reader.next().await.unwrap();
    assert_eq!(system.sent("since"), ["2024-05-31T00:00:00Z"]);
    assert_eq!(system.sent("until"), ["2024-06-01T01:00:00Z"]);
}

#[tokio::test]
async fn a_system_that_cannot_filter_is_read_in_full_and_filtered_here() {
    let mut list = list(json!({"path": "at", "clientSide": true, "overlap": "1h"}));
    list["pagination"] =
        json!({"offset": {"sendAs": query("skip"), "size": {"value": 3}}, "stop": {"short": true}});
    let system = System::new(list, |a: &Asked| {
        match a.number("skip", 0) {
            0 => json!([
                {"id": 1, "at": "2024-05-30T22:59:59Z"},
                {"id": 2, "at": "2024-05-30T23:00:00Z"},
                {"id": 3, "at": null},
            ]),
            _ => json!([{"id": 4, "at": "2024-06-01T00:00:00+02:00"}]),
        }
        .into()
    });
    let pages = system.pages(since(NOW - DAY)).await.unwrap();
    assert_eq!(
        ids(&pages),
        [2, 3, 4],
        "inclusive; what has no moment may have changed"
    );
    assert_eq!(system.sent("skip"), ["0", "3"]);
}

fn delta() -> Value {
    json!({
        "path": "/things", "records": "value",
        "pagination": {"nextURL": {"from": "next"}},
        "cursor": {"token": {"nextURL": "delta", "resetWhen": "status == 200 && body.expired"}},
    })
}

fn delta_system(asked: &Asked) -> Answered {
    match (asked.query("page"), asked.query("delta")) {
        (None, None) => json!({"value": records(0..2), "next": "/api/v2/things?page=2"}),
        (Some(_), None) => json!({"value": records(2..3), "delta": "/api/v2/things?delta=d1"}),
        (_, Some("d1")) => json!({"value": records(7..8), "delta": "/api/v2/things?delta=d2"}),
        (_, Some("old")) => json!({"value": [], "expired": true}),
        _ => return refused(410),
    }
    .into()
}

fn token(text: &str) -> ScanStart {
    ScanStart {
        token: Some(text.to_owned()),
        ..ScanStart::default()
    }
}

#[tokio::test]
async fn a_delta_link_begins_the_next_scan() {
    let system = System::new(delta(), delta_system);
    let first = system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(ids(&first), [0, 1, 2]);
    assert_eq!(first[0].token, None);
    let link = first[1].token.clone().unwrap();
    let second = system.pages(token(&link)).await.unwrap();
    assert_eq!(ids(&second), [7]);
    assert!(second[0].token.as_deref().unwrap().ends_with("delta=d2"));
}

#[tokio::test]
async fn a_delta_link_that_is_worth_nothing_reads_everything() {
    for link in ["/api/v2/things?delta=gone", "/api/v2/things?delta=old"] {
        let system = System::new(delta(), delta_system);
        let pages = system.pages(token(link)).await.unwrap();
        assert_eq!(ids(&pages), [0, 1, 2], "{link}");
        assert!(pages[1].token.as_deref().unwrap().ends_with("delta=d1"));
        let rest = system.pages(resume(&pages[0])).await.unwrap();
        assert_eq!(
            ids(&rest),
            [2],
            "the dead token does not come back with a position"
        );
    }
}

#[tokio::test]
async fn a_sync_token_is_sent_with_every_page() {
    let list = json!({
        "path": "/things", "records": "items",
        "pagination": {"token": {"from": "nextPage", "sendAs": query("pageToken")}},
        "cursor": {"token": {"from": "nextSync", "sendAs": query("syncToken")}},
    });
    let system = System::new(list, |a: &Asked| {
        match a.query("pageToken") {
            None => json!({"items": records(0..1), "nextPage": "p"}),
            Some(_) => json!({"items": records(1..2), "nextSync": "s2"}),
        }
        .into()
    });
    let pages = system.pages(token("s1")).await.unwrap();
    assert_eq!(system.sent("syncToken"), ["s1", "s1"]);
    assert_eq!(pages[1].token.as_deref(), Some("s2"));
    let rest = system.pages(resume(&pages[0])).await.unwrap();
    assert_eq!(ids(&rest), [1]);
    assert_eq!(system.sent("syncToken")[2], "s1");
    let ended = system.pages(resume(&pages[1])).await.unwrap();
    assert_eq!(
        ended[0].token.as_deref(),
        Some("s2"),
        "a scan that was read but not ended keeps its token"
    );
}

#[tokio::test]
async fn a_last_page_without_its_token_is_an_error() {
    let system = System::new(delta(), |_: &Asked| json!({"value": []}).into());
    assert!(system.failure().await.message.contains("no token at delta"));
}

#[tokio::test]
async fn a_parent_begins_at_start_until_a_scan_has_read_it() {
    let cursor = json!({"path": "at", "start": "2020-01-01T00:00:00Z", "sendAs": query("since")});
    let system = System::new(
        json!({
            "path": "/${parent.value}/things",
            "forEach": [{"values": ["eu", "us", "jp"]}],
            "cursor": {"field": cursor},
        }),
        nothing,
    );
    let pages = system.pages(ScanStart::default()).await.unwrap();
    let [eu, us, jp] = pages
        .iter()
        .flat_map(|p| p.parents.clone())
        .collect::<Vec<_>>()[..]
    else {
        panic!("three parents were read");
    };
    assert!(eu != us && us != jp);
    system.becomes(nothing);
    // The scan before did not see jp, and us was last seen ten days ago.
    let start = || ScanStart {
        parents: Arc::new([(eu, Moment::Time(NOW)), (us, Moment::Time(NOW - 10 * DAY))].into()),
        ..since(NOW - DAY)
    };
    system.pages(start()).await.unwrap();
    let expected = [
        "2024-05-31T00:00:00Z",
        "2024-05-22T00:00:00Z",
        "2020-01-01T00:00:00Z",
    ];
    assert_eq!(system.sent("since"), expected);
    system.becomes(nothing);
    let backfill = ScanStart {
        new_parents: Some(Moment::Time(NOW - 30 * DAY)),
        ..start()
    };
    system.pages(backfill).await.unwrap();
    assert_eq!(system.sent("since")[2], "2024-05-02T00:00:00Z");
}
