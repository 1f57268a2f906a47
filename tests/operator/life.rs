//! A Sync's life: asked to run, told to rest, changed, deleted, applied again.

use serde_json::json;

use super::manifests::{self, MAPPING, SYNC};
use super::stage::{Stage, find, shared};
use super::world::Held;

/// How often the shop was asked for its people.
fn scans(held: &Held) -> usize {
    let scan = |asked: &&super::world::Asked| asked.line == "GET /people";
    held.asked.iter().filter(scan).count()
}

/// Waits until the Sync begins no scan any more, and looks that it stays so.
fn until_silent(stage: &Stage) {
    stage.let_pass(1);
    let before = scans(&stage.world.held());
    stage.let_pass(3);
    assert_eq!(scans(&stage.world.held()), before, "it goes on");
}

/// A Sync that runs each second.
fn restless(port: u16) -> String {
    manifests::all(port).replace("interval: 1h", "interval: 1s")
}

#[test]
fn a_request_is_one_run_and_is_answered() {
    let stage = Stage::shared("requested");
    stage.apply_all();
    let sync = stage.until_synced("people");
    assert!(sync["status"]["lastHandledReconcileAt"].is_null());
    let before = scans(&stage.world.held());
    stage.run("people");
    stage.run("people");
    assert_eq!(scans(&stage.world.held()), before + 2);
    // The same value again asks for nothing.
    let annotations = stage.get("Sync", "people")["metadata"]["annotations"].clone();
    stage.patch(
        "Sync",
        "people",
        json!({"metadata": {"labels": {"a": "b"}}}),
    );
    stage.patch(
        "Sync",
        "people",
        json!({"metadata": {"annotations": annotations}}),
    );
    stage.let_pass(3);
    assert_eq!(scans(&stage.world.held()), before + 2);
}

#[test]
fn a_suspended_sync_rests_until_it_is_resumed() {
    let stage = Stage::shared("suspended");
    stage.apply(&restless(stage.world.port));
    stage.until_synced("people");
    stage.patch("Sync", "people", json!({"spec": {"suspend": true}}));
    stage.until_condition("Sync", "people", "Ready", "True", "Suspended");
    until_silent(&stage);
    let sync = stage.get("Sync", "people");
    assert!(sync["status"]["nextRun"].is_null(), "{sync:#}");
    stage.world.held().people.insert("new".into(), "New".into());
    // What is asked for meanwhile is done when it is resumed.
    let request = stage.request("people");
    stage.until("Sync", "people", "seen", |sync| {
        sync["status"]["pendingReconcileAt"] == *request
    });
    until_silent(&stage);
    stage.patch("Sync", "people", json!({"spec": {"suspend": false}}));
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    stage.until_world("the new person", |held| held.agree());
    stage.until("Sync", "people", "answered", |sync| {
        let status = &sync["status"];
        status["lastHandledReconcileAt"] == *request && status["pendingReconcileAt"].is_null()
    });
}

#[test]
fn after_a_change_the_old_worker_is_gone_before_the_new_one_starts() {
    let stage = Stage::shared("changed");
    {
        let mut held = stage.world.held();
        held.people = (0..40)
            .map(|n| (format!("p{n:04}"), format!("P {n}")))
            .collect();
        held.slow = std::time::Duration::from_millis(100);
    }
    stage.apply_all();
    let writes = |held: &Held, version: &str| -> Vec<(u64, Option<u64>)> {
        let of = |a: &&super::world::Asked| a.system == "crm" && a.version == version;
        held.asked
            .iter()
            .filter(of)
            .map(|a| (a.begun, a.ended))
            .collect()
    };
    stage.until_world("the middle of the run", |held| match held.contacts.len() {
        count if count >= 4 => Ok(()),
        count => Err(format!("{count} contacts")),
    });
    let crm = manifests::crm(stage.world.port).replace("X-Version: one", "X-Version: two");
    stage.apply(&crm);
    stage.until_world("everybody", |held| held.agree());
    let held = stage.world.held();
    let (old, new) = (writes(&held, "one"), writes(&held, "two"));
    assert!(!new.is_empty() && old.len() > 4, "{old:?} {new:?}");
    let last = old.iter().map(|(_, ended)| ended.unwrap_or(u64::MAX)).max();
    let first = new.iter().map(|(begun, _)| *begun).min();
    assert!(last < first, "{last:?} {first:?}");
}

