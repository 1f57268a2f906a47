//! The circuit of one Connection: after many failures in a row nothing is sent for a while, then one
//! request probes. Numbers are those of the design. Used by `client`.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failures in a row that open the circuit.
const IN_A_ROW: u32 = 10;
/// Or this share of at least so many requests within the window.
const AT_LEAST: u32 = 10;
const PERCENT: u32 = 70;
const WINDOW: Duration = Duration::from_secs(30);
/// How long it stays open, doubling after each failed probe.
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Default)]
struct State {
    in_a_row: u32,
    total: u32,
    failed: u32,
    window: Option<Instant>,
    open: Option<Open>,
}

struct Open {
    until: Instant,
    length: Duration,
    probing: bool,
}

/// The circuit has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing is sent for so long.
    Opened(Duration),
    Closed,
}

/// Lets one request through; its outcome must be told, else dropping it frees the probe.
pub(super) struct Pass<'a> {
    circuit: &'a Circuit,
    probe: bool,
    told: bool,
}

impl Circuit {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How long until a request is let through; `None`: now.
    pub fn blocked_for(&self, now: Instant) -> Option<Duration> {
        let state = self.state();
        let open = state.open.as_ref()?;
        match open.until.checked_duration_since(now) {
            Some(rest) if !rest.is_zero() => Some(rest),
            // The probe is under way: its answer is due within a request's time.
            _ if open.probing => Some(Duration::from_secs(1)),
            _ => None,
        }
    }

    /// The next request is let through although the circuit is open: somebody asks on purpose whether the
    /// system answers again. When it doesn't, the circuit stays open for as long as before, not for longer.
    pub fn hasten(&self, now: Instant) {
        if let Some(open) = self.state().open.as_mut().filter(|open| !open.probing) {
            open.until = open.until.min(now);
            open.length /= 2;
        }
    }

    /// Lets a request through, or says how long the circuit stays open.
    pub fn enter(&self, now: Instant) -> Result<Pass<'_>, Duration> {
        if let Some(rest) = self.blocked_for(now) {
            return Err(rest);
        }
        let mut state = self.state();
        let probe = match &mut state.open {
            None => false,
            Some(open) if open.probing => return Err(Duration::from_secs(1)),
            Some(open) => {
                open.probing = true;
                true
            }
        };
        Ok(Pass {
            circuit: self,
            probe,
            told: false,
        })
    }

    fn record(&self, ok: bool, probe: bool, now: Instant) -> Option<Turn> {
        let mut state = self.state();
        if probe {
            let length = state
                .open
                .take()
                .map_or(FIRST, |open| (open.length * 2).min(LONGEST));
            *state = State::default();
            if ok {
                return Some(Turn::Closed);
            }
            state.open = Some(Open {
                until: now + length,
                length,
                probing: false,
            });
            return Some(Turn::Opened(length));
        }
        if state
            .window
            .is_none_or(|start| now.duration_since(start) > WINDOW)
        {
            (state.window, state.total, state.failed) = (Some(now), 0, 0);
        }
        state.total += 1;
        if ok {
            state.in_a_row = 0;
            return None;
        }
        state.in_a_row += 1;
        state.failed += 1;
        let many = state.total >= AT_LEAST && state.failed * 100 >= state.total * PERCENT;
        if state.open.is_none() && (state.in_a_row >= IN_A_ROW || many) {
            state.open = Some(Open {
                until: now + FIRST,
                length: FIRST,
                probing: false,
            });
            return Some(Turn::Opened(FIRST));
        }
        None
    }
}

impl Pass<'_> {
    /// The system answered (`ok`), or failed in a way that may pass; says whether that changed the circuit.
    pub fn tell(mut self, ok: bool, now: Instant) -> Option<Turn> {
        self.told = true;
        self.circuit.record(ok, self.probe, now)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe
            && !self.told
            && let Some(open) = &mut self.circuit.state().open
        {
            open.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(circuit: &Circuit, count: u32, now: Instant) {
        for _ in 0..count {
            circuit.enter(now).ok().unwrap().tell(false, now);
        }
    }

    #[test]
    fn ten_failures_in_a_row_open_it_for_thirty_seconds() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        fail(&circuit, 9, now);
        assert_eq!(circuit.blocked_for(now), None);
        let tenth = circuit.enter(now).ok().unwrap().tell(false, now);
        assert_eq!(tenth, Some(Turn::Opened(FIRST)));
        assert_eq!(circuit.blocked_for(now), Some(FIRST));
        assert!(circuit.enter(now).is_err());
    }

    #[test]
    fn seventy_percent_of_ten_open_it() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        for _ in 0..3 {
            circuit.enter(now).ok().unwrap().tell(true, now);
        }
        fail(&circuit, 6, now);
        assert_eq!(circuit.blocked_for(now), None);
        fail(&circuit, 1, now);
        assert!(circuit.blocked_for(now).is_some());
    }

    #[test]
    fn one_probe_closes_it_or_doubles_the_wait() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        fail(&circuit, 10, now);
        let later = now + FIRST;
        let probe = circuit.enter(later).ok().unwrap();
        assert!(circuit.enter(later).is_err(), "only one probe");
        probe.tell(false, later);
        assert_eq!(circuit.blocked_for(later), Some(FIRST * 2));
        let later = later + FIRST * 2;
        drop(circuit.enter(later).ok().unwrap());
        let probed = circuit.enter(later).ok().unwrap().tell(true, later);
        assert_eq!(probed, Some(Turn::Closed));
        assert_eq!(circuit.blocked_for(later), None);
    }

    #[test]
    fn a_question_on_purpose_is_let_through_at_once_and_costs_no_time() {
        let (circuit, now) = (Circuit::default(), Instant::now());
        circuit.hasten(now);
        fail(&circuit, 10, now);
        for _ in 0..3 {
            circuit.hasten(now);
            let asked = circuit.enter(now).ok().unwrap();
            circuit.hasten(now);
            assert!(circuit.enter(now).is_err(), "only one at a time");
            asked.tell(false, now);
            assert_eq!(circuit.blocked_for(now), Some(FIRST));
        }
        circuit.hasten(now);
        let asked = circuit.enter(now).ok().unwrap().tell(true, now);
        assert_eq!(asked, Some(Turn::Closed));
    }

    #[test]
    fn it_never_stays_open_longer_than_ten_minutes() {
        let (circuit, mut now) = (Circuit::default(), Instant::now());
        fail(&circuit, 10, now);
        for _ in 0..10 {
            now += circuit.blocked_for(now).unwrap();
            circuit.enter(now).ok().unwrap().tell(false, now);
        }
        assert_eq!(circuit.blocked_for(now), Some(LONGEST));
    }
}
