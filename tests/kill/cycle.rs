//! Runs the real binary once and ends it in the chosen way. Knows the command line and nothing of what
//! the run should have done; `main` calls it over and over, `judge` looks at what is left.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use serde::Deserialize;

use crate::oracle::{Moment, Oracle};
use crate::state::State;

/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

/// The boundaries at which a debug build ends itself, as abruptly as by `kill -9`.
pub const BOUNDARIES: [&str; 8] = [
    "before-t1",
    "after-t1",
    "before-t2",
    "after-t2",
    "before-send",
    "after-send",
    "before-t3",
    "after-t3",
];

/// How a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// By itself.
    Never,
    /// At the n-th passing of a boundary inside the engine.
    Crash(&'static str, u64),
    /// By SIGKILL at the n-th passing of a moment in the systems.
    Kill(Moment, u64),
}

/// What the test's other threads tell the one that watches the engine.
pub enum Event {
    KillNow,
    Exited,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Killed,
    Finished(i32),
}

/// A record that the engine gave up on, as `syncline deadletters list` shows it.
#[derive(Deserialize, Clone, Debug)]
pub struct DeadLetter {
    pub key: String,
    pub reason: String,
    pub ambiguous: bool,
}

/// The engine's binary with its manifests and its state.
pub struct Engine {
    pub folder: PathBuf,
    pub state: State,
    pub events: Receiver<Event>,
    pub sender: Sender<Event>,
}

impl Engine {
    /// Runs all Syncs once.
    pub fn run(&self, oracle: &Oracle, stop: Stop) -> Ended {
        let mut command = self.command(&["run"]);
        command.arg("--once");
        match stop {
            Stop::Never => {}
            Stop::Crash(boundary, nth) => {
                command.env("SYNCLINE_CRASH_AT", format!("{boundary}:{nth}"));
            }
            Stop::Kill(moment, nth) => oracle.world().kill = Some((moment, nth)),
        }
        oracle
            .world()
            .journal
            .push(format!("run that ends: {stop:?}"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .expect("a log file");
        let out = log.try_clone().expect("a second handle of the log");
        (&log)
            .write_all(format!("--- {stop:?}\n").as_bytes())
            .expect("the log can be written");
        let mut child = command
            .stdout(out)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("stderr is a pipe");
        let reader = std::thread::spawn({
            let exited = self.sender.clone();
            move || copy(stderr, log, &exited)
        });
        let status = self.watch(&mut child);
        reader.join().expect("the reader of stderr does not panic");
        oracle.settle();
        oracle.world().kill = None;
        // A kill that was asked for in the moment of the end is for nobody.
        self.events.try_iter().for_each(drop);
        match status.code() {
            Some(code) => Ended::Finished(code),
            None => {
                assert!(
                    matches!(status.signal(), Some(6 | 9)),
                    "the engine died of {status}"
                );
                Ended::Killed
            }
        }
    }

    fn watch(&self, child: &mut Child) -> ExitStatus {
        loop {
            match self.events.recv_timeout(LONGEST) {
                Ok(Event::KillNow) => child.kill().expect("the engine can be killed"),
                Ok(Event::Exited) => return child.wait().expect("the engine has ended"),
                Err(RecvTimeoutError::Timeout) => {
                    child.kill().expect("the engine can be killed");
                    child.wait().expect("the engine has ended");
                    panic!(
                        "a run did not end within {LONGEST:?}; see {}",
                        self.log().display()
                    );
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("a sender is kept in self"),
            }
        }
    }

    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        let output = self
            .command(&["deadletters", "list"])
            .args(["--output", "json"])
            .output()
            .expect("the binary starts");
        assert!(
            output.status.success(),
            "deadletters list: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!(
                "deadletters list gave no JSON list: {error}: {}",
                String::from_utf8_lossy(&output.stdout)
            )
        })
    }

    /// Does what the engine tells a person to do about a create whose answer is not known: look in the
    /// target; is it there, discard the dead letter, is it not, replay it.
    pub fn decide(&self, letter: &DeadLetter, is_there: bool) {
        let verb = if is_there { "discard" } else { "replay" };
        let status = self
            .command(&["deadletters", verb])
            .args(["records", letter.key.as_str(), "--output", "json"])
            .stdout(Stdio::null())
            .status()
            .expect("the binary starts");
        assert!(
            status.success(),
            "deadletters {verb} {}: {status}",
            letter.key
        );
    }

    /// Everything that the runs said.
    pub fn log(&self) -> PathBuf {
        self.folder.join("engine.log")
    }

    pub fn manifests(folder: &Path) -> PathBuf {
        folder.join("manifests")
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command.args(verb);
        if verb[0] == "run" {
            command.arg("-f").arg(Self::manifests(&self.folder));
        }
        command
            .arg("--state")
            .arg(&self.state.setting)
            .stdin(Stdio::null());
        command.env_remove("SYNCLINE_CRASH_AT");
        command
    }
}

/// Copies what the engine says to its log and tells when it has ended: that closes the pipe.
fn copy(mut from: impl Read, mut to: File, exited: &Sender<Event>) {
    std::io::copy(&mut from, &mut to).expect("the log can be written");
    // Nobody listens any more when the test has failed already.
    let _ = exited.send(Event::Exited);
}
