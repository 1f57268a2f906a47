//! Two operators with one store: when the one that leads dies or freezes, the other goes on, and nothing is
//! written twice.

use std::time::Duration;

use super::cluster::{ApiServer, eventually};
use super::operator::Operator;
use super::postgres::{Database, cluster};
use super::stage::{BOUND, Stage};

/// A leader in the middle of a run, and one that stands by.
struct Pair {
    stage: Stage<'static>,
    leader: Operator,
    other: Operator,
    _store: Database,
}

fn pair(hint: &str) -> Pair {
    let stage = Stage::alone(ApiServer::shared(), hint, 60);
    let store = cluster().database();
    let leader = stage.operator_with_state(&store.url());
    leader.until_leading();
    let other = stage.operator_with_state(&store.url());
    other.until_ready_says(200, "standing by");
    stage.world.held().slow = Duration::from_millis(200);
    stage.apply_all();
    stage.until_world("the middle of the run", |held| match held.contacts.len() {
        count if count >= 8 => Ok(()),
        count => Err(format!("{count} contacts")),
    });
    Pair {
        stage,
        leader,
        other,
        _store: store,
    }
}

#[test]
fn when_the_leader_dies_the_other_goes_on_and_nothing_comes_twice() {
    let mut pair = pair("killed");
    pair.leader.kill();
    pair.other.until_leading();
    pair.stage.until_world("everybody", |held| held.agree());
    let sync = pair.stage.run("people");
    let counts = &sync["status"]["lastRun"]["counts"];
    assert_eq!(
        (&counts["read"], &counts["created"]),
        (&60.into(), &0.into()),
        "{sync:#}"
    );
    assert_eq!(pair.stage.world.held().agree(), Ok(()));
    assert_eq!(pair.other.stop().code(), Some(0));
}

#[test]
fn a_leader_that_froze_for_longer_than_its_lease_writes_nothing_when_it_wakes() {
    let pair = pair("frozen");
    pair.leader.signal("STOP");
    pair.other.until_leading();
    pair.stage.until_world("everybody", |held| held.agree());
    pair.stage.run("people");
    // What it asks for changes nothing, so only what it would write counts.
    let written = |stage: &Stage| -> Vec<String> {
        let held = stage.world.held();
        let writes = held.asked.iter().filter(|a| !a.line.starts_with("GET "));
        writes.map(|a| format!("{} {}", a.system, a.line)).collect()
    };
    let before = written(&pair.stage);
    pair.leader.signal("CONT");
    // It notices before it writes anything.
    pair.leader.until_ready_says(200, "standing by");
    pair.stage.let_pass(3);
    assert_eq!(
        written(&pair.stage),
        before,
        "two write\n{}",
        pair.leader.log()
    );
    pair.other.until_leading();

    for name in pair.stage.world.held().people.values_mut() {
        name.push_str(" again");
    }
    pair.stage.run("people");
    assert_eq!(pair.stage.world.held().agree(), Ok(()));
    eventually(BOUND, || match pair.leader.log() {
        log if log.contains("no longer leading") => Ok(()),
        log => Err(log),
    });
}
