//! A feed of changes with the real binary: what it says of records arrives, whenever the process is killed.

#[path = "../support/postgres.rs"]
mod postgres;
mod world;

use world::{Folder, World};

/// Customers at first, and changes in each round of the tests that kill.
const FIRST: usize = 20;
const CHANGES: usize = 60;

/// Where a debug build ends itself, one in each round.
const BOUNDARIES: [&str; 6] = [
    "before-t1:1",
    "before-t1:3",
    "after-t1:2",
    "before-send:5",
    "after-send:9",
    "after-t3:2",
];

fn id(n: usize) -> String {
    format!("c{n:03}")
}

async fn settled(place: Option<&str>) -> (World, Folder, world::Engine) {
    let world = World::default();
    for n in 0..FIRST {
        world.change(&id(n), "first");
    }
    let folder = Folder::new(world.serve().await, place);
    let engine = folder.start();
    world.until_equal().await;
    // A run that reads the feed from where it ended has begun: the first one is over.
    let feeds = world.held().feeds;
    world
        .until("the next run", |held| held.feeds > feeds + 1)
        .await;
    (world, folder, engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_brings_what_was_created_changed_and_deleted_without_the_list() {
    let (world, folder, mut engine) = settled(None).await;
    let lists = world.held().lists;
    world.change(&id(0), "second");
    world.change(&id(FIRST), "new");
    world.delete(&id(1));
    world.until_equal().await;
    // Nobody tells of this one.
    world
        .held()
        .customers
        .insert("silent".into(), "silent".into());
    world.change(&id(2), "second");
    world
        .until("the last change", |held| held.contacts[&id(2)] == "second")
        .await;
    assert!(!world.held().contacts.contains_key("silent"));
    assert_eq!(world.held().lists, lists, "the list was read at first only");

    // A preview reads the feed from where the last run stood, and writes nothing.
    engine.kill();
    world.change(&id(3), "previewed");
    let shown = folder.preview();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(text.contains("previewed"), "{text}");
    assert_eq!(world.held().contacts[&id(3)], "first");
    assert_eq!(world.held().lists, lists);

    // What it had forgotten, the list has.
    world.held().forgets = true;
    let _engine = folder.start();
    world.until_equal().await;
    assert!(world.held().lists > lists);
    let writes = &world.held().writes;
    assert_eq!(writes[&id(0)], ["first", "second"]);
    assert_eq!(writes[&id(4)], ["first"]);
}

/// Customers come, change and go.
fn change_some(world: &World, round: usize) {
    for n in 0..CHANGES {
        let id = id((n * 7 + round * 13) % (2 * FIRST));
        match (n + round) % 5 {
            0 => world.delete(&id),
            _ => world.change(&id, &format!("{round}-{n}")),
        }
    }
}

/// kill -9 while the feed is read, while its records are fetched, and while they are written.
async fn survives_kills(place: Option<&str>) {
    let (world, folder, mut engine) = settled(place).await;
    let lists = world.held().lists;
    for (round, boundary) in BOUNDARIES.into_iter().enumerate() {
        let (gets, writes) = {
            let held = world.held();
            (held.gets, held.written())
        };
        change_some(&world, round);
        let ahead = 1 + round * 3;
        world
            .until("some of it", |held| match round % 2 {
                0 => held.gets >= gets + ahead,
                _ => held.written() >= writes + ahead,
            })
            .await;
        engine.kill();
        if cfg!(debug_assertions) {
            change_some(&world, round + BOUNDARIES.len());
            folder.start_until(Some(boundary)).ended().await;
        }
        engine = folder.start();
        // What a later round tells again must not hide what this one lost.
        world.until_equal().await;
    }
    world.until_equal().await;
    assert_eq!(world.held().lists, lists, "all of it was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_feed_told_survives_every_kill() {
    survives_kills(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_feed_told_survives_every_kill_with_state_in_postgresql() {
    let database = postgres::cluster().database();
    survives_kills(Some(&database.url())).await;
}
