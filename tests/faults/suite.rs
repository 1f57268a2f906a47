//! Runs many seeds at once, on one store of each kind, and adds up what became of them. Called by `main`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use syncline::state::{Location, Store, Takeover};
use tokio::task::JoinSet;

use crate::case::{Case, Fault, Guarantee, Kind};
use crate::judge::{Verdict, Wrong, judge};
use crate::life::Lives;
use crate::manifests::sync_name;
use crate::pace::{Pace, Report};
use crate::postgres::cluster_in_memory;

/// Most failures that are shown.
const MOST_SHOWN: usize = 10;

/// Which seeds, and at most how many of them at once.
pub struct Settings {
    pub from: u64,
    pub count: u64,
    pub at_once: usize,
    /// Only cases of this kind, on the embedded store.
    pub only: Option<(Fault, Guarantee)>,
    /// Ends with the first case that goes wrong like this.
    pub until: Option<Wrong>,
}

impl Settings {
    pub fn of_environment() -> Self {
        let number = |name: &str, default: u64| {
            std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
        };
        Self {
            from: number("SYNCLINE_FAULT_FROM", 0),
            count: number("SYNCLINE_FAULT_SEEDS", 2000),
            at_once: number("SYNCLINE_FAULT_AT_ONCE", 1000) as usize,
            only: None,
            until: None,
        }
    }
}

/// What became of all seeds of one cell of the table.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub seeds: u64,
    pub faults: u64,
    /// Those that were deleted without reason too.
    pub lost: u64,
    /// Those that were asked for with `onAmbiguous: Retry` too.
    pub duplicates: u64,
    /// Those that should have been deleted too.
    pub stale: u64,
    pub dead: BTreeMap<String, u64>,
}

/// What became of all seeds.
#[derive(Default)]
pub struct Outcome {
    pub cells: BTreeMap<(Kind, Fault, Guarantee), Cell>,
    pub failures: Vec<(Case, Verdict)>,
}

pub fn run(settings: &Settings) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let cases: Vec<Case> = (settings.from..)
        .map(Case::of)
        .filter(|case| match settings.only {
            Some(only) => only == (case.fault, case.guarantee) && case.store == Kind::Sqlite,
            None => true,
        })
        .take(settings.count as usize)
        .collect();
    let postgres = cases.iter().any(|case| case.store == Kind::Postgres);
    let database = postgres.then(|| cluster_in_memory().database());
    let folder = folder();
    let outcome = runtime.block_on(async {
        let open = async |place: &str| {
            let location = Location::parse(place).expect("a place");
            location.open(Takeover::Refuse).await.expect("a store")
        };
        let sqlite = open(&folder.path().display().to_string()).await;
        let postgres = match &database {
            Some(database) => open(&database.url()).await,
            None => Arc::clone(&sqlite),
        };
        let (pace, mut report) = (Pace::new(settings.at_once, vec![Arc::clone(&sqlite), Arc::clone(&postgres)]), Report::new(cases.len() as u64));
        let (mut outcome, mut running) = (Outcome::default(), JoinSet::new());
        let mut cases = cases.into_iter();
        loop {
            while running.len() < pace.at_once()
                && let Some(case) = cases.next()
            {
                let store = match case.store {
                    Kind::Sqlite => Arc::clone(&sqlite),
                    Kind::Postgres => Arc::clone(&postgres),
                };
                running.spawn(async move { (case, judged(case, store).await) });
            }
            let ended = tokio::select! {
                ended = running.join_next() => ended,
                () = tokio::time::sleep_until(report.next()) => {
                    report.progress(outcome.seeds(), outcome.faults(), outcome.failures.len(), running.len());
                    continue;
                }
            };
            let Some(ended) = ended else {
                break;
            };
            let (case, (verdict, faults)) = ended.expect("a case does not end the suite");
            if !verdict.wrong.is_empty() && outcome.failures.len() < MOST_SHOWN {
                report.say(&failure(&case, &verdict));
            }
            let wanted = |(wrong, _): &(Wrong, String)| Some(*wrong) == settings.until;
            let enough = verdict.wrong.iter().any(wanted);
            outcome.add(case, verdict, faults);
            if enough {
                break;
            }
        }
        report.progress(outcome.seeds(), outcome.faults(), outcome.failures.len(), 0);
        outcome
    });
    runtime.shutdown_background();
    outcome
}

/// A folder in memory where there is one: what is tested here is not the disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder")
}

/// What became of a case, if only that it panicked.
async fn judged(case: Case, store: Arc<dyn Store>) -> (Verdict, u64) {
    let ended = AssertUnwindSafe(one(case, store)).catch_unwind().await;
    ended.unwrap_or_else(|said| {
        let text = said.downcast_ref::<String>().cloned();
        let text = text.or_else(|| Some((*said.downcast_ref::<&str>()?).to_owned()));
        let wrong = vec![(Wrong::Restless, text.unwrap_or_default())];
        let verdict = Verdict {
            wrong,
            ..Verdict::default()
        };
        (verdict, 0)
    })
}

async fn one(case: Case, store: Arc<dyn Store>) -> (Verdict, u64) {
    let mut lives = Lives::new(case, Arc::clone(&store)).await;
    let rest = lives.all().await;
    let judged = {
        let world = lives.server.world();
        (judge(&world, &rest), world.faults)
    };
    store
        .forget(&sync_name(&case))
        .await
        .expect("it is forgotten");
    judged
}

impl Outcome {
    fn add(&mut self, case: Case, verdict: Verdict, faults: u64) {
        let cell = self
            .cells
            .entry((case.store, case.fault, case.guarantee))
            .or_default();
        cell.seeds += 1;
        cell.faults += faults;
        let count = |wrong| verdict.wrong.iter().filter(|(w, _)| *w == wrong).count() as u64;
        cell.lost += count(Wrong::Lost) + count(Wrong::Deleted);
        cell.duplicates += verdict.allowed_duplicates + count(Wrong::Duplicate);
        cell.stale += count(Wrong::Stale) + count(Wrong::Left);
        for (reason, count) in &verdict.dead {
            *cell.dead.entry(reason.clone()).or_default() += count;
        }
        if !verdict.wrong.is_empty() {
            self.failures.push((case, verdict));
        }
    }

    /// What is wrong, and how to see it again.
    pub fn failed(&self) -> String {
        let mut text = format!("{} seeds failed\n", self.failures.len());
        for (case, verdict) in self.failures.iter().take(MOST_SHOWN) {
            text += &failure(case, verdict);
        }
        text
    }

    pub fn seeds(&self) -> u64 {
        self.cells.values().map(|cell| cell.seeds).sum()
    }

    pub fn faults(&self) -> u64 {
        self.cells.values().map(|cell| cell.faults).sum()
    }
}

/// What is wrong with one case, and how to see it again.
fn failure(case: &Case, verdict: &Verdict) -> String {
    let mut text = format!("\n{case:?}\n");
    for (wrong, what) in &verdict.wrong {
        let _ = writeln!(text, "  {wrong:?}: {what}");
    }
    let _ = writeln!(
        text,
        "  again: SYNCLINE_FAULT_FROM={} SYNCLINE_FAULT_SEEDS=1 cargo test --test faults nothing_is_lost -- --nocapture",
        case.seed
    );
    text
}
