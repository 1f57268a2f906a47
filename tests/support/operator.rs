//! The real `syncline controller` as a process, for tests: it is started, asked how it is, stopped, frozen and
//! killed. Knows neither manifests nor systems. Test binaries include it by path, beside `cluster`.
#![allow(dead_code)] // every test binary uses a part of it

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::cluster::{eventually, text};

const BINARY: &str = env!("CARGO_BIN_EXE_syncline");
/// How long it may take to start or to end.
const BOUND: Duration = Duration::from_secs(60);

/// A running controller. It ends when this is dropped, and when the test process ends in whatever way.
pub struct Operator {
    child: Child,
    /// Waits for the end of its standard input, which is this process's, and then kills the controller.
    watchdog: Child,
    pub log_file: PathBuf,
    /// Holds its log, and its state unless that is elsewhere.
    pub folder: tempfile::TempDir,
}

impl Operator {
    /// Starts it as the account of a kubeconfig, with its state in a folder of its own.
    pub fn start(kubeconfig: &Path, args: &[&str]) -> Self {
        Self::start_with_variables(kubeconfig, args, &[])
    }

    /// The same with these variables.
    pub fn start_with_variables(
        kubeconfig: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let state = state.to_str().unwrap();
        Self::launch(folder, kubeconfig, state, args, variables)
    }

    /// Starts it with its state elsewhere.
    pub fn start_with_state(kubeconfig: &Path, state: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::launch(folder, kubeconfig, state, args, &[])
    }

    fn launch(
        folder: tempfile::TempDir,
        kubeconfig: &Path,
        state: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let log = folder.path().join("log");
        let child = Command::new(BINARY)
            .args(["controller", "--metrics-address", "127.0.0.1:0"])
            .args(["--state", state])
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -KILL \"$1\"", "sh"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            watchdog,
            log_file: log,
            folder,
        }
    }

    pub fn log(&self) -> String {
        text(&std::fs::read(&self.log_file).unwrap_or_default())
    }

    /// The address that a line of its log names.
    fn address(&self, said: &str) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(said))?;
        let at = line.find("127.0.0.1:")?;
        let rest = line[at..].char_indices();
        let end = rest
            .skip("127.0.0.1:".len())
            .find(|(_, c)| !c.is_ascii_digit())
            .map_or(line.len(), |(i, _)| at + i);
        Some(line[at..end].to_owned())
    }

    /// Where it serves its health and its metrics, as soon as it says so.
    pub fn metrics_address(&self) -> Option<String> {
        self.address("serving /healthz")
    }

    /// Where it receives webhooks, as soon as it says so.
    pub fn webhook_address(&self) -> Option<String> {
        self.address("receiving webhooks")
    }

    /// Asks it something: status and body.
    pub fn get(&self, path: &str) -> Result<(u16, String), String> {
        let address = self
            .metrics_address()
            .ok_or_else(|| "it serves nothing yet".to_owned())?;
        ask(&address, path).map_err(|error| error.to_string())
    }

    pub fn metrics(&self) -> String {
        self.get("/metrics").expect("it serves its metrics").1
    }

    /// Waits until `/readyz` says this with this status.
    pub fn until_ready_says(&self, status: u16, wanted: &str) {
        eventually(BOUND, || match self.get("/readyz") {
            Ok((code, body)) if code == status && body.contains(wanted) => Ok(()),
            other => Err(format!("{other:?}, not {status} {wanted}\n{}", self.log())),
        });
    }

    pub fn until_leading(&self) {
        self.until_ready_says(200, "leading");
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.unwrap().success(), "{name} is sent");
    }

    /// Ends it at once, as a machine that fails does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Tells it to end and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        let end = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // A test that fails says more than these could.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An HTTP request without ceremony.
fn ask(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = text(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).and_then(|s| s.parse().ok());
    Ok((status.unwrap_or(0), body.to_owned()))
}
