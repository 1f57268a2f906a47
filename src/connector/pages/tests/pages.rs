//! Every way to ask for the next page, every rule to stop, and answers that are none.

use super::*;

const SEVEN: std::ops::Range<usize> = 0..7;

/// Seven records, three a page, by what `from` makes of the request; `more` adds to the answer.
pub(super) fn seven(
    from: impl Fn(&Asked) -> usize + Send + Sync + 'static,
    more: impl Fn(usize) -> Value + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Answered + Send + Sync + 'static {
    move |asked| {
        let start = from(asked).min(7);
        let end = (start + 3).min(7);
        let mut body = more(end);
        body["data"] = records(start..end).into();
        body.into()
    }
}

pub(super) fn list(pagination: Value) -> Value {
    json!({"path": "/things", "records": "data", "query": {"team": "${settings.team}"}, "pagination": pagination})
}

pub(super) fn all() -> Vec<i64> {
    (0..7).collect()
}

#[tokio::test]
async fn a_token_leads_from_page_to_page_until_there_is_none() {
    for none in [Value::Null, json!(""), json!(false)] {
        let system = System::new(
            list(json!({"token": {"from": "meta.next", "sendAs": query("after")}})),
            seven(
                |a| a.number("after", 0),
                move |end| json!({"meta": {"next": if end < 7 { json!(end) } else { none.clone() }}}),
            ),
        );
        assert_eq!(system.ids().await, all());
        assert_eq!(system.sent("after"), ["-", "3", "6"]);
        assert_eq!(system.sent("team"), ["blue", "blue", "blue"]);
    }
}

#[tokio::test]
async fn a_token_goes_where_the_manifest_says() {
    for (place, name) in [
        ("Header", "x-after"),
        ("Cookie", "after"),
        ("Body", "page.after"),
    ] {
        let mut list =
            list(json!({"token": {"from": "next", "sendAs": {"in": place, "name": name}}}));
        list["method"] = "POST".into();
        let answer = |asked: &Asked| {
            let header = |name| {
                asked
                    .headers
                    .get(name)
                    .map(|v| v.to_str().unwrap().to_owned())
            };
            let cookie = header("cookie").and_then(|c| c.strip_prefix("after=").map(str::to_owned));
            let body = asked.body["page"]["after"].as_u64().map(|n| n.to_string());
            header("x-after")
                .or(cookie)
                .or(body)
                .map_or(0, |text| text.parse().unwrap())
        };
        let system = System::new(
            list,
            seven(
                answer,
                |end| json!({"next": if end < 7 { Some(end) } else { None }}),
            ),
        );
        assert_eq!(system.ids().await, all(), "{place}");
    }
}

#[tokio::test]
async fn a_link_header_leads_to_the_next_page() {
    for url in [
        "https://shop.example.com/api/v2/things?at=",
        "/api/v2/things?at=",
        "?at=",
        "things?at=",
    ] {
        let answer = move |asked: &Asked| {
            let start = asked.number("at", 0);
            let end = (start + 3).min(7);
            let mut answered = Answered::from(Value::from(records(start..end)));
            if end < 7 {
                answered.headers =
                    link(&format!("<{url}{end}>; rel=\"next\", </x>; rel=\"first\""));
            }
            answered
        };
        let system = System::new(
            json!({"path": "/things", "pagination": {"link": {"size": {"sendAs": query("limit"), "value": 3}}}}),
            answer,
        );
        assert_eq!(system.ids().await, all(), "{url}");
        assert_eq!(system.paths(), ["/things", "/things", "/things"], "{url}");
        assert_eq!(system.sent("limit"), ["3", "-", "-"], "a link is whole");
    }
}

#[tokio::test]
async fn a_url_in_the_answer_leads_to_the_next_page() {
    let system = System::new(
        list(json!({"nextURL": {"from": "links.next"}})),
        seven(
            |a| a.number("at", 0),
            |end| json!({"links": {"next": if end < 7 { format!("/api/v2/things?at={end}") } else { String::new() }}}),
        ),
    );
    assert_eq!(system.ids().await, all());
    assert_eq!(system.sent("team"), ["blue", "-", "-"]);
}

#[tokio::test]
async fn a_link_to_another_origin_is_not_followed() {
    let system = System::new(
        list(json!({"nextURL": {"from": "next"}})),
        seven(
            |_| 0,
            |_| json!({"next": "https://evil.example.com/things"}),
        ),
    );
    let failure = system.failure().await;
    assert!(failure.message.contains("another origin"), "{failure}");
    assert_eq!(system.asked().len(), 1);
}

#[tokio::test]
async fn numbered_pages_are_read_until_one_is_empty() {
    for start in [None, Some(0), Some(5)] {
        let first = start.unwrap_or(1);
        let mut page =
            json!({"sendAs": query("page"), "size": {"sendAs": query("per_page"), "value": 3}});
        if let Some(start) = start {
            page["start"] = start.into();
        }
        let system = System::new(
            list(json!({"page": page})),
            seven(move |a| (a.number("page", 99) - first) * 3, |_| json!({})),
        );
        assert_eq!(system.ids().await, all());
        let sent: Vec<String> = (first..first + 4).map(|n| n.to_string()).collect();
        assert_eq!(system.sent("page"), sent);
        assert_eq!(system.sent("per_page"), ["3"; 4]);
    }
}

#[tokio::test]
async fn a_system_that_sends_fewer_than_asked_for_loses_nothing() {
    let system = System::new(
        list(
            json!({"offset": {"sendAs": query("skip"), "size": {"sendAs": query("limit"), "value": 500}}}),
        ),
        seven(|a| a.number("skip", 99), |_| json!({})),
    );
    assert_eq!(system.ids().await, all());
    assert_eq!(system.sent("skip"), ["0", "3", "6", "7"]);
}

