//! How many seeds run at once, and what is said while they do: as many as keep the processors and the stores busy and
//! not more, because a machine that answers late would be one more fault in all of them. Used by `suite`.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use syncline::state::Store;
use tokio::task::AbortHandle;

/// Seeds at once at first, and at least.
const FIRST: usize = 32;
const LEAST: usize = 8;

/// How often the machine is looked at, and how much longer than that a look may take in which every store keeps
/// something.
const LOOK: Duration = Duration::from_millis(25);
const LATE: Duration = Duration::from_millis(40);

/// How often something is said.
const SAY: Duration = Duration::from_secs(10);

/// Seeds at once, as many as the machine keeps up with; until dropped.
pub struct Pace {
    at_once: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Pace {
    /// `most`: at once, however quick the machine is.
    pub fn new(most: usize, stores: Vec<Arc<dyn Store>>) -> Self {
        let at_once = Arc::new(AtomicUsize::new(FIRST.min(most)));
        let task = tokio::spawn(adapt(Arc::clone(&at_once), most, stores)).abort_handle();
        Self { at_once, task }
    }

    pub fn at_once(&self) -> usize {
        self.at_once.load(Relaxed)
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One more while everything answers when it is time, a twentieth less when it is late.
async fn adapt(at_once: Arc<AtomicUsize>, most: usize, stores: Vec<Arc<dyn Store>>) {
    let mut now = at_once.load(Relaxed);
    loop {
        let began = Instant::now();
        tokio::time::sleep(LOOK).await;
        for store in &stores {
            let kept = store.save_value("suite/pace", None).await;
            kept.expect("the store answers");
        }
        now = match began.elapsed() > LOOK + LATE {
            true => (now - now.div_ceil(20)).max(LEAST.min(most)),
            false => (now + 1).min(most),
        };
        at_once.store(now, Relaxed);
    }
}

/// Says how far a run is, on standard error and at once, whatever the test's harness keeps back.
pub struct Report {
    began: Instant,
    said: Instant,
    of: u64,
}

impl Report {
    pub fn new(of: u64) -> Self {
        let began = Instant::now();
        Self {
            began,
            said: began,
            of,
        }
    }

    /// When it is time again.
    pub fn next(&self) -> tokio::time::Instant {
        (self.said + SAY).into()
    }

    pub fn progress(&mut self, done: u64, faults: u64, failed: usize, at_once: usize) {
        self.said = Instant::now();
        let took = self.began.elapsed().as_secs_f64();
        let each_second = done as f64 / took.max(0.001);
        self.say(&format!(
            "{done} of {} seeds, {faults} faults, {failed} failed; {took:.0} s, {each_second:.1} seeds/s, {at_once} at once",
            self.of
        ));
    }

    pub fn say(&self, what: &str) {
        // Who does not listen misses it.
        let _ = writeln!(std::io::stderr(), "{what}");
    }
}
