//! How long a start takes when much is known: `cargo bench --bench restart` fills each store with a million links
//! and runs the real binary over a source with nothing new. Prints time and peak memory; judges nothing.
//!
//! `SYNCLINE_RESTART_LINKS` chooses another number of links.

#[path = "../../tests/support/postgres.rs"]
mod postgres;

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(120);

fn main() -> Result<()> {
    let links: i64 = match std::env::var("SYNCLINE_RESTART_LINKS") {
        Ok(text) => text.parse()?,
        Err(_) => 1_000_000,
    };
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let manifests = folder.path().join("manifests.yaml");
    std::fs::write(&manifests, yaml(serve()?))?;
    println!("{links} links      first run   next run   peak memory");

    let state = folder.path().join("state");
    let setting = state.display().to_string();
    run(&manifests, &setting)?;
    let fill = "INSERT INTO link (sync, key, target, raw, mapped, moment)
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1)
        SELECT sync.id, printf('record-%08d', n), n, randomblob(16), randomblob(16), n FROM n, sync";
    let db = rusqlite::Connection::open(state.join("syncline.sqlite"))?;
    db.execute(fill, [links])?;
    drop(db);
    report("SQLite", &manifests, &setting)?;

    let database = postgres::cluster().database();
    run(&manifests, &database.url())?;
    database.sql(&format!(
        "INSERT INTO syncline.link (sync, key, target, raw, mapped, moment_number)
         SELECT sync.id, convert_to('record-' || lpad(n::text, 8, '0'), 'UTF8'), n, uuid_send(gen_random_uuid()),
           uuid_send(gen_random_uuid()), n
         FROM syncline.sync, generate_series(1, {links}) AS n",
    ));
    report("PostgreSQL", &manifests, &database.url())
}

/// The first run finds cold caches and no statistics.
fn report(store: &str, manifests: &Path, setting: &str) -> Result<()> {
    let (first, second) = (run(manifests, setting)?, run(manifests, setting)?);
    println!(
        "{store:<16} {:>9.2} s {:>8.2} s {:>9.1} MiB",
        first.0,
        second.0,
        first.1.max(second.1) as f64 / 1024.0
    );
    Ok(())
}

/// Runs the Sync once; gives seconds and the most KiB that were resident (`VmHWM`, proc_pid_status(5)).
fn run(manifests: &Path, state: &str) -> Result<(f64, u64)> {
    let clock = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_syncline"))
        .args(["run", "--once", "--state", state, "-f"])
        .arg(manifests)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let place = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let status = loop {
        let text = std::fs::read_to_string(&place).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if clock.elapsed() > LONGEST {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        return Err(format!("a run with state in {state} ended with {status}").into());
    }
    Ok((clock.elapsed().as_secs_f64(), peak))
}

/// A source without records; gives its port.
fn serve() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    Ok(port)
}

/// Answers the requests of one connection; whoever asks may hang up at any time.
fn answer(mut stream: std::net::TcpStream) {
    let mut asked = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(size @ 1..) = stream.read(&mut buffer) {
        asked.extend_from_slice(&buffer[..size]);
        if asked.ends_with(b"\r\n\r\n") {
            asked.clear();
            let body = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"data\":[]}";
            if stream.write_all(body.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn yaml(port: u16) -> String {
    format!(
        r#"apiVersion: syncline.dev/v1alpha1
kind: Connection
metadata: {{name: system}}
spec:
  http: {{baseURL: "http://127.0.0.1:{port}", allowPlaintext: true}}
  auth: {{none: {{}}}}
  access: [Read, Create, Update]
  objects:
    - name: records
      key: [id]
      list: {{path: /records, records: data}}
      upsert: {{method: PUT, path: "/records/${{source.id}}", id: {{id: id}}}}
---
apiVersion: syncline.dev/v1alpha1
kind: Mapping
metadata: {{name: same}}
spec:
  fields:
    - {{to: name, from: name, onMissing: Reject}}
---
apiVersion: syncline.dev/v1alpha1
kind: Sync
metadata: {{name: records}}
spec:
  source: {{connectionRef: {{name: system}}, object: records, backfill: All}}
  target: {{connectionRef: {{name: system}}, object: records}}
  mappingRef: {{name: same}}
  trigger: {{interval: 1h}}
  write: {{mode: Upsert}}
"#
    )
}
