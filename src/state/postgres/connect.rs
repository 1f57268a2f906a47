//! Makes connections to PostgreSQL and looks whether the server keeps what a store has to promise. Called by
//! the writer and the pool of readers.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use tokio::task::JoinHandle;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::state::StoreError;

use super::settings::{Host, Settings, SslMode};
use super::{error, password, tls};

/// How long a statement waits for a lock that another program holds.
pub const LOCK_SECONDS: u64 = 10;

/// How long the writer waits for an answer before it gives the connection up.
pub const ANSWER: Duration = Duration::from_secs(30);

/// How long the server works on a statement. Longer than [`ANSWER`]: a commit that waits for a standby and is
/// cancelled by the server would be reported as done without being safe there.
const STATEMENT_SECONDS: u64 = 60;

/// Oldest server that this is for: 14, as `server_version_num` says it.
const OLDEST_SERVER: i32 = 140_000;

/// Everything needed to connect, found once.
#[derive(Clone)]
pub struct Access {
    pub config: Config,
    pub tls: Option<MakeRustlsConnect>,
    pub place: Arc<str>,
}

/// A connection, and the task that moves its bytes.
pub struct Link {
    pub client: Client,
    pub backend: Backend,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server's process behind a connection, and its start, because numbers come again.
#[derive(Clone, Debug)]
pub struct Backend {
    pub pid: i32,
    pub started: String,
}

impl Access {
    /// Reads passwords and certificates.
    pub fn new(settings: &Settings) -> Result<Self, StoreError> {
        let place: Arc<str> = settings.place().into();
        let unusable = |problem: String| StoreError::Unusable {
            place: place.to_string(),
            problem,
        };
        let mut config = Config::new();
        config
            .user(&settings.user)
            .dbname(&settings.database)
            .port(settings.port)
            .application_name("syncline")
            .connect_timeout(settings.connect_timeout)
            .tcp_user_timeout(ANSWER)
            .keepalives_idle(Duration::from_secs(30))
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .options(format!(
                "-c search_path={} -c statement_timeout={STATEMENT_SECONDS}s -c lock_timeout={LOCK_SECONDS}s \
                 -c idle_in_transaction_session_timeout={STATEMENT_SECONDS}s",
                super::schema::NAME
            ))
            .ssl_mode(match settings.ssl {
                SslMode::Disable => tokio_postgres::config::SslMode::Disable,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                    tokio_postgres::config::SslMode::Require
                }
            });
        match &settings.host {
            Host::Name(name) => config.host(name),
            #[cfg(unix)]
            Host::Socket(folder) => config.host_path(folder),
            #[cfg(not(unix))]
            Host::Socket(_) => return Err(unusable("this system has no Unix sockets".into())),
        };
        if let Some(password) = password::find(settings).map_err(unusable)? {
            config.password(password.expose_secret());
        }
        Ok(Self {
            config,
            tls: tls::connector(settings).map_err(unusable)?,
            place,
        })
    }

    /// A connection for the writer, checked.
    pub async fn link(&self) -> Result<Link, StoreError> {
        let fail = |e: &tokio_postgres::Error| error::connecting(&self.place, e);
        let (client, task) = match &self.tls {
            Some(tls) => {
                let (client, connection) = self
                    .config
                    .connect(tls.clone())
                    .await
                    .map_err(|e| fail(&e))?;
                (client, tokio::spawn(drive(connection)))
            }
            None => {
                let (client, connection) =
                    self.config.connect(NoTls).await.map_err(|e| fail(&e))?;
                (client, tokio::spawn(drive(connection)))
            }
        };
        match tokio::time::timeout(ANSWER, self.check(&client)).await {
            Ok(backend) => Ok(Link {
                client,
                backend: backend?,
                task,
            }),
            Err(_) => {
                task.abort();
                Err(StoreError::Unreachable {
                    place: self.place.to_string(),
                    problem: format!("no answer within {} s", ANSWER.as_secs()),
                })
            }
        }
    }

    /// Refuses a server that would not keep what it confirmed.
    async fn check(&self, client: &Client) -> Result<Backend, StoreError> {
        let fail = |e| error::translate(&self.place, &e);
        let row = client
            .query_one(
                "SELECT current_setting('server_version_num')::int4, current_setting('server_encoding'),
                   current_setting('fsync'), current_setting('synchronous_commit'), pg_backend_pid(),
                   (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid())",
                &[],
            )
            .await
            .map_err(fail)?;
        let unusable = |problem: &str| StoreError::Unusable {
            place: self.place.to_string(),
            problem: problem.into(),
        };
        if row.get::<_, i32>(0) < OLDEST_SERVER {
            return Err(unusable("PostgreSQL is older than 14; use a newer one"));
        }
        if row.get::<_, &str>(1) != "UTF8" {
            return Err(unusable(
                "the database's encoding isn't UTF8; make one with CREATE DATABASE … ENCODING 'UTF8'",
            ));
        }
        if row.get::<_, &str>(2) != "on" {
            return Err(unusable(
                "the server runs with fsync = off, so that a power failure loses what it confirmed; switch fsync on",
            ));
        }
        // `on` and `remote_apply` wait for this server's disk and for its synchronous standbys.
        if !matches!(row.get::<_, &str>(3), "on" | "remote_apply") {
            let set = "SELECT set_config('synchronous_commit', 'on', false)";
            let now: String = client.query_one(set, &[]).await.map_err(fail)?.get(0);
            if now != "on" {
                return Err(unusable("synchronous_commit cannot be switched on"));
            }
        }
        Ok(Backend {
            pid: row.get(4),
            started: row.get::<_, Option<String>>(5).unwrap_or_default(),
        })
    }
}

/// Moves the bytes of a connection until it ends; the client's calls tell of its end.
async fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    if let Err(e) = connection.await {
        tracing::debug!("the connection to the store ended: {e}");
    }
}
