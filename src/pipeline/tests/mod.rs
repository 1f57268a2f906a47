//! The pure decisions as one machine: `observe`, `route` and `decide` drive a toy engine against a toy
//! target, while an adversary changes the source, loses answers, lets time pass and pulls the plug.
//! Whatever it does, nothing is created twice, nothing goes back in time, and nothing is forgotten.

mod laws;
mod plans;
mod toy;

use proptest::prelude::*;

use plans::KINDS;
use toy::{Fate, HOUR, LAG, Move, Toy};

fn moves() -> impl Strategy<Value = Move> {
    let fate = prop_oneof![
        4 => Just(Fate::Good),
        1 => Just(Fate::NotSent),
        2 => Just(Fate::LostBefore),
        2 => Just(Fate::LostAfter),
        1 => Just(Fate::Refused),
        1 => Just(Fate::Forbidden),
        1 => Just(Fate::CrashBefore),
        1 => Just(Fate::CrashAfter),
    ];
    prop_oneof![
        2 => (0..3_u8).prop_map(Move::Change),
        2 => Just(Move::Scan),
        4 => fate.prop_map(Move::Work),
        1 => prop_oneof![Just(10), Just(LAG), Just(HOUR), Just(19 * HOUR), Just(25 * HOUR)].prop_map(Move::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn whatever_happens_nothing_is_lost_twice_or_stale(
        kind in prop::sample::select(&KINDS),
        moves in prop::collection::vec(moves(), 0..40),
    ) {
        let mut toy = Toy::new(kind);
        for what in moves {
            toy.play(what);
            toy.check()?;
        }
        toy.settle()?;
    }
}
