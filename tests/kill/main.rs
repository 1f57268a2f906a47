//! The kill test: the real binary is ended at every boundary and at random, between systems that fail
//! and change meanwhile, and an oracle judges what is left: nothing lost, nothing twice, nothing stale, and
//! what was deleted is gone.
//!
//! `SYNCLINE_KILL_SEED` chooses other faults, `SYNCLINE_KILL_CYCLES` another number of cycles for each
//! guarantee on each store (50, which makes 200 for a store).

mod cycle;
mod judge;
mod manifests;
mod oracle;
#[path = "../support/postgres.rs"]
mod postgres;
mod random;
mod source;
mod state;
mod target;

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use cycle::{BOUNDARIES, Ended, Engine, Stop};
use oracle::{Moment, Oracle, World};
use random::Random;
use source::Source;
use state::{Kind, State};
use target::{Guarantee, Target};

/// One source, one target, one way to find out what changed.
pub struct Scenario {
    pub guarantee: Guarantee,
    /// Where the engine keeps what it knows.
    pub store: Kind,
    /// Records tell when they were changed, and only what changed is read; else everything, every time.
    pub ordered: bool,
    /// Several records have one match value: one of them may be created, and no more.
    pub shared: bool,
    /// Records are deleted in the source, and come back.
    pub deletes: bool,
    /// Resolution of that time in milliseconds.
    pub granularity: i64,
    pub seed: u64,
    pub cycles: u64,
}

#[test]
fn a_repeatable_write_survives_every_kill_on_sqlite() {
    both_orders(Guarantee::Repeatable, Kind::Sqlite);
}

#[test]
fn a_repeatable_write_survives_every_kill_on_postgres() {
    both_orders(Guarantee::Repeatable, Kind::Postgres);
}

#[test]
fn a_create_with_an_idempotency_key_survives_every_kill_on_sqlite() {
    both_orders(Guarantee::Keyed, Kind::Sqlite);
}

#[test]
fn a_create_with_an_idempotency_key_survives_every_kill_on_postgres() {
    both_orders(Guarantee::Keyed, Kind::Postgres);
}

#[test]
fn a_create_that_can_be_searched_survives_every_kill_on_sqlite() {
    both_orders(Guarantee::Searchable, Kind::Sqlite);
}

#[test]
fn a_create_that_can_be_searched_survives_every_kill_on_postgres() {
    both_orders(Guarantee::Searchable, Kind::Postgres);
}

#[test]
fn a_blind_create_is_never_repeated_and_never_forgotten_on_sqlite() {
    both_orders(Guarantee::Blind, Kind::Sqlite);
}

#[test]
fn a_blind_create_is_never_repeated_and_never_forgotten_on_postgres() {
    both_orders(Guarantee::Blind, Kind::Postgres);
}

#[test]
fn records_that_share_a_match_value_create_one_where_creates_can_be_searched_on_sqlite() {
    cycles(Guarantee::Searchable, Kind::Sqlite, Records::Shared, 24);
}

#[test]
fn records_that_share_a_match_value_create_one_where_creates_can_be_searched_on_postgres() {
    cycles(Guarantee::Searchable, Kind::Postgres, Records::Shared, 24);
}

#[test]
fn records_that_share_a_match_value_create_one_where_creates_have_a_key_on_sqlite() {
    cycles(Guarantee::Keyed, Kind::Sqlite, Records::Shared, 24);
}

#[test]
fn records_that_share_a_match_value_create_one_where_creates_have_a_key_on_postgres() {
    cycles(Guarantee::Keyed, Kind::Postgres, Records::Shared, 24);
}

#[test]
fn records_that_share_a_match_value_create_one_where_creates_are_blind_on_sqlite() {
    cycles(Guarantee::Blind, Kind::Sqlite, Records::Shared, 24);
}

#[test]
fn records_that_share_a_match_value_create_one_where_creates_are_blind_on_postgres() {
    cycles(Guarantee::Blind, Kind::Postgres, Records::Shared, 24);
}

#[test]
fn a_deleted_record_is_gone_where_writes_are_repeatable_on_sqlite() {
    cycles(Guarantee::Repeatable, Kind::Sqlite, Records::Deleted, 50);
}

#[test]
fn a_deleted_record_is_gone_where_writes_are_repeatable_on_postgres() {
    cycles(Guarantee::Repeatable, Kind::Postgres, Records::Deleted, 50);
}

