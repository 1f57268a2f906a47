//! A watching run is scraped until its first scan is done, then held against what the store says.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::scrape::Scrape;
use super::systems::{self, CONTENT, RECORDS, SECRET};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";
/// How long anything is waited for.
const BOUND: Duration = Duration::from_secs(60);

pub struct Watched {
    child: Child,
    address: String,
    log: tokio::sync::mpsc::UnboundedReceiver<String>,
    pub seen: Vec<String>,
}

impl Watched {
    /// Starts the run, with these arguments and variables, and waits until it serves.
    pub async fn start(folder: &Path, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(
            folder,
            &["run", "--watch", "--metrics-address", "127.0.0.1:0"],
        )
        .args(["--log", "syncline=trace", "--log-format", "json", "-f"])
        .arg(folder.join("manifests.yaml"))
        .args(more)
        .envs(variables.iter().copied())
        .kill_on_drop(true)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                // Whoever listened has seen enough.
                let _ = sender.send(line);
            }
        });
        let mut watched = Self {
            child,
            address: String::new(),
            log,
            seen: Vec::new(),
        };
        let line = watched.line_with("serving /healthz").await;
        watched.address = line["address"].as_str().unwrap().to_owned();
        watched
    }

    /// The next line of the log that says this.
    pub async fn line_with(&mut self, text: &str) -> Value {
        let next = async {
            loop {
                let line = self.log.recv().await.expect("it ended before it said so");
                self.seen.push(line.clone());
                if line.contains(text) {
                    return serde_json::from_str(&line).expect("a line of JSON");
                }
            }
        };
        match tokio::time::timeout(BOUND, next).await {
            Ok(line) => line,
            Err(_) => panic!("{text:?} was not logged"),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Scrapes until `series` has this value.
    async fn until(&self, series: &str, wanted: f64) -> Scrape {
        let end = Instant::now() + BOUND;
        loop {
            let scrape = Scrape::of(&self.address, OPENMETRICS).await;
            if scrape.value(series) == wanted {
                return scrape;
            }
            assert!(
                Instant::now() < end,
                "{series} is not {wanted}:\n{}",
                scrape.text
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
    command.args(args).arg("--state").arg(folder.join("state"));
    command
}

fn of_sync(name: &str, label: &str) -> String {
    format!(r#"syncline_sync_{name}{{namespace="default",sync="items"{label}}}"#)
}

fn of_connection(name: &str, connection: &str, label: &str) -> String {
    format!(r#"syncline_connection_{name}{{namespace="default",connection="{connection}"{label}}}"#)
}

#[tokio::test]
async fn what_is_scraped_is_what_happened_and_holds_no_secret() {
    let (port, systems) = systems::start().await;
    let folder = tempfile::tempdir().unwrap();
    let manifests = systems::manifests(port);
    std::fs::write(folder.path().join("manifests.yaml"), manifests).unwrap();
    let mut watched = Watched::start(folder.path(), &[], &[]).await;

    let dead = RECORDS / 10;
    let reason = of_sync("dead_letters", r#",reason="Permanent""#);
    watched.until(&reason, dead as f64).await;
    let created = of_sync("records_total", r#",outcome="created""#);
    let scrape = watched.until(&created, (RECORDS - dead) as f64).await;

    let written = systems.written.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(written, RECORDS - dead);
    let records = |outcome: &str| {
        scrape.value(&of_sync(
            "records_total",
            &format!(r#",outcome="{outcome}""#),
        ))
    };
    assert_eq!(records("read"), RECORDS as f64);
    assert_eq!(records("dead"), dead as f64);
    assert_eq!(
        scrape.value(&of_sync("freshness_max_age_seconds", "")),
        7200.0
    );
    assert!(
        scrape.has(&of_sync("freshness_age_seconds", "")),
        "{}",
        scrape.text
    );
    assert!(scrape.value(&of_sync("freshness_age_seconds", "")) < 60.0);
    assert_eq!(
        scrape.value(&of_sync("scan_duration_seconds_count", "")),
        1.0
    );

    let class = |class: &str| {
        scrape.value(&of_connection(
            "requests_total",
            "target",
            &format!(r#",class="{class}""#),
        ))
    };
    assert_eq!(class("Success"), written as f64);
    assert_eq!(class("Permanent"), dead as f64);
    assert_eq!(class("RateLimited"), 1.0);
    let sent = scrape.value(&of_connection(
        "request_duration_seconds_count",
        "target",
        "",
    ));
    assert_eq!(sent, (written + dead + 1) as f64);
    // The system asked for a pause of one second, which at least the refused request waited for.
    assert!(scrape.value(&of_connection("limit_wait_seconds_total", "target", "")) >= 0.9);
    assert_eq!(
        scrape.value(&of_connection("circuit_open", "target", "")),
        0.0
    );

    let completed = watched.line_with("scan completed").await;
    assert_eq!(completed["sync"], "default/items");
    assert!(completed["run"].is_number(), "{completed}");
    let plain = Scrape::of(&watched.address, "text/plain").await;
    assert!(plain.has(&created) && !plain.text.contains("# EOF"));

    stop(&mut watched).await;
    let report = status(folder.path()).await;
    assert_eq!(report[0]["totals"]["dead"]["Permanent"], dead);
    for text in watched.seen.iter().chain([&scrape.text, &plain.text]) {
        for canary in [SECRET, CONTENT, "token="] {
            assert!(!text.contains(canary), "{canary} is in\n{text}");
        }
    }
}

/// Ends the run as Ctrl-C does, and reads its log to the end.
pub async fn stop(watched: &mut Watched) {
    let pid = watched.pid().to_string();
    let kill = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(kill.unwrap().success());
    let ended = tokio::time::timeout(BOUND, watched.child.wait()).await;
    ended.expect("it ends when it is told to").unwrap();
    while let Some(line) = watched.log.recv().await {
        watched.seen.push(line);
    }
    assert!(watched.seen.iter().any(|line| line.contains("run ended")));
}

async fn status(folder: &Path) -> Value {
    let output = command(folder, &["status", "--output", "json"])
        .output()
        .await;
    serde_json::from_slice(&output.unwrap().stdout).unwrap()
}
