//! Tests of the learned pace, most of them over simulated systems: the same figures on every machine.

mod simulation;
mod system;

use super::*;
use simulation::Outcome;
use system::{Hint, Shape, System};

/// 3,000 writes on a system that takes 300 in a second, sixteen under way, each answered after a millisecond.
fn drive(shape: Shape, hint: Hint) -> Outcome {
    simulation::worst(3000, System::new(shape, 300.0, 1.0), hint, 0.001)
}

fn assert_within(outcome: Outcome, seconds: f64, refused: u32, what: &str) {
    assert!(
        outcome.seconds <= seconds && outcome.refused <= refused,
        "{what}: {outcome:?}"
    );
}

#[test]
fn a_limit_costs_little_time_and_few_refusals_whatever_its_shape() {
    for shape in [
        Shape::Fixed,
        Shape::Sliding,
        Shape::Bucket(300.0),
        Shape::Bucket(150.0),
    ] {
        for hint in [
            Hint::Seconds,
            Hint::One,
            Hint::Exact,
            Hint::Nothing,
            Hint::Zero,
        ] {
            let outcome = drive(shape, hint);
            assert_within(outcome, 12.0, 60, &format!("{shape:?} {hint:?}"));
        }
    }
}

/// Two pauses of a second are needed to learn it: one for the burst, one for the rate.
#[test]
fn a_bucket_that_holds_little_is_learned_as_well() {
    assert_within(drive(Shape::Bucket(30.0), Hint::Exact), 10.5, 30, "exact");
    for hint in [Hint::Seconds, Hint::One, Hint::Nothing] {
        let outcome = drive(Shape::Bucket(30.0), hint);
        assert_within(outcome, 12.5, 30, &format!("{hint:?}"));
    }
}

#[test]
fn slow_answers_change_little() {
    for shape in [Shape::Fixed, Shape::Sliding, Shape::Bucket(300.0)] {
        for hint in [Hint::Seconds, Hint::Exact] {
            let system = System::new(shape, 300.0, 1.0);
            let outcome = simulation::worst(3000, system, hint, 0.02);
            assert_within(outcome, 13.5, 60, &format!("{shape:?} {hint:?}"));
        }
    }
}

#[test]
fn a_limit_is_used_near_it_in_the_long_run() {
    for shape in [Shape::Fixed, Shape::Sliding, Shape::Bucket(30.0)] {
        let system = System::new(shape, 300.0, 1.0);
        let outcome = simulation::worst(90_000, system, Hint::Seconds, 0.001);
        assert_within(outcome, 315.0, 100, &format!("{shape:?}"));
    }
}

#[test]
fn limits_by_the_second_and_by_the_minute_are_learned() {
    let ten = simulation::worst(
        200,
        System::new(Shape::Fixed, 10.0, 1.0),
        Hint::Seconds,
        0.001,
    );
    assert_within(ten, 22.0, 20, "ten in a second");
    for (shape, hint) in [
        (Shape::Fixed, Hint::Seconds),
        (Shape::Fixed, Hint::One),
        (Shape::Sliding, Hint::Exact),
        (Shape::Bucket(120.0), Hint::Seconds),
        (Shape::Bucket(120.0), Hint::Exact),
    ] {
        let system = System::new(shape, 120.0, 60.0);
        let outcome = simulation::worst(400, system, hint, 0.05);
        assert_within(outcome, 210.0, 60, &format!("{shape:?} {hint:?}"));
    }
}

#[test]
fn a_limit_that_falls_or_rises_is_followed() {
    for (then, seconds) in [(100.0, 80.0), (900.0, 32.0)] {
        let mut system = System::new(Shape::Sliding, 300.0, 1.0);
        system.becomes = Some((10.0, then));
        let outcome = simulation::worst(9000, system, Hint::Seconds, 0.001);
        assert_within(outcome, seconds, 90, &format!("{then}"));
    }
}

fn refused(adaptive: &mut Adaptive, seconds: u64, now: Instant) -> Slot {
    let slot = adaptive.sent(now);
    adaptive.refused(slot, Some(Duration::from_secs(seconds)), now);
    slot
}