#[test]
fn a_deleted_record_is_gone_where_creates_have_a_key_on_sqlite() {
    cycles(Guarantee::Keyed, Kind::Sqlite, Records::Deleted, 50);
}

#[test]
fn a_deleted_record_is_gone_where_creates_have_a_key_on_postgres() {
    cycles(Guarantee::Keyed, Kind::Postgres, Records::Deleted, 50);
}

#[test]
fn a_deleted_record_is_gone_where_creates_can_be_searched_on_sqlite() {
    cycles(Guarantee::Searchable, Kind::Sqlite, Records::Deleted, 50);
}

#[test]
fn a_deleted_record_is_gone_where_creates_can_be_searched_on_postgres() {
    cycles(Guarantee::Searchable, Kind::Postgres, Records::Deleted, 50);
}

/// What the records of a scenario are like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Records {
    Apart,
    /// Several have one match value.
    Shared,
    /// They are deleted in the source, and come back.
    Deleted,
}

fn both_orders(guarantee: Guarantee, store: Kind) {
    let (crashes, cycles) = cycles(guarantee, store, Records::Apart, 50);
    // Only debug builds can end themselves, and few cycles don't reach everything.
    if cfg!(debug_assertions) && cycles >= 25 {
        for boundary in reached(guarantee) {
            assert!(
                crashes.contains_key(boundary),
                "no run ended at {boundary}: {crashes:?}"
            );
        }
    }
}

/// Half of the cycles with records that have an order, half with records that have none.
fn cycles(
    guarantee: Guarantee,
    store: Kind,
    records: Records,
    usual: u64,
) -> (BTreeMap<&'static str, u32>, u64) {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let seed = number("SYNCLINE_KILL_SEED", 2026);
    let cycles = number("SYNCLINE_KILL_CYCLES", usual).div_ceil(2);
    let mut crashes = BTreeMap::new();
    for ordered in [true, false] {
        let granularity = if seed.is_multiple_of(2) { 1000 } else { 1 };
        survive(
            &Scenario {
                guarantee,
                store,
                ordered,
                shared: records == Records::Shared,
                deletes: records == Records::Deleted,
                granularity,
                seed,
                cycles,
            },
            &mut crashes,
        );
    }
    (crashes, cycles)
}

/// The boundaries that every engine must pass: for repeatable and keyed writes T1 may carry T2.
fn reached(guarantee: Guarantee) -> impl Iterator<Item = &'static str> {
    let separate = matches!(guarantee, Guarantee::Searchable | Guarantee::Blind);
    BOUNDARIES
        .into_iter()
        .filter(move |boundary| separate || !boundary.ends_with("t2"))
}

