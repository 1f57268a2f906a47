//! What it costs to write to a system that takes 300 requests in a second and refuses the others with 429, with no
//! limit configured: `cargo bench --bench rate [-- limits|faults]`. Prints two tables: every kind of limiter
//! without other faults, and every guarantee of a target under 503s and replies that are lost after the commit.
//!
//! System and engine are processes of their own. Judges nothing.

#[path = "../../src/connector/adaptive/tests/system.rs"]
#[allow(dead_code)]
mod limiter;
mod manifests;
mod measure;
mod target;

use std::error::Error;

use limiter::{Hint, Shape};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub const RECORDS: u64 = 3000;
/// Requests that the system takes in a second.
pub const LIMIT: f64 = 300.0;

/// What a target lets a client do about a create whose answer was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarantee {
    Repeatable,
    IdempotencyKey,
    Searchable,
    BlindHold,
    BlindRetry,
}

/// One row.
pub struct Case {
    pub guarantee: Guarantee,
    pub shape: Shape,
    pub hint: Hint,
    /// RateLimit-Reset in place of Retry-After.
    pub reset: bool,
    /// 2 % of the requests get a 503, and 1 % of the replies are lost after the commit.
    pub faults: bool,
}

const fn limit(shape: Shape, hint: Hint) -> Case {
    Case {
        guarantee: Guarantee::Repeatable,
        shape,
        hint,
        reset: false,
        faults: false,
    }
}

const fn faulty(guarantee: Guarantee) -> Case {
    Case {
        guarantee,
        faults: true,
        ..limit(Shape::Fixed, Hint::Seconds)
    }
}

const LIMITS: [Case; 11] = [
    limit(Shape::Fixed, Hint::Seconds),
    limit(Shape::Fixed, Hint::One),
    limit(Shape::Fixed, Hint::Exact),
    Case {
        reset: true,
        ..limit(Shape::Fixed, Hint::Seconds)
    },
    limit(Shape::Fixed, Hint::Nothing),
    limit(Shape::Sliding, Hint::Seconds),
    limit(Shape::Sliding, Hint::Exact),
    limit(Shape::Bucket(300.0), Hint::Seconds),
    limit(Shape::Bucket(300.0), Hint::Exact),
    limit(Shape::Bucket(30.0), Hint::Seconds),
    limit(Shape::Bucket(30.0), Hint::Exact),
];

const FAULTS: [Case; 5] = [
    faulty(Guarantee::Repeatable),
    faulty(Guarantee::IdempotencyKey),
    faulty(Guarantee::Searchable),
    faulty(Guarantee::BlindHold),
    faulty(Guarantee::BlindRetry),
];

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["serve", table, row] => {
            let cases: &[Case] = if *table == "limits" { &LIMITS } else { &FAULTS };
            let case = cases.get(row.parse::<usize>()?).ok_or("no such row")?;
            Ok(target::serve(case)?)
        }
        // Cargo adds `--bench`.
        ["limits", ..] => limits(),
        ["faults", ..] => faults(),
        [] | ["--bench"] => limits().and_then(|()| faults()),
        other => Err(format!("{other:?} is not an option of this benchmark").into()),
    }
}

fn limits() -> Result<()> {
    println!(
        "{RECORDS} writes, {LIMIT} requests a second allowed; {}\n",
        measure::load()
    );
    println!(
        "| Limiter | 429 names | Time | Of the ideal {} s | Refused |",
        ideal(1)
    );
    println!("|---|---|---:|---:|---:|");
    for (row, case) in LIMITS.iter().enumerate() {
        let run = measure::run("limits", row, case)?;
        println!(
            "| {} | {} | {:.1} s | {:.2} | {} ({:.1} %) |",
            shape(case.shape),
            hint(case),
            run.seconds,
            run.seconds / ideal(1),
            run.stats.refused,
            run.refused_percent()
        );
    }
    println!();
    Ok(())
}

fn faults() -> Result<()> {
    println!(
        "{RECORDS} writes, {LIMIT} requests a second allowed, 2 % answered with 503, 1 % of the replies lost after \
         the commit; {}\n",
        measure::load()
    );
    println!(
        "| Guarantee | Time | Of the ideal | Requests | Refused | 503 | Replies lost | Records lost | Dead letters \
         | Written twice |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (row, case) in FAULTS.iter().enumerate() {
        let run = measure::run("faults", row, case)?;
        // A record is searched for before it is created.
        let requests = if case.guarantee == Guarantee::Searchable {
            2
        } else {
            1
        };
        println!(
            "| {} | {:.1} s | {:.2} | {} | {} ({:.1} %) | {} | {} | {} | {} | {} |",
            name(case.guarantee),
            run.seconds,
            run.seconds / ideal(requests),
            run.stats.requests,
            run.stats.refused,
            run.refused_percent(),
            run.stats.unavailable,
            run.stats.dropped,
            run.lost,
            run.dead,
            run.stats.twice
        );
    }
    Ok(())
}

fn ideal(requests: u64) -> f64 {
    (RECORDS * requests) as f64 / LIMIT
}

fn shape(shape: Shape) -> String {
    match shape {
        Shape::Fixed => "300 in each second of the clock".to_owned(),
        Shape::Sliding => "300 in any second".to_owned(),
        Shape::Bucket(size) => format!("bucket of {size}, 300/s"),
    }
}

fn hint(case: &Case) -> &'static str {
    match case.hint {
        Hint::Seconds if case.reset => "`RateLimit-Reset` in whole seconds",
        Hint::Seconds => "`Retry-After` in whole seconds",
        Hint::One => "`Retry-After: 1`",
        Hint::Exact => "`Retry-After` in milliseconds",
        Hint::Zero => "`Retry-After` rounded down",
        Hint::Nothing => "nothing",
    }
}

fn name(guarantee: Guarantee) -> &'static str {
    match guarantee {
        Guarantee::Repeatable => "Repeatable",
        Guarantee::IdempotencyKey => "IdempotencyKey",
        Guarantee::Searchable => "Searchable",
        Guarantee::BlindHold => "Blind, `onAmbiguous: Hold`",
        Guarantee::BlindRetry => "Blind, `onAmbiguous: Retry`",
    }
}
