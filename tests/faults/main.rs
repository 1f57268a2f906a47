//! The engine under fire, by seeds: systems that lose replies, lie about pages and answer every status, engines
//! that end at every step and are taken over, stores that fail; an oracle logs every write, and a judge says what
//! is lost, twice or stale.
//!
//! `SYNCLINE_FAULT_SEEDS` is how many seeds (2,000), from `SYNCLINE_FAULT_FROM` on (0), and `SYNCLINE_FAULT_AT_ONCE`
//! how many of them may run at once (1,000; fewer where the machine does not keep up). A seed that fails prints how to
//! run it alone.

mod case;
mod feed;
mod hooks;
mod judge;
mod killer;
mod life;
mod manifests;
mod pace;
mod page;
mod planted;
#[path = "../support/postgres.rs"]
mod postgres;
mod rows;
mod server;
mod source;
mod store;
mod suite;
mod target;
mod world;

use suite::{Settings, run};

#[test]
fn nothing_is_lost_twice_or_stale_whatever_goes_wrong() {
    let settings = Settings::of_environment();
    let outcome = run(&settings);
    println!("SQLite\n{}", page::table(&outcome, case::Kind::Sqlite));
    println!(
        "PostgreSQL\n{}",
        page::table(&outcome, case::Kind::Postgres)
    );
    assert!(outcome.failures.is_empty(), "{}", outcome.failed());
    if std::env::var_os("UPDATE").is_some() {
        page::update(&outcome);
    }
}
