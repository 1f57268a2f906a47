//! How many webhooks are received in a second, each durable before it is answered:
//! `cargo bench --bench webhooks [-- --events N] [--connections N] [--rounds N] [--store sqlite|postgres]`.
//!
//! Beside it, the ceiling: the store alone, told the same events by as many callers with the same group commit,
//! without HTTP, signatures, JSON and expressions. Receiver and bare store are processes of their own; rounds
//! alternate between them, so that a slow minute of the machine hits both. Judges nothing.

mod load;
#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod receive;

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// As the program has it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

struct Options {
    events: usize,
    connections: usize,
    rounds: usize,
    stores: Vec<String>,
}

/// What was measured once.
#[derive(Clone, Copy)]
pub struct Run {
    pub per_second: f64,
    /// Milliseconds until the answer, for half and for 99 % of the events.
    pub median: f64,
    pub p99: f64,
}

impl Run {
    /// Of all waits in nanoseconds.
    pub fn of(mut waits: Vec<u64>, seconds: f64) -> Self {
        waits.sort_unstable();
        let at = |share: f64| {
            let place = ((waits.len() as f64 * share) as usize).min(waits.len().saturating_sub(1));
            waits.get(place).map_or(f64::NAN, |wait| *wait as f64 / 1e6)
        };
        Self {
            per_second: waits.len() as f64 / seconds.max(1e-9),
            median: at(0.5),
            p99: at(0.99),
        }
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["receive", setting] => receive::serve(setting),
        ["bare", setting, callers, events] => {
            let run = receive::bare(setting, callers.parse()?, events.parse()?)?;
            println!("{} {} {}", run.per_second, run.median, run.p99);
            Ok(())
        }
        options => compare(&parse(options)?),
    }
}

fn parse(args: &[&str]) -> Result<Options> {
    let mut options = Options {
        events: 100_000,
        connections: 64,
        rounds: 5,
        stores: vec!["sqlite".to_owned(), "postgres".to_owned()],
    };
    let mut rest = args.iter().copied();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{arg} needs a value"));
        match arg {
            "--events" => options.events = value()?.parse::<usize>()?.max(1),
            "--connections" => options.connections = value()?.parse::<usize>()?.max(1),
            "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
            "--store" => options.stores = vec![value()?.to_owned()],
            // Cargo adds this one.
            "--bench" => {}
            other => return Err(format!("{other:?} is not an option of this benchmark").into()),
        }
    }
    Ok(options)
}

fn compare(options: &Options) -> Result<()> {
    println!(
        "{} events over {} connections, {} rounds, medians\n",
        options.events, options.connections, options.rounds
    );
    println!(
        "| Store | Store alone | p99 | Webhooks received | p50 | p99 | Of the store alone |\n|---|---:|---:|---:|---:|---:|---:|"
    );
    for store in &options.stores {
        let (mut bare, mut received) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            bare.push(with_state(store, |setting| alone(setting, options))?);
            received.push(with_state(store, |setting| over_http(setting, options))?);
        }
        let shares: Vec<f64> = received
            .iter()
            .zip(&bare)
            .map(|(received, bare)| received.per_second / bare.per_second)
            .collect();
        println!(
            "| {} | {:.0}/s | {:.1} ms | {:.0}/s | {:.1} ms | {:.1} ms | {:.2} |",
            match store.as_str() {
                "sqlite" => "SQLite",
                _ => "PostgreSQL",
            },
            median(&bare, |run| run.per_second),
            median(&bare, |run| run.p99),
            median(&received, |run| run.per_second),
            median(&received, |run| run.median),
            median(&received, |run| run.p99),
            median(&shares, |share| *share),
        );
    }
    Ok(())
}

/// Measures with an empty store.
fn with_state(store: &str, measure: impl Fn(&str) -> Result<Run>) -> Result<Run> {
    match store {
        "sqlite" => {
            let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
            measure(&folder.path().display().to_string())
        }
        "postgres" => {
            let database = postgres::cluster().database();
            measure(&database.url())
        }
        other => Err(format!("{other:?} is not a store; use sqlite or postgres").into()),
    }
}

fn alone(setting: &str, options: &Options) -> Result<Run> {
    let output = Command::new(std::env::current_exe()?)
        .args(["bare", setting])
        .args([options.connections.to_string(), options.events.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()?;
    match figures.as_slice() {
        [per_second, median, p99] => Ok(Run {
            per_second: *per_second,
            median: *median,
            p99: *p99,
        }),
        _ => Err("the bare store said nothing".into()),
    }
}

fn over_http(setting: &str, options: &Options) -> Result<Run> {
    let receiver = Receiver::start(setting)?;
    load::run(receiver.port, options.connections, options.events)
}

/// The receiver's process; ended when dropped.
struct Receiver {
    child: Child,
    port: u16,
}

impl Receiver {
    fn start(setting: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["receive", setting])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("the receiver has no output")?;
        BufReader::new(out).read_line(&mut line)?;
        Ok(Self {
            child,
            port: line.trim().parse()?,
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It may be gone already; there is nothing else to do with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median<T>(values: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
