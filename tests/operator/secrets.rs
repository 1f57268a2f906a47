//! Credentials that change, that are wrong, that come and go.

use super::manifests::{self, CRM_KEY};
use super::stage::{BOUND, Stage, find, shared, status_of};

#[test]
fn a_rotated_secret_is_used_at_once_and_the_old_one_never_again() {
    let stage = Stage::shared("rotated");
    stage.apply_all();
    stage.until_synced("people");
    let before = shared().log().matches("leading").count();

    // The vendor takes both for a while: nothing fails that could make anybody look.
    {
        let mut held = stage.world.held();
        held.crm_key = "crm-key-2".into();
        held.crm_key_too = Some(CRM_KEY.into());
    }
    stage.set_secret("crm-key", "crm-key-2");
    let mut renamed = 0;
    let old = loop {
        renamed += 1;
        let name = format!("Renamed {renamed}");
        stage.world.held().people.insert("p0000".into(), name);
        stage.run("people");
        let held = stage.world.held();
        if held.count("crm", "crm-key-2") > 0 {
            break held.count("crm", CRM_KEY);
        }
        assert!(renamed < 20, "the old key is used on and on");
    };

    let again = ("p0000".to_owned(), "Renamed again".to_owned());
    stage.world.held().people.extend([again]);
    stage.run("people");
    let held = stage.world.held();
    assert_eq!(held.agree(), Ok(()));
    assert_eq!(held.count("crm", CRM_KEY), old, "the old key is sent again");
    assert_eq!(
        shared().log().matches("leading").count(),
        before,
        "no restart"
    );
}

#[test]
fn a_wrong_secret_stalls_with_advice_and_hammers_at_no_door() {
    let stage = Stage::shared("wrong-secret");
    stage.apply(&manifests::all(stage.world.port).replace("crm-key-1", "wrong"));
    let message = stage.until_condition("Sync", "people", "Stalled", "True", "CredentialRejected");
    assert!(message.contains("Secret crm-key"), "{message}");
    assert!(!message.contains("wrong"), "{message}");
    let sync = stage.get("Sync", "people");
    assert_eq!(status_of(&sync, "Ready"), "False");
    assert!(sync["status"]["nextAttemptTime"].is_string(), "{sync:#}");

    let tried = stage.world.held().count("crm", "wrong");
    stage.let_pass(5);
    let asked = stage.world.held().count("crm", "wrong");
    assert_eq!(asked, tried, "it goes on asking");
    assert!(
        tried <= 4,
        "{tried} requests: more than may be under way at once"
    );

    stage.set_secret("crm-key", CRM_KEY);
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    stage.until_world("everybody", |held| held.agree());
    assert!(find(&stage.get("Sync", "people"), "Stalled").is_none());
}

#[test]
fn a_missing_secret_or_key_is_named_and_noticed_when_it_comes() {
    let stage = Stage::shared("missing-secret");
    let all = manifests::all(stage.world.port);
    let (secrets, others) = all.split_at(manifests::secrets().len());
    assert!(secrets.contains("stringData"));
    stage.apply(others);
    let message = stage.until_condition("Connection", "crm", "Ready", "False", "SecretMissing");
    assert!(message.contains("crm-key"), "{message}");
    let message = stage.until_condition("Sync", "people", "Ready", "False", "SecretMissing");
    assert!(
        message.contains("Connection ") && message.contains("-key"),
        "{message}"
    );
    assert!(find(&stage.get("Sync", "people"), "Stalled").is_none());

    let other_key = manifests::secrets().replace("value:", "other:");
    stage.apply(&other_key);
    let end = std::time::Instant::now() + BOUND;
    loop {
        let message = stage.until_condition("Connection", "crm", "Ready", "False", "SecretMissing");
        if message.contains("key value: there is no such key") {
            break;
        }
        assert!(std::time::Instant::now() < end, "{message}");
    }
    stage.apply(&manifests::secrets());
    stage.until_condition("Connection", "crm", "Ready", "True", "Configured");
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
    stage.until_world("everybody", |held| held.agree());
}

#[test]
fn a_deleted_secret_stops_its_syncs() {
    let stage = Stage::shared("deleted-secret");
    stage.apply_all();
    stage.until_synced("people");
    stage.delete("Secret", "crm-key");
    let message = stage.until_condition("Sync", "people", "Ready", "False", "SecretMissing");
    assert!(message.contains("crm-key"), "{message}");
    let asked = stage.world.held().count("crm", CRM_KEY);
    stage.world.held().people.insert("new".into(), "New".into());
    stage.request("people");
    stage.let_pass(3);
    assert_eq!(stage.world.held().count("crm", CRM_KEY), asked);

    stage.apply(&manifests::secrets());
    stage.until_world("everybody", |held| held.agree());
    stage.until_condition("Sync", "people", "Ready", "True", "Supervised");
}

#[test]
fn a_missing_key_of_a_webhook_is_told_of_and_stops_nothing_else() {
    let stage = Stage::shared("webhook-key");
    let port = stage.world.port;
    let webhook = r#"  webhooks:
    - name: events
      verify: {bearer: {secretRef: {name: hook-key, key: value}}}
      routes: [{object: people, key: {id: body.id}}]
"#;
    let hears = manifests::SYNC.replace("backfill: All", "backfill: All, webhook: {name: events}");
    let shop = manifests::shop(port) + webhook;
    let fetched = "      list: {path: /people, records: data}\n";
    let shop = shop.replace(
        fetched,
        &format!("{fetched}      get: {{path: \"/people/${{key.id}}\"}}\n"),
    );
    stage.apply(&manifests::secrets());
    stage.apply(
        &[
            shop.as_str(),
            &manifests::crm(port),
            manifests::MAPPING,
            &hears,
        ]
        .join("---\n"),
    );
    let message = stage.until_condition("Connection", "shop", "Ready", "False", "SecretMissing");
    assert!(
        message.contains("webhook events: Secret hook-key"),
        "{message}"
    );
    stage.until_condition("Connection", "shop", "Authenticated", "True", "Accepted");
    stage.until_synced("people");
    let told = |sync: &serde_json::Value| {
        let ready = find(sync, "Ready").unwrap();
        assert_eq!(ready["status"], "True", "{ready:#}");
        ready["message"].as_str().unwrap().contains("hook-key")
    };
    stage.until("Sync", "people", "told of the webhook", told);

    stage.apply(&manifests::secret("hook-key", "hook-1"));
    stage.until_condition("Connection", "shop", "Ready", "True", "Configured");
    stage.until("Sync", "people", "told that it is there", |sync| {
        !told(sync)
    });
    stage.delete("Secret", "hook-key");
    stage.until_condition("Connection", "shop", "Ready", "False", "SecretMissing");
    stage.until("Sync", "people", "told that it is gone", told);
    let before = stage.world.held().contacts.len();
    stage.world.held().people.insert("new".into(), "New".into());
    stage.run("people");
    assert_eq!(stage.world.held().contacts.len(), before + 1);
}
