//! Starts the processes of the measurement and reads what they used. Knows Linux's `/proc` only.
//! Called by `main` for the servers, the ceiling and the engine.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::{Stats, now};
use crate::{Mode, manifests};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// No run takes longer; a process that does is ended.
const LONGEST: Duration = Duration::from_secs(600);

/// The servers' process; ended when dropped.
pub struct Servers {
    child: Child,
    pub port: u16,
}

impl Servers {
    pub fn start(records: usize) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", &records.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("the servers have no output")?;
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self {
            child,
            port: line.trim().parse()?,
        })
    }

    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn stats(&self) -> Result<Stats> {
        Ok(serde_json::from_str(&self.ask("GET", "/_stats")?)?)
    }

    pub fn reset(&self) -> Result<()> {
        self.ask("POST", "/_reset").map(|_| ())
    }

    fn ask(&self, method: &str, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer
            .split_once("\r\n\r\n")
            .ok_or("the servers gave no answer")?
            .1
            .to_owned())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // It may be gone already; there is nothing else to do with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one process did and used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Run {
    /// From the first page asked for to the last record written.
    pub records_per_second: f64,
    /// From the start of the process to the first record written, in seconds; 0 when none was.
    pub first_write: f64,
    /// From the start of the process to its end, in seconds.
    pub wall: f64,
    pub peak_mib: f64,
}

/// Runs the hand-written program once.
pub fn ceiling(servers: &Servers, mode: Mode, records: usize, threads: usize) -> Result<Run> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args([
        "ceiling",
        mode.name(),
        &servers.base(),
        &threads.to_string(),
    ]);
    servers.reset()?;
    let run = watch(servers, command)?;
    written(servers, records)?;
    Ok(run)
}

/// Runs the engine on fresh state, and once more with nothing changed.
pub fn engine(servers: &Servers, binary: &Path, mode: Mode, records: usize) -> Result<(Run, Run)> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (manifests, state) = (folder.path().join("manifests"), folder.path().join("state"));
    std::fs::create_dir(&manifests)?;
    std::fs::write(
        manifests.join("all.yaml"),
        manifests::yaml(&servers.base(), mode),
    )?;
    let command = || {
        let mut command = Command::new(binary);
        command
            .arg("run")
            .arg("-f")
            .arg(&manifests)
            .arg("--once")
            .arg("--state")
            .arg(&state);
        command
    };
    servers.reset()?;
    let first = watch(servers, command())?;
    written(servers, records)?;
    servers.reset()?;
    let second = watch(servers, command())?;
    match servers.stats()? {
        stats if stats.writes == 0 && stats.pages > 0 => Ok((first, second)),
        stats => Err(format!("a run with nothing changed wrote {} records", stats.writes).into()),
    }
}

/// The target holds every record, each written once and as the transformation makes it.
fn written(servers: &Servers, records: usize) -> Result<()> {
    let stats = servers.stats()?;
    let expected = records as u64;
    if (stats.writes, stats.distinct, stats.wrong) == (expected, expected, 0) {
        return Ok(());
    }
    Err(format!(
        "the target should hold {expected} records, each written once; it saw {} writes of {} records, {} \
         of the sampled ones wrong",
        stats.writes, stats.distinct, stats.wrong
    )
    .into())
}

fn watch(servers: &Servers, mut command: Command) -> Result<Run> {
    let start = now();
    let clock = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let id = child.id().to_string();
    let mut stderr = child.stderr.take().ok_or("no stderr")?;
    let complaint = std::thread::spawn(move || {
        let mut text = String::new();
        // What cannot be read is not shown.
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_kib(&id).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if clock.elapsed() > LONGEST {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let wall = clock.elapsed().as_secs_f64();
    let complaint = complaint.join().unwrap_or_default();
    if !status.success() {
        let tail: Vec<&str> = complaint.lines().rev().take(20).collect();
        return Err(format!("{command:?} ended with {status}:\n{}", tail.join("\n")).into());
    }
    let stats = servers.stats()?;
    let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e9;
    Ok(Run {
        records_per_second: stats.writes as f64
            / seconds(stats.first_page, stats.last_write).max(1e-9),
        first_write: seconds(start, stats.first_write),
        wall,
        peak_mib: peak as f64 / 1024.0,
    })
}

/// The most memory that a process had resident, in KiB (`VmHWM`, proc_pid_status(5)).
pub fn peak_kib(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
