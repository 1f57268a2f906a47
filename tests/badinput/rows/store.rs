//! The state folder: full, locked, read-only, broken, of another version, of other systems; and Secrets.

use std::any::Any;
use std::cell::RefCell;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::table;
use crate::bench::{Bench, Cure, ROW, Row};
use crate::disk::{Disk, copy, fill};

const BASE: &str = r#"baseURL: "http://127.0.0.1:PORT""#;
const CREDENTIALS: &str = "stringData: {shop: canary-7f3a, crm: canary-7f3a}";

/// The database of the state folder.
fn database(bench: &Bench) -> PathBuf {
    bench.state().join("syncline.sqlite")
}

/// Overwrites a part of the database.
fn scribble(bench: &Bench, from: u64, bytes: usize) {
    use std::os::unix::fs::FileExt;
    // What stands in the log beside it would hide the damage.
    let db = rusqlite::Connection::open(database(bench)).expect("a database");
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
    drop(db);
    let file = std::fs::File::options()
        .write(true)
        .open(database(bench))
        .expect("a database");
    file.write_all_at(&vec![0xAA; bytes], from)
        .expect("it can be written");
}

/// Takes the room of a disk until it is dropped.
struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("room is made");
    }
}

/// A disk that fills up when the first record is written.
fn on_a_disk_that_fills_up(bench: &Bench) -> Box<dyn Any> {
    let Some(disk) = Disk::mount(&bench.folder().join("disk"), "2m") else {
        return bench.leave_out();
    };
    let folder = disk.folder();
    let ballast = Ballast(folder.join("ballast"));
    bench.systems.world().at_first_write = Some(Box::new(move || drop(fill(&folder, 0))));
    bench.move_to(&disk);
    bench.keep(disk);
    Box::new(ballast)
}

/// Moves the state to a disk of its own and leaves `left` bytes there until the returned value is dropped.
fn on_a_full_disk(bench: &Bench, left: usize) -> Box<dyn Any> {
    let Some(disk) = Disk::mount(&bench.folder().join("disk"), "2m") else {
        return bench.leave_out();
    };
    copy(&bench.state(), &disk.folder().join("state"));
    let ballast = fill(&disk.folder(), left);
    bench.move_to(&disk);
    bench.keep(disk);
    Box::new(Ballast(ballast))
}

fn on_a_read_only_disk(bench: &Bench) -> Box<dyn Any> {
    struct Closed(Rc<RefCell<Disk>>);
    impl Drop for Closed {
        fn drop(&mut self) {
            self.0.borrow_mut().make_writable();
        }
    }
    let Some(mut disk) = Disk::mount(&bench.folder().join("disk"), "2m") else {
        return bench.leave_out();
    };
    if bench.state().exists() {
        copy(&bench.state(), &disk.folder().join("state"));
    }
    disk.make_read_only();
    bench.move_to(&disk);
    let disk = Rc::new(RefCell::new(disk));
    bench.keep(disk.clone());
    Box::new(Closed(disk))
}

/// A second program that runs the same manifests with the same state.
fn another_run(bench: &Bench) -> Box<dyn Any> {
    struct Running(std::process::Child);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.kill().expect("it can be ended");
            self.0.wait().expect("it has ended");
        }
    }
    let child = Command::new(env!("CARGO_BIN_EXE_syncline"))
        .args(["run", "--watch", "-f"])
        .arg(bench.manifests())
        .arg("--state")
        .arg(bench.state())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let running = Running(child);
    let began = Instant::now();
    while bench.systems.world().requests.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not run");
        std::thread::sleep(Duration::from_millis(5));
    }
    Box::new(running)
}

/// Another program that has the database open and is in the middle of writing.
fn foreign_lock(bench: &Bench) -> Box<dyn Any> {
    let db = rusqlite::Connection::open(database(bench)).expect("a database");
    db.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    Box::new(db)
}

fn newer(bench: &Bench) -> Box<dyn Any> {
    let db = rusqlite::Connection::open(database(bench)).expect("a database");
    let version: i64 = db
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .expect("a version");
    db.pragma_update(None, "user_version", 9999)
        .expect("a version");
    let file = database(bench);
    struct Back(PathBuf, i64);
    impl Drop for Back {
        fn drop(&mut self) {
            let db = rusqlite::Connection::open(&self.0).expect("a database");
            db.pragma_update(None, "user_version", self.1)
                .expect("a version");
        }
    }
    Box::new(Back(file, version))
}

const AWAY: Cure =
    Cure::Hand(|bench| std::fs::remove_dir_all(bench.state()).expect("it is moved away"));

