//! Runs engines, one after the other, against one world and on one store: those that end in the midst of
//! something, and at last those that may come to rest. Knows nothing of what they should have done: `judge`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use secrecy::SecretString;
use syncline::connector::{Connector, Guard, NoSecret, SecretSource, TokenStore};
use syncline::plan::Plan;
use syncline::state::{Change, Exception, InboxPosition, OnMismatch, Pick, Store, Totals};
use syncline::worker::{Board, Fence, Mode, Progress, Setup, Target, Worker};
use tokio::sync::watch;

use crate::case::{Case, Fault};
use crate::hooks::Hooks;
use crate::killer::{Killer, MOMENTS, Moment};
use crate::manifests::{Plans, SECRET, sync_name};
use crate::server::Server;
use crate::store::{Flaky, Flaw, Jump};
use crate::world::World;

const HOUR: i64 = 3_600_000;

/// An engine that runs longer hangs.
const LONGEST: Duration = Duration::from_secs(180);

/// Runs in which an engine may come to rest once nothing goes wrong any more.
const MOST_RUNS: usize = 12;

/// One case while it happens.
pub struct Lives {
    pub case: Case,
    pub server: Server,
    pub store: Arc<dyn Store>,
    plans: Plans,
    hooks: Hooks,
    /// By how much the engine's clock is off, in milliseconds.
    clock: Arc<AtomicI64>,
}

/// What the engine has in the end.
pub struct Rest {
    pub dead: Vec<Exception>,
    /// Why it did not come to rest.
    pub problem: Option<String>,
}

impl Lives {
    pub async fn new(case: Case, store: Arc<dyn Store>) -> Self {
        let server = Server::start(World::new(case)).await;
        Self {
            case,
            plans: Plans::new(&case, server.port),
            hooks: Hooks::new(case),
            server,
            store,
            clock: Arc::default(),
        }
    }

    /// One life after the other, with what changes in between, until things go well again.
    pub async fn all(&mut self) -> Rest {
        let dice = self.case.dice();
        self.begin().await;
        let lives = 2 + dice.roll("lives", 0, 3);
        for life in 0..lives {
            self.change(life);
            self.live(life).await;
        }
        self.rest().await
    }

    /// The Sync is there before anything is told: what a webhook told before is for its first scan.
    async fn begin(&self) {
        let plan = &self.plans.calm;
        let opened = self
            .store
            .open(&plan.name, plan.identity, OnMismatch::Refuse);
        let (session, mut state) = opened.await.expect("the store answers");
        state.inbox = Some(InboxPosition {
            connection: format!("default/{}", plan.source.connection.name),
            after: self.store.inbox_end().await.expect("the store answers"),
        });
        let changes = vec![Change::State(Box::new(state))];
        let kept = self.store.commit(&session, changes);
        kept.await.expect("the store answers");
    }

    /// New and changed records before a life; most of them at first.
    fn change(&mut self, life: u64) {
        let dice = self.case.dice();
        let mut world = self.server.world();
        let more = if life == 0 { 5 } else { 1 };
        for n in 0..more + dice.roll("more", life, 3) {
            let variant = dice.roll("variant", life * 100 + n, 3);
            world
                .source
                .add(self.case.hook.is_some() && n % 2 == 1, variant);
        }
        let ids = world.source.ids();
        for n in 0..if life == 0 {
            0
        } else {
            1 + dice.roll("changes", life, 3)
        } {
            let nth = life * 100 + n;
            let id = &ids[dice.roll("changed", nth, ids.len() as u64) as usize];
            let back = self.case.has(Fault::Changes) && dice.chance("back", nth, 40);
            world.source.change(id, dice.roll("step", nth, 2), back);
        }
    }

    /// What the engine's clock says at first in this life, and when it jumps.
    fn clock_of(&self, life: u64) -> Option<Jump> {
        let dice = self.case.dice();
        let jumps = match self.case.fault {
            Fault::Clock => true,
            _ => self.case.has(Fault::Clock) && dice.chance("clocks", life, 30),
        };
        if !jumps {
            return None;
        }
        let hours = |what: &str| [0, 2, -2, 30, -30][dice.roll(what, life, 5) as usize];
        self.clock.store(hours("clock") * HOUR, Relaxed);
        dice.chance("jumps", life, 60).then(|| Jump {
            clock: Arc::clone(&self.clock),
            at: 1 + dice.roll("jumps when", life, 6),
            to: hours("jumps to") * HOUR,
        })
    }

