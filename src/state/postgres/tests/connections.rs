//! Lost connections, lost answers, and other processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::*;
use super::{Database, cluster, database, end_connections, good, store};
use crate::state::contract::{commit, link, link_of, open, sync};

#[tokio::test]
async fn after_a_lost_connection_a_session_is_refused_and_a_new_one_works() {
    let database = database();
    let store = good(&database.url()).await;
    let session = open(&*store, "a").await;
    commit(&*store, &session, vec![Change::Link(link("x", 1))]).await;
    end_connections(&database);
    for _ in 0..2 {
        let refused = store
            .commit(&session, vec![Change::Link(link("y", 2))])
            .await;
        assert!(
            matches!(refused, Err(StoreError::Lost { .. })),
            "{refused:?}"
        );
    }
    let session = open(&*store, "a").await;
    commit(&*store, &session, vec![Change::Link(link("z", 3))]).await;
    assert!(link_of(&*store, &session, "x").await.is_some());
    assert!(link_of(&*store, &session, "y").await.is_none());
    assert!(link_of(&*store, &session, "z").await.is_some());
}

/// A server between us and PostgreSQL that can swallow what PostgreSQL answers.
async fn proxy(target: std::path::PathBuf, swallow: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("a port").port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = tokio::net::UnixStream::connect(&target)
                .await
                .expect("PostgreSQL listens");
            tokio::spawn(pass_on(near, far, Arc::clone(&swallow)));
        }
    });
    port
}

