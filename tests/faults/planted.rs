//! Bugs that naive engines have, planted one at a time into a debug build: each must be caught, by the
//! verdict that is said here. The list is part of docs/promise.md.

use std::process::Command;

use crate::case::{Fault, Guarantee};
use crate::judge::Wrong;
use crate::suite::{Settings, run};

/// A bug and how it is caught.
pub struct Planted {
    /// As `syncline::trial` calls it.
    name: &'static str,
    what: &'static str,
    fault: Fault,
    guarantee: Guarantee,
    verdict: Wrong,
}

const fn bug(
    name: &'static str,
    what: &'static str,
    fault: Fault,
    guarantee: Guarantee,
    verdict: Wrong,
) -> Planted {
    Planted {
        name,
        what,
        fault,
        guarantee,
        verdict,
    }
}

#[rustfmt::skip]
const PLANTED: [Planted; 14] = [
    bug("AcknowledgeBeforeCommit", "a delivery is answered with 2xx before it is kept", Fault::Webhooks, Guarantee::Repeatable, Wrong::Lost),
    bug("CursorBeforeOutbox", "the scan's position is kept before the records up to there", Fault::Crash, Guarantee::Repeatable, Wrong::Lost),
    bug("CursorBeforeOutbox", "the place in a feed is kept before the records up to there", Fault::Feed, Guarantee::Repeatable, Wrong::Lost),
    bug("FeedGoesOn", "the place in a feed moves on though a record that it names could not be fetched", Fault::Feed, Guarantee::Repeatable, Wrong::Lost),
    bug("CreateBeforeNote", "a create is sent that is not noted down (no T2)", Fault::Crash, Guarantee::BlindHold, Wrong::Duplicate),
    bug("NoLookup", "a create without an answer is sent again, not looked for", Fault::LostReply, Guarantee::Searchable, Wrong::Duplicate),
    bug("LookupMarksApplied", "what a lookup finds counts as this version", Fault::NotCarriedOut, Guarantee::Searchable, Wrong::Stale),
    bug("MatchReleased", "a match value is free while a create with it is in doubt", Fault::Twins, Guarantee::Searchable, Wrong::Duplicate),
    bug("AmbiguousRetried", "a create of unknown fate is sent again under `onAmbiguous: Hold`", Fault::LostReply, Guarantee::BlindHold, Wrong::Duplicate),
    bug("OlderOverwrites", "an older version takes the place of a newer one", Fault::Webhooks, Guarantee::Repeatable, Wrong::Stale),
    bug("ReplacedGoesOn", "a worker that was replaced still commits and sends", Fault::Takeover, Guarantee::BlindHold, Wrong::Duplicate),
    bug("DoneBeforeAnswer", "a record counts as done when it is sent", Fault::Crash, Guarantee::Repeatable, Wrong::Lost),
    bug("AbsentUnconfirmed", "what one scan does not show is deleted at once", Fault::Vanishing, Guarantee::Repeatable, Wrong::Deleted),
    bug("SentBeforeKept", "a version that takes the place of an unsent one is sent when that one is kept", Fault::Crash, Guarantee::Repeatable, Wrong::Stale),
];

/// The list as docs/promise.md has it.
pub fn table() -> String {
    let mut text = "| Planted | Caught under | On | As |\n|---|---|---|---|\n".to_owned();
    for planted in &PLANTED {
        let (fault, guarantee) = (planted.fault.title(), planted.guarantee.title());
        let verdict = planted.verdict.title();
        text += &format!("| {} | {fault} | {guarantee} | {verdict} |\n", planted.what);
    }
    text
}

#[test]
fn every_planted_bug_is_caught() {
    // Only debug builds can have one.
    if !cfg!(debug_assertions) {
        return;
    }
    let this = std::env::current_exe().expect("this program has a path");
    let mut missed = Vec::new();
    for (at, planted) in PLANTED.iter().enumerate() {
        let output = Command::new(&this)
            .args([
                "--exact",
                "planted::the_bug_of_the_environment",
                "--ignored",
                "--nocapture",
            ])
            .env("SYNCLINE_PLANTED_BUG", planted.name)
            .env("SYNCLINE_PLANTED_AT", at.to_string())
            .output()
            .expect("this program starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let caught = said.lines().find_map(|line| line.strip_prefix("CAUGHT "));
        match caught {
            Some(seed) if output.status.success() => println!("{}: {seed}", planted.name),
            _ => missed.push(format!(
                "{}: {said}{}",
                planted.name,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }
    assert!(missed.is_empty(), "not caught: {}", missed.join("\n"));
}

/// Only for the test above, which plants the bug.
#[test]
#[ignore = "run by every_planted_bug_is_caught, with a bug planted"]
fn the_bug_of_the_environment() {
    let Ok(at) = std::env::var("SYNCLINE_PLANTED_AT") else {
        return;
    };
    let planted = &PLANTED[at.parse::<usize>().expect("a number")];
    let outcome = run(&Settings {
        only: Some((planted.fault, planted.guarantee)),
        until: Some(planted.verdict),
        count: 4000,
        ..Settings::of_environment()
    });
    let is = |wrong: &&(Wrong, String)| wrong.0 == planted.verdict;
    let found = outcome
        .failures
        .iter()
        .find_map(|(case, verdict)| Some((case, verdict.wrong.iter().find(is)?)));
    match found {
        Some((case, (_, what))) => println!("\nCAUGHT seed {}: {what}", case.seed),
        None => panic!("{}", outcome.failed()),
    }
}