#[test]
fn state_of_other_systems_is_used_only_when_a_person_says_so() {
    let stage = Stage::shared("mismatch");
    stage.apply_all();
    stage.until_synced("people");
    let hash_of = |path: &str| {
        stage.apply(&manifests::crm(stage.world.port).replace("/crm\"", path));
        stage.world.held().people.insert(path.into(), "New".into());
        stage.request("people");
        let message = stage.until_condition("Sync", "people", "Stalled", "True", "StateMismatch");
        let hash = message.split_once("Adopt-").expect("it says how").1;
        hash.split([',', ';', ' ']).next().unwrap().to_owned()
    };
    let say = |word: String| {
        let annotations = json!({"syncline.dev/state": word});
        stage.patch(
            "Sync",
            "people",
            json!({"metadata": {"annotations": annotations}}),
        );
    };
    let requests = |stage: &Stage, line: &str| {
        let held = stage.world.held();
        held.asked
            .iter()
            .filter(|a| a.line == line && a.system == "crm2")
            .count()
    };
    let hash = hash_of("/crm2\"");
    say("Adopt-000000000000".to_owned());
    stage.let_pass(2);
    assert!(find(&stage.get("Sync", "people"), "Stalled").is_some());
    assert_eq!(
        requests(&stage, "GET /contacts"),
        0,
        "it asks the new system"
    );
    say(format!("Adopt-{hash}"));
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    stage.until_world("everybody", |held| held.agree());
    // What was linked stayed linked: only the new one was looked for.
    assert_eq!(requests(&stage, "POST /contacts"), 1);

    // Another system again: the old word does not count for it.
    let hash = hash_of("/crm3\"");
    say(format!("Reset-{hash}"));
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    stage.until_world("everybody", |held| held.agree());
    let held = stage.world.held();
    let found = held
        .asked
        .iter()
        .filter(|a| a.system == "crm3" && a.line == "GET /contacts");
    assert!(found.count() >= 4, "nothing was forgotten");
}

#[test]
fn resources_may_be_deleted_in_any_order() {
    let names = [
        ("Sync", "people"),
        ("Mapping", "person-to-contact"),
        ("Connection", "shop"),
        ("Connection", "crm"),
        ("Secret", "crm-key"),
        ("Secret", "shop-key"),
    ];
    let orders: [(&str, &[usize]); 2] = [
        ("order-a", &[4, 2, 1, 3, 5, 0]),
        ("order-b", &[0, 1, 5, 2, 3, 4]),
    ];
    for (namespace, order) in orders {
        let stage = Stage::shared(namespace);
        stage.apply(&restless(stage.world.port));
        stage.until_synced("people");
        for index in order {
            let (kind, name) = names[*index];
            stage.delete(kind, name);
        }
        for (kind, name) in names {
            super::cluster::eventually(super::stage::BOUND, || {
                match stage.api.get(namespace, kind, name) {
                    None => Ok(()),
                    Some(object) => Err(object.to_string()),
                }
            });
        }
        until_gone(namespace);
        let asked = stage.world.held().asked.len();
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(
            stage.world.held().asked.len(),
            asked,
            "{namespace}: somebody asks"
        );
    }
}

/// Waits until the operator shows nothing of a namespace.
fn until_gone(namespace: &str) {
    let label = format!("namespace=\"{namespace}\"");
    super::cluster::eventually(super::stage::BOUND, || {
        let metrics = shared().metrics();
        match metrics.lines().find(|line| line.contains(&label)) {
            None => Ok(()),
            Some(line) => Err(line.to_owned()),
        }
    });
}

#[test]
fn a_namespace_goes_with_all_in_it_and_its_workers_end() {
    let stage = Stage::shared("doomed");
    stage.apply(&restless(stage.world.port));
    stage.until_synced("people");
    let delete = ["delete", "namespace", "doomed", "--timeout=60s"];
    stage.server.run(&delete);
    until_gone("doomed");
    let asked = stage.world.held().asked.len();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(stage.world.held().asked.len(), asked, "somebody asks");
}

#[test]
fn what_is_deleted_and_applied_again_creates_nothing_twice() {
    let stage = Stage::shared("reapplied");
    stage.apply_all();
    stage.until_synced("people");
    let uid = stage.get("Sync", "people")["metadata"]["uid"].clone();
    let all = [
        "delete",
        "connections,mappings,syncs",
        "--all",
        "-n",
        "reapplied",
    ];
    stage.server.run(&all);
    until_gone("reapplied");
    {
        let mut held = stage.world.held();
        held.people.insert("p0000".into(), "Renamed".into());
        held.people.insert("new".into(), "New".into());
        // Only what the store remembers can tell who is who.
        for contact in held.contacts.values_mut() {
            contact["ref"] = json!("lost");
        }
    }
    stage.apply_all();
    stage.run("people");
    let sync = stage.get("Sync", "people");
    assert_ne!(sync["metadata"]["uid"], uid);
    let counts = &sync["status"]["lastRun"]["counts"];
    assert_eq!(
        (&counts["created"], &counts["updated"]),
        (&json!(1), &json!(1)),
        "{sync:#}"
    );
    assert_eq!(stage.world.held().contacts.len(), 4);
    assert!(SYNC.contains("people") && MAPPING.contains("ref"));
}
