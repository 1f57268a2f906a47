//! Compares what the target holds with what the source held, and says what is lost, twice, stale or
//! out of order. Pure; the rules are the promise of the engine and nothing weaker.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::cycle::DeadLetter;
use crate::source::{DELETED, Source, VARIANTS, email, mapped};
use crate::target::{Guarantee, Target};

/// What is wrong in the end; nothing is the only good answer.
pub fn judge(source: &Source, target: &Target, dead: &[DeadLetter]) -> Vec<String> {
    let mut wrong = match source.shared {
        true => shared(target, dead),
        false => dead_letters(target.guarantee(), source, dead),
    };
    let held: BTreeSet<&str> = dead.iter().map(|letter| letter.key.as_str()).collect();
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for content in target.contents() {
        found
            .entry(
                content["external_ref"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            )
            .or_default()
            .push(content);
    }
    for (id, history) in &source.history {
        let found = found.remove(id).unwrap_or_default();
        if history.last() == Some(&DELETED) {
            if !found.is_empty() && !held.contains(id.as_str()) {
                wrong.push(format!(
                    "{id} was deleted and is in the target, its history is {history:?}"
                ));
            }
            continue;
        }
        let now = history.last().map(|variant| mapped(id, *variant));
        match found.as_slice() {
            [] if !held.contains(id.as_str()) => {
                wrong.push(format!(
                    "{id} is lost: neither in the target nor in dead letters"
                ));
            }
            [] => {}
            [content] if Some(content) != now.as_ref() && !held.contains(id.as_str()) => {
                wrong.push(format!(
                    "{id} is stale: the target has {content}, its history is {history:?}"
                ));
            }
            [_] => {}
            several => wrong.push(format!("{id} is there {} times", several.len())),
        }
    }
    wrong.extend(
        found
            .keys()
            .map(|id| format!("{id:?} is in the target and never was in the source")),
    );
    wrong.extend(order(source, target));
    wrong
}

/// Only a blind create may end in dead letters here, as ambiguous and with a reason: every fault of
/// this test passes by itself, and every other guarantee can resolve it.
fn dead_letters(guarantee: Guarantee, source: &Source, dead: &[DeadLetter]) -> Vec<String> {
    let mut wrong = vec![];
    let mut seen = BTreeSet::new();
    for DeadLetter {
        key,
        reason,
        ambiguous,
    } in dead
    {
        if guarantee != Guarantee::Blind {
            wrong.push(format!("{key} is in dead letters without need: {reason}"));
        } else if !ambiguous {
            wrong.push(format!(
                "{key} is in dead letters and not as ambiguous: {reason}"
            ));
        }
        if reason.trim().is_empty() {
            wrong.push(format!("{key} is in dead letters without a reason"));
        }
        if !source.history.contains_key(key) {
            wrong.push(format!(
                "{key:?} is in dead letters and never was in the source"
            ));
        }
        if !seen.insert(key) {
            wrong.push(format!("{key} is in dead letters more than once"));
        }
    }
    wrong
}

/// Of records that share an email, one is in the target. The others are in dead letters as duplicates of
/// it, and nothing else is there but what a person found in the target under an unknown id.
fn shared(target: &Target, dead: &[DeadLetter]) -> Vec<String> {
    let mut wrong = vec![];
    let contents: Vec<Value> = target.contents().collect();
    let mut emails = BTreeMap::new();
    for content in &contents {
        if let Some(email) = content["email"].as_str() {
            *emails.entry(email.to_owned()).or_insert(0) += 1;
        }
    }
    for (email, count) in emails.iter().filter(|(_, count)| **count > 1) {
        wrong.push(format!("{email} is in the target {count} times"));
    }
    for DeadLetter { key, reason, .. } in dead {
        let is_there = contents.iter().any(|c| c["external_ref"] == key.as_str());
        let has_twin = email(key).is_some_and(|email| emails.contains_key(&email));
        // Where there is nothing to search by, nobody learns the id of what a person found.
        let blind = target.guarantee() == Guarantee::Blind || email(key).is_none();
        match reason.as_str() {
            "DuplicateMatch" if has_twin && !is_there => {}
            "UnknownTarget" if blind && is_there => {}
            reason => wrong.push(format!("{key} is in dead letters without need: {reason}")),
        }
    }
    wrong
}

/// The contents written for a record must follow its history: versions may be skipped and repeated, but
/// an older one never comes after a newer one.
fn order(source: &Source, target: &Target) -> Vec<String> {
    let mut wrong = vec![];
    for (id, history) in &source.history {
        let writes = target
            .log
            .iter()
            .filter(|content| content["external_ref"] == id.as_str());
        let mut at = 0;
        for content in writes {
            let deleted = content["deleted"].as_bool().unwrap_or(false);
            let variant = match deleted {
                true => Some(DELETED),
                false => (0..VARIANTS).find(|variant| mapped(id, *variant) == *content),
            };
            let Some(variant) = variant else {
                wrong.push(format!(
                    "{id} was written as no version of it maps: {content}"
                ));
                break;
            };
            match history[at..].iter().position(|version| *version == variant) {
                Some(ahead) => at += ahead,
                None => {
                    wrong.push(format!(
                        "{id} went back in time: version {variant} was written after position {at} of {history:?}"
                    ));
                    break;
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::target::Request;

    fn one_record() -> Source {
        let mut source = Source::new(false, 1);
        source.add(&mut Random::new(1));
        source
    }

    fn write(target: &mut Target, method: &str, path: &[&str], variant: u8) {
        let body = mapped("r-00000", variant).to_string();
        let request = Request {
            method,
            path,
            wanted: None,
            idempotency_key: None,
            body: body.as_bytes(),
        };
        assert!(target.handle(&request).0 < 300);
    }

    fn verdict(source: &Source, target: &Target, dead: &[DeadLetter]) -> String {
        judge(source, target, dead).join("\n")
    }

    #[test]
    fn what_is_neither_written_nor_dead_is_lost() {
        let (source, target) = (one_record(), Target::new(Guarantee::Blind));
        assert!(verdict(&source, &target, &[]).contains("is lost"));
        let held = DeadLetter {
            key: "r-00000".into(),
            reason: "no answer to a create".into(),
            ambiguous: true,
        };
        assert_eq!(verdict(&source, &target, std::slice::from_ref(&held)), "");
        assert!(verdict(&source, &Target::new(Guarantee::Keyed), &[held]).contains("without need"));
    }

    #[test]
    fn a_second_record_is_a_duplicate() {
        let (source, mut target) = (one_record(), Target::new(Guarantee::Blind));
        let variant = source.history["r-00000"][0];
        write(&mut target, "POST", &["blind"], variant);
        assert_eq!(verdict(&source, &target, &[]), "");
        write(&mut target, "POST", &["blind"], variant);
        assert!(verdict(&source, &target, &[]).contains("2 times"));
    }

    #[test]
    fn an_old_content_is_stale_and_a_step_back_is_seen() {
        let (mut source, mut target) = (one_record(), Target::new(Guarantee::Blind));
        let old = source.history["r-00000"][0];
        write(&mut target, "POST", &["blind"], old);
        let new = (old + 1) % VARIANTS;
        source.history.insert("r-00000".into(), vec![old, new]);
        assert!(verdict(&source, &target, &[]).contains("is stale"));
        write(&mut target, "PATCH", &["blind", "1000"], new);
        assert_eq!(verdict(&source, &target, &[]), "");
        write(&mut target, "PATCH", &["blind", "1000"], old);
        assert!(verdict(&source, &target, &[]).contains("back in time"));
        source.history.insert("r-00000".into(), vec![old, new, old]);
        assert_eq!(verdict(&source, &target, &[]), "");
    }
}