/// Passes bytes on until a commit was answered that is to be swallowed; then it hangs up.
async fn pass_on(near: TcpStream, far: tokio::net::UnixStream, swallow: Arc<AtomicBool>) {
    let ((mut from_near, mut to_near), (mut from_far, mut to_far)) =
        (near.into_split(), far.into_split());
    let asks = tokio::spawn(async move { tokio::io::copy(&mut from_near, &mut to_far).await });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(size @ 1..) = from_far.read(&mut buffer).await {
        let committed = buffer[..size].windows(6).any(|bytes| bytes == b"COMMIT");
        if committed && swallow.swap(false, Ordering::SeqCst) {
            break;
        }
        if to_near.write_all(&buffer[..size]).await.is_err() {
            break;
        }
    }
    asks.abort();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_reported_as_lost_and_may_be_there() {
    let database = database();
    let socket = cluster()
        .folder
        .join(format!(".s.PGSQL.{}", cluster().port));
    let swallow = Arc::new(AtomicBool::new(false));
    let port = proxy(socket, Arc::clone(&swallow)).await;
    let store = good(&format!(
        "postgres://postgres@127.0.0.1:{port}/{}",
        database.name
    ))
    .await;
    let session = open(&*store, "a").await;
    swallow.store(true, Ordering::SeqCst);
    let (lost, behind) = futures::join!(
        store.commit(&session, vec![Change::Link(link("x", 1))]),
        async {
            // Waits behind the first: refused, too, because it builds on it.
            store
                .commit(&session, vec![Change::Link(link("y", 2))])
                .await
        }
    );
    assert!(matches!(lost, Err(StoreError::Lost { .. })), "{lost:?}");
    assert!(behind.is_err(), "{behind:?}");
    assert!(!swallow.load(Ordering::SeqCst), "no answer was swallowed");
    // Here the server has kept it. Whoever goes on must look, and does.
    let session = open(&*store, "a").await;
    assert!(link_of(&*store, &session, "x").await.is_some());
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for_and_named() {
    let database = database();
    let socket = cluster()
        .folder
        .join(format!(".s.PGSQL.{}", cluster().port));
    let port = proxy(socket, Arc::default()).await;
    let url = format!(
        "postgres://postgres:canary@127.0.0.1:{port}/{}",
        database.name
    );
    let store = good(&url).await;
    open(&*store, "a").await;
    end_connections(&database);
    cluster().sql(
        "postgres",
        &format!("ALTER DATABASE {0} RENAME TO {0}_away", database.name),
    );
    let refused = store
        .open(&sync("a"), Fingerprint(7), OnMismatch::Refuse)
        .await;
    cluster().sql(
        "postgres",
        &format!("ALTER DATABASE {0}_away RENAME TO {0}", database.name),
    );
    let error = refused.expect_err("the database is away").to_string();
    assert!(
        error.contains("127.0.0.1") && !error.contains("canary"),
        "{error}"
    );
    let session = open(&*store, "a").await;
    commit(&*store, &session, Vec::new()).await;
}

#[tokio::test]
async fn two_processes_do_not_run_one_sync() {
    let database = database();
    let (one, two) = (good(&database.url()).await, good(&database.url()).await);
    let session = open(&*one, "a").await;
    open(&*two, "b").await;
    let refused = two
        .open(&sync("a"), Fingerprint(7), OnMismatch::Refuse)
        .await;
    assert!(
        matches!(refused, Err(StoreError::Running { .. })),
        "{refused:?}"
    );
    commit(&*one, &session, vec![Change::Link(link("x", 1))]).await;
    drop(one);
    // The connection ends soon after its store; opening waits for that.
    let session = open(&*two, "a").await;
    assert!(link_of(&*two, &session, "x").await.is_some());
}

#[tokio::test]
async fn an_elected_process_cuts_the_other_one_off() {
    let database = database();
    let old = good(&database.url()).await;
    let (cut_off, other) = (open(&*old, "a").await, open(&*old, "b").await);
    let new = store(&database.url(), Takeover::Force)
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    let session = open(&*new, "a").await;
    let refused = old.commit(&cut_off, vec![Change::Link(link("x", 1))]).await;
    assert!(refused.is_err(), "{refused:?}");
    commit(&*new, &session, vec![Change::Link(link("x", 2))]).await;
    assert_eq!(link_of(&*new, &session, "x").await, Some(link("x", 2)));
    // All that was opened on that connection must be opened again.
    assert!(old.commit(&other, Vec::new()).await.is_err());
}

#[tokio::test]
async fn a_process_that_froze_within_a_transaction_is_cut_off_too() {
    let database = database();
    let old = good(&database.url()).await;
    open(&*old, "a").await;
    drop(old);
    let url = database.url();
    let held = "UPDATE syncline.sync SET holder = pg_backend_pid(),
                  holder_since = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()); COMMIT;
                BEGIN; SELECT 1 FROM syncline.sync FOR UPDATE; SELECT pg_sleep(60)";
    let opening = "BEGIN; SELECT 1 FROM syncline.sync FOR UPDATE;
                   SELECT pg_try_advisory_xact_lock(1398361667, id::int) FROM syncline.sync; SELECT pg_sleep(60)";
    for frozen in [held, opening] {
        cut_off_while(&database, &url, frozen).await;
    }
}

async fn cut_off_while(database: &Database, url: &str, frozen: &str) {
    let frozen = std::process::Command::new("psql")
        .args([url, "-c", frozen])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    let mut frozen = frozen.expect("psql starts");
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    while database.sql(asleep) != "1" {
        assert!(matches!(frozen.try_wait(), Ok(None)), "psql ended");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let new = store(url, Takeover::Force)
        .await
        .unwrap_or_else(|e| panic!("{e}"));
    open(&*new, "a").await;
    assert!(!frozen.wait().expect("it ends").success());
}

#[tokio::test]
async fn the_epoch_is_checked_in_the_transaction_itself() {
    let database = database();
    let store = good(&database.url()).await;
    let session = open(&*store, "a").await;
    // Nobody in this process knows of it.
    database.sql("UPDATE syncline.sync SET epoch = epoch + 1");
    let refused = store
        .commit(&session, vec![Change::Link(link("x", 1))])
        .await;
    assert!(
        matches!(refused, Err(StoreError::Fenced { .. })),
        "{refused:?}"
    );
    assert_eq!(database.sql("SELECT count(*) FROM syncline.link"), "0");
}
