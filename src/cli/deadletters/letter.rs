//! A dead letter as JSON, and what to do about it. Pure but for the clock.

use serde_json::{Value, json};

use crate::cli::hint::{Hint, quoted};
use crate::cli::moment::time;
use crate::pipeline::redact::REDACTED;
use crate::state::{Closed, Exception, Session, Tried, Trouble};

use super::reason;

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
    if letter.detail.redacted {
        value["redacted"] = json!(true);
    }
    if let Some(failure) = &letter.detail.failure {
        if let Some(request) = &failure.request {
            value["request"] = json!(request);
        }
        value["answer"] = json!({ "status": failure.status, "excerpt": failure.excerpt });
    }
    if !letter.detail.tried.is_empty() {
        let tried = letter.detail.tried.iter().map(attempt);
        value["tried"] = tried.collect();
    }
    if let Some(target) = &letter.detail.target {
        value["target"] = target.to_value();
    }
    if let Some(behind) = &letter.behind {
        value["newerVersion"] = match letter.detail.redacted {
            true => json!(REDACTED),
            false => record(&behind.source),
        };
    }
    value["next"] = json!(advice(session, letter, hint));
    value
}

/// An attempt that failed, with its time.
fn attempt(tried: &Tried) -> Value {
    let mut value = json!({"at": time(tried.at), "class": tried.class});
    if let Some(status) = tried.status {
        value["status"] = json!(status);
    }
    value
}

/// A dead letter that is gone.
pub fn closed(session: &Session, closed: &Closed) -> Value {
    let mut value = json!({
        "sync": session.sync,
        "key": closed.key,
        "reason": closed.reason,
        "since": time(closed.since),
        "closed": closed.how,
        "at": time(closed.at),
    });
    if let Some(field) = &closed.field {
        value["field"] = json!(field);
    }
    if let Some(note) = &closed.note {
        value["note"] = json!(note);
    }
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
    let first = reason::advice(&letter.detail.reason);
    if letter.trouble == Trouble::Ambiguous {
        return format!("{first}; if it is there, `{discard}`; if it is not, `{replay}`");
    }
    format!("{first}; then `{replay}`; to give it up, `{discard}`")
}
