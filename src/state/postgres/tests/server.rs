//! What the server is and says: settings, tables, rights, TLS, passwords.

use std::sync::Arc;

use super::super::*;
use super::{Database, cluster, database, end_connections, good, store};
use crate::state::contract::{commit, key, open};

#[tokio::test]
async fn a_weak_default_for_commits_is_overruled() {
    let database = database();
    let name = &database.name;
    database.sql(&format!(
        "ALTER DATABASE {name} SET synchronous_commit = off"
    ));
    let settings = Settings::parse(&database.url()).unwrap_or_else(|e| panic!("{e}"));
    let link = Access::new(&settings)
        .expect("settings")
        .link()
        .await
        .expect("a connection");
    let row = link
        .client
        .query_one("SHOW synchronous_commit", &[])
        .await
        .expect("an answer");
    assert_eq!(row.get::<_, &str>(0), "on");
}

#[tokio::test]
async fn a_database_that_would_lose_text_is_refused() {
    let database = database();
    cluster().sql(
        "postgres",
        &format!(
            "CREATE DATABASE {}_latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'",
            database.name
        ),
    );
    let latin = Database {
        name: format!("{}_latin", database.name),
    };
    let refused = store(&latin.url(), Takeover::Refuse)
        .await
        .err()
        .map(|e| e.to_string());
    assert!(
        refused.as_ref().is_some_and(|e| e.contains("UTF8")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn tables_are_brought_up_to_date_once_and_newer_ones_are_refused() {
    let database = database();
    let settings = Settings::parse(&database.url()).unwrap_or_else(|e| panic!("{e}"));
    let access = Access::new(&settings).expect("settings");
    let next: Vec<&str> = schema::MIGRATIONS
        .iter()
        .copied()
        .chain(["ALTER TABLE sync ADD COLUMN later int"])
        .collect();
    let (newer, here) = (next.len() as i64, schema::MIGRATIONS.len() as i64);
    // Several at once: one does it, the others find it done.
    let opened = futures::future::join_all((0..4).map(|_| good_owned(database.url()))).await;
    drop(opened);
    let mut link = access.link().await.expect("a connection");
    for _ in 0..2 {
        schema::migrate(&mut link.client, &access.place, &next)
            .await
            .expect("a migration");
    }
    assert_eq!(
        database.sql("SELECT max(version) FROM syncline.schema_version"),
        newer.to_string()
    );
    for refused in [
        PostgresStore::open(&settings, Takeover::Refuse).await.err(),
        PostgresStore::attach(&settings).await.err(),
    ] {
        assert!(
            matches!(
                refused,
                Some(StoreError::Newer { found, known, .. }) if (found, known) == (newer, here)
            ),
            "{refused:?}"
        );
    }
    database.sql("DELETE FROM syncline.schema_version");
    let refused = PostgresStore::attach(&settings).await.err();
    assert!(
        matches!(refused, Some(StoreError::Older { found: 0, .. })),
        "{refused:?}"
    );
}

async fn good_owned(url: String) -> Arc<dyn Store> {
    good(&url).await
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_it_needs() {
    let database = database();
    let role = format!("role_{}", database.name);
    database.sql(&format!("CREATE ROLE {role} LOGIN"));
    let url = database.url().replace("postgres@", &format!("{role}@"));
    let refused = store(&url, Takeover::Refuse)
        .await
        .err()
        .map(|e| e.to_string());
    assert!(
        refused
            .as_ref()
            .is_some_and(|e| e.contains("AUTHORIZATION")),
        "{refused:?}"
    );
    database.sql(&format!("CREATE SCHEMA syncline AUTHORIZATION {role}"));
    let session_of = good(&url).await;
    open(&*session_of, "a").await;
    drop(session_of);
    end_connections(&database);
    database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[tokio::test]
async fn tls_checks_what_the_mode_says() {
    let database = database();
    let port = cluster().port;
    let ca = cluster().folder.join("ca.crt").display().to_string();
    let url = |host: &str, more: &str| format!("{}?{more}", database.tcp_url(host, port));
    let verified = format!("sslrootcert={ca}&sslmode=");
    for (host, more, works) in [
        ("localhost", "sslmode=disable".to_owned(), true),
        ("localhost", "sslmode=require".to_owned(), true),
        ("localhost", format!("{verified}verify-full"), true),
        ("127.0.0.1", format!("{verified}verify-ca"), true),
        ("127.0.0.1", format!("{verified}require"), true),
        // The certificate is for localhost, and its authority is not one of the system's.
        ("127.0.0.1", format!("{verified}verify-full"), false),
        ("localhost", "sslmode=verify-full".to_owned(), false),
        ("localhost", "sslmode=verify-ca".to_owned(), false),
    ] {
        let opened = store(&url(host, &more), Takeover::Refuse).await;
        if let Err(error) = &opened {
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        let problem = opened.as_ref().err().map(ToString::to_string);
        assert_eq!(opened.is_ok(), works, "{host} {more}: {problem:?}");
        let encrypted = database.sql(
            "SELECT coalesce(bool_and(ssl), true) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE datname = current_database() AND application_name = 'syncline'",
        );
        assert_eq!(encrypted == "t", more != "sslmode=disable", "{host} {more}");
        drop(opened);
        end_connections(&database);
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_without_it() {
    let database = database();
    let url = database
        .tcp_url("127.0.0.1", cluster().port)
        .replace("canary-", "wrong-canary-");
    let error = store(&url, Takeover::Refuse)
        .await
        .err()
        .map(|e| e.to_string())
        .unwrap_or_default();
    assert!(
        error.contains("PGPASSFILE") && !error.contains("canary"),
        "{error}"
    );
}

#[tokio::test]
async fn readers_are_bounded_and_all_are_served() {
    let database = database();
    let store = good(&database.url()).await;
    let session = open(&*store, "a").await;
    commit(&*store, &session, vec![Change::State(Box::default())]).await;
    let reads = (0..200).map(|n| store.known(&session, vec![key(&n.to_string())], true));
    for read in futures::future::join_all(reads).await {
        assert_eq!(read.expect("an answer").len(), 1);
    }
    let count = database.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'syncline'",
    );
    assert_eq!(count, (READERS + 1).to_string());
}
