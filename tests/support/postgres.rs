//! A PostgreSQL of our own for tests and benches: one cluster for each test process, started on first use
//! in a temporary folder and removed when the process ends, however it ends. Knows nothing of Syncline.
//! Where a test is about what is kept, not about the disk, the folder may be in memory.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The password of the only role, `postgres`; asked for over TCP, not over the socket.
#[allow(dead_code)]
pub const PASSWORD: &str = "canary-Sesame/4711";

/// What runs the server. It waits on its standard input, which closes when the test process ends; then
/// it stops the server and removes the folder. Arguments: folder of the binaries, port, password, and a folder in
/// memory that is used if it has 2 GiB left.
const SCRIPT: &str = r#"
set -eu
umask 077
cd /
base=${TMPDIR:-/tmp}
if [ -n "$4" ]; then
  left=$(df -Pk "$4" 2> /dev/null | awk 'NR == 2 { print $4 }')
  [ "${left:-0}" -lt 2097152 ] || base=$4
fi
dir=$(mktemp -d "$base/syncline-postgres.XXXXXX")
trap 'rm -rf "$dir"' EXIT
trap '' INT TERM HUP
ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
{
  "$1/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-sync --locale=C.UTF-8 \
    --locale-provider=icu --icu-locale=en-US &&
  cd "$dir" &&
  openssl req -x509 $ec -keyout ca.key -out ca.crt -days 2 -subj /CN=ca &&
  openssl req -new $ec -keyout data/server.key -out server.csr -subj /CN=localhost &&
  echo subjectAltName=DNS:localhost > san &&
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out data/server.crt &&
  printf '%s\n' 'local all all trust' 'host all all 127.0.0.1/32 scram-sha-256' > data/pg_hba.conf
} > "$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
"$1/postgres" -D "$dir/data" -k "$dir" -c listen_addresses=127.0.0.1 -c port="$2" -c ssl=on \
  -c max_connections=200 -c shared_buffers=64MB < /dev/null >> "$dir/log" 2>&1 &
server=$!
sql() { "$1/psql" -q -h "$dir" -p "$2" -U postgres -d postgres -c "ALTER ROLE postgres PASSWORD '$3'"; }
until sql "$@" 2>> "$dir/log"; do
  kill -0 "$server" 2> /dev/null || { cat "$dir/log" >&2; exit 1; }
  sleep 0.05
done
echo "$dir"
read -r _ || true
kill -QUIT "$server" || true
wait "$server" || true
"#;

/// A running server.
pub struct Cluster {
    /// Holds the socket, and `ca.crt`, which signed the server's certificate for `localhost`.
    pub folder: PathBuf,
    pub port: u16,
    bin: PathBuf,
    /// Its standard input is what keeps the server running.
    _keeper: Child,
}

/// A database of its own, dropped with this value.
pub struct Database {
    pub name: String,
}

/// The server of this test process.
pub fn cluster() -> &'static Cluster {
    started("")
}

/// The same, with its data in memory where the machine has room for it.
#[allow(dead_code)]
pub fn cluster_in_memory() -> &'static Cluster {
    started("/dev/shm")
}

fn started(memory: &str) -> &'static Cluster {
    static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
    let started = CLUSTER.get_or_init(|| {
        let bin = binaries()?;
        let mut said = String::new();
        // Another program may take the port between choosing and binding it.
        for _ in 0..3 {
            match start(&bin, memory) {
                Ok(cluster) => return Ok(cluster),
                Err(why) => said = why,
            }
        }
        Err(format!("PostgreSQL did not start: {said}"))
    });
    // Every test that needs it says why there is none.
    started.as_ref().unwrap_or_else(|why| panic!("{why}"))
}

/// The newest PostgreSQL of this machine.
fn binaries() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("SYNCLINE_TEST_POSTGRES") {
        return Ok(given.into());
    }
    let version = |path: &Path| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let newest = debian
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join("bin/initdb").exists())
        .max_by_key(|path| version(path));
    let found = newest.map(|path| path.join("bin")).or_else(|| {
        let paths = std::env::var_os("PATH")?;
        std::env::split_paths(&paths).find(|path| path.join("initdb").exists())
    });
    found.ok_or_else(|| {
        "these tests need PostgreSQL's server: `apt-get install postgresql` (or the package of your \
         system), or set SYNCLINE_TEST_POSTGRES to the folder that has initdb"
            .into()
    })
}

fn start(bin: &Path, memory: &str) -> Result<Cluster, String> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port();
    // PostgreSQL refuses to run as root.
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|o| o.stdout == b"0\n");
    let mut command = if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    let mut keeper = command
        .args(["-c", SCRIPT, "sh"])
        .arg(bin)
        .args([&port.to_string(), PASSWORD, memory])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{command:?}: {e}"))?;
    let mut folder = String::new();
    let out = keeper.stdout.take().expect("stdout is a pipe");
    BufReader::new(out)
        .read_line(&mut folder)
        .map_err(|e| e.to_string())?;
    if folder.trim().is_empty() {
        let output = keeper.wait_with_output().map_err(|e| e.to_string())?;
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(Cluster {
        folder: folder.trim().into(),
        port,
        bin: bin.to_owned(),
        _keeper: keeper,
    })
}

impl Cluster {
    /// A new, empty database.
    pub fn database(&'static self) -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        Database { name }
    }

    /// Runs SQL as the superuser; gives what it printed, without headings.
    pub fn sql(&self, database: &str, sql: &str) -> String {
        let output = Command::new(self.bin.join("psql"))
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
            ])
            .arg("-h")
            .arg(&self.folder)
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
            .stdin(Stdio::null())
            .output()
            .expect("psql starts");
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Database {
    /// Its URL over the socket, without a password.
    #[allow(dead_code)]
    pub fn url(&self) -> String {
        let cluster = cluster();
        let folder = cluster.folder.display().to_string().replace('/', "%2F");
        format!(
            "postgres://postgres@{folder}:{}/{}",
            cluster.port, self.name
        )
    }

    /// Its URL over TCP, with the password.
    #[allow(dead_code)]
    pub fn tcp_url(&self, host: &str, port: u16) -> String {
        let password = PASSWORD.replace('/', "%2F");
        format!("postgres://postgres:{password}@{host}:{port}/{}", self.name)
    }

    /// Runs SQL in it as the superuser.
    #[allow(dead_code)]
    pub fn sql(&self, sql: &str) -> String {
        cluster().sql(&self.name, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            cluster().sql(
                "postgres",
                &format!("DROP DATABASE {} WITH (FORCE)", self.name),
            );
        }
    }
}
