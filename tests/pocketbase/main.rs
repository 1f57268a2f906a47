//! PocketBase, an application that nobody here wrote, as a target and as a source: the manifests of
//! examples/pocketbase with the real binary, judged by what the systems' own APIs answer.

mod api;
mod engine;
mod programs;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use api::{Contacts, Http, PocketBase, crm_contacts};
use engine::Engine;
use programs::{example, pocketbase};

/// Customers of the shop: enough that a kill finds a run in the middle.
const CUSTOMERS: &str = "400";

#[tokio::test]
async fn customers_of_the_shop_come_into_pocketbase() {
    let engine = Engine::new("customers-to-pocketbase");
    let shop = example("shop", &["--data", CUSTOMERS, "--orders", "1"]);
    let system = pocketbase(&engine.folder().join("data"));
    engine.write_manifests(&[
        ("http://127.0.0.1:8181", &shop.url),
        ("http://127.0.0.1:8090", &system.url),
    ]);
    let (http, api) = (Http::new(), PocketBase::log_in(&system.url).await);

    let killed = engine
        .run_until_killed(async || api.count().await >= 60)
        .await;
    assert!(killed, "the run was over before it could be killed");
    let first = engine.run();
    let customers = customers(&http, &shop.url).await;
    judge(&customers, &api.contacts().await, &engine.dead_letters());
    assert_eq!(first["outcome"], "Succeeded", "{first}");

    let before = api.contacts().await;
    let second = engine.run();
    assert_eq!(writes(&second), (0, 0), "{second}");
    assert_eq!(api.contacts().await, before, "a second run writes nothing");

    http.ask(
        "POST",
        &format!("{}/_change", shop.url),
        "",
        Some(&json!({"customers": 10})),
    )
    .await;
    let third = engine.run();
    let after = api.contacts().await;
    let changed = before
        .iter()
        .filter(|(email, old)| after.get(*email) != Some(old))
        .count();
    assert!(changed > 0, "nothing changed: {third}");
    assert_eq!(writes(&third), (0, changed as u64), "{third}");
    judge(
        &self::customers(&http, &shop.url).await,
        &after,
        &engine.dead_letters(),
    );
}

#[tokio::test]
async fn contacts_of_pocketbase_come_into_the_crm() {
    let engine = Engine::new("pocketbase-to-crm");
    let shop = example("shop", &["--data", "30", "--orders", "1"]);
    let crm = example("crm", &["--shop", &shop.url]);
    let system = pocketbase(&engine.folder().join("data"));
    engine.write_manifests(&[
        ("http://127.0.0.1:8182", &crm.url),
        ("http://127.0.0.1:8090", &system.url),
    ]);
    let (http, api) = (Http::new(), PocketBase::log_in(&system.url).await);
    // More than one page of 200.
    for n in 0..250 {
        api.create(&contact(n)).await;
    }

    let killed = engine
        .run_until_killed(async || crm_contacts(&crm.url).await.len() > 20)
        .await;
    assert!(killed, "the run was over before it could be killed");
    let first = engine.run();
    assert_eq!(first["outcome"], "Succeeded", "{first}");
    assert_same(&api.contacts().await, &crm_contacts(&crm.url).await);

    let stats = format!("{}/_stats", crm.url);
    http.ask("POST", &format!("{stats}/reset"), "", None).await;
    let second = engine.run();
    assert_eq!(writes(&second), (0, 0), "{second}");
    let requests = http.ask("GET", &stats, "", None).await;
    assert_eq!(
        (&requests["contacts.create"], &requests["contacts.update"]),
        (&Value::Null, &Value::Null)
    );

    let one = api.contacts().await["person007@example.com"].clone();
    api.change(
        one["id"].as_str().expect("an id"),
        &json!({"first_name": "Grace", "phone": ""}),
    )
    .await;
    let third = engine.run();
    assert_eq!(writes(&third), (0, 1), "{third}");
    let requests = http.ask("GET", &stats, "", None).await;
    assert_eq!(
        (&requests["contacts.create"], &requests["contacts.update"]),
        (&Value::Null, &json!(1))
    );
    assert_same(&api.contacts().await, &crm_contacts(&crm.url).await);
}

