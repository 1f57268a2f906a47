//! A real API server for tests: etcd, kube-apiserver with RBAC and kube-controller-manager, started in seconds
//! by `tests/cluster/start`, with our CustomResourceDefinitions in it. Test binaries include it by path.
#![allow(dead_code)] // every test binary uses a part of it

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, thread};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A running API server. It ends when this is dropped, and when the test process ends in whatever way: the
/// script that supervises it ends with its standard input.
pub struct ApiServer {
    folder: PathBuf,
    kubectl: PathBuf,
    supervisor: Mutex<Supervisor>,
    namespaces: AtomicU32,
}

struct Supervisor {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl ApiServer {
    /// The API server that all tests of this process share; each takes a namespace of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ApiServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts an API server for one test, which may stop it.
    pub fn start() -> Self {
        let server = Self::start_empty();
        let crds = Path::new(ROOT).join("crds");
        server.run(&["apply", "--server-side", "-f", crds.to_str().unwrap()]);
        server.wait_for_crds();
        server
    }

    /// Starts an API server that doesn't know our kinds yet.
    pub fn start_empty() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("syncline-cluster-")
            .tempdir()
            .unwrap()
            .keep(); // the script removes it, since a static is never dropped
        let mut child = Command::new(script("start"))
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tests/cluster/start runs");
        let supervisor = Supervisor {
            orders: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        let server = Self {
            folder,
            kubectl: program("kubectl"),
            supervisor: Mutex::new(supervisor),
            namespaces: AtomicU32::new(0),
        };
        server.supervisor.lock().unwrap().expect("ready");
        server
    }

    /// An administrator's kubeconfig. Only for what prepares a test: what is tested runs as its ServiceAccount.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Where the logs of etcd, kube-apiserver and kube-controller-manager are, while it runs.
    pub fn logs(&self) -> PathBuf {
        self.folder.join("logs")
    }

    /// The kubectl of the server's own version, as administrator.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(self.kubeconfig());
        command
    }

    /// Runs kubectl and gives its standard output; a failure fails the test with what kubectl said.
    pub fn run(&self, arguments: &[&str]) -> String {
        succeed(self.kubectl().args(arguments), "")
    }

    /// Applies manifests, server side, into a namespace. Gives what kubectl said, or why it refused.
    pub fn apply(&self, namespace: &str, manifests: &str) -> Result<String, String> {
        let mut command = self.kubectl();
        command.args([
            "apply",
            "--server-side",
            "--namespace",
            namespace,
            "-f",
            "-",
        ]);
        let output = feed(&mut command, manifests);
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// Makes a namespace with a name of its own.
    pub fn namespace(&self, hint: &str) -> String {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        let name = format!("{hint}-{number}");
        self.run(&["create", "namespace", &name]);
        name
    }

    /// Makes a kubeconfig that speaks as a ServiceAccount, with a token of an hour and its namespace as default.
    pub fn service_account(&self, namespace: &str, name: &str) -> PathBuf {
        let token = self.run(&[
            "create",
            "token",
            name,
            "--namespace",
            namespace,
            "--duration",
            "1h",
        ]);
        let path = self.folder.join(format!("{namespace}.{name}.kubeconfig"));
        let admin = fs::read_to_string(self.kubeconfig()).unwrap();
        let server = admin
            .lines()
            .find(|line| line.starts_with("clusters:"))
            .unwrap();
        let file = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\n{server}\n\
             users: [{{name: test, user: {{token: {}}}}}]\n\
             contexts: [{{name: test, context: {{cluster: test, user: test, namespace: {namespace}}}}}]\n",
            token.trim()
        );
        fs::write(&path, file).unwrap();
        path
    }

    /// Stops kube-apiserver; what is in etcd stays.
    pub fn stop_api(&self) {
        self.supervisor
            .lock()
            .unwrap()
            .order("stop kube-apiserver", "stopped");
    }

    /// Starts kube-apiserver again, on the same port, and waits until it is ready.
    pub fn start_api(&self) {
        self.supervisor
            .lock()
            .unwrap()
            .order("start kube-apiserver", "ready");
    }

    /// Waits until the API server serves our kinds, which were applied before.
    pub fn wait_for_crds(&self) {
        let crds =
            ["connections", "mappings", "syncs"].map(|kind| format!("crd/{kind}.syncline.dev"));
        let mut command = self.kubectl();
        command
            .args(["wait", "--for=condition=Established", "--timeout=60s"])
            .args(crds);
        succeed(&mut command, "");
    }

    /// Gives a namespace the ServiceAccount and the roles that the chart gives the operator, with values as
    /// `--set` takes them. Gives a kubeconfig that speaks as that ServiceAccount.
    pub fn install_roles(&self, namespace: &str, values: &[&str]) -> PathBuf {
        let mut helm = Command::new(program("helm"));
        helm.args(["template", "syncline", "--namespace", namespace])
            .arg(Path::new(ROOT).join("charts/syncline"))
            .args([
                "--show-only=templates/rbac.yaml",
                "--show-only=templates/serviceaccount.yaml",
            ]);
        helm.args(values.iter().flat_map(|value| ["--set", value]));
        let rendered = succeed(&mut helm, "");
        // Without a namespace of its own: the roles name theirs.
        let mut kubectl = self.kubectl();
        kubectl.args(["apply", "--server-side", "--force-conflicts", "-f", "-"]);
        succeed(&mut kubectl, &rendered);
        self.service_account(namespace, "syncline")
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let supervisor = self.supervisor.get_mut().unwrap();
        drop(supervisor.orders.take());
        let _ = supervisor.child.wait();
    }
}

impl Supervisor {
    /// Waits for a line; the script itself bounds how long that takes.
    fn expect(&mut self, wanted: &str) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert_eq!(
            line.trim(),
            wanted,
            "the test cluster said something else; see above"
        );
    }

    fn order(&mut self, order: &str, answer: &str) {
        let orders = self.orders.as_mut().expect("it runs");
        writeln!(orders, "{order}").unwrap();
        self.expect(answer);
    }
}

/// A script of `tests/cluster`.
pub fn script(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/cluster").join(name)
}

/// Where a program of the test cluster is, built if need be.
pub fn program(name: &str) -> PathBuf {
    PathBuf::from(succeed(Command::new(script("build")).arg(name), "").trim())
}

/// Runs a command to its end, with this on its standard input.
pub fn feed(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Written beside the reading: a full pipe on both sides would wait for ever.
    let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The standard output of a command that succeeds.
pub fn succeed(command: &mut Command, input: &str) -> String {
    let output = feed(command, input);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// What a program said.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until a condition holds, and fails the test with what was seen last when it does not within the bound.
pub fn eventually(within: Duration, mut holds: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + within;
    loop {
        match holds() {
            Ok(()) => return,
            Err(last) if Instant::now() >= end => panic!("not within {within:?}: {last}"),
            Err(_) => thread::sleep(Duration::from_millis(100)),
        }
    }
}
