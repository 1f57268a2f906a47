//! What holds for every single decision, whatever came before it.

use proptest::prelude::*;

use super::plans::{KINDS, Kind, PLANS};
use crate::pipeline::decide::{Attempt, LEAST_ATTEMPTS, MOST_CONFLICTS, Next, decide};
use crate::pipeline::observe::{Newest, Stage, Verdict, observe};
use crate::plan::{OnAmbiguous, OnGone, Plan};
use crate::record::{Class, Failure, Fingerprint, Moment, Verb};

const CLASSES: [Class; 11] = [
    Class::Transient,
    Class::RateLimited,
    Class::Authentication,
    Class::Permanent,
    Class::Forbidden,
    Class::Gone,
    Class::VersionConflict,
    Class::AlreadyExists,
    Class::InFlight,
    Class::Ambiguous,
    Class::Configuration,
];

const HOUR: i64 = 3_600_000;

fn attempts() -> impl Strategy<Value = Attempt> {
    let verb = prop::sample::select(vec![Verb::Create, Verb::Update, Verb::Upsert, Verb::Delete]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (verb, 0..6_u32, 0..100 * HOUR, 0..30 * HOUR, flags).prop_map(
        |(verb, attempts, age_ms, sent_ms, (batched, searchable, in_doubt))| Attempt {
            verb,
            attempts,
            age_ms,
            batched,
            sent_ms,
            searchable,
            in_doubt: in_doubt && verb == Verb::Create,
        },
    )
}

/// A Plan of this kind with other answers to what cannot be known.
fn plan(kind: Kind, retry: bool, gone: usize) -> Plan {
    let mut plan = PLANS[kind as usize].clone();
    if retry {
        plan.write.on_ambiguous = OnAmbiguous::Retry;
    }
    plan.write.on_gone = [OnGone::Recreate, OnGone::DeadLetter, OnGone::Skip][gone];
    plan
}

/// What the outbox holds of a key: the newest version, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Held {
    stage: Stage,
    raw: u128,
    moment: i64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_failure_of_a_write_has_its_answer(
        kind in prop::sample::select(&KINDS), retry: bool, gone in 0..3_usize, attempt in attempts(),
        class in prop::sample::select(&CLASSES), sent: bool,
    ) {
        let plan = plan(kind, retry, gone);
        let next = decide(&plan, attempt, &Failure::new(class, sent, ""));
        let passing = matches!(class, Class::Transient | Class::Ambiguous);
        match class {
            Class::RateLimited => prop_assert_eq!(&next, &Next::Hold),
            Class::Authentication | Class::Configuration => prop_assert_eq!(&next, &Next::Stall),
            _ => prop_assert_eq!(next == Next::Hold, passing && !sent),
        }
        if attempt.verb == Verb::Create {
            // What is there already may be this very create: nobody may take its match value until that is known.
            let perhaps_it = attempt.in_doubt && class == Class::AlreadyExists;
            prop_assert!(!perhaps_it || matches!(next, Next::Resolve | Next::Ambiguous), "{next:?}");
            return Ok(());
        }
        // A write by the record's own id can be repeated: it is never in doubt for good.
        prop_assert!(!matches!(next, Next::Resolve | Next::Resend | Next::Ambiguous | Next::Split | Next::Adopt)
            || next == Next::Split && attempt.batched
            || class == Class::AlreadyExists, "{next:?}");
        match class {
            Class::Gone => prop_assert_eq!(next, [Next::Recreate, Next::Dead("Gone"), Next::Skip][gone].clone()),
            Class::VersionConflict if attempt.attempts < MOST_CONFLICTS => {
                prop_assert_eq!(next, Next::Retry { in_doubt: false })
            }
            Class::VersionConflict => prop_assert_eq!(next, Next::Dead("VersionConflict")),
            _ if passing && sent && attempt.attempts + 1 < LEAST_ATTEMPTS => {
                prop_assert_eq!(next, Next::Retry { in_doubt: true })
            }
            _ => {}
        }
    }

    /// Pages, fetches and webhooks tell of versions in any order, some of them twice, while the outbox sends and
    /// answers are lost. What is held is the newest that was told, and nothing goes back.
    #[test]
    fn with_an_order_the_newest_version_is_held_whatever_comes_when(
        steps in prop::collection::vec((0..8_i64, 0..4_usize, any::<bool>()), 0..40),
    ) {
        let mut held: Option<Held> = None;
        let mut told: Vec<i64> = Vec::new();
        for (moment, stage, version) in steps {
            if version {
                told.push(moment);
                // The same moment is the same version here.
                let (raw, seen) = (moment as u128, Moment::Integer(moment));
                let known = held.map(|held| (held, Moment::Integer(held.moment)));
                let newest = known.as_ref().map(|(held, moment)| Newest {
                    stage: held.stage,
                    raw: Fingerprint(held.raw),
                    moment: Some(moment),
                });
                let verdict = observe(newest, Fingerprint(raw), Some(&seen));
                match (verdict, held) {
                    (Verdict::Unchanged, Some(held)) => prop_assert_eq!(held.moment, moment),
                    (Verdict::Superseded, Some(held)) => prop_assert!(moment < held.moment),
                    (Verdict::Behind, Some(Held { stage: Stage::InDoubt, moment: before, .. })) => {
                        prop_assert!(moment > before);
                        held = Some(Held { stage: Stage::InDoubt, raw, moment });
                    }
                    (Verdict::Fresh, before) => {
                        prop_assert!(before.is_none_or(|held| moment > held.moment && held.stage != Stage::InDoubt));
                        held = Some(Held { stage: Stage::Unsent, raw, moment });
                    }
                    (verdict, held) => prop_assert!(false, "{verdict:?} of {moment} with {held:?}"),
                }
            } else if let Some(held) = &mut held {
                held.stage = [Stage::Unsent, Stage::InDoubt, Stage::Applied, Stage::Applied][stage];
            }
            prop_assert_eq!(held.map(|held| held.moment), told.iter().max().copied());
        }
    }
}
