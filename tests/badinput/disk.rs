//! A small disk of a row's own: a tmpfs in a mount namespace that only its holder lives in, so that nothing
//! stays behind. Seen from outside through `/proc/PID/root`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Disk {
    holder: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    place: PathBuf,
}

impl Disk {
    /// A disk of this size mounted at `place`. `None`: this machine lets nobody mount here, which is
    /// told.
    pub fn mount(place: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(place).expect("a folder");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg("while read -r order; do sh -c \"$order\" && echo done || echo failed; done")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let orders = holder.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(holder.stdout.take().expect("stdout is a pipe"));
        let mut disk = Self {
            holder,
            orders,
            answers,
            place: place.to_owned(),
        };
        let mounted = disk.order(&format!(
            "mount -t tmpfs -o size={size} tmpfs '{}'",
            place.display()
        ));
        if !mounted {
            eprintln!("nobody may mount a tmpfs here (unshare, util-linux): no disk was filled");
        }
        mounted.then_some(disk)
    }

    /// The disk's folder, as this process sees it.
    pub fn folder(&self) -> PathBuf {
        let root = format!("/proc/{}/root", self.holder.id());
        Path::new(&root).join(self.place.strip_prefix("/").expect("an absolute path"))
    }

    /// What starts a program that sees the disk at its place.
    pub fn launcher(&self) -> Vec<String> {
        let process = self.holder.id().to_string();
        let words = [
            "nsenter",
            "--target",
            &process,
            "--user",
            "--mount",
            "--preserve-credentials",
            "--",
        ];
        words.map(str::to_owned).to_vec()
    }

    /// Lets nobody write any more.
    pub fn make_read_only(&mut self) {
        let order = format!("mount -o remount,ro '{}'", self.place.display());
        assert!(self.order(&order), "it can be mounted read-only");
    }

    pub fn make_writable(&mut self) {
        let order = format!("mount -o remount,rw '{}'", self.place.display());
        assert!(self.order(&order), "it can be mounted writable");
    }

    fn order(&mut self, order: &str) -> bool {
        let mut answer = String::new();
        // An error means that there is no holder: unshare was refused.
        writeln!(self.orders, "{order}").is_ok()
            && self.answers.read_line(&mut answer).is_ok()
            && answer.trim() == "done"
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // With its holder the namespace goes, and the disk with it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Leaves `left` bytes on the disk of `folder`; the returned file is what takes the rest.
pub fn fill(folder: &Path, left: usize) -> PathBuf {
    let file = folder.join("ballast");
    let mut ballast = std::fs::File::create(&file).expect("a file");
    let block = [0; 4096];
    while ballast.write(&block).is_ok_and(|n| n == block.len()) {}
    let length = ballast.metadata().expect("its length").len();
    ballast
        .set_len(length.saturating_sub(left as u64))
        .expect("it can be cut");
    file
}

/// Copies a state folder.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a file");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}
