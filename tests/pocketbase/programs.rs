//! The programs of the test: PocketBase, built with Go and kept in a cache, and the demo's shop and CRM,
//! built with Cargo. Each runs on loopback until it is dropped. Knows nothing of what is in them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A program that takes longer to listen does not start at all.
const LONGEST_START: Duration = Duration::from_secs(60);

/// A system that runs; killed when dropped.
pub struct System {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub url: String,
}

impl Drop for System {
    fn drop(&mut self) {
        // It may be gone already; there is nothing else to do with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of the demo's systems.
pub fn example(name: &str, flags: &[&str]) -> System {
    let mut command = Command::new(examples().join(name));
    let mut child = command
        .args(["--port", "0"])
        .args(flags)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("examples/{name} does not start: {error}"));
    let mut line = String::new();
    let out = child.stdout.take().expect("stdout is a pipe");
    BufReader::new(out)
        .read_line(&mut line)
        .expect("it says where it listens");
    let url = line
        .split_once("listens on ")
        .expect("it says where it listens")
        .1;
    System {
        url: url.trim().to_owned(),
        child,
    }
}

/// The folder with the demo's systems, built once.
fn examples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_syncline")).with_file_name("examples");
        // `cargo test` has built them already, `cargo test --test pocketbase` has not.
        if folder.join("shop").exists() && folder.join("crm").exists() {
            return folder;
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
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(
            built.expect("cargo runs").success(),
            "the examples cannot be built"
        );
        folder
    })
}

/// PocketBase with an empty data folder and the superuser of the manifests, as examples/pocketbase/README.md
/// starts it.
pub fn pocketbase(data: &Path) -> System {
    let program = built_pocketbase();
    let data = data.to_str().expect("paths of tests are text");
    let superuser = [
        "superuser",
        "upsert",
        "syncline@example.com",
        "demo-password",
    ];
    let made = Command::new(program)
        .args(superuser)
        .args(["--dir", data, "--dev=false"])
        .output()
        .expect("PocketBase starts");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let began = Instant::now();
    loop {
        let port = free_port();
        let mut child = Command::new(program)
            .args([
                "serve",
                "--http",
                &format!("127.0.0.1:{port}"),
                "--dir",
                data,
                "--dev=false",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PocketBase starts");
        while child
            .try_wait()
            .expect("PocketBase can be watched")
            .is_none()
        {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return System {
                    url: format!("http://127.0.0.1:{port}"),
                    child,
                };
            }
            assert!(
                began.elapsed() < LONGEST_START,
                "PocketBase does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        // It ended: somebody else took the port in between.
        assert!(began.elapsed() < LONGEST_START, "PocketBase ends by itself");
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("an address").port()
}

/// The program, built once for each content of its sources and kept in the user's cache.
fn built_pocketbase() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pocketbase");
        let content: Vec<u8> = ["main.go", "go.mod", "go.sum"]
            .iter()
            .flat_map(|file| std::fs::read(source.join(file)).expect("a source file"))
            .collect();
        let print = xxhash_rust::xxh3::xxh3_128(&content);
        let folder = cache().join("syncline/pocketbase");
        let program = folder.join(format!("{print:032x}"));
        if !program.exists() {
            std::fs::create_dir_all(&folder).expect("the cache can be written");
            // Renamed when it is whole: somebody else may be building it as well.
            let unfinished = folder.join(format!("{print:032x}.{}", std::process::id()));
            build(&source, &unfinished);
            std::fs::rename(&unfinished, &program).expect("the cache can be written");
        }
        program
    })
}

fn build(source: &Path, to: &Path) {
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(to)
        .arg(".")
        .current_dir(source)
        .output();
    match built {
        Ok(built) if built.status.success() => {}
        Ok(built) => panic!(
            "PocketBase cannot be built: {}; it needs Go 1.25 or later and the Go module proxy",
            String::from_utf8_lossy(&built.stderr)
        ),
        Err(error) => panic!(
            "this test builds PocketBase with Go, and `go` cannot be run ({error}): install Go 1.25 or later \
             (https://go.dev/dl/) and put it into PATH, or leave this test out with `cargo test -- --skip pocketbase`"
        ),
    }
}

/// The user's cache folder (XDG Base Directory Specification).
fn cache() -> PathBuf {
    match std::env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => Path::new(&std::env::var_os("HOME").expect("HOME is set")).join(".cache"),
    }
}
