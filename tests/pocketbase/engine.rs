//! Runs the real binary with the manifests of examples/pocketbase, to its end or until it is killed.
//! Knows nothing of what it should do; `main` judges.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

pub struct Engine {
    folder: tempfile::TempDir,
    sync: &'static str,
}

impl Engine {
    pub fn new(sync: &'static str) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        Self { folder, sync }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Copies the manifests that README.md names, with other addresses in them.
    pub fn write_manifests(&self, changes: &[(&str, &str)]) {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let mut files: Vec<_> = ["shop", "crm", "credentials"]
            .map(|name| {
                examples
                    .join("shop-to-crm")
                    .join(name)
                    .with_extension("yaml")
            })
            .to_vec();
        let own = std::fs::read_dir(examples.join("pocketbase/manifests")).expect("manifests");
        files.extend(own.map(|entry| entry.expect("a manifest").path()));
        std::fs::create_dir(self.folder().join("manifests")).expect("a folder");
        for (n, file) in files.iter().enumerate() {
            let mut text = std::fs::read_to_string(file).expect("a manifest");
            for (from, to) in changes {
                text = text.replace(from, to);
            }
            std::fs::write(self.folder().join(format!("manifests/{n}.yaml")), text)
                .expect("a manifest");
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_syncline"));
        command
            .args(args)
            .args(["--output", "json", "--state"])
            .arg(self.folder().join("state"))
            .stdin(Stdio::null());
        command
    }

    fn run_command(&self) -> Command {
        let mut command = self.command(&["run", "--once", self.sync]);
        command.arg("-f").arg(self.folder().join("manifests"));
        command
    }

    /// One run to its good end; answers its line of JSON.
    pub fn run(&self) -> Value {
        let ended = self.run_command().output().expect("the binary starts");
        assert!(ended.status.success(), "{}", said(&ended));
        serde_json::from_slice(&ended.stdout)
            .unwrap_or_else(|_| panic!("no line of JSON: {}", said(&ended)))
    }

    /// One run that fails; answers what it said.
    pub fn run_and_fail(&self) -> String {
        let ended = self.run_command().output().expect("the binary starts");
        assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
        said(&ended)
    }

    /// A run that is ended by SIGKILL as soon as `now` says so; false: it ended by itself before.
    pub async fn run_until_killed(&self, now: impl AsyncFn() -> bool) -> bool {
        let mut child = self
            .run_command()
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts");
        for _ in 0..6_000 {
            if child
                .try_wait()
                .expect("the binary can be watched")
                .is_some()
            {
                return false;
            }
            if now().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.kill().expect("the binary can be killed");
        child.wait().expect("the binary has ended").signal() == Some(9)
    }

    /// The keys of all dead letters.
    pub fn dead_letters(&self) -> BTreeSet<String> {
        let listed = self
            .command(&["deadletters", "list"])
            .output()
            .expect("the binary starts");
        let list: Vec<Value> =
            serde_json::from_slice(&listed.stdout).expect("a list of dead letters");
        list.iter()
            .map(|one| one["key"].as_str().expect("a key").to_owned())
            .collect()
    }
}

fn said(ended: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    )
}
