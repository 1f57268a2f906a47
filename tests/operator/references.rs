//! What a Sync refers to comes late, breaks, goes away, or belongs to somebody else.

use serde_json::json;

use super::cluster::eventually;
use super::manifests::{self, MAPPING, SYNC};
use super::stage::{BOUND, Stage, find, shared, status_of};

#[test]
fn a_sync_without_its_mapping_waits_and_begins_when_it_comes() {
    let stage = Stage::shared("no-mapping");
    let all = manifests::all(stage.world.port).replace(MAPPING, "");
    stage.apply(&all);
    let message = stage.until_condition("Sync", "people", "Ready", "False", "ReferenceMissing");
    assert!(message.contains("mappingRef"), "{message}");
    assert!(message.contains("person-to-contact"), "{message}");
    stage.apply(MAPPING);
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    stage.until_world("everybody", |held| held.agree());
}

#[test]
fn a_mapping_that_fails_its_tests_leaves_the_last_good_one_at_work() {
    let stage = Stage::shared("broken-mapping");
    stage.apply_all();
    stage.until_synced("people");
    let broken = MAPPING.replace("value: shop", "value: elsewhere");
    stage.apply(&broken);
    let name = "person-to-contact";
    let message = stage.until_condition("Mapping", name, "TestsPassed", "False", "TestsFailed");
    assert!(message.contains("takes the name over"), "{message}");
    assert!(message.contains("origin"), "{message}");
    let message = stage.until_condition("Mapping", name, "Stalled", "True", "TestsFailed");
    assert!(message.contains("last version that was good"), "{message}");

    stage.world.held().people.insert("new".into(), "New".into());
    let sync = stage.run("people");
    assert_eq!(status_of(&sync, "Ready"), "True");
    let origins = |stage: &Stage| -> Vec<String> {
        let held = stage.world.held();
        let origins = held.contacts.values().map(|c| c["origin"].to_string());
        origins.collect()
    };
    assert_eq!(origins(&stage), vec!["\"shop\""; 4]);

    stage.apply(&broken.replace("origin: shop", "origin: elsewhere"));
    stage.until_condition("Mapping", name, "Ready", "True", "Compiled");
    stage.until_condition("Mapping", name, "TestsPassed", "True", "TestsPassed");
    stage.run("people");
    assert_eq!(origins(&stage), vec!["\"elsewhere\""; 4]);
    assert_eq!(stage.world.held().agree(), Ok(()));
}

#[test]
fn a_system_that_is_down_is_told_of_and_taken_up_as_soon_as_it_answers() {
    let stage = Stage::shared("down");
    stage.apply_all();
    stage.until_synced("people");
    stage.until_condition("Connection", "shop", "Reachable", "True", "Answered");
    {
        let mut held = stage.world.held();
        held.down = true;
        held.people.insert("new".into(), "New".into());
    }
    stage.until_condition("Connection", "shop", "Reachable", "False", "Unreachable");
    stage.until_condition("Connection", "shop", "Ready", "Unknown", "Unreachable");
    assert_eq!(
        status_of(&stage.get("Connection", "shop"), "Reconciling"),
        "True"
    );

    stage.request("people");
    let sync = stage.until("Sync", "people", "failed", |sync| {
        sync["status"]["lastRun"]["outcome"] == "Failed"
    });
    let status = &sync["status"];
    let message = status["lastRun"]["message"].as_str().unwrap();
    assert!(message.contains("Connection shop"), "{message}");
    assert!(status["nextAttemptTime"].is_string(), "{status:#}");
    // The manifest is good: Ready stays, and says what happened.
    assert_eq!(status_of(&sync, "Ready"), "True");
    let ready = find(&sync, "Ready").unwrap()["message"].as_str().unwrap();
    assert!(ready.contains("the last run failed"), "{ready}");

    // It stays down for so long that the circuit opens: that is no news each time the shop is probed.
    let open = r#"syncline_connection_circuit_open{namespace="down",connection="shop"} 1"#;
    eventually(BOUND, || {
        let metrics = shared().metrics();
        let is_open = metrics.contains(open);
        is_open.then_some(()).ok_or(metrics)
    });
    stage.let_pass(1);
    let version =
        |stage: &Stage| stage.get("Connection", "shop")["metadata"]["resourceVersion"].clone();
    let before = version(&stage);
    stage.let_pass(3);
    assert_eq!(
        version(&stage),
        before,
        "the same is written again and again"
    );

    // The next attempt by itself would come minutes later.
    stage.world.held().down = false;
    stage.until_condition("Connection", "shop", "Ready", "True", "Configured");
    stage.until_world("the new person", |held| held.agree());
    let sync = stage.until("Sync", "people", "well again", |sync| {
        sync["status"]["lastRun"]["outcome"] == "Succeeded"
    });
    assert!(sync["status"]["nextAttemptTime"].is_null(), "{sync:#}");
}

#[test]
fn a_connection_is_used_only_from_where_it_allows() {
    let [lender, borrower, stranger] = ["lender", "borrower", "stranger"].map(Stage::shared);
    let shared = |grant: &str| {
        let crm = manifests::crm(lender.world.port);
        crm.replace(
            "  access:",
            &format!("  allowedNamespaces: {grant}\n  access:"),
        )
    };
    lender.apply(&manifests::secret("crm-key", manifests::CRM_KEY));
    lender.apply(&shared("{from: Names, names: [borrower]}"));
    let sync = SYNC.replace("{name: crm}", "{name: crm, namespace: lender}");
    for stage in [&borrower, &stranger] {
        stage.apply(&manifests::secret("shop-key", manifests::SHOP_KEY));
        // The CRM is the lender's world; the shop each one's own.
        stage.apply(&manifests::shop(stage.world.port));
        stage.apply(MAPPING);
        stage.apply(&sync);
    }
    borrower.until_synced("people");
    assert_eq!(lender.world.held().contacts.len(), 3);
    let refused = |stage: &Stage| {
        let message = stage.until_condition("Sync", "people", "Ready", "False", "ReferenceMissing");
        assert!(message.contains("allowedNamespaces"), "{message}");
    };
    refused(&stranger);

    lender.apply(&shared("{from: Same}"));
    refused(&borrower);
    borrower
        .world
        .held()
        .people
        .insert("new".into(), "New".into());
    borrower.request("people");
    borrower.let_pass(3);
    assert_eq!(
        lender.world.held().contacts.len(),
        3,
        "it writes without a grant"
    );

    lender.apply(&shared("{from: All}"));
    borrower.until_condition("Sync", "people", "Ready", "True", "Supervised");
    // Both have the same three people: one of them is told that another Sync has linked them already.
    stranger.until_condition("Sync", "people", "Ready", "True", "Supervised");
    borrower.until_world("the new person", |_| {
        match lender.world.held().contacts_of("new") {
            1 => Ok(()),
            count => Err(format!("{count} contacts")),
        }
    });
    let grant = json!({"spec": {"allowedNamespaces": {"from": "Names", "names": ["nobody"]}}});
    lender.patch("Connection", "crm", grant);
    refused(&borrower);
    refused(&stranger);
}
