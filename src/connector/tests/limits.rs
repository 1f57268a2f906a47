//! Limits, refusals and the circuit.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::support::*;
use crate::record::Class;

#[tokio::test]
async fn a_refusal_pauses_everybody_and_uses_no_attempt() {
    let refused = Arc::new(AtomicUsize::new(0));
    let (start, counter) = (Instant::now(), Arc::clone(&refused));
    let server = Server::start(move |_| {
        if start.elapsed() < Duration::from_millis(300) {
            counter.fetch_add(1, Ordering::SeqCst);
            return with(reply(429, json!({})), "retry-after", "0.3");
        }
        reply(201, json!({"id": 1}))
    })
    .await;
    let setup = setup(&server, json!({}));
    for result in futures::future::join_all((0..8).map(|_| setup.create())).await {
        result.unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(
        refused.load(Ordering::SeqCst) <= 8,
        "nobody asks again during the pause"
    );
}

#[tokio::test]
async fn a_learned_rate_keeps_a_limited_system_from_refusing() {
    // 50 requests in each 200 ms of the clock; the wait is told.
    let window = Arc::new(Mutex::new((Instant::now(), 0)));
    let refused = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&refused);
    let server = Server::start(move |_| {
        let mut window = window.lock().unwrap();
        if window.0.elapsed() > Duration::from_millis(200) {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
        if window.1 <= 50 {
            return reply(201, json!({"id": 1}));
        }
        counter.fetch_add(1, Ordering::SeqCst);
        with(reply(429, json!({})), "retry-after", "0.2")
    })
    .await;
    let setup = setup(&server, json!({}));
    let many = (0..16).map(|_| async {
        for _ in 0..30 {
            setup.create().await.unwrap();
        }
    });
    futures::future::join_all(many).await;
    // How long it takes is told by the simulation of `adaptive`.
    assert!(refused.load(Ordering::SeqCst) < 48, "{refused:?}");
}

#[tokio::test]
async fn a_configured_rate_is_kept_evenly() {
    let server = Server::start(|_| reply(201, json!({"id": 1}))).await;
    let setup = setup(
        &server,
        json!({"limits": [{"requests": 100, "per": "1s", "match": {"method": "POST", "path": "/contacts*"}}]}),
    );
    let start = Instant::now();
    futures::future::join_all((0..20).map(|_| setup.create())).await;
    assert!(
        start.elapsed() >= Duration::from_millis(180),
        "{:?}",
        start.elapsed()
    );
    let start = Instant::now();
    futures::future::join_all((0..20).map(|_| setup.get())).await;
    assert!(
        start.elapsed() < Duration::from_millis(180),
        "reads are not limited: {:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_configured() {
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (a, b) = (now.clone(), most.clone());
    let server = Server::start(move |_| {
        b.fetch_max(a.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
        a.fetch_sub(1, Ordering::SeqCst);
        reply(201, json!({"id": 1}))
    })
    .await;
    let setup = setup(&server, json!({"limits": [{"concurrency": 1}]}));
    assert_eq!(setup.connector.concurrency(), 1);
    futures::future::join_all((0..10).map(|_| setup.create())).await;
    assert_eq!(most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn ten_failures_open_the_circuit_and_nothing_is_sent() {
    let server = Server::start(|_| reply(500, json!({}))).await;
    let setup = setup(&server, json!({}));
    for _ in 0..10 {
        setup.create().await.unwrap_err();
    }
    assert!(setup.connector.blocked_for().is_some());
    let failure = setup.create().await.unwrap_err();
    assert_eq!((failure.class, failure.sent), (Class::Transient, false));
    assert!(
        failure.message.contains("circuit open") && failure.retry_after_ms.is_some(),
        "{failure}"
    );
    assert!(
        setup
            .get()
            .await
            .unwrap_err()
            .message
            .contains("circuit open")
    );
    assert_eq!(server.seen().len(), 10);
}