    async fn live(&mut self, life: u64) {
        let dice = self.case.dice();
        let crashes = [
            Fault::Crash,
            Fault::Twins,
            Fault::Refused,
            Fault::Feed,
            Fault::Clock,
        ];
        let crashes = crashes.into_iter().any(|fault| self.case.has(fault));
        let percent = match self.case.fault {
            Fault::Refused | Fault::Clock => 40,
            _ => 80,
        };
        let kill = (crashes && dice.chance("kill", life, percent)).then(|| {
            let most = if self.case.hook.is_some() { 6 } else { 5 };
            let moment = MOMENTS[dice.roll("moment", life, most) as usize];
            let commit = matches!(moment, Moment::BeforeCommit | Moment::AfterCommit);
            (
                moment,
                1 + dice.roll("when", life, if commit { 8 } else { 6 }),
            )
        });
        let flaw = match dice.roll("flaw", life, 4) {
            0 if self.case.has(Fault::Store) => {
                let ways = [Flaw::Fails, Flaw::Locked, Flaw::Full];
                Some(ways[dice.roll("fails", life, 3) as usize])
            }
            1 if self.case.has(Fault::Store) => Some(Flaw::Unknown),
            2 | 3 if self.case.has(Fault::Takeover) => Some(Flaw::Held),
            _ => None,
        };
        // Several pages are on their way to the store at once then.
        let slow = crashes && dice.chance("slow", life, 40);
        let slow = slow.then(|| Duration::from_millis(20 + dice.roll("slowly", life, 130)));
        let flaw = flaw.filter(|_| slow.is_none());
        let flaw = flaw.map(|flaw| (flaw, 1 + dice.roll("flaw when", life, 8)));
        let receives = self.case.fault == Fault::Webhooks && dice.chance("receives", life, 30);
        let kill = match receives {
            true => Some((
                Moment::BeforeReceive,
                1 + dice.roll("when received", life, 4),
            )),
            false => kill,
        };
        // One death at a time.
        let kill = kill.filter(|_| !matches!(flaw, Some((Flaw::Held, _))));
        let killer = Arc::new(Killer::new(kill));
        self.server.world().killer = Arc::clone(&killer);
        let store = Arc::new(Flaky::new(
            Arc::clone(&self.store),
            Arc::clone(&killer),
            slow,
            flaw,
            self.clock_of(life),
        ));
        if matches!(flaw, Some((Flaw::Held, _))) {
            return self.taken_over(&store).await;
        }
        let plan = Arc::clone(&self.plans.trouble);
        let board = Arc::new(Board::default());
        let hooked: Arc<dyn Store> = store.clone();
        let deliveries = self
            .hooks
            .deliver(life, &plan, &self.server, hooked, &board);
        let run = self.engine(plan, store, board, Fence::default(), false, 150);
        let both = async { futures::join!(run, deliveries) };
        tokio::select! {
            biased;
            () = killer.killed() => {}
            ended = tokio::time::timeout(LONGEST, both) => {
                ended.expect("a run ends");
            }
        }
        // What it had sent before it died is not sent by the next one.
        self.server.settle().await;
    }

    /// A worker that is cut off in the midst of a commit, the one that takes over meanwhile, and the first
    /// one's end.
    async fn taken_over(&self, store: &Arc<Flaky>) {
        let fence = Fence::closed();
        fence.open_until(std::time::Instant::now() + Duration::from_secs(3600));
        let run = |store: Arc<dyn Store>, fence: Fence| {
            let plan = Arc::clone(&self.plans.trouble);
            self.engine(plan, store, Arc::default(), fence, false, 150)
        };
        let mut first = std::pin::pin!(run(store.clone(), fence.clone()));
        let frozen = tokio::select! {
            biased;
            () = store.holds() => true,
            _ = &mut first => false,
        };
        if !frozen {
            return;
        }
        // The lease has run out, and the requests that were under way end, as they do before a takeover.
        fence.close();
        let ended = tokio::select! {
            biased;
            _ = &mut first => true,
            () = self.server.quiet() => false,
        };
        let second = run(Arc::clone(&self.store), Fence::default());
        tokio::time::timeout(LONGEST, second)
            .await
            .expect("a run ends");
        store.release();
        if !ended {
            tokio::time::timeout(LONGEST, first)
                .await
                .expect("a run ends");
        }
    }