/// Runs all cycles of a scenario, lets the engine come to rest without faults, and judges.
fn survive(scenario: &Scenario, crashes: &mut BTreeMap<&'static str, u32>) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .expect("a folder")
        .keep();
    let (sender, events) = channel();
    let mut random = Random::new(
        scenario.seed
            ^ (scenario.guarantee as u64) << 32
            ^ u64::from(scenario.ordered)
            ^ u64::from(scenario.shared) << 8
            ^ u64::from(scenario.deletes) << 9,
    );
    let mut source = Source::new(scenario.ordered, scenario.granularity);
    source.shared = scenario.shared;
    source.deletes = scenario.deletes;
    let world = World {
        source,
        target: Target::new(scenario.guarantee),
        random: Random::new(random.next()),
        trouble: true,
        kill: None,
        faults: 0,
        journal: vec![],
    };
    let oracle = Oracle::start(world, sender.clone());
    let manifests = Engine::manifests(&folder);
    std::fs::create_dir(&manifests).expect("a folder for manifests");
    std::fs::write(
        manifests.join("all.yaml"),
        manifests::yaml(scenario, oracle.port),
    )
    .expect("a manifest");
    let engine = Engine {
        folder: folder.clone(),
        state: State::new(scenario.store, &folder),
        events,
        sender,
    };

    let (mut killed, mut finished) = (0, 0);
    for cycle in 0..scenario.cycles {
        change(&oracle, &mut random, cycle);
        let stop = choose(&mut random, cycle, crashes);
        match (engine.run(&oracle, stop), stop) {
            (Ended::Killed, Stop::Crash(boundary, _)) => *crashes.entry(boundary).or_default() += 1,
            (Ended::Killed, _) => killed += 1,
            (Ended::Finished(_), _) => finished += 1,
        }
    }
    let mut wrong = rest(&engine, &oracle);
    if scenario.shared {
        wrong.extend(ask_a_person(&engine, &oracle));
    }
    let dead = engine.dead_letters();
    let world = oracle.world();
    wrong.extend(judge::judge(&world.source, &world.target, &dead));
    println!(
        "{:?} on {:?}, ordered: {}, shared: {}, deletes: {}: {killed} killed, {crashes:?} crashed so far, {finished} ran through, {} faults, \
         {} records, {} writes, {} dead letters",
        scenario.guarantee,
        scenario.store,
        scenario.ordered,
        scenario.shared,
        scenario.deletes,
        world.faults,
        world.source.history.len(),
        world.target.log.len(),
        dead.len()
    );
    assert!(
        world.faults > 0 || scenario.cycles < 5,
        "the systems never failed: this test tests nothing"
    );
    assert!(
        wrong.is_empty(),
        "{:?} on {:?}, ordered: {}, shared: {}, SYNCLINE_KILL_SEED={}: {} problems:\n{}\nthe engine's words: {}\n{}",
        scenario.guarantee,
        scenario.store,
        scenario.ordered,
        scenario.shared,
        scenario.seed,
        wrong.len(),
        wrong.join("\n"),
        engine.log().display(),
        lives(&wrong, &world.journal)
    );
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

/// What happened to the first records that went wrong, between the runs.
fn lives(wrong: &[String], journal: &[String]) -> String {
    let ids: Vec<&str> = wrong
        .iter()
        .filter_map(|problem| problem.split_whitespace().next())
        .take(3)
        .collect();
    let told =
        |entry: &&String| entry.starts_with("run ") || ids.iter().any(|id| entry.contains(id));
    journal
        .iter()
        .filter(told)
        .map(|entry| format!("{entry}\n"))
        .collect()
}

/// New and changed records before a cycle; many at first.
fn change(oracle: &Oracle, random: &mut Random, cycle: u64) {
    let mut world = oracle.world();
    for _ in 0..if cycle == 0 { 25 } else { 1 + random.below(4) } {
        world.source.add(random);
    }
    for _ in 0..2 + random.below(6) {
        world.source.change(random);
    }
}

/// Two of three runs end at a boundary, each in its turn; the others at a moment in the systems.
fn choose(random: &mut Random, cycle: u64, crashes: &BTreeMap<&'static str, u32>) -> Stop {
    if cycle % 3 == 2 {
        let moment =
            [Moment::Page, Moment::BeforeCommit, Moment::AfterCommit][random.below(3) as usize];
        return Stop::Kill(moment, 1 + random.below(6));
    }
    let turn = cycle - cycle / 3;
    let boundary = BOUNDARIES[turn as usize % BOUNDARIES.len()];
    // Each is reached at least once, also where little is left to do.
    let most = if crashes.contains_key(boundary) { 4 } else { 1 };
    Stop::Crash(boundary, 1 + random.below(most))
}

/// Creates of unknown fate are decided by a person who looks in the target, until there are none.
fn ask_a_person(engine: &Engine, oracle: &Oracle) -> Vec<String> {
    let mut wrong = vec![];
    for _ in 0..5 {
        let open: Vec<_> = engine
            .dead_letters()
            .into_iter()
            .filter(|letter| letter.ambiguous)
            .collect();
        if open.is_empty() {
            return wrong;
        }
        for letter in open {
            let is_there = oracle
                .world()
                .target
                .contents()
                .any(|content| content["external_ref"] == letter.key);
            engine.decide(&letter, is_there);
        }
        wrong.extend(rest(engine, oracle));
    }
    wrong.push("there are always new creates of unknown fate".to_owned());
    wrong
}

/// Runs without faults until the engine has nothing left to do; says what kept it from that.
fn rest(engine: &Engine, oracle: &Oracle) -> Vec<String> {
    oracle.world().trouble = false;
    let mut wrong = vec![];
    for _ in 0..2 {
        if engine.run(oracle, Stop::Never) == Ended::Killed {
            wrong.push("a run without faults died".to_owned());
        }
    }
    let writes = oracle.world().target.log.len();
    engine.run(oracle, Stop::Never);
    let more = oracle.world().target.log.len() - writes;
    if more > 0 {
        wrong.push(format!(
            "the third run without faults and changes still wrote {more} times"
        ));
    }
    wrong
}
