//! `syncline preview` names what the run then does, record for record: on the demo's real systems the
//! lines of a preview are held against what the CRM holds and the state knows after the run.

mod compare;
mod demo;
#[path = "../support/systems.rs"]
mod systems;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use compare::{Preview, Truth};
use demo::Demo;

const FILES: [&str; 2] = ["-f", "manifests"];

/// A preview, which must not have written anything anywhere.
fn preview(demo: &Demo, more: &[&str]) -> Preview {
    let (state, _) = (demo.state_rows(), demo.writes());
    let arguments = [&["preview", "-o", "json"], &FILES[..], more].concat();
    let (lines, code) = demo.lines(&arguments);
    assert_eq!(demo.writes(), BTreeMap::new(), "a preview wrote");
    assert!(demo.state_rows() == state, "a preview changed the state");
    Preview::new(lines, code)
}

/// A run, held against the preview before it; how many records the target itself refused.
fn run_as_previewed(demo: &Demo, preview: &Preview) -> usize {
    let before = Truth::look(demo);
    let arguments = [&["run", "--once", "-o", "json"], &FILES[..]].concat();
    let (lines, code) = demo.lines(&arguments);
    assert_eq!(code, 0, "{lines:?}");
    let after = Truth::look(demo);
    let differences = compare::compare(preview, &before, &after);
    let wrong = &differences.wrong;
    let some = wrong.iter().take(20).map(String::as_str);
    let some: Vec<&str> = some.collect();
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        some.join("\n")
    );
    compare::counts(preview, &lines, &differences);
    differences.refused.len()
}

#[test]
fn a_preview_names_what_the_run_then_does() {
    let demo = Demo::start();

    // Before the first run: everything, with what will be known only after it.
    let first = preview(&demo, &[]);
    assert!(!demo.state().exists(), "a preview made a state directory");
    assert_eq!(first.code, 1, "some records would become dead letters");
    let customers = first.of("customers-to-contacts");
    for action in ["Create", "Update", "DeadLetter"] {
        assert!(
            customers.values().any(|r| r["action"] == action),
            "{action}"
        );
    }
    assert!(customers.values().any(|r| r["reason"] == "DuplicateMatch"));
    let orders = first.of("orders-to-deals");
    for action in ["Create", "Wait", "DeadLetter"] {
        assert!(orders.values().any(|r| r["action"] == action), "{action}");
    }
    let export = demo.shop.get("/_export");
    for (sync, object) in [
        ("customers-to-contacts", "customers"),
        ("orders-to-deals", "orders"),
    ] {
        let keys: BTreeSet<&str> = list(&export[object])
            .iter()
            .filter_map(|r| r["id"].as_str())
            .collect();
        let named: BTreeSet<&str> = first.of(sync).into_keys().collect();
        assert_eq!(named, keys, "{sync}: one line for each record");
    }
    let refused = run_as_previewed(&demo, &first);
    assert!(refused < 20, "{refused}");

    // Nothing has changed since: neither by the cursor nor when everything is read again.
    for more in [&[][..], &["--full-refresh"]] {
        let again = preview(&demo, more);
        assert_eq!(again.changes(), 0, "{more:?}");
        assert_eq!(again.code, 0);
    }

    // Ten customers change: exactly ten updates, of the fields that changed.
    let changed = demo.shop.post("/_change", &json!({"customers": 10}));
    let ten = preview(&demo, &[]);
    assert_eq!(ten.changes(), 10);
    for id in list(&changed["customers"]) {
        let record = &ten.of("customers-to-contacts")[id.as_str().unwrap_or_default()];
        assert_eq!(record["action"], "Update");
        assert_eq!(record["compared"], true);
        let fields = list(&record["changes"]);
        let known = ["first_name", "last_name", "phone"];
        assert!(
            !fields.is_empty()
                && fields
                    .iter()
                    .all(|c| known.iter().any(|k| c["field"] == *k)),
            "{record}"
        );
    }
    assert_eq!(run_as_previewed(&demo, &ten), 0);

    // Customers sign up whose orders have waited: these go with them.
    let arrived = demo.shop.post("/_change", &json!({"arrivals": 3}));
    let arrived = list(&arrived["arrivals"]).len();
    let new = preview(&demo, &[]);
    assert!(arrived > 0);
    assert_eq!(new.count("customers-to-contacts", "Create"), arrived);
    assert!(new.count("orders-to-deals", "Create") > 0);
    assert_eq!(run_as_previewed(&demo, &new), 0);
}

#[test]
fn a_sync_that_is_previewed_alone_finds_no_links() {
    let demo = Demo::start();
    let alone = preview(&demo, &["orders-to-deals"]);
    assert_eq!(alone.count("orders-to-deals", "Create"), 0);
    assert!(alone.count("orders-to-deals", "Wait") > 0);
    let waits = alone
        .of("orders-to-deals")
        .into_values()
        .find(|r| r["action"] == "Wait");
    let awaits = &waits.expect("one that waits")["awaits"];
    assert_eq!(awaits["sync"]["name"], "customers-to-contacts");
    let text = demo.syncline(&[
        "preview",
        "-f",
        "manifests",
        "orders-to-deals",
        "--limit",
        "0",
    ]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    let hint = "what waits needs links of customers-to-contacts; preview both together";
    assert!(text.contains(hint), "{text}");
}

#[test]
fn as_text_a_few_records_are_shown_and_all_are_counted() {
    let demo = Demo::start();
    let output = demo.syncline(&["preview", "-f", "manifests", "--limit", "2"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    let count = |what: &str| text.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("  + create "), 4, "{text}");
    assert!(
        count("  ~ update ") == 2 && count("  ! dead letter ") >= 4,
        "{text}"
    );
    for wanted in [
        "more to create (--limit shows more)",
        "(known after run: customers-to-contacts cus_",
        "waits until Sync customers-to-contacts links record cus_",
        "DuplicateMatch",
        "Nothing was written. next: syncline run",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
    assert!(!text.contains("demo-crm-secret") && !text.contains("demo-shop-key"));
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
