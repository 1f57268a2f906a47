//! Speed and memory of the engine against a program written by hand for the same job.
//! `cargo bench --bench throughput -- [--records N,M] [--rounds N] [--mode put|batch|both] [--threads N]
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
    /// One table row for each of these and each mode.
    records: Vec<usize>,
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
        records: vec![20_000, 200_000],
        rounds: 5,
        modes: vec![Mode::Put, Mode::Batch],
        threads: None,
        ceiling_only: false,
    };
    let mut rest = args.iter().copied();
    while let Some(arg) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{arg} needs a value"));
        match arg {
            "--records" => {
                options.records = value()?
                    .split(',')
                    .map(|count| Ok(count.parse::<usize>()?.max(1)))
                    .collect::<Result<_>>()?;
            }
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
        "{} rounds, medians; rounds alternate between the program written by hand and Syncline\n",
        options.rounds.max(1)
    );
    println!(
        "| Records | Writes | By hand, not durable | Syncline | Of the ceiling | First record written | Peak memory \
         (by hand) | Whole run | Second run, nothing changed |"
    );
    println!("|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    for &records in &options.records {
        for &mode in &options.modes {
            println!(
                "{}",
                measured(options, binary, records, mode)?.row(records, mode)
            );
        }
    }
    Ok(())
}

/// The rounds of one row.
#[derive(Default)]
struct Rounds {
    ceilings: Vec<Run>,
    firsts: Vec<Run>,
    seconds: Vec<Run>,
}

fn measured(options: &Options, binary: &Path, records: usize, mode: Mode) -> Result<Rounds> {
    // Small requests are switched between threads more than they are worked on.
    let threads = options
        .threads
        .unwrap_or(if mode == Mode::Put { 1 } else { 2 });
    let servers = Servers::start(records)?;
    let mut rounds = Rounds::default();
    for _ in 0..options.rounds.max(1) {
        let ceiling = measure::ceiling(&servers, mode, records, threads)?;
        rounds.ceilings.push(ceiling);
        if !options.ceiling_only {
            let (first, second) = measure::engine(&servers, binary, mode, records)?;
            rounds.firsts.push(first);
            rounds.seconds.push(second);
        }
    }
    Ok(rounds)
}

impl Rounds {
    fn row(&self, records: usize, mode: Mode) -> String {
        let writes = match mode {
            Mode::Put => "one PUT per record",
            Mode::Batch => "batches of 100",
        };
        // The ratio of each round, because both of a round ran in the same minute.
        let ratios: Vec<f64> = self
            .firsts
            .iter()
            .zip(&self.ceilings)
            .map(|(e, c)| e.records_per_second / c.records_per_second)
            .collect();
        let (whole, second) = (
            median(&self.firsts, |run| run.wall),
            median(&self.seconds, |run| run.wall),
        );
        format!(
            "| {records} | {writes} | {:.0}/s | {:.0}/s | {:.2} | {:.3} s | {:.1} MiB ({:.1}) | {whole:.2} s | \
             {second:.2} s ({:.1} times as fast) |",
            median(&self.ceilings, |run| run.records_per_second),
            median(&self.firsts, |run| run.records_per_second),
            median(&ratios, |ratio| *ratio),
            median(&self.firsts, |run| run.first_write),
            median(&self.firsts, |run| run.peak_mib),
            median(&self.ceilings, |run| run.peak_mib),
            whole / second,
        )
    }
}

fn median<T>(values: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
