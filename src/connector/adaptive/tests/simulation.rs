//! Senders that keep to the learned pace on a system with a limit, on a simulated clock.
//! Seconds are numbers since the start. Used by the tests beside it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::system::{Hint, Shape, System};
use super::*;

/// Senders, as a Connection has them without a limit of its own.
const SENDERS: usize = 16;
/// Time between two requests of one burst.
const GAP: f64 = 0.000_06;
/// Timers of the runtime are as coarse as this, and come a little later.
const TICK: f64 = 0.001;
const LATE: f64 = 0.000_1;

#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub seconds: f64,
    pub refused: u32,
}

/// The worst over starts at every twentieth of a window.
pub fn worst(total: u32, system: System, hint: Hint, latency: f64) -> Outcome {
    let phases = match system.shape() {
        Shape::Fixed => 20,
        _ => 1,
    };
    let mut worst = Outcome {
        seconds: 0.0,
        refused: 0,
    };
    for step in 0..phases {
        let mut system = system.clone();
        system.phase = f64::from(step) / f64::from(phases);
        let outcome = run(total, system, hint, latency);
        worst.seconds = worst.seconds.max(outcome.seconds);
        worst.refused = worst.refused.max(outcome.refused);
    }
    worst
}

enum Step {
    Wake,
    Arrives(Slot),
    Answered(Slot, Result<(), Option<Duration>>),
}

/// What is to happen, in the order of time (nanoseconds) and then of planning.
#[derive(Default)]
struct Agenda {
    times: BinaryHeap<Reverse<(u64, usize)>>,
    steps: Vec<Option<Step>>,
}

impl Agenda {
    fn plan(&mut self, at: f64, step: Step) {
        self.times
            .push(Reverse(((at * 1e9) as u64, self.steps.len())));
        self.steps.push(Some(step));
    }

    fn next(&mut self) -> (f64, Step) {
        let Reverse((at, place)) = self.times.pop().expect("something goes on");
        let step = self.steps[place].take().expect("each happens once");
        (at as f64 / 1e9, step)
    }
}

fn run(total: u32, mut system: System, hint: Hint, latency: f64) -> Outcome {
    let start = Instant::now();
    let clock = |seconds: f64| start + Duration::from_secs_f64(seconds);
    let mut adaptive = Adaptive::new(start);
    let (mut adapting, mut sleeping) = (false, false);
    let (mut idle, mut left) = (SENDERS, total);
    let (mut taken, mut refused) = (0, 0);
    let mut agenda = Agenda::default();
    agenda.plan(0.0, Step::Wake);
    loop {
        let (now, step) = agenda.next();
        match step {
            Step::Wake => sleeping = false,
            Step::Arrives(slot) => {
                let answer = system.ask(now).map_err(|rest| hint.wait(rest));
                agenda.plan(now + latency / 2.0, Step::Answered(slot, answer));
                continue;
            }
            Step::Answered(slot, answer) => {
                idle += 1;
                match answer {
                    Ok(()) => {
                        taken += 1;
                        adapting &= !adaptive.taken(clock(now));
                    }
                    Err(wait) => {
                        (refused, left, adapting) = (refused + 1, left + 1, true);
                        adaptive.refused(slot, wait, clock(now));
                    }
                }
            }
        }
        if taken == total {
            return Outcome {
                seconds: now,
                refused,
            };
        }
        let mut at = now;
        while idle > 0 && left > 0 && !sleeping {
            let slot = if adapting {
                adaptive.next(clock(at))
            } else {
                Ok(adaptive.sent(clock(at)))
            };
            match slot {
                Ok(slot) => {
                    (idle, left) = (idle - 1, left - 1);
                    agenda.plan(at + latency / 2.0, Step::Arrives(slot));
                    at += GAP;
                }
                Err(until) => {
                    sleeping = true;
                    let until = (until - start).as_secs_f64();
                    let tick = (until / TICK).ceil() * TICK;
                    agenda.plan(tick.max(at) + LATE, Step::Wake);
                }
            }
        }
    }
}