    /// Runs without faults until there is nothing left to do.
    async fn rest(&mut self) -> Rest {
        self.clock.store(0, Relaxed);
        {
            let mut world = self.server.world();
            world.trouble = false;
            world.killer = Arc::new(Killer::new(None));
        }
        // Without get, what is absent is deleted by the second of two scans.
        let wanted = if self.case.vanishes { 3 } else { 1 };
        let (mut problem, mut quiet) = (None, 0);
        let writes = |world: &World| world.target.log.len() + world.target.deleted.len();
        for run in 0..MOST_RUNS {
            let before = writes(&self.server.world());
            let plan = Arc::clone(&self.plans.calm);
            let (store, board) = (Arc::clone(&self.store), Arc::default());
            let running = self.engine(plan, store, board, Fence::default(), run == 0, 2000);
            let error = tokio::time::timeout(LONGEST, running)
                .await
                .expect("a run ends");
            let (_, totals) = self.left().await;
            let left = totals.retrying + totals.unknown + totals.waiting + totals.held;
            let wrote = writes(&self.server.world()) > before;
            problem = match error {
                Some(error) => Some(error),
                None if left > 0 => Some(format!("{totals:?} are left")),
                None if wrote => Some("it still writes".into()),
                None => None,
            };
            quiet = if problem.is_none() { quiet + 1 } else { 0 };
            if run > 0 && quiet >= wanted {
                break;
            }
        }
        let (dead, _) = self.left().await;
        Rest { dead, problem }
    }

    /// One run; the error is why it ended early.
    async fn engine(
        &self,
        plan: Arc<Plan>,
        store: Arc<dyn Store>,
        board: Arc<Board>,
        fence: Fence,
        full: bool,
        patience: u64,
    ) -> Option<String> {
        let connector = |connection| {
            let made = Connector::new(
                connection,
                Arc::new(Given),
                Arc::new(Given),
                Guard::default(),
            );
            made.unwrap_or_else(|e| panic!("{e}"))
        };
        let (_stop, stop) = watch::channel(false);
        let setup = Setup {
            source: connector(Arc::clone(&plan.source.connection)),
            target: Target::Live(connector(Arc::clone(&plan.target.connection))),
            witness: None,
            plan,
            store,
            board,
            progress: Arc::new(Progress::default()),
            mode: Mode::Once {
                patience: Duration::from_millis(patience),
            },
            scan: true,
            allow_deletes: syncline::worker::AllowDeletes::No,
            // What has no cursor is read whole each time anyhow; where there is one, or a feed, it must do.
            full: full && !self.case.cursor && self.case.feed.is_none(),
            stop,
            fence,
        };
        let run = async {
            match Worker::open(setup, OnMismatch::Refuse).await {
                Err(error) => Some(error.to_string()),
                Ok(worker) => worker.run().await.1.map(|error| error.to_string()),
            }
        };
        // Nobody can set the clock of a release.
        #[cfg(debug_assertions)]
        let run = syncline::trial::WrongClock::new(Arc::clone(&self.clock), run);
        run.await
    }

    async fn left(&self) -> (Vec<Exception>, Totals) {
        let found = self.store.find(&sync_name(&self.case)).await;
        let (session, _) = found
            .expect("the store answers")
            .expect("the Sync has state");
        let pick = Pick::DeadLetters { after: None };
        let dead = self.store.exceptions(&session, pick, 1000).await;
        let totals = self.store.totals(&session).await;
        (
            dead.expect("the store answers"),
            totals.expect("the store answers"),
        )
    }
}

/// The one secret of this test; tokens are not kept.
pub struct Given;

impl SecretSource for Given {
    fn read(&self, _: &str, _: &str, _: &str) -> BoxFuture<'_, Result<SecretString, NoSecret>> {
        async { Ok(SecretString::from(SECRET)) }.boxed()
    }
}

impl TokenStore for Given {
    fn load(&self, _: &str) -> BoxFuture<'_, Result<Option<(String, SecretString)>, String>> {
        async { Ok(None) }.boxed()
    }

    fn save(&self, _: &str, _: String, _: SecretString) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }
}
