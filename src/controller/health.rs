//! How the controller is doing: whether its watches hear anything, whether it leads, what it waits for.
//! Served by `runtime::serve`, which `run` starts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::runtime::serve::Subject;
use crate::telemetry::Metrics;

/// A stream that has neither heard nor tried anything for so long hangs: only a restart helps.
const DEAD: Duration = Duration::from_secs(600);
/// A stream that has failed for so long makes the controller not ready; one that is refused for so long, what it
/// showed to be there counts as gone.
pub const DEAF: Duration = Duration::from_secs(120);

/// The sign of life of one watch.
#[derive(Debug)]
pub struct Pulse {
    name: String,
    /// The namespace that is watched; `None`: all of them.
    place: Option<String>,
    beat: Mutex<Beat>,
}

#[derive(Clone, Debug)]
struct Beat {
    /// When an event, a bookmark or a list came in.
    heard: Instant,
    /// When the stream last did anything, also when it failed.
    alive: Instant,
    problem: Option<String>,
    /// The API server says that this may not be watched, or that it is not there.
    refused: bool,
}

impl Beat {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            heard: now,
            alive: now,
            problem: None,
            refused: false,
        }
    }
}

impl Pulse {
    fn beat(&self) -> MutexGuard<'_, Beat> {
        self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something came in.
    pub fn heard(&self) {
        let refused = std::mem::replace(&mut *self.beat(), Beat::new()).refused;
        if refused {
            tracing::info!(stream = self.name, "may be watched again");
        }
    }

    /// It was tried in vain.
    pub fn failed(&self, problem: &str) {
        tracing::warn!(stream = self.name, "watch failed: {problem}");
        self.note(problem, false);
    }

    /// The API server refuses it; said once.
    pub fn refused(&self, problem: &str) {
        if !self.note(problem, true) {
            tracing::warn!(
                stream = self.name,
                "cannot be watched, is tried on, and holds up no other: {problem}; a namespace that is gone for good \
                 belongs out of the list that is watched"
            );
        }
    }

    /// Whether it was refused before.
    fn note(&self, problem: &str, refused: bool) -> bool {
        let mut beat = self.beat();
        beat.alive = Instant::now();
        beat.problem = Some(problem.to_owned());
        std::mem::replace(&mut beat.refused, refused)
    }
}

/// What the controller does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It cannot begin, and why.
    Waiting(String),
    /// Another one leads.
    Standby(String),
    Leading,
    Stopping,
}

/// Shared by all that have something to say about it.
#[derive(Debug)]
pub struct Health {
    phase: Mutex<Phase>,
    pulses: Mutex<Vec<Arc<Pulse>>>,
    pub metrics: Arc<Metrics>,
}

