//! The operator in a namespace of its own, and commands against it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::cluster::{ApiServer, text};
use super::operator::Operator;

const BINARY: &str = env!("CARGO_BIN_EXE_syncline");

pub struct Controller {
    operator: Operator,
    pub namespace: String,
    kubeconfig: PathBuf,
}

impl Controller {
    /// Starts the controller for a new namespace, which it is given by the chart's roles.
    pub fn start(server: &ApiServer, hint: &str) -> Self {
        let namespace = server.namespace(hint);
        let roles = server.install_roles(&namespace, &[]);
        Self {
            operator: Operator::start(&roles, &[]),
            namespace,
            kubeconfig: server.kubeconfig(),
        }
    }

    pub fn log(&self) -> String {
        self.operator.log()
    }

    /// What Prometheus would read.
    pub fn metrics(&self) -> String {
        self.operator.metrics()
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
