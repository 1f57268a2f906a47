//! Damaged and random inputs in an order that a number repeats. `SYNCLINE_FUZZ_CASES` says how many for each target
//! (a short run otherwise), `SYNCLINE_FUZZ_SEED` where to begin, `SYNCLINE_FUZZ_ONLY` runs one case alone.
//! Used by tests/fuzz and by unit tests of what is not public.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// A case that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(20);

/// Longest input in bytes that damage can make.
const LARGEST: usize = 64 * 1024;

/// splitmix64: well spread, and the same on every machine.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than `end`; 0 when there is nothing to choose from.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// Once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// A good example with up to four wounds, now and then two of them spliced, or bytes without any sense. `pieces`:
/// what means something in this kind of input.
pub fn damaged(random: &mut Random, examples: &[&[u8]], pieces: &[&str]) -> Vec<u8> {
    if random.once_in(16) {
        return random.bytes(256);
    }
    let mut input = random.pick(examples).to_vec();
    for _ in 0..random.below(5) {
        wound(random, &mut input, examples, pieces);
        input.truncate(LARGEST);
    }
    input
}

/// As [`damaged`], as text.
#[allow(dead_code)]
pub fn damaged_text(random: &mut Random, examples: &[&str], pieces: &[&str]) -> String {
    let examples: Vec<&[u8]> = examples.iter().map(|text| text.as_bytes()).collect();
    String::from_utf8_lossy(&damaged(random, &examples, pieces)).into_owned()
}

fn wound(random: &mut Random, input: &mut Vec<u8>, examples: &[&[u8]], pieces: &[&str]) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(24)).min(input.len());
    match random.below(7) {
        // A bit is turned.
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        // A byte is another one.
        1 if at < input.len() => input[at] = random.next() as u8,
        // Something is cut out.
        2 => drop(input.drain(at..end)),
        // Something comes twice, or often.
        3 => {
            let times = if random.once_in(8) { 200 } else { 1 };
            let again = input[at..end].repeat(times);
            drop(input.splice(at..at, again));
        }
        // The rest is that of another one.
        4 => {
            let other = *random.pick(examples);
            input.truncate(at);
            input.extend_from_slice(&other[random.below(other.len() + 1)..]);
        }
        5 => input.truncate(at),
        _ if !pieces.is_empty() => {
            let piece = random.pick(pieces).as_bytes().to_vec();
            drop(input.splice(at..end.min(at + random.below(4)).max(at), piece));
        }
        _ => {}
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.replace('_', "").parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")))
}

/// Runs `case` many times, each with numbers of its own. `few` is the short run; a long one is a `share`th of what
/// is asked for, where a case is slow. A failure names its case.
pub fn run(target: &str, few: u64, share: u64, mut case: impl FnMut(&mut Random)) {
    let count = number("SYNCLINE_FUZZ_CASES").map_or(few, |count| (count / share.max(1)).max(1));
    let seed = number("SYNCLINE_FUZZ_SEED").unwrap_or(1);
    let cases = match number("SYNCLINE_FUZZ_ONLY") {
        Some(only) => only..only + 1,
        None => 0..count,
    };
    let mut slowest = (Duration::ZERO, 0);
    for number in cases {
        let begun = Instant::now();
        let mut random = Random::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ (number << 20));
        let ended = catch_unwind(AssertUnwindSafe(|| case(&mut random)));
        let took = begun.elapsed();
        if let Err(panic) = ended {
            eprintln!(
                "{target}: case {number} failed; again with SYNCLINE_FUZZ_SEED={seed} SYNCLINE_FUZZ_ONLY={number}"
            );
            resume_unwind(panic);
        }
        assert!(took < LONGEST, "{target}: case {number} took {took:?}");
        slowest = slowest.max((took, number));
    }
    println!(
        "{target}: {count} cases; the slowest, {}, took {:?}",
        slowest.1, slowest.0
    );
}
