//! Runs many seeds at once, on one store of each kind, and adds up what became of them. Called by `main`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use futures::StreamExt;
use syncline::state::{Location, Store, Takeover};

use crate::case::{Case, Fault, Guarantee, Kind};
use crate::judge::{Verdict, Wrong, judge};
use crate::life::Lives;
use crate::manifests::sync_name;
use crate::postgres::cluster;

/// Most failures that are shown.
const MOST_SHOWN: usize = 5;

/// Which seeds, and how many of them at once.
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
            at_once: number("SYNCLINE_FAULT_AT_ONCE", 48) as usize,
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
        .worker_threads(2)
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
    let database = postgres.then(|| cluster().database());
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
        let mut outcome = Outcome::default();
        let mut cases = futures::stream::iter(cases)
            .map(|case| {
                let store = match case.store {
                    Kind::Sqlite => Arc::clone(&sqlite),
                    Kind::Postgres => Arc::clone(&postgres),
                };
                async move { (case, tokio::spawn(one(case, store)).await) }
            })
            .buffer_unordered(settings.at_once);
        while let Some(ended) = cases.next().await {
            let (case, ended) = ended;
            let (verdict, faults) = ended.unwrap_or_else(|panic| {
                let said = panic.into_panic();
                let said = said.downcast_ref::<String>().cloned().unwrap_or_default();
                let wrong = vec![(Wrong::Restless, said)];
                (
                    Verdict {
                        wrong,
                        ..Verdict::default()
                    },
                    0,
                )
            });
            let wanted = |(wrong, _): &(Wrong, String)| Some(*wrong) == settings.until;
            let enough = verdict.wrong.iter().any(wanted);
            outcome.add(case, verdict, faults);
            if enough {
                break;
            }
        }
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
            let _ = writeln!(text, "\n{case:?}");
            for (wrong, what) in &verdict.wrong {
                let _ = writeln!(text, "  {wrong:?}: {what}");
            }
            let _ = writeln!(
                text,
                "  again: SYNCLINE_FAULT_FROM={} SYNCLINE_FAULT_SEEDS=1 cargo test --test faults nothing_is_lost -- --nocapture",
                case.seed
            );
        }
        text
    }
}
