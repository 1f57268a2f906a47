//! The demo's shop and CRM as processes of their own, which end with the value that stands for them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use serde_json::Value;

/// A system over loopback; ends with this value.
pub struct System {
    pub url: String,
    child: Child,
}

impl Drop for System {
    fn drop(&mut self) {
        // It may have ended by itself; a test that fails says more than this could.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the examples, which is beside the binary.
fn built() -> PathBuf {
    static BUILD: Once = Once::new();
    let binary = Path::new(env!("CARGO_BIN_EXE_syncline"));
    let folder = binary.parent().expect("a folder").join("examples");
    // `cargo test` has built them already, `cargo test --test preview` has not.
    BUILD.call_once(|| {
        if folder.join("shop").exists() && folder.join("crm").exists() {
            return;
        }
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "build",
            "--quiet",
            "--locked",
            "--example",
            "shop",
            "--example",
            "crm",
        ]);
        cargo.args((!cfg!(debug_assertions)).then_some("--release"));
        let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(
            status.expect("cargo starts").success(),
            "the examples build"
        );
    });
    folder
}

impl System {
    pub fn start(name: &str, flags: &[&str]) -> Self {
        let mut child = Command::new(built().join(name))
            .args(["--port", "0"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{name} starts: {e}"));
        let out = child.stdout.take().expect("stdout is a pipe");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        let (_, url) = line
            .trim()
            .split_once(" listens on ")
            .unwrap_or_else(|| panic!("{name} said {line:?}"));
        Self {
            url: url.to_owned(),
            child,
        }
    }

    /// What a route answers; the demo's own routes need no credentials.
    pub fn get(&self, path: &str) -> Value {
        call(reqwest::Method::GET, &format!("{}{path}", self.url), None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Value {
        call(
            reqwest::Method::POST,
            &format!("{}{path}", self.url),
            Some(body),
        )
    }
}

fn call(method: reqwest::Method, url: &str, body: Option<&Value>) -> Value {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| {
        // Somebody else in this process may have chosen it.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let mut request = reqwest::Client::new().request(method, url);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        let bytes = answer.bytes().await.expect("a body");
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    })
}