table! {
    a_sandbox_that_became_production: Row {
        before: true,
        manifests: &[(BASE, r#"baseURL: "http://localhost:PORT""#)],
        says: &["Sync default/customers has state of another system: its Connections' URLs, settings, objects or keys have changed", "go on with `--adopt-state customers`; is it another system, start afresh with `--reset-state customers`", "(first correct what is said above; it goes on where it stopped)"],
        ..ROW
    },
    a_renamed_system_is_adopted: Row {
        before: true,
        manifests: &[(BASE, r#"baseURL: "http://localhost:PORT""#)],
        args: &["--adopt-state", "customers"],
        exit: 0,
        cure: Cure::Flags(&["--adopt-state", "customers"]),
        ..ROW
    },
    another_system_starts_afresh: Row {
        before: true,
        manifests: &[(BASE, r#"baseURL: "http://localhost:PORT""#)],
        args: &["--reset-state", "customers"],
        exit: 0,
        cure: Cure::Flags(&["--reset-state", "customers"]),
        ..ROW
    },
    a_full_disk: Row {
        before: true,
        spoil: |bench| on_a_full_disk(bench, 0),
        says: &["the disk of STATE is full; make room and run again, nothing that was confirmed is lost"],
        ..ROW
    },
    a_disk_with_little_room: Row {
        before: true,
        spoil: |bench| on_a_full_disk(bench, 40 << 10),
        says: &["the disk of STATE is full; make room and run again, nothing that was confirmed is lost"],
        ..ROW
    },
    a_disk_that_fills_up: Row {
        spoil: on_a_disk_that_fills_up,
        says: &["the disk of STATE/syncline.sqlite is full; make room and run again, nothing that was confirmed is lost"],
        ..ROW
    },
    a_read_only_disk: Row {
        spoil: on_a_read_only_disk,
        says: &["the store STATE cannot be written (Read-only file system (os error 30)); make its folder writable for the user who runs this, or give another --state"],
        ..ROW
    },
    state_on_a_read_only_disk: Row {
        before: true,
        spoil: on_a_read_only_disk,
        says: &["the store STATE cannot be written (Read-only file system (os error 30)); make its folder writable for the user who runs this, or give another --state"],
        ..ROW
    },
    another_run_with_the_same_state: Row {
        spoil: another_run,
        says: &["the store STATE is in use by another syncline process"],
        ..ROW
    },
    a_lock_of_another_program: Row {
        before: true,
        spoil: foreign_lock,
        says: &["stayed locked by another program for 10 s"],
        ..ROW
    },
    a_state_folder_that_is_a_file: Row {
        spoil: |bench| {
            std::fs::write(bench.state(), "").expect("a file");
            Box::new(())
        },
        says: &["the state folder STATE is a file; remove it, or give another --state"],
        cure: Cure::Hand(|bench| std::fs::remove_file(bench.state()).expect("a file")),
        ..ROW
    },
    a_database_that_is_none: Row {
        before: true,
        spoil: |bench| {
            scribble(bench, 0, 100);
            Box::new(())
        },
        says: &["the store STATE/syncline.sqlite is damaged"],
        cure: AWAY,
        ..ROW
    },
    a_damaged_page: Row {
        before: true,
        spoil: |bench| {
            scribble(bench, 4096, 200_000);
            Box::new(())
        },
        says: &["the store STATE/syncline.sqlite is damaged"],
        cure: AWAY,
        ..ROW
    },
    a_store_of_a_newer_version: Row {
        before: true,
        spoil: newer,
        says: &["the store STATE/syncline.sqlite was written by a newer syncline (schema 9999, this one knows"],
        ..ROW
    },
    a_key_file_that_is_none: Row {
        before: true,
        spoil: |bench| {
            std::fs::write(bench.state().join("key"), "too short").expect("a file");
            Box::new(())
        },
        says: &["STATE/key: not a key of 32 bytes, nor base64 of such; restore it, or remove it and log in again"],
        cure: Cure::Hand(|bench| std::fs::remove_file(bench.state().join("key")).expect("a file")),
        ..ROW
    },
    a_missing_secret: Row {
        manifests: &[(CREDENTIALS, "stringData: {shop: canary-7f3a}")],
        says: &[r#"no Secret "keys" with key "crm""#, "SYNCLINE_SECRET_KEYS_CRM"],
        ..ROW
    },
    a_secret_that_is_no_base64: Row {
        manifests: &[(CREDENTIALS, r#"data: {shop: "%%%canary-7f3a", crm: "%%%"}"#)],
        says: &["data.shop", "is not base64"],
        ..ROW
    },
    a_secret_that_no_header_may_hold: Row {
        manifests: &[(CREDENTIALS, r#"stringData: {shop: "canary-7f3a\nsecond line", crm: canary-7f3a}"#)],
        says: &["Connection/shop: the credential holds a character that no header may hold"],
        ..ROW
    },
    a_secret_that_is_empty: Row {
        manifests: &[(CREDENTIALS, r#"stringData: {shop: "", crm: canary-7f3a}"#)],
        says: &["the credential in Secret keys key shop is not accepted (401); put a valid one there"],
        ..ROW
    },
}
