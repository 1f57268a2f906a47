//! A record was seen: is it new, known, older, or must it wait? Compares an observation with the
//! newest version known of its key (design: "Observe").

use std::cmp::Ordering;

use crate::record::{Fingerprint, Moment};

/// Where the newest known version of a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The target has it, or nothing was to be done.
    Applied,
    /// It waits to be sent, or failed without any effect, or is a definite dead letter.
    Unsent,
    /// It is being sent, or its fate is not known.
    InDoubt,
}

/// The newest version known of a key.
#[derive(Clone, Copy, Debug)]
pub struct Newest<'a> {
    pub stage: Stage,
    pub raw: Fingerprint,
    pub moment: Option<&'a Moment>,
}

/// What an observation means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The very version that is known: nothing to do.
    Unchanged,
    /// An older version than the known one: nothing to do, and it is counted.
    Superseded,
    /// A version to be sent; it takes the place of what is unsent.
    Fresh,
    /// A version to be sent when the fate of the one before it is known.
    Behind,
}

/// Judges an observation of a scan. Only equality with the *newest* known version drops it, so that a
/// source going A → B → A ends as A; equal or undeclared moments follow the order of reading, which is
/// the order of requests within one scan.
pub fn observe(newest: Option<Newest<'_>>, raw: Fingerprint, moment: Option<&Moment>) -> Verdict {
    let Some(newest) = newest else {
        return Verdict::Fresh;
    };
    if newest.raw == raw {
        return Verdict::Unchanged;
    }
    if let (Some(seen), Some(known)) = (moment, newest.moment)
        && in_order(seen, known) == Some(Ordering::Less)
    {
        return Verdict::Superseded;
    }
    match newest.stage {
        Stage::Applied | Stage::Unsent => Verdict::Fresh,
        Stage::InDoubt => Verdict::Behind,
    }
}

/// Compares moments where one may have come back from the store, which keeps times as plain numbers.
fn in_order(a: &Moment, b: &Moment) -> Option<Ordering> {
    match (a, b) {
        (Moment::Time(a), Moment::Integer(b)) => Some(a.cmp(&i128::from(*b))),
        (Moment::Integer(a), Moment::Time(b)) => Some(i128::from(*a).cmp(b)),
        (a, b) => a.order(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(stage: Stage, raw: u128, moment: Option<&Moment>) -> Option<Newest<'_>> {
        Some(Newest {
            stage,
            raw: Fingerprint(raw),
            moment,
        })
    }

    #[test]
    fn the_way_back_from_b_to_a_is_a_change() {
        assert_eq!(
            observe(newest(Stage::Unsent, 2, None), Fingerprint(1), None),
            Verdict::Fresh
        );
        assert_eq!(
            observe(newest(Stage::InDoubt, 2, None), Fingerprint(1), None),
            Verdict::Behind
        );
        assert_eq!(
            observe(newest(Stage::Applied, 1, None), Fingerprint(1), None),
            Verdict::Unchanged
        );
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let (old, new) = (Moment::Time(10), Moment::Integer(20));
        for stage in [Stage::Applied, Stage::Unsent, Stage::InDoubt] {
            assert_eq!(
                observe(newest(stage, 2, Some(&new)), Fingerprint(1), Some(&old)),
                Verdict::Superseded
            );
        }
        assert_eq!(
            observe(
                newest(Stage::Applied, 2, Some(&old)),
                Fingerprint(1),
                Some(&new)
            ),
            Verdict::Fresh
        );
    }

    #[test]
    fn what_was_never_seen_is_fresh() {
        assert_eq!(observe(None, Fingerprint(1), None), Verdict::Fresh);
    }
}
