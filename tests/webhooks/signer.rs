//! Deliveries signed by the vendors' own libraries (npm `standardwebhooks`, `stripe`, `@octokit/webhooks`), in
//! a node process. Installed once into a cache outside of the checkout.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

/// A node process that signs.
pub struct Signer {
    child: Child,
    into: ChildStdin,
    out: BufReader<ChildStdout>,
}

impl Signer {
    pub fn start() -> Self {
        let folder = installed();
        let mut child = Command::new("node")
            .arg(folder.join("sign.mjs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts; install Node.js 20 or newer");
        let into = child.stdin.take().expect("a pipe");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, into, out }
    }

    /// The headers of a delivery.
    pub fn sign(
        &mut self,
        way: &str,
        secret: &str,
        id: &str,
        body: &str,
        at: i64,
    ) -> Vec<(String, String)> {
        let request = json!({"way": way, "secret": secret, "id": id, "body": body, "at": at});
        writeln!(self.into, "{request}").expect("node listens");
        let mut line = String::new();
        self.out.read_line(&mut line).expect("node answers");
        let headers: Value =
            serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        let headers = headers.as_object().expect("headers");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        headers
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // A test that fails says more than this could.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder with the libraries; one test installs them for all.
fn installed() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _guard = INSTALLING.lock();
    INSTALLED
        .get_or_init(|| {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let home =
                || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
            let folder = cache.unwrap_or_else(home).join("syncline/webhook-signers");
            std::fs::create_dir_all(&folder).expect("a cache folder");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/webhooks/sdks");
            let mut changed = !folder.join("node_modules").exists();
            for file in ["package.json", "package-lock.json", "sign.mjs"] {
                let new = std::fs::read(source.join(file)).expect("a file of the test");
                changed |= file != "sign.mjs"
                    && std::fs::read(folder.join(file)).ok() != Some(new.clone());
                std::fs::write(folder.join(file), new).expect("the cache can be written");
            }
            if changed {
                let install = Command::new("npm")
                    .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
                    .current_dir(&folder)
                    .output()
                    .expect("npm starts; install Node.js 20 or newer with npm");
                assert!(
                    install.status.success(),
                    "{}",
                    String::from_utf8_lossy(&install.stderr)
                );
            }
            folder
        })
        .clone()
}