#[tokio::test]
async fn a_wrong_password_is_named_with_its_secret() {
    let engine = Engine::new("pocketbase-to-crm");
    let system = pocketbase(&engine.folder().join("data"));
    engine.write_manifests(&[
        ("http://127.0.0.1:8090", &system.url),
        ("demo-password", "swordfish-5"),
    ]);
    let said = engine.run_and_fail();
    for part in [
        "Connection/pocketbase: the login refused the credentials (400)",
        "check the Secrets of spec.auth",
    ] {
        assert!(said.contains(part), "{part:?} is not said: {said}");
    }
    assert!(!said.contains("swordfish"), "{said}");
}

fn contact(n: u32) -> Value {
    let date = if n.is_multiple_of(3) {
        ""
    } else {
        "2025-12-31 00:00:00.000Z"
    };
    let address = if n.is_multiple_of(4) {
        Value::Null
    } else {
        json!({"line1": format!("Street {n}"), "city": "Bath"})
    };
    json!({
        "email": format!("person{n:03}@example.com"),
        "first_name": (["Ada", "Łukasz", "伟"][n as usize % 3]),
        "last_name": "O'Brien \"the\" \\ Great",
        "phone": format!("+44 20 {n:07}"),
        "newsletter": n.is_multiple_of(2),
        "signed_up_on": date,
        "address": address,
    })
}

/// Records that were created and updated by a run.
fn writes(run: &Value) -> (u64, u64) {
    let count = |name: &str| run["counts"][name].as_u64().expect("a count");
    (count("created"), count("updated"))
}

async fn customers(http: &Http, shop: &str) -> Vec<Value> {
    let mut export = http.ask("GET", &format!("{shop}/_export"), "", None).await;
    serde_json::from_value(export["customers"].take()).expect("a list of customers")
}

/// Every customer is a contact or a dead letter, and every contact is a customer, as it is in the shop now.
fn judge(customers: &[Value], contacts: &Contacts, dead: &BTreeSet<String>) {
    assert!(
        customers.len() > 100 && dead.len() < customers.len() / 5,
        "{} dead letters",
        dead.len()
    );
    let mut owners = BTreeSet::new();
    for customer in customers {
        let id = customer["id"].as_str().expect("an id");
        if dead.contains(id) {
            continue;
        }
        let email = customer["email"]
            .as_str()
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        let Some(contact) = contacts.get(&email) else {
            panic!("lost: {customer}");
        };
        assert!(
            owners.insert(email),
            "{customer} shares its contact and is no dead letter"
        );
        let name =
            [&contact["first_name"], &contact["last_name"]].map(|n| n.as_str().unwrap_or_default());
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let whole = customer["full_name"].as_str().unwrap_or_default();
        assert_eq!(words(&name.join(" ")), words(whole), "{customer}");
        for field in ["phone", "newsletter"] {
            assert_eq!(contact[field], customer[field], "{customer}");
        }
        assert_eq!(
            contact["address"]["line1"], customer["billing"]["address"]["street"],
            "{customer}"
        );
    }
    let strangers: Vec<_> = contacts
        .keys()
        .filter(|email| !owners.contains(*email))
        .collect();
    assert!(strangers.is_empty(), "nobody's: {strangers:?}");
}

/// The CRM holds PocketBase's contacts.
fn assert_same(source: &Contacts, target: &Contacts) {
    for (email, contact) in source {
        let there = target
            .get(email)
            .unwrap_or_else(|| panic!("lost: {contact}"));
        for field in ["first_name", "last_name", "phone", "newsletter"] {
            assert_eq!(there[field], contact[field], "{field} of {contact}");
        }
        let day = contact["signed_up_on"].as_str().unwrap_or_default();
        assert_eq!(
            there["signed_up_on"].as_str().unwrap_or_default(),
            day.get(..10).unwrap_or_default()
        );
        assert_eq!(
            there["address"]["city"], contact["address"]["city"],
            "{contact}"
        );
    }
    let strangers = target.keys().filter(|email| !source.contains_key(*email));
    assert_eq!(strangers.collect::<Vec<_>>(), Vec::<&String>::new());
}
