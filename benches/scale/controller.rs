//! The controller as a process of its own, and what it takes of the machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// It ends when this is dropped.
pub struct Controller {
    child: Child,
    folder: tempfile::TempDir,
}

/// Resident memory in MiB (proc_pid_status(5)).
pub struct Memory {
    pub now: f64,
    pub peak: f64,
}

impl Controller {
    /// Starts it with new state and the rights of this kubeconfig.
    pub fn start(roles: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let program = std::env::var_os("SYNCLINE_SCALE_PROGRAM")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_syncline").into());
        let child = Command::new(program)
            .args(["controller", "--metrics-address", "127.0.0.1:0", "--state"])
            .arg(folder.path().join("state"))
            .env("KUBECONFIG", roles)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self { child, folder })
    }

    fn read(&self, file: &str) -> Result<String> {
        let place = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&place).with_context(|| {
            let log = self.folder.path().join("log");
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let end = log.lines().rev().take(5).collect::<Vec<_>>().join("\n");
            format!("{place}: the controller has ended:\n{end}")
        })
    }

    pub fn memory(&self) -> Result<Memory> {
        let status = self.read("status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.map(|kib| kib / 1024.0).context("no such line")
        };
        Ok(Memory {
            now: field("VmRSS:")?,
            peak: field("VmHWM:")?,
        })
    }

    /// Seconds of CPU since its start (proc_pid_stat(5), in hundredths on every Linux).
    pub fn cpu(&self) -> Result<f64> {
        let stat = self.read("stat")?;
        let (_, after) = stat.rsplit_once(')').context("no name")?;
        let ticks = after
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|t| t.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / 100.0)
    }

    pub fn stop(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