#[test]
fn a_pause_holds_everybody_until_it_ends() {
    let now = Instant::now();
    let mut adaptive = Adaptive::new(now);
    refused(&mut adaptive, 7, now);
    assert_eq!(adaptive.next(now).err(), Some(now + Duration::from_secs(7)));
    assert!(adaptive.next(now + Duration::from_secs(7)).is_ok());
}

#[test]
fn refusals_of_requests_that_were_under_way_count_once() {
    let now = Instant::now();
    let later = now + Duration::from_secs(1);
    let mut adaptive = Adaptive::new(now);
    let slots: Vec<Slot> = (0..100).map(|_| adaptive.sent(now)).collect();
    adaptive.refused(slots[84], Some(Duration::from_secs(1)), later);
    let rate = adaptive.rate();
    for slot in &slots[85..] {
        adaptive.refused(*slot, Some(Duration::from_secs(1)), later);
    }
    assert_eq!((adaptive.rate(), adaptive.in_a_row), (rate, 1));
}

#[test]
fn a_wait_doubles_while_nothing_is_taken() {
    for named in [None, Some(Duration::from_secs(1))] {
        let mut now = Instant::now();
        let mut adaptive = Adaptive::new(now);
        for seconds in [1, 2, 4, 8] {
            let slot = adaptive
                .next(now)
                .unwrap_or_else(|_| panic!("{seconds}: held"));
            adaptive.refused(slot, named, now);
            assert_eq!(adaptive.paused_until, now + Duration::from_secs(seconds));
            now = adaptive.paused_until;
        }
        adaptive.taken(now);
        let slot = adaptive
            .next(now + Duration::from_secs(60))
            .unwrap_or_else(|_| panic!("held"));
        let now = now + Duration::from_secs(60);
        adaptive.refused(slot, named, now);
        assert_eq!(adaptive.paused_until, now + Duration::from_secs(1));
    }
}

#[test]
fn after_a_pause_that_was_too_short_one_asks_for_all() {
    let now = Instant::now();
    let mut adaptive = Adaptive::new(now);
    let first = adaptive.sent(now);
    adaptive.refused(first, None, now);
    let slot = adaptive
        .next(now + Duration::from_secs(1))
        .unwrap_or_else(|_| panic!("held"));
    let now = now + Duration::from_secs(1);
    adaptive.refused(slot, None, now);
    let now = now + Duration::from_secs(2);
    assert!(adaptive.next(now).is_ok());
    assert!(adaptive.next(now + Duration::from_millis(190)).is_err());
    adaptive.taken(now + Duration::from_millis(190));
    assert!(adaptive.next(now + Duration::from_millis(190)).is_ok());
}

#[test]
fn a_quiet_hour_before_a_burst_does_not_lower_what_is_learned() {
    let mut now = Instant::now();
    let mut adaptive = Adaptive::new(now);
    for _ in 0..60 {
        adaptive.sent(now);
        now += Duration::from_secs(60);
    }
    for _ in 0..300 {
        adaptive.sent(now);
    }
    refused(&mut adaptive, 1, now);
    let rate = adaptive.rate();
    assert!((290.0..310.0).contains(&rate), "{rate}");
}

#[test]
fn a_limit_by_the_minute_is_learned_from_a_slow_start() {
    let start = Instant::now();
    let mut adaptive = Adaptive::new(start);
    for i in 0..120 {
        adaptive.sent(start + Duration::from_millis(i * 100));
    }
    refused(&mut adaptive, 48, start + Duration::from_secs(12));
    let rate = adaptive.rate();
    assert!((1.9..2.1).contains(&rate), "{rate}");
}

/// Somebody else has used the quota up: that says nothing of what can be sent later.
#[test]
fn a_refusal_of_the_very_first_request_does_not_hold_back_for_long() {
    let now = Instant::now();
    let mut adaptive = Adaptive::new(now);
    refused(&mut adaptive, 1800, now);
    let mut now = now + Duration::from_secs(1800);
    let start = now;
    for _ in 0..1000 {
        while let Err(until) = adaptive.next(now) {
            now = until;
        }
        adaptive.taken(now);
    }
    assert!(now - start < Duration::from_secs(3), "{:?}", now - start);
}