#[tokio::test]
async fn the_last_key_leads_on() {
    let after = |a: &Asked| {
        a.query("since_id")
            .map_or(0, |id| id.parse::<usize>().unwrap() + 1)
    };
    let system = System::new(
        list(json!({"lastKey": {"from": "id", "sendAs": query("since_id")}})),
        seven(after, |_| json!({})),
    );
    assert_eq!(system.ids().await, all());
    assert_eq!(system.sent("since_id"), ["-", "2", "5", "6"]);
}

#[tokio::test]
async fn every_stop_rule_ends_the_list_where_it_says() {
    let offset = |a: &Asked| a.number("skip", 0);
    let more =
        |end: usize| json!({"has_more": end < 7, "last": (end >= 7).to_string(), "total": "7"});
    for (stop, requests) in [
        (json!({"empty": true}), 4),
        (json!({"short": true}), 3),
        (json!({"flag": {"path": "has_more", "is": false}}), 3),
        (json!({"flag": {"path": "last", "is": true}}), 3),
        (json!({"flag": {"path": "absent", "is": false}}), 1),
        (json!({"total": {"path": "total"}}), 3),
        (json!({"when": "status == 200 && body.data.size() < 3"}), 3),
        (json!({"when": "body.absent == 1"}), 4),
    ] {
        let pagination =
            json!({"offset": {"sendAs": query("skip"), "size": {"value": 3}}, "stop": stop});
        let system = System::new(list(pagination), seven(offset, more));
        system.pages(ScanStart::default()).await.unwrap();
        assert_eq!(system.asked().len(), requests, "{stop}");
    }
}

#[tokio::test]
async fn a_refused_page_can_mean_that_nothing_follows() {
    let pagination = json!({"page": {"sendAs": query("page")}, "stop": {"when": "status == 404"}});
    let answer = |asked: &Asked| match asked.number("page", 0) {
        1 => json!({"data": records(0..2)}).into(),
        2 => json!({"data": records(2..3)}).into(),
        _ => refused(404),
    };
    let system = System::new(list(pagination.clone()), answer);
    assert_eq!(system.ids().await, [0, 1, 2]);
    let system = System::new(list(pagination), |_: &Asked| refused(404));
    assert_eq!(
        system.failure().await.status,
        Some(404),
        "not the first page"
    );
}

#[tokio::test]
async fn a_flag_that_promises_more_needs_a_token() {
    let pagination = json!({"token": {"from": "next", "sendAs": query("after")}, "stop": {"flag": {"path": "more", "is": false}}});
    let system = System::new(list(pagination), seven(|_| 0, |_| json!({"more": true})));
    assert!(
        system
            .failure()
            .await
            .message
            .contains("more says that more follows")
    );
}

#[tokio::test]
async fn a_missing_total_is_named() {
    let pagination =
        json!({"offset": {"sendAs": query("skip")}, "stop": {"total": {"path": "meta.total"}}});
    let failure = System::new(list(pagination), seven(|_| 0, |_| json!({})))
        .failure()
        .await;
    assert!(
        failure.message.contains("no number at meta.total"),
        "{failure}"
    );
}

#[tokio::test]
async fn records_are_counted_before_the_filter() {
    let mut list = list(
        json!({"offset": {"sendAs": query("skip"), "size": {"value": 3}}, "stop": {"short": true}}),
    );
    list["filter"] = "record.id % 2 == 1".into();
    let system = System::new(list, seven(|a| a.number("skip", 0), |_| json!({})));
    assert_eq!(system.ids().await, [1, 3, 5]);
    assert_eq!(system.sent("skip"), ["0", "3", "6"]);
}

#[tokio::test]
async fn an_ignored_answer_is_empty_and_counted() {
    let system = System::new(
        list(json!({"offset": {"sendAs": query("skip")}})),
        |_: &Asked| Answered {
            ignored: true,
            ..Answered::from(json!("nothing"))
        },
    );
    let pages = system.pages(ScanStart::default()).await.unwrap();
    assert_eq!(
        (pages.len(), pages[0].records.len(), pages[0].ignored),
        (1, 0, 1)
    );
}

#[tokio::test]
async fn without_pagination_there_is_one_page() {
    let system = System::new(json!({"path": "/things"}), |_: &Asked| {
        Value::from(records(SEVEN)).into()
    });
    assert_eq!(system.pages(ScanStart::default()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_cut_off_answer_is_read_again_and_then_temporary() {
    let system = System::new(json!({"path": "/things"}), |_: &Asked| Answered {
        body: "[{\"id\": 1}, {\"i".into(),
        ..Answered::from(json!(0))
    });
    assert_eq!(system.failure().await.class, Class::Transient);
    assert_eq!(system.asked().len(), 3);
}

#[tokio::test]
async fn an_answer_of_another_shape_is_described_without_its_values() {
    let system = System::new(
        json!({"path": "/things/${settings.team}", "records": "data.items", "query": {"q": "s3cret"}}),
        |_: &Asked| json!({"data": {"list": ["hush"], "count": 1}}).into(),
    );
    let failure = system.failure().await;
    assert_eq!(failure.class, Class::Configuration);
    assert_eq!(
        failure.message,
        "Connection/shop: object things: GET /things/${settings.team}: there is no list of records at data.items: \
         found an object with the fields count, list; correct list.records or list.shape"
    );
}

#[tokio::test]
async fn an_answer_without_content_is_empty() {
    let system = System::new(
        list(json!({"offset": {"sendAs": query("skip")}})),
        |_: &Asked| Answered {
            status: 204,
            body: Bytes::new(),
            ..Answered::from(json!(0))
        },
    );
    assert_eq!(system.ids().await, Vec::<i64>::new());
}
