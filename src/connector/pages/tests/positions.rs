//! Circles, and scans that go on after an interruption.

use super::pages::{all, list, seven};
use super::*;

#[tokio::test]
async fn a_token_that_comes_twice_is_an_error() {
    for circle in [&["a", "a"][..], &["a", "b", "a"], &["a", "b", "c", "b"]] {
        let system = System::new(
            list(json!({"token": {"from": "next", "sendAs": query("after")}})),
            |_: &Asked| refused(500),
        );
        let count = std::sync::atomic::AtomicUsize::new(0);
        system.becomes(move |_| {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            json!({"data": records(n..n + 1), "next": circle.get(n)}).into()
        });
        let failure = system.failure().await;
        assert_eq!(failure.class, Class::Configuration);
        assert!(
            failure.message.contains("object things") && failure.message.contains("came twice"),
            "{failure}"
        );
        assert_eq!(system.asked().len(), circle.len());
    }
}

#[tokio::test]
async fn a_link_or_key_that_comes_twice_is_an_error() {
    let system = System::new(
        list(json!({"nextURL": {"from": "next"}})),
        seven(|_| 0, |_| json!({"next": "/api/v2/things?p=2"})),
    );
    assert!(system.failure().await.message.contains("came twice"));
    let system = System::new(
        list(json!({"lastKey": {"from": "id", "sendAs": query("after")}})),
        seven(|_| 0, |_| json!({})),
    );
    assert!(
        system
            .failure()
            .await
            .message
            .contains("the last record's id came twice")
    );
}

#[tokio::test]
async fn a_system_that_ignores_the_page_is_an_error() {
    for pagination in [
        json!({"page": {"sendAs": query("p"), "size": {"value": 3}}}),
        json!({"offset": {"sendAs": query("p")}}),
    ] {
        let system = System::new(list(pagination), seven(|_| 0, |_| json!({})));
        let failure = system.failure().await;
        assert!(
            failure.message.contains("ignores the parameter \"p\""),
            "{failure}"
        );
        assert_eq!(system.asked().len(), 2);
    }
}

#[tokio::test]
async fn empty_numbered_pages_do_not_go_on_for_ever() {
    let pagination =
        json!({"page": {"sendAs": query("p")}, "stop": {"flag": {"path": "done", "is": true}}});
    let system = System::new(list(pagination), |_: &Asked| json!({"data": []}).into());
    assert!(
        system
            .failure()
            .await
            .message
            .contains("stop rule never holds")
    );
    assert_eq!(system.asked().len(), 100);
}

#[tokio::test]
async fn a_scan_goes_on_after_any_committed_page() {
    let more = |end: usize| json!({"next": if end < 7 { json!(end) } else { Value::Null }, "url": if end < 7 { format!("?at={end}") } else { String::new() }, "total": 7});
    for pagination in [
        json!({"token": {"from": "next", "sendAs": query("at")}}),
        json!({"nextURL": {"from": "url"}}),
        json!({"offset": {"sendAs": query("at")}}),
        json!({"offset": {"sendAs": query("at")}, "stop": {"total": {"path": "total"}}}),
        json!({"lastKey": {"from": "id", "sendAs": query("last")}}),
        json!({"page": {"sendAs": query("page")}}),
    ] {
        let from = |a: &Asked| match (a.query("last"), a.query("page")) {
            (Some(last), _) => last.parse::<usize>().unwrap() + 1,
            (_, Some(page)) => (page.parse::<usize>().unwrap() - 1) * 3,
            _ => a.number("at", 0),
        };
        let system = System::new(list(pagination.clone()), seven(from, more));
        let pages = system.pages(ScanStart::default()).await.unwrap();
        for (i, page) in pages.iter().enumerate() {
            let rest = system.pages(resume(page)).await.unwrap();
            assert_eq!(
                ids(&rest),
                ids(&pages[i + 1..]),
                "{pagination} after page {i}"
            );
        }
    }
}

#[tokio::test]
async fn a_refused_token_begins_the_list_again() {
    for status in [400, 404, 410, 422] {
        let system = System::new(
            list(json!({"token": {"from": "next", "sendAs": query("after")}})),
            seven(
                |a| a.number("after", 0),
                |end| json!({"next": if end < 7 { Some(end) } else { None }}),
            ),
        );
        let pages = system.pages(ScanStart::default()).await.unwrap();
        let answer = seven(
            |a| a.number("after", 0),
            |end| json!({"next": if end < 7 { Some(end) } else { None }}),
        );
        let first = std::sync::atomic::AtomicBool::new(true);
        system.becomes(
            move |asked| match first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                true => refused(status),
                false => answer(asked),
            },
        );
        let again = system.pages(resume(&pages[0])).await.unwrap();
        assert_eq!(ids(&again), all());
        assert_eq!(system.sent("after"), ["3", "-", "3", "6"]);
    }
    let system = System::new(
        list(json!({"token": {"from": "next", "sendAs": query("after")}})),
        |_: &Asked| refused(400),
    );
    assert_eq!(
        system.failure().await.status,
        Some(400),
        "a scan that begins has no token to blame"
    );
}

#[tokio::test]
async fn a_position_of_another_list_begins_again() {
    let system = System::new(
        list(json!({"offset": {"sendAs": query("skip")}})),
        seven(|a| a.number("skip", 0), |_| json!({})),
    );
    let pages = system.pages(ScanStart::default()).await.unwrap();
    let other = System::new(
        list(json!({"offset": {"sendAs": query("offset")}})),
        seven(|a| a.number("offset", 0), |_| json!({})),
    );
    assert_eq!(ids(&other.pages(resume(&pages[0])).await.unwrap()), all());
    let start = ScanStart {
        resume: Some(json!({"made": "up"})),
        ..ScanStart::default()
    };
    assert_eq!(ids(&other.pages(start).await.unwrap()), all());
}
