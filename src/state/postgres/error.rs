//! What PostgreSQL says, in words for the person who runs this. The server's details stay away, because
//! they may quote records; messages name codes, roles and tables.

use tokio_postgres::error::SqlState;

use crate::state::StoreError;

use super::connect::LOCK_SECONDS;

/// An error of a statement.
pub fn translate(place: &str, error: &tokio_postgres::Error) -> StoreError {
    let place = place.to_owned();
    let Some(said) = error.as_db_error() else {
        return if error.is_closed() || is_io(error) {
            StoreError::Lost { place }
        } else {
            StoreError::Broken {
                place,
                problem: whole(error),
            }
        };
    };
    let code = said.code();
    if *code == SqlState::DISK_FULL {
        return StoreError::Full { place };
    }
    if *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED {
        return StoreError::Busy {
            place,
            seconds: LOCK_SECONDS,
        };
    }
    // The server ends this connection or is about to.
    if code.code().starts_with("57P") || code.code().starts_with("08") {
        return StoreError::Lost { place };
    }
    let problem = format!("{} (SQLSTATE {})", said.message(), code.code());
    match advice(code) {
        Some(advice) => StoreError::Unusable {
            place,
            problem: format!("{problem}; {advice}"),
        },
        None => StoreError::Broken { place, problem },
    }
}

/// An error while a connection is being made.
pub fn connecting(place: &str, error: &tokio_postgres::Error) -> StoreError {
    match translate(place, error) {
        unusable @ StoreError::Unusable { .. } => unusable,
        _ => StoreError::Unreachable {
            place: place.to_owned(),
            problem: error.as_db_error().map_or_else(
                || whole(error),
                |said| format!("{} (SQLSTATE {})", said.message(), said.code().code()),
            ),
        },
    }
}

/// What helps against errors that a person has to put right.
fn advice(code: &SqlState) -> Option<&'static str> {
    Some(match code.code() {
        "28P01" | "28000" => {
            "give the password with PGPASSFILE, PGPASSWORD or a file for --state-url-file, and see pg_hba.conf"
        }
        "3D000" => "create it: CREATE DATABASE … ENCODING 'UTF8'",
        "42501" => {
            "let this role own the tables: CREATE SCHEMA syncline AUTHORIZATION role, or GRANT CREATE ON DATABASE"
        }
        "25006" => "this server is a standby; name the primary",
        _ => return None,
    })
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

/// The error with what caused it: the client's own text is short.
fn whole(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
