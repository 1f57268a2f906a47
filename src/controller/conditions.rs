//! One way from what is known of a resource to its conditions. Pure: now is given.
//! Used by `connection`, `mapping` and `sync`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::index::{Entry, Used};
use crate::api::condition::{READY, RECONCILING, STALLED, find, reason};

/// Longest message that a condition shows.
const LONGEST_MESSAGE: usize = 1024;

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    True,
    False,
    Unknown,
}

impl Truth {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    pub kind: &'static str,
    pub truth: Truth,
    pub reason: &'static str,
    pub message: String,
}

/// What a resource's state means as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub outlook: Outlook,
    pub reason: &'static str,
    /// What is so and what to do, in one line.
    pub message: String,
}

/// How a resource is doing, and who has to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Ready is True.
    Good,
    /// Ready is Unknown: the controller goes on trying.
    Recovering,
    /// Ready is False: something else has to change first, and the controller notices when it does.
    Blocked,
    /// Ready is False and Stalled: a person has to do something.
    Stalled,
}

impl Summary {
    pub fn new(outlook: Outlook, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            outlook,
            reason,
            message: message.into(),
        }
    }

    /// What is so of a resource whose newest version cannot be read as this version of Syncline knows its kind.
    /// `in_use`: there is an older one that Syncs use.
    pub fn unread(entry: &Entry, problem: &str, in_use: bool) -> Self {
        let Used { generation, .. } = entry.used;
        if in_use && generation == entry.meta.generation {
            // Nobody has changed it: what a newer definition fills in means what was meant before.
            let message = format!(
                "in use as it was; its definition is newer than this version of Syncline and has filled in what is not \
                 known here and not used: {problem}; upgrade Syncline"
            );
            return Self::new(Outlook::Good, reason::DEFINITION_NEWER, message);
        }
        let goes_on = match in_use {
            true => format!("generation {generation} stays in use, since the newest "),
            false => String::new(),
        };
        let message = format!(
            "{goes_on}cannot be read as this version of Syncline knows its kind: {problem}; correct it, or upgrade \
             Syncline"
        );
        Self::new(Outlook::Stalled, reason::INVALID_OBJECT, message)
    }

    fn drafts(self) -> Vec<Draft> {
        let truth = match self.outlook {
            Outlook::Good => Truth::True,
            Outlook::Recovering => Truth::Unknown,
            Outlook::Blocked | Outlook::Stalled => Truth::False,
        };
        let draft = |kind, truth| Draft {
            kind,
            truth,
            reason: self.reason,
            message: self.message.clone(),
        };
        let mut drafts = vec![draft(READY, truth)];
        match self.outlook {
            Outlook::Recovering => drafts.push(draft(RECONCILING, Truth::True)),
            Outlook::Stalled => drafts.push(draft(STALLED, Truth::True)),
            Outlook::Good | Outlook::Blocked => {}
        }
        drafts
    }
}

/// The conditions of a resource: `Ready`, with `Reconciling` or `Stalled` where they are True, and what
/// else is known. A condition whose status is as before keeps the time of its last transition.
pub fn conditions(
    summary: Summary,
    others: Vec<Draft>,
    generation: i64,
    before: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let mut drafts = summary.drafts();
    drafts.extend(others);
    drafts
        .into_iter()
        .map(|draft| {
            let status = draft.truth.as_str();
            let since = find(before, draft.kind)
                .filter(|old| old.status == status)
                .map_or_else(
                    || Time(whole_seconds(now)),
                    |old| old.last_transition_time.clone(),
                );
            Condition {
                type_: draft.kind.to_owned(),
                status: status.to_owned(),
                reason: draft.reason.to_owned(),
                message: shorten(draft.message),
                observed_generation: Some(generation),
                last_transition_time: since,
            }
        })
        .collect()
}

/// The API server keeps whole seconds only.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// At most as much as a status shows, ending at a character.
pub fn shorten(mut text: String) -> String {
    if text.len() > LONGEST_MESSAGE {
        let mut end = LONGEST_MESSAGE - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::condition::FRESH;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn kinds(conditions: &[Condition]) -> Vec<(&str, &str)> {
        conditions
            .iter()
            .map(|c| (c.type_.as_str(), c.status.as_str()))
            .collect()
    }

    #[test]
    fn one_outlook_gives_ready_reconciling_and_stalled() {
        let all = |outlook| {
            let summary = Summary::new(outlook, reason::SUPERVISED, "m");
            conditions(summary, vec![], 3, &[], at(1))
        };
        for (outlook, wanted) in [
            (Outlook::Good, vec![("Ready", "True")]),
            (Outlook::Blocked, vec![("Ready", "False")]),
            (
                Outlook::Recovering,
                vec![("Ready", "Unknown"), ("Reconciling", "True")],
            ),
            (
                Outlook::Stalled,
                vec![("Ready", "False"), ("Stalled", "True")],
            ),
        ] {
            let got = all(outlook);
            assert_eq!(kinds(&got), wanted);
            assert!(got.iter().all(|c| c.observed_generation == Some(3)));
        }
    }

    #[test]
    fn the_time_of_a_transition_moves_only_when_the_status_does() {
        let fresh = |truth| Draft {
            kind: FRESH,
            truth,
            reason: reason::WITHIN_MAX_AGE,
            message: String::new(),
        };
        let make = |truth, before: &[Condition], now| {
            let summary = Summary::new(Outlook::Good, reason::SUPERVISED, "m");
            conditions(summary, vec![fresh(truth)], 1, before, at(now))
        };
        let first = make(Truth::True, &[], 10);
        assert_eq!(make(Truth::True, &first, 20), first);
        let third = make(Truth::False, &first, 30);
        assert_eq!(third[0], first[0]);
        assert_eq!(third[1].last_transition_time.0, at(30));
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let text = shorten("ä".repeat(2000));
        assert!(text.len() <= LONGEST_MESSAGE && text.ends_with("ä…"));
    }
}
