//! What only PostgreSQL can do to us: lose a connection, have other processes, refuse us, be another version.
//! The rules that both stores share are in `state::contract`.

mod connections;
mod server;

use std::sync::Arc;

use crate::state::contract::server::{Database, cluster};
use crate::state::{Location, Store, StoreError, Takeover};

fn database() -> Database {
    cluster().database()
}

async fn store(url: &str, takeover: Takeover) -> Result<Arc<dyn Store>, StoreError> {
    Location::parse(url)
        .unwrap_or_else(|e| panic!("{e}"))
        .open(takeover)
        .await
}

async fn good(url: &str) -> Arc<dyn Store> {
    store(url, Takeover::Refuse)
        .await
        .unwrap_or_else(|e| panic!("{e}"))
}

/// Ends all connections of the database but this one's, as a restart of the server would.
fn end_connections(database: &Database) {
    database.sql(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
}
