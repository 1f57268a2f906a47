//! Starts the system and the engine of a row and asks what became of the records. Used by `main`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::target::Stats;
use crate::{Case, RECORDS, Result, manifests};

/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(300);

pub struct Run {
    /// Of the engine's process, from start to end.
    pub seconds: f64,
    pub stats: Stats,
    pub dead: u64,
    /// Neither in the target nor in dead letters.
    pub lost: u64,
}

impl Run {
    pub fn refused_percent(&self) -> f64 {
        100.0 * self.stats.refused as f64 / self.stats.requests.max(1) as f64
    }
}

pub fn run(table: &str, row: usize, case: &Case) -> Result<Run> {
    let system = System::start(table, row)?;
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (manifests, state) = (folder.path().join("all.yaml"), folder.path().join("state"));
    std::fs::write(&manifests, manifests::yaml(case.guarantee, system.port))?;
    let clock = Instant::now();
    let mut engine = Command::new(env!("CARGO_BIN_EXE_syncline"))
        .args(["run", "--once", "-f"])
        .arg(&manifests)
        .arg("--state")
        .arg(&state)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let status = loop {
        if let Some(status) = engine.try_wait()? {
            break status;
        }
        if clock.elapsed() > LONGEST {
            engine.kill()?;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let seconds = clock.elapsed().as_secs_f64();
    // Dead letters are work that was left: exit code 1.
    if !status.success() && status.code() != Some(1) {
        return Err(format!("the engine ended with {status}").into());
    }
    let listed = Command::new(env!("CARGO_BIN_EXE_syncline"))
        .args(["deadletters", "--output", "json", "--state"])
        .arg(&state)
        .arg("list")
        .output()?;
    let dead: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout)?;
    let stats: Stats = serde_json::from_str(&system.ask("/_stats")?)?;
    let held = dead.iter().filter_map(|letter| letter["key"].as_str());
    let held: Vec<&str> = held
        .filter(|key| !stats.there.iter().any(|id| id == key))
        .collect();
    Ok(Run {
        seconds,
        dead: dead.len() as u64,
        lost: RECORDS - stats.there.len() as u64 - held.len() as u64,
        stats,
    })
}

/// How busy the machine is: the load of the last minute (proc_loadavg(5)).
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("load {load} on {cores} cores")
}

/// The system's process; ended when dropped.
struct System {
    child: Child,
    port: u16,
}

impl System {
    fn start(table: &str, row: usize) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", table, &row.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("the system has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self {
            child,
            port: line.trim().parse()?,
        })
    }

    fn ask(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer
            .split_once("\r\n\r\n")
            .ok_or("the system gave no answer")?;
        Ok(body.to_owned())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // It may be gone already; there is nothing else to do with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
