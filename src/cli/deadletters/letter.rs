//! A dead letter as JSON, and what to do about it. Pure but for the clock.

use serde_json::{Value, json};

use crate::cli::hint::{Hint, quoted};
use crate::cli::moment::time;
use crate::state::{Exception, Session, Trouble};

/// What a list shows.
pub fn brief(session: &Session, letter: &Exception) -> Value {
    let mut value = json!({
        "sync": session.sync,
        "key": letter.entry.key,
        "reason": letter.detail.reason,
        "ambiguous": letter.trouble == Trouble::Ambiguous,
        "message": letter.detail.message,
        "attempts": letter.detail.attempts,
        "since": time(letter.detail.since),
    });
    if let Some(field) = &letter.detail.field {
        value["field"] = json!(field);
    }
    value
}

/// Everything that is known of it.
pub fn full(session: &Session, letter: &Exception, hint: &Hint) -> Value {
    let mut value = brief(session, letter);
    let record = |bytes: &[u8]| {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
    };
    value["source"] = record(&letter.entry.source);
    if !letter.entry.body.is_empty() {
        value["mapped"] = record(&letter.entry.body);
    }
    if let Some(failure) = &letter.detail.failure {
        value["answer"] = json!({ "status": failure.status, "excerpt": failure.excerpt });
    }
    if let Some(target) = &letter.detail.target {
        value["target"] = target.to_value();
    }
    if let Some(behind) = &letter.behind {
        value["newerVersion"] = record(&behind.source);
    }
    value["next"] = json!(advice(session, letter, hint));
    value
}

/// What to do and to type about a dead letter, by its reason.
fn advice(session: &Session, letter: &Exception, hint: &Hint) -> String {
    let which = format!(
        "{} {}",
        quoted(&session.sync.name),
        quoted(letter.entry.key.as_str())
    );
    let replay = hint.on_state("deadletters replay", &which);
    let discard = hint.on_state("deadletters discard", &which);
    let first = match letter.detail.reason.as_str() {
        "AmbiguousCreate" => {
            return format!(
                "look in the target whether it is there: if it is, `{discard}`; if it is not, `{replay}`"
            );
        }
        "DuplicateMatch" | "SeveralMatches" => "merge the records that are meant to be one",
        "NoMatch" => "create the record in the target, or let match.onNone do so",
        "Permanent" | "AlreadyExists" | "VersionConflict" => {
            "correct the record or the Mapping so that the target takes it"
        }
        "Forbidden" => "give the credential the right to do this",
        "Transient" => "find out why the target failed for so long",
        "Gone" => "restore the record in the target",
        "InvalidRecord" => "correct records and key of the source object",
        _ => "correct the record in the source, which is taken by the next run, or the Mapping",
    };
    format!("{first}; then `{replay}`; to give it up, `{discard}`")
}
