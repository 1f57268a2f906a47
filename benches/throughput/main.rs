//! Speed and memory of the engine against a program written by hand for the same job.
//! `cargo bench --bench throughput -- [--records N] [--rounds N] [--mode put|batch|both] [--threads N]
//! [--ceiling]`.
//!
//! Servers, ceiling and engine are processes of their own, so that memory is measured alone; rounds
//! alternate between ceiling and engine, so that a slow minute of the machine hits both.

mod ceiling;
mod manifests;
mod measure;
mod records;
mod server;

use std::path::Path;

use measure::{Result, Run, Servers};

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// One PUT for each record.
    Put,
    /// One POST for a hundred records.
    Batch,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Batch => "batch",
        }
    }

    fn parse(text: &str) -> Result<Self> {
        match text {
            "put" => Ok(Self::Put),
            "batch" => Ok(Self::Batch),
            other => Err(format!("{other:?} is not a mode; use put or batch").into()),
        }
    }
}

struct Options {
    records: usize,
    rounds: usize,
    modes: Vec<Mode>,
    /// Threads of the ceiling's runtime; what is fastest for the mode when not given.
    threads: Option<usize>,
    /// Measure the ceiling alone.
    ceiling_only: bool,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve", records] => Ok(server::serve(records.parse()?)?),
        ["ceiling", mode, base, threads] => {
            ceiling::copy(base, Mode::parse(mode)?, threads.parse()?)
        }
        options => compare(&parse(options)?),
    }
}

fn parse(args: &[&str]) -> Result<Options> {
    let mut options = Options {
        records: 20_000,
        rounds: 5,
        modes: vec![Mode::Put, Mode::Batch],
        threads: None,
        ceiling_only: false,
    };
    let mut rest = args.iter().copied();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{arg} needs a value"));
        match arg {
            "--records" => options.records = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--threads" => options.threads = Some(value()?.parse()?),
            "--mode" => match value()? {
                "both" => {}
                mode => options.modes = vec![Mode::parse(mode)?],
            },
            "--ceiling" => options.ceiling_only = true,
            // Cargo adds this one.
            "--bench" => {}
            other => return Err(format!("{other:?} is not an option of this benchmark").into()),
        }
    }
    Ok(options)
}

fn compare(options: &Options) -> Result<()> {
    let binary = Path::new(env!("CARGO_BIN_EXE_syncline"));
    println!(
        "{} records, {} rounds, medians\n",
        options.records, options.rounds
    );
    println!(
        "| Writes | Program | Records/s | Of the ceiling | First record written | Peak memory | Whole run | \
         Second run, nothing changed |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for &mode in &options.modes {
        // Small requests are switched between threads more than they are worked on.
        let threads = options
            .threads
            .unwrap_or(if mode == Mode::Put { 1 } else { 2 });
        let servers = Servers::start(options.records)?;
        let (mut ceilings, mut firsts, mut seconds) = (vec![], vec![], vec![]);
        for _ in 0..options.rounds.max(1) {
            ceilings.push(measure::ceiling(&servers, mode, options.records, threads)?);
            if !options.ceiling_only {
                let (first, second) = measure::engine(&servers, binary, mode, options.records)?;
                firsts.push(first);
                seconds.push(second);
            }
        }
        report(mode, &ceilings, &firsts, &seconds);
    }
    Ok(())
}

fn report(mode: Mode, ceilings: &[Run], firsts: &[Run], seconds: &[Run]) {
    let writes = match mode {
        Mode::Put => "one PUT per record",
        Mode::Batch => "batches of 100",
    };
    let row = |program: &str, runs: &[Run], ratio: &str, second: &str| {
        println!(
            "| {writes} | {program} | {:.0} | {ratio} | {:.3} s | {:.1} MiB | {:.2} s | {second} |",
            median(runs, |run| run.records_per_second),
            median(runs, |run| run.first_write),
            median(runs, |run| run.peak_mib),
            median(runs, |run| run.wall),
        );
    };
    row("by hand, not durable", ceilings, "1", "–");
    if !firsts.is_empty() {
        // The ratio of each round, because both of a round ran in the same minute.
        let ratios: Vec<f64> = firsts
            .iter()
            .zip(ceilings)
            .map(|(e, c)| e.records_per_second / c.records_per_second)
            .collect();
        let second = format!("{:.2} s", median(seconds, |run| run.wall));
        row(
            "Syncline",
            firsts,
            &format!("{:.2}", median(&ratios, |ratio| *ratio)),
            &second,
        );
    }
}

fn median<T>(values: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
