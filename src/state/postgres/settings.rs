//! The URL of a PostgreSQL store, parsed once. Parameters are libpq's by name and meaning; those that would
//! silently go without encryption are refused. No I/O.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::super::LocationError;

/// How the connection is protected (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Not at all; what a socket and this machine itself get by default.
    Disable,
    /// Encrypted; the server's certificate is checked only when `sslrootcert` is given.
    Require,
    /// Encrypted, by a server whose certificate a known authority has signed.
    VerifyCa,
    /// The same, and the certificate is for this host; what every other host gets by default.
    VerifyFull,
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    /// Folder of the Unix socket.
    Socket(PathBuf),
}

/// What the URL says.
#[derive(Clone, Debug)]
pub struct Settings {
    pub host: Host,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub(super) password: Option<SecretString>,
    pub ssl: SslMode,
    /// PEM file of the authorities that may sign the server's certificate; the system's without it.
    pub root_certificate: Option<PathBuf>,
    /// PEM files of the certificate and key that this side shows.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    pub connect_timeout: Duration,
    place: String,
}

/// Longest time to connect, unless `connect_timeout` says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn wrong(what: impl Into<String>) -> LocationError {
    LocationError(what.into())
}

impl Settings {
    /// Parses `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=…&…]`.
    ///
    /// # Errors
    /// What is missing or not known.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let url = Url::parse(text).map_err(|e| {
            wrong(format!(
                "the URL cannot be read: {e}; it looks like postgres://USER@HOST/DATABASE, and characters such \
                 as / @ : in a part are written %2F %40 %3A"
            ))
        })?;
        let mut host = decode(url.host_str().unwrap_or_default(), "host")?;
        let mut given = Parameters::default();
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "host" => host = value.into_owned(),
                "sslmode" => given.ssl = Some(ssl_mode(&value)?),
                "sslrootcert" => given.root = Some(value.into_owned().into()),
                "sslcert" => given.certificate = Some(value.into_owned().into()),
                "sslkey" => given.key = Some(value.into_owned().into()),
                "connect_timeout" => given.timeout = Some(seconds(&value)?),
                _ => {
                    return Err(wrong(
                        "the URL has a parameter that isn't known; known are host, sslmode, sslrootcert, sslcert, \
                         sslkey and connect_timeout",
                    ));
                }
            }
        }
        let host = match host {
            host if host.is_empty() => return Err(wrong("the URL has no host")),
            host if host.starts_with('/') => Host::Socket(host.into()),
            host => Host::Name(host.trim_matches(['[', ']']).to_owned()),
        };
        let user = decode(url.username(), "user")?;
        if user.is_empty() {
            return Err(wrong("the URL has no user: postgres://USER@HOST/DATABASE"));
        }
        let database = match decode(url.path().trim_start_matches('/'), "database")? {
            name if name.is_empty() => user.clone(),
            name => name,
        };
        let password = match url.password() {
            Some(text) => Some(decode(text, "password")?.into()),
            None => None,
        };
        given.settings(host, url.port().unwrap_or(5432), database, user, password)
    }

    /// Host, port and database, as messages name it.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }
}

/// What stands behind the question mark.
#[derive(Default)]
struct Parameters {
    ssl: Option<SslMode>,
    root: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    timeout: Option<Duration>,
}

impl Parameters {
    fn settings(
        self,
        host: Host,
        port: u16,
        database: String,
        user: String,
        password: Option<SecretString>,
    ) -> Result<Settings, LocationError> {
        let (shown, local) = match &host {
            Host::Name(name) if name.contains(':') => (format!("[{name}]"), name == "::1"),
            Host::Name(name) => (
                name.clone(),
                name == "localhost" || name.starts_with("127."),
            ),
            Host::Socket(folder) => (folder.display().to_string(), true),
        };
        let ssl = self.ssl.unwrap_or(if local {
            SslMode::Disable
        } else {
            SslMode::VerifyFull
        });
        if matches!(host, Host::Socket(_)) && ssl != SslMode::Disable {
            return Err(wrong("a Unix socket has no TLS; leave sslmode away"));
        }
        let client_certificate = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(wrong("sslcert and sslkey belong together")),
        };
        if ssl == SslMode::Disable && (self.root.is_some() || client_certificate.is_some()) {
            return Err(wrong(
                "certificates are given, but the connection isn't encrypted; say sslmode=verify-full",
            ));
        }
        Ok(Settings {
            place: format!("postgres://{shown}:{port}/{database}"),
            host,
            port,
            database,
            user,
            password,
            ssl,
            root_certificate: self.root,
            client_certificate,
            connect_timeout: self.timeout.unwrap_or(CONNECT_TIMEOUT),
        })
    }
}

fn decode(text: &str, part: &str) -> Result<String, LocationError> {
    let bytes = percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(wrong(format!("the URL's {part} is not text"))),
    }
}

fn ssl_mode(text: &str) -> Result<SslMode, LocationError> {
    Ok(match text {
        "disable" => SslMode::Disable,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        "allow" | "prefer" => {
            return Err(wrong(
                "sslmode allow and prefer may go without encryption unnoticed; say disable, require, verify-ca or \
                 verify-full",
            ));
        }
        _ => {
            return Err(wrong(
                "sslmode must be disable, require, verify-ca or verify-full",
            ));
        }
    })
}

fn seconds(text: &str) -> Result<Duration, LocationError> {
    match text.parse() {
        Ok(seconds @ 1..=300) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong("connect_timeout must be 1 to 300 seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Settings {
        Settings::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn every_part_is_read() {
        let settings = parse(
            "postgres://a%40b:p%2Fw@db.example:6432/st?sslmode=verify-ca&sslrootcert=/ca.crt&sslcert=/c&sslkey=/k&connect_timeout=3",
        );
        assert_eq!(settings.host, Host::Name("db.example".into()));
        assert_eq!((settings.port, settings.user.as_str()), (6432, "a@b"));
        assert_eq!(
            (settings.database.as_str(), settings.ssl),
            ("st", SslMode::VerifyCa)
        );
        assert_eq!(
            settings.client_certificate,
            Some(("/c".into(), "/k".into()))
        );
        assert_eq!(settings.connect_timeout, Duration::from_secs(3));
    }

    #[test]
    fn only_this_machine_is_spoken_to_without_encryption_by_default() {
        for (url, ssl) in [
            ("postgres://u@%2Fvar%2Frun/d", SslMode::Disable),
            ("postgres://u@localhost/d?host=/var/run", SslMode::Disable),
            ("postgres://u@127.0.0.1/d", SslMode::Disable),
            ("postgres://u@[::1]/d", SslMode::Disable),
            ("postgres://u@db/d", SslMode::VerifyFull),
            ("postgres://u@db/d?sslmode=disable", SslMode::Disable),
        ] {
            assert_eq!(parse(url).ssl, ssl, "{url}");
        }
    }

    #[test]
    fn what_may_go_wrong_unnoticed_is_refused() {
        for (url, says) in [
            ("postgres://u@db/d?sslmode=prefer", "unnoticed"),
            ("postgres://u@db/d?sslcert=/c", "belong together"),
            ("postgres://u@127.0.0.1/d?sslrootcert=/c", "isn't encrypted"),
            ("postgres://db/d", "no user"),
            ("postgres://u@%2Ftmp/d?sslmode=require", "no TLS"),
            ("postgres://u@db/d?connect_timeout=0", "1 to 300"),
            ("postgres://u@db/d?application_name=x", "isn't known"),
        ] {
            let error = Settings::parse(url).expect_err(url).to_string();
            assert!(error.contains(says), "{url}: {error}");
        }
    }
}
