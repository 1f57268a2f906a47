//! What an answer that is no success means for a record (design: "Classification of answers").

use std::time::Duration;

use crate::plan::{Guarantee, OnAmbiguous, OnGone, Plan};
use crate::record::{Class, Failure, Verb};

/// Most tries after a version conflict, design section 2.
pub const MOST_CONFLICTS: u32 = 3;

/// Fewest tries before a passing failure becomes a dead letter.
pub const LEAST_ATTEMPTS: u32 = 3;

/// What was tried, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub verb: Verb,
    /// Failed attempts of this version before this one.
    pub attempts: u32,
    /// Milliseconds since this version first failed, without those in which the target was down.
    pub age_ms: i64,
    /// The request held more than one record.
    pub batched: bool,
    /// Milliseconds since the create of this version was first sent.
    pub sent_ms: i64,
    /// The record has a match value, so that it can be found again where there is `find`.
    pub searchable: bool,
    /// An earlier request for this create may have arrived.
    pub in_doubt: bool,
}

/// What becomes of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing reached the target: try again when it can be reached; this was no attempt.
    Hold,
    /// Try again after a backoff. `in_doubt`: the target may have it already.
    Retry { in_doubt: bool },
    /// A create that may have arrived: find out before anything else happens to this key.
    Resolve,
    /// A create with an idempotency key: send the same bytes under the same key.
    Resend,
    /// The batch is refused as a whole: send its records one by one.
    Split,
    /// Look for the record in the target, link it and update it.
    Adopt,
    /// The target record is gone: forget the link and begin again.
    Recreate,
    /// Nothing more to do.
    Skip,
    /// A person must look at it.
    Dead(&'static str),
    /// A person must find out whether it arrived.
    Ambiguous,
    /// Nothing more can be done in this run, for any record.
    Stall,
}

/// Decides about one record after a failure.
pub fn decide(plan: &Plan, attempt: Attempt, failure: &Failure) -> Next {
    let create = attempt.verb == Verb::Create;
    match failure.class {
        Class::Authentication | Class::Configuration => Next::Stall,
        Class::RateLimited => Next::Hold,
        Class::Transient | Class::Ambiguous if !failure.sent => Next::Hold,
        Class::Transient | Class::Ambiguous if create => lost_create(plan, attempt),
        Class::Transient | Class::Ambiguous => passing(plan, attempt, true),
        Class::InFlight if create => lost_create(plan, attempt),
        Class::InFlight => passing(plan, attempt, true),
        // It may be the one that was sent before, and nobody else may take its match value until that is known.
        Class::AlreadyExists if attempt.in_doubt => match can_be_found(plan, attempt) {
            true => Next::Resolve,
            false => Next::Ambiguous,
        },
        // A refusal that comes before anybody looks at the key says nothing about the request before.
        class if create && attempt.in_doubt && is_refusal(class) => unanswered(plan, attempt),
        Class::Permanent if attempt.batched => Next::Split,
        Class::Permanent => Next::Dead("Permanent"),
        Class::Forbidden => Next::Dead("Forbidden"),
        Class::Gone if create => Next::Dead("Permanent"),
        Class::Gone => match plan.write.on_gone {
            OnGone::Recreate => Next::Recreate,
            OnGone::DeadLetter => Next::Dead("Gone"),
            OnGone::Skip => Next::Skip,
        },
        Class::VersionConflict if attempt.attempts < MOST_CONFLICTS => {
            Next::Retry { in_doubt: false }
        }
        Class::VersionConflict => Next::Dead("VersionConflict"),
        Class::AlreadyExists if can_be_found(plan, attempt) => Next::Adopt,
        Class::AlreadyExists => Next::Dead("AlreadyExists"),
    }
}

/// Whether the target can be asked for the record by its match value.
fn can_be_found(plan: &Plan, attempt: Attempt) -> bool {
    attempt.searchable && plan.target.object.find.is_some() && plan.matching.is_some()
}

/// Whether the target looked at a request and will not carry it out.
pub fn is_refusal(class: Class) -> bool {
    matches!(
        class,
        Class::Permanent
            | Class::Forbidden
            | Class::Gone
            | Class::VersionConflict
            | Class::AlreadyExists
    )
}

/// A failure that may pass by itself, until it has lasted too long.
fn passing(plan: &Plan, attempt: Attempt, in_doubt: bool) -> Next {
    match lasted_too_long(plan, attempt.attempts + 1, attempt.age_ms) {
        true => Next::Dead("Transient"),
        false => Next::Retry { in_doubt },
    }
}

/// Whether a record that failed so often, for so long, is given up. While a process sleeps nothing is tried, so
/// that time alone says nothing about a record.
pub fn lasted_too_long(plan: &Plan, attempts: u32, age_ms: i64) -> bool {
    age_ms > millis(plan.failures.dead_letter_after) && attempts >= LEAST_ATTEMPTS
}

/// A create whose answer is not known.
pub fn lost_create(plan: &Plan, attempt: Attempt) -> Next {
    let guarantee = plan.guarantees.create.unwrap_or(Guarantee::Blind);
    if guarantee == Guarantee::IdempotencyKey
        && !attempt.batched
        && key_left(plan, attempt.sent_ms).is_some()
    {
        return Next::Resend;
    }
    unanswered(plan, attempt)
}

/// A create that cannot be sent again under its key, or whose key was refused when it was: who is refused each time
/// would never come to an end.
pub fn unanswered(plan: &Plan, attempt: Attempt) -> Next {
    if can_be_found(plan, attempt) {
        return Next::Resolve;
    }
    match plan.write.on_ambiguous {
        OnAmbiguous::Hold => Next::Ambiguous,
        OnAmbiguous::Retry => passing(plan, attempt, false),
    }
}

/// How long the target surely still knows the idempotency key of a create that was first sent `sent_ms`
/// ago: 0.8 of its promised time, so that clocks may differ a little. `None`: no longer.
pub fn key_left(plan: &Plan, sent_ms: i64) -> Option<Duration> {
    let create = plan.target.object.create.as_ref()?;
    let left = millis(create.idempotency_ttl?) / 10 * 8 - sent_ms;
    u64::try_from(left).ok().map(Duration::from_millis)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