impl Health {
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            phase: Mutex::new(Phase::Waiting("starting".to_owned())),
            pulses: Mutex::default(),
            metrics,
        }
    }

    /// Says what the controller does now, once for each change.
    pub fn enter(&self, phase: Phase) {
        let mut current = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        if *current != phase {
            match &phase {
                Phase::Waiting(why) => tracing::warn!("waiting: {why}"),
                Phase::Standby(holder) => tracing::info!("standing by: {holder} leads"),
                Phase::Leading => tracing::info!("leading"),
                Phase::Stopping => tracing::info!("stopping"),
            }
            self.metrics.leader.set(i64::from(phase == Phase::Leading));
            *current = phase;
        }
    }

    fn pulses(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch of `what` in a namespace, or in all of them, begins.
    pub fn pulse(&self, what: &str, place: Option<&str>) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse {
            name: format!("{what} in {}", place.unwrap_or("all namespaces")),
            place: place.map(str::to_owned),
            beat: Mutex::new(Beat::new()),
        });
        self.pulses().push(Arc::clone(&pulse));
        pulse
    }

    /// All watches have ended.
    pub fn forget_pulses(&self) {
        self.pulses().clear();
    }

    /// Why the process should be restarted; `None`: it lives.
    fn dead(&self, now: Instant) -> Option<String> {
        let hangs = |p: &Arc<Pulse>| {
            let silent = now.saturating_duration_since(p.beat().alive);
            (silent > DEAD)
                .then(|| format!("the watch of {} hangs for {} s", p.name, silent.as_secs()))
        };
        self.pulses().iter().find_map(hangs)
    }

    /// Why it is not ready; the good answer says what it does.
    fn readiness(&self, now: Instant) -> Result<String, String> {
        let phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        match &*phase {
            Phase::Waiting(why) => return Err(format!("waiting: {why}")),
            Phase::Stopping => return Err("stopping".to_owned()),
            Phase::Standby(holder) => return Ok(format!("standing by: {holder} leads")),
            Phase::Leading => {}
        }
        let pulses = self.pulses();
        let refused = |p: &&Arc<Pulse>| p.beat().refused;
        let lost: BTreeSet<_> = pulses.iter().filter(refused).map(|p| &p.place).collect();
        // What is refused in one of several namespaces holds up no other; a probe that fails would.
        let some_left = pulses.iter().any(|p| !lost.contains(&p.place));
        let deaf = |p: &Arc<Pulse>| {
            let beat = p.beat();
            let silent = now.saturating_duration_since(beat.heard);
            let bears = beat.refused && some_left;
            let problem = beat.problem.clone();
            let problem = problem.filter(|_| silent > DEAF && !bears)?;
            let seconds = silent.as_secs();
            Some(format!(
                "the watch of {} has failed for {seconds} s: {problem}",
                p.name
            ))
        };
        if let Some(problem) = pulses.iter().find_map(deaf) {
            return Err(problem);
        }
        let said = |p: &Arc<Pulse>| {
            let beat = p.beat();
            let problem = beat.problem.clone().filter(|_| beat.refused)?;
            Some(format!("; {} cannot be watched: {problem}", p.name))
        };
        let refused: String = pulses.iter().filter_map(said).collect();
        Ok(format!("leading{refused}"))
    }

    /// How many watches the API server refuses.
    fn refused(&self) -> usize {
        self.pulses().iter().filter(|p| p.beat().refused).count()
    }

    /// Seconds since each watch last heard anything; the longest.
    fn silence(&self, now: Instant) -> f64 {
        let silent = |p: &Arc<Pulse>| now.saturating_duration_since(p.beat().heard).as_secs_f64();
        self.pulses().iter().map(silent).fold(0.0, f64::max)
    }
}

impl Subject for Health {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn alive(&self) -> Result<(), String> {
        match self.dead(Instant::now()) {
            None => Ok(()),
            Some(problem) => Err(problem),
        }
    }

    fn ready(&self) -> Result<String, String> {
        self.readiness(Instant::now())
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        let silence = self.silence(Instant::now());
        self.metrics.watch_silence.set(silence);
        let refused = i64::try_from(self.refused()).unwrap_or(i64::MAX);
        self.metrics.watches_refused.set(refused);
        std::future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_hangs_ends_the_process_and_one_that_fails_only_makes_it_not_ready() {
        let health = Health::new(Arc::default());
        health.enter(Phase::Leading);
        let pulse = health.pulse("Syncs", Some("a"));
        let now = Instant::now();
        assert!(health.dead(now).is_none() && health.readiness(now).is_ok());
        let later = now + DEAD + Duration::from_secs(1);
        assert!(health.dead(later).unwrap().contains("Syncs in a"));
        pulse.failed("forbidden");
        assert!(health.dead(now + DEAF * 2).is_none());
        let problem = health.readiness(now + DEAF * 2).unwrap_err();
        assert!(problem.contains("forbidden"), "{problem}");
        pulse.heard();
        assert!(health.readiness(Instant::now()).is_ok());
    }

    #[test]
    fn what_is_refused_in_one_namespace_is_told_and_holds_up_no_other() {
        let health = Health::new(Arc::default());
        health.enter(Phase::Leading);
        let [a, b] = ["a", "b"].map(|place| health.pulse("Syncs", Some(place)));
        a.refused("forbidden (403)");
        let later = Instant::now() + DEAF * 2;
        let said = health.readiness(later).unwrap();
        assert_eq!(
            said,
            "leading; Syncs in a cannot be watched: forbidden (403)"
        );
        assert_eq!(health.refused(), 1);
        b.failed("no answer");
        let problem = health.readiness(later).unwrap_err();
        assert!(problem.contains("Syncs in b"), "{problem}");
        b.refused("forbidden (403)");
        assert!(health.readiness(Instant::now()).is_ok(), "for a while");
        let problem = health.readiness(later).unwrap_err();
        assert!(problem.contains("Syncs in a"), "none is left: {problem}");
        a.heard();
        assert!(health.readiness(later).is_ok());
        assert_eq!(health.refused(), 1);
    }
}
