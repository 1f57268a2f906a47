//! Manifests with damage: each is checked to the end, whatever stands in it.

use std::fs;

use super::load;
use crate::fuzz::{damaged_text, run};

const MANIFESTS: [&str; 5] = [
    include_str!("../../../examples/shop-to-crm/customer-to-contact.yaml"),
    include_str!("../../../examples/shop-to-crm/order-to-deal.yaml"),
    include_str!("../../../examples/shop-to-crm/crm.yaml"),
    include_str!("../../../examples/shop-to-crm/shop.yaml"),
    include_str!("../../../examples/shop-to-crm/orders-to-deals.yaml"),
];

/// What may stand where nobody expects it.
const PIECES: [&str; 24] = [
    "",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\"",
    "'",
    "null",
    "true",
    "-1",
    "1e400",
    "&a ",
    "*a",
    "<<: ",
    "${record.",
    "}",
    "a.b[0]",
    "\u{feff}",
    "|",
    "%m/%d",
];

#[test]
fn a_damaged_manifest_is_checked_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    // Each compiles every expression of the examples.
    run("manifests", 64, 200, |random| {
        for (number, text) in MANIFESTS.iter().enumerate() {
            // Most are whole, so that what refers to them is checked further.
            let text = if random.once_in(3) {
                damaged_text(random, &[text], &PIECES)
            } else {
                (*text).to_owned()
            };
            fs::write(folder.path().join(format!("{number}.yaml")), text).unwrap();
        }
        let loaded = load(&[folder.path().to_owned()], "default");
        let mut checked = crate::plan::check(&loaded.resources);
        for mapping in checked.mappings.values() {
            let _ = mapping.run_tests();
        }
        for (namespace, problem) in std::mem::take(&mut checked.problems) {
            assert!(!problem.message.is_empty() && !problem.message.contains('\n'));
            let _ = loaded.place(&namespace, problem).to_string();
        }
    });
}
