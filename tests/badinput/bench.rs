//! Runs one row: systems, manifests and state in a folder of their own, the real binary in between. Holds
//! every row to what all have in common; `main` holds the rows themselves.

use std::any::Any;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::disk::Disk;
use crate::manifests::{Write, yaml};
use crate::server::serve;
use crate::world::{Fault, KEY, Systems};

/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(50);
/// Peak memory of a run, whatever the systems send. An idle debug build takes about 40.
const MOST_MIB: u64 = 160;

/// One bad thing, what is said about it, and how it is got over.
#[derive(Clone, Copy)]
pub struct Row {
    pub write: Write,
    /// Whether all went well once before, and a customer has changed since.
    pub before: bool,
    /// Texts of the manifests that are replaced while the fault lasts.
    pub manifests: &'static [(&'static str, &'static str)],
    pub args: &'static [&'static str],
    /// What the systems do wrong.
    pub fault: Fault,
    /// What else is wrong; ends when the returned value is dropped.
    pub spoil: fn(&Bench) -> Box<dyn Any>,
    /// Parts of what the run says, in this order. PORT stands for the systems' port, STATE for the folder.
    pub says: &'static [&'static str],
    /// The exit code with the fault.
    pub exit: i32,
    /// Dead letters with the fault: key and parts of what `deadletters show` says; without a key, of what
    /// `deadletters export` says.
    pub dead: &'static [(&'static str, &'static [&'static str])],
    /// What a person does after the fault, before the program runs again.
    pub cure: Cure,
}

/// What a person does once the fault has gone.
#[derive(Clone, Copy)]
pub enum Cure {
    /// Only runs it again.
    Nothing,
    /// Runs it with these flags.
    Flags(&'static [&'static str]),
    /// Runs this command first.
    Command(&'static [&'static str]),
    /// Something else.
    Hand(fn(&Bench)),
}

/// A row in which nothing is wrong.
pub const ROW: Row = Row {
    write: Write::Searchable,
    before: false,
    manifests: &[],
    args: &[],
    fault: |_, _| None,
    spoil: |_| Box::new(()),
    says: &[],
    exit: 1,
    dead: &[],
    cure: Cure::Nothing,
};

/// Where a row happens.
pub struct Bench {
    folder: tempfile::TempDir,
    pub systems: Systems,
    pub port: u16,
    /// The state folder; a row may put it elsewhere.
    state: std::cell::RefCell<PathBuf>,
    environment: std::cell::RefCell<Vec<(&'static str, String)>>,
    kept: std::cell::RefCell<Vec<Box<dyn Any>>>,
    left_out: std::cell::Cell<bool>,
    /// Starts the binary where a disk is mounted.
    launcher: std::cell::RefCell<Vec<String>>,
}

/// How a run ended.
pub struct Ended {
    pub code: i32,
    /// Everything that it printed, with ports and folders replaced.
    pub said: String,
    pub peak_mib: u64,
}

impl Bench {
    pub fn start() -> Self {
        let systems = Systems::new();
        let port = serve(None, {
            let systems = systems.clone();
            move |request| systems.answer(request)
        });
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let state = folder.path().join("state").into();
        Self {
            folder,
            systems,
            port,
            state,
            environment: Vec::new().into(),
            kept: Vec::new().into(),
            left_out: false.into(),
            launcher: Vec::new().into(),
        }
    }

    pub fn state(&self) -> PathBuf {
        self.state.borrow().clone()
    }

    /// Moves the state folder to a disk of its own.
    pub fn move_to(&self, disk: &Disk) {
        *self.state.borrow_mut() = self.folder.path().join("disk/state");
        *self.launcher.borrow_mut() = disk.launcher();
    }

    /// A variable of the environment of all later runs.
    pub fn set(&self, name: &'static str, value: impl Into<String>) {
        self.environment.borrow_mut().push((name, value.into()));
    }

    /// Keeps something until the row ends.
    pub fn keep(&self, something: impl Any) {
        self.kept.borrow_mut().push(Box::new(something));
    }

    /// Leaves the row out, where the machine cannot do what it needs; who says so tells why.
    pub fn leave_out(&self) -> Box<dyn Any> {
        self.left_out.set(true);
        Box::new(())
    }

