//! Manifests with random damage: each is checked to the end, whatever stands in it.

use std::fs;

use proptest::prelude::*;

use super::load;

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_damaged_manifest_is_checked_to_the_end(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0_usize..40), 1..4)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut texts = MANIFESTS.map(str::to_owned);
        for (number, (at, piece, cut)) in damage.into_iter().enumerate() {
            let text = &mut texts[number % MANIFESTS.len()];
            let places: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
            let start = *at.get(&places);
            let end = places.iter().copied().find(|i| *i >= start + cut).unwrap_or(text.len());
            text.replace_range(start..end, PIECES[piece.index(PIECES.len())]);
        }
        for (number, text) in texts.iter().enumerate() {
            fs::write(folder.path().join(format!("{number}.yaml")), text).unwrap();
        }
        let loaded = load(&[folder.path().to_owned()], "default");
        let mut checked = crate::plan::check(&loaded.resources);
        for mapping in checked.mappings.values() {
            let _ = mapping.run_tests();
        }
        for (namespace, problem) in std::mem::take(&mut checked.problems) {
            prop_assert!(!problem.message.is_empty() && !problem.message.contains('\n'));
            let _ = loaded.place(&namespace, problem).to_string();
        }
    }
}
