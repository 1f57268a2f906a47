//! Compares what the target holds with what the source held, and says what is lost, twice or stale, and what
//! is in dead letters without need. Pure; the rules are the promise of the engine and nothing weaker.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::case::{Case, Fault, Guarantee};
use crate::life::Rest;
use crate::source::{VARIANTS, email, is_hidden, mapped};
use crate::world::World;

/// What is wrong with one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wrong {
    /// Neither in the target nor in dead letters.
    Lost,
    /// Deleted in the target though it was in the source all the time.
    Deleted,
    /// In the target though it is deleted in the source.
    Left,
    /// More than once in the target.
    Duplicate,
    /// An older content than the newest, or one that went back in time.
    Stale,
    /// In dead letters for a reason that this fault does not give.
    Needless,
    /// There is always something left to do.
    Restless,
}

impl Wrong {
    /// As the table of planted bugs says it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Deleted => "wrongly deleted",
            Self::Left => "left behind",
            Self::Duplicate => "duplicated",
            Self::Stale => "stale",
            Self::Needless => "dead-lettered without need",
            Self::Restless => "never at rest",
        }
    }
}

/// What became of one case.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Each with the words for a person.
    pub wrong: Vec<(Wrong, String)>,
    /// Records that are there more than once, where that is what was asked for.
    pub allowed_duplicates: u64,
    /// Dead letters by reason.
    pub dead: BTreeMap<String, u64>,
}

impl Verdict {
    fn says(&mut self, wrong: Wrong, what: String) {
        self.wrong.push((wrong, what));
    }
}

pub fn judge(world: &World, rest: &Rest) -> Verdict {
    let case = &world.case;
    let mut verdict = Verdict::default();
    if let Some(problem) = &rest.problem {
        verdict.says(
            Wrong::Restless,
            format!("it does not come to rest: {problem}"),
        );
    }
    let mut held = BTreeSet::new();
    for letter in &rest.dead {
        let (key, reason) = (letter.entry.key.to_string(), letter.detail.reason.clone());
        if !reasons(case).contains(&reason.as_str()) {
            let what = format!(
                "{key} is in dead letters without need: {reason}: {}",
                letter.detail.message
            );
            verdict.says(Wrong::Needless, what);
        }
        *verdict.dead.entry(reason).or_default() += 1;
        held.insert(key);
    }
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let (mut emails, mut shared) = (BTreeMap::<String, u64>::new(), BTreeSet::new());
    for content in world.target.contents() {
        let external = content["external_ref"].as_str().unwrap_or_default();
        let contents = found.entry(external.to_owned()).or_default();
        contents.push(Value::Object(content.clone()));
        if case.twins {
            let email = email(external);
            *emails.entry(email.clone()).or_default() += 1;
            shared.insert(email);
        }
    }
    for (email, count) in emails.into_iter().filter(|(_, count)| *count > 1) {
        verdict.says(
            Wrong::Duplicate,
            format!("{email} is in the target {count} times"),
        );
    }
    for id in &world.wrongly_deleted {
        let what = format!("{id} was deleted, and it was in the source all the time");
        verdict.says(Wrong::Deleted, what);
    }
    for (id, history) in &world.source.history {
        if world.source.gone.contains(id) {
            let left = found.remove(id).filter(|_| !held.contains(id));
            match left {
                // Of what was created twice, one is linked and was deleted.
                Some(contents) if case.guarantee == Guarantee::BlindRetry => {
                    verdict.allowed_duplicates += contents.len() as u64;
                }
                Some(contents) => {
                    let what =
                        format!("{id} is deleted in the source, and the target has {contents:?}");
                    verdict.says(Wrong::Left, what);
                }
                None => {}
            }
            continue;
        }
        let newest = history.len() - 1;
        // Of what is not listed only that is promised which was answered with 2xx.
        let least = match is_hidden(id) {
            true => world.source.told.get(id).copied(),
            false => Some(newest),
        };
        let contents = found.remove(id).unwrap_or_default();
        if contents.len() > 1 && !case.twins {
            match case.guarantee {
                Guarantee::BlindRetry => verdict.allowed_duplicates += contents.len() as u64 - 1,
                _ => verdict.says(
                    Wrong::Duplicate,
                    format!("{id} is there {} times", contents.len()),
                ),
            }
        }
        let Some(least) = least.filter(|_| !held.contains(id)) else {
            continue;
        };
        let is = |v: u64| {
            contents
                .iter()
                .any(|content| *content == mapped(case, id, v))
        };
        if contents.is_empty() {
            let what =
                format!("{id} is lost: neither in the target nor in dead letters; {history:?}");
            verdict.says(Wrong::Lost, what);
        } else if !history[least..].iter().any(|version| is(version.variant)) {
            let what =
                format!("{id} is stale: the target has {contents:?}, its history is {history:?}");
            verdict.says(Wrong::Stale, what);
        }
    }
    for id in found.keys() {
        verdict.says(
            Wrong::Duplicate,
            format!("{id:?} is in the target and never was in the source"),
        );
    }
    order(world, &mut verdict);
    verdict
}

/// The contents written for a record must follow its history: versions may be skipped and repeated, but an
/// older one never comes after a newer one.
fn order(world: &World, verdict: &mut Verdict) {
    for (id, history) in &world.source.history {
        let writes = world
            .target
            .log
            .iter()
            .filter(|content| content["external_ref"] == id.as_str());
        let mut at = 0;
        for content in writes {
            let variant =
                (0..VARIANTS).find(|variant| mapped(&world.case, id, *variant) == *content);
            let Some(variant) = variant else {
                let what = format!("{id} was written as no version of it maps: {content}");
                verdict.says(Wrong::Stale, what);
                break;
            };
            match history[at..]
                .iter()
                .position(|version| version.variant == variant)
            {
                Some(ahead) => at += ahead,
                None => {
                    let what = format!(
                        "{id} went back in time: content {variant} was written after version {at} of {history:?}"
                    );
                    verdict.says(Wrong::Stale, what);
                    break;
                }
            }
        }
    }
}

/// The reasons for which a record may end in dead letters here.
pub fn reasons(case: &Case) -> BTreeSet<&'static str> {
    let mut reasons = BTreeSet::new();
    let doubt = [
        Fault::LostReply,
        Fault::LateReply,
        Fault::NotCarriedOut,
        Fault::Refused,
        Fault::Feed,
        Fault::Crash,
        Fault::Takeover,
        Fault::Store,
        Fault::Clock,
        Fault::Twins,
        Fault::Webhooks,
    ];
    let blind = match case.guarantee {
        Guarantee::BlindHold => true,
        // A refusal that comes before anybody looks at the key says nothing about the request before it.
        Guarantee::IdempotencyKey => {
            !case.searches() && (case.has(Fault::Refused) || case.has(Fault::Clock))
        }
        _ => false,
    };
    if blind && doubt.iter().any(|fault| case.has(*fault)) {
        reasons.insert("AmbiguousCreate");
    }
    if case.has(Fault::Refused) {
        reasons.extend(["Permanent", "Forbidden"]);
    }
    if case.has(Fault::Conflict) {
        reasons.extend(["VersionConflict", "AlreadyExists"]);
    }
    if case.twins {
        reasons.insert("DuplicateMatch");
    }
    if case.vanishes && case.fault == Fault::Everything {
        // The target may have it under an id that nobody told.
        reasons.insert("UnknownTarget");
    }
    reasons
}