    pub fn manifests(&self) -> PathBuf {
        self.folder.path().join("all.yaml")
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    fn write_manifests(&self, write: Write, changes: &[(&str, &str)]) {
        let base = format!("http://127.0.0.1:{}", self.port);
        let text = yaml(write, &base, &base);
        std::fs::write(self.folder.path().join("all.yaml"), text).expect("manifests are written");
        for (from, to) in changes {
            let port = self.port.to_string();
            self.replace(&from.replace("PORT", &port), &to.replace("PORT", &port));
        }
    }

    /// Changes the manifests as they stand.
    pub fn replace(&self, from: &str, to: &str) {
        let file = self.folder.path().join("all.yaml");
        let text = std::fs::read_to_string(&file).expect("manifests are there");
        assert!(text.contains(from), "the manifests don't hold {from:?}");
        std::fs::write(file, text.replacen(from, to, 1)).expect("manifests are written");
    }

    /// Runs a command of the program to its end.
    pub fn run(&self, args: &[&str]) -> Ended {
        let (out, err) = (
            self.folder.path().join("out"),
            self.folder.path().join("err"),
        );
        let open = |path: &PathBuf| std::fs::File::create(path).expect("a log file");
        let mut words = self.launcher.borrow().clone();
        words.push(env!("CARGO_BIN_EXE_syncline").to_owned());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(args)
            .env_clear()
            .envs(
                self.environment
                    .borrow()
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .stdin(Stdio::null())
            .stdout(open(&out))
            .stderr(open(&err));
        let mut child = command.spawn().expect("the binary starts");
        let (began, mut peak_mib) = (Instant::now(), 0);
        let status = loop {
            if let Some(status) = child.try_wait().expect("the binary can be watched") {
                break status;
            }
            peak_mib = peak(child.id()).unwrap_or(peak_mib);
            if began.elapsed() > LONGEST {
                child.kill().expect("the binary can be ended");
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let text = |path| std::fs::read_to_string(path).expect("what was printed");
        let said = format!("{}{}", text(&out), text(&err))
            .replace(&self.state().display().to_string(), "STATE")
            .replace(&format!("127.0.0.1:{}", self.port), "127.0.0.1:PORT");
        Ended {
            code: status.code().unwrap_or(-1),
            said,
            peak_mib,
        }
    }

    /// Runs the Sync once; retries are waited for no longer than `wait` after the last progress.
    pub fn run_once(&self, wait: &str, more: &[&str]) -> Ended {
        let (manifests, state) = (self.folder.path().join("all.yaml"), self.state());
        let mut args = vec!["run", "--once", "--wait", wait, "-f"];
        args.extend([path(&manifests), "--state", path(&state)]);
        args.extend(more);
        self.run(&args)
    }

    /// A command that looks at the state.
    pub fn look(&self, args: &[&str]) -> Ended {
        let state = self.state();
        self.run(&[args, &["--state", path(&state)]].concat())
    }
}

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("paths of tests are text")
}

/// Peak resident memory of a process in MiB; `None` where `/proc` isn't or the process has gone.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib / 1024)
}

/// Runs a row from the beginning to its good end.
pub fn check(row: &Row) {
    let bench = Bench::start();
    bench.write_manifests(row.write, &[]);
    if row.before {
        let good = bench.run_once("5s", &[]);
        assert_eq!(good.code, 0, "before anything was wrong: {}", good.said);
        let mut world = bench.systems.world();
        assert_eq!(world.judge(true), Vec::<String>::new());
        let changed = world.customers.get_mut("c2").expect("a customer");
        *changed = ("Grace Hopper".to_owned(), "2026-11-06T10:00:00Z".to_owned());
    }
    bench.write_manifests(row.write, row.manifests);
    bench.systems.world().fault = Some(row.fault);
    bench.systems.world().requests.clear();
    let spoilt = (row.spoil)(&bench);
    if bench.left_out.get() {
        return;
    }
    let ended = bench.run_once("200ms", row.args);
    assert_eq!(
        ended.code, row.exit,
        "the exit code is wrong; it said: {}",
        ended.said
    );
    says(&ended.said, row.says);
    assert!(
        ended.peak_mib <= MOST_MIB,
        "{} MiB; it said: {}",
        ended.peak_mib,
        ended.said
    );
    for (key, parts) in row.dead {
        let shown = match *key {
            "" => bench.look(&["deadletters", "export"]),
            key => bench.look(&["deadletters", "show", "customers", key]),
        };
        assert_eq!(shown.code, 0, "{key} is no dead letter: {}", shown.said);
        says(&shown.said, parts);
    }
    assert_eq!(
        bench.systems.world().judge(false),
        Vec::<String>::new(),
        "with the fault"
    );
    drop(spoilt);
    bench.systems.world().fault = None;
    bench.write_manifests(row.write, &[]);
    recover(&bench, row);
}

/// After the fault: the CRM ends with what the shop has, and then there is nothing left to do.
fn recover(bench: &Bench, row: &Row) {
    let mut flags: &[&str] = &[];
    match row.cure {
        Cure::Nothing => {}
        Cure::Flags(given) => flags = given,
        Cure::Command(command) => {
            let cured = bench.look(command);
            assert_eq!(cured.code, 0, "{command:?}: {}", cured.said);
        }
        Cure::Hand(cure) => cure(bench),
    }
    let ended = bench.run_once("5s", flags);
    assert_eq!(ended.code, 0, "after the fault: {}", ended.said);
    assert_eq!(
        bench.systems.world().judge(true),
        Vec::<String>::new(),
        "after the fault: {}",
        ended.said
    );
    bench.systems.world().requests.clear();
    let again = bench.run_once("5s", &[]);
    assert_eq!(again.code, 0, "once more: {}", again.said);
    let writes: Vec<String> = bench
        .systems
        .world()
        .requests
        .iter()
        .filter(|r| !r.starts_with("GET"))
        .cloned()
        .collect();
    assert_eq!(writes, Vec::<String>::new(), "nothing was left to write");
}

/// Holds what was said against its parts, and against what no message may hold.
fn says(said: &str, parts: &[&str]) {
    println!("{said}");
    let mut rest = said;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => panic!("{part:?} is not said (here, in this order); it said:\n{said}"),
        }
    }
    for never in [KEY, "hush-9c1d", "panicked", "RUST_BACKTRACE"] {
        assert!(!said.contains(never), "{never:?} is said:\n{said}");
    }
}
