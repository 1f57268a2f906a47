//! The controller in a namespace of its own, and commands against it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::cluster::{ApiServer, text};

const BINARY: &str = env!("CARGO_BIN_EXE_syncline");

pub struct Controller {
    child: Child,
    pub folder: tempfile::TempDir,
    pub namespace: String,
    kubeconfig: PathBuf,
}

impl Controller {
    /// Starts the controller for a new namespace, which it is given by the chart's roles.
    pub fn start(server: &ApiServer, hint: &str) -> Self {
        let namespace = server.namespace(hint);
        let roles = server.install_roles(&namespace, &[]);
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(BINARY)
            .args(["controller", "--metrics-address", "127.0.0.1:0", "--state"])
            .arg(folder.path().join("state"))
            .env("KUBECONFIG", roles)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            folder,
            namespace,
            kubeconfig: server.kubeconfig(),
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Where it serves its metrics, as soon as it says so.
    pub fn address(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("serving /healthz"))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line["address"].as_str()?.to_owned())
    }

    /// Runs the program against the cluster as an administrator.
    pub fn command(&self, args: &[&str]) -> Output {
        self.command_as(Path::new(BINARY), args)
    }

    /// Runs the program under another name.
    pub fn command_as(&self, program: &Path, args: &[&str]) -> Output {
        Command::new(program)
            .args(args)
            .args(["--namespace", &self.namespace, "--kubeconfig"])
            .arg(&self.kubeconfig)
            .output()
            .unwrap()
    }

    /// The output of a command that exits with this code.
    pub fn expect(&self, code: i32, args: &[&str]) -> String {
        let output = self.command(args);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {said}\n{}",
            self.log()
        );
        said
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
