//! Finds the password of a PostgreSQL store where libpq looks for it: `PGPASSWORD`, then `PGPASSFILE` or
//! `~/.pgpass`. Called when a store is opened; what it finds is shown to nobody.

use std::path::PathBuf;

use secrecy::SecretString;

use super::settings::{Host, Settings};

/// The password of the URL, the environment or the password file.
///
/// # Errors
/// A password file that is named and cannot be used, and why.
pub fn find(settings: &Settings) -> Result<Option<SecretString>, String> {
    if let Some(password) = &settings.password {
        return Ok(Some(password.clone()));
    }
    if let Ok(password) = std::env::var("PGPASSWORD") {
        return Ok(Some(password.into()));
    }
    let (file, named) = match std::env::var_os("PGPASSFILE") {
        Some(file) => (PathBuf::from(file), true),
        None => match std::env::var_os("HOME") {
            Some(home) => (PathBuf::from(home).join(".pgpass"), false),
            None => return Ok(None),
        },
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(_) if !named => return Ok(None),
        Err(e) => return Err(format!("PGPASSFILE {}: {e}", file.display())),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).map_or(0, |m| m.permissions().mode());
        if mode & 0o007 != 0 {
            return Err(format!(
                "the password file {} can be read by everyone on this machine; take that right away (chmod 600)",
                file.display()
            ));
        }
    }
    let host = match &settings.host {
        Host::Name(name) => name.clone(),
        Host::Socket(folder) => folder.display().to_string(),
    };
    let port = settings.port.to_string();
    Ok(lookup(
        &text,
        [&host, &port, &settings.database, &settings.user],
    ))
}

/// The first line `host:port:database:user:password` that fits; `*` fits everything, a backslash takes the
/// meaning from the character behind it (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).
fn lookup(text: &str, wanted: [&str; 4]) -> Option<SecretString> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line;
            for value in wanted {
                let (field, more) = field(rest)?;
                if field != "*" && unescape(field) != value {
                    return None;
                }
                rest = more;
            }
            let end = field(rest).map_or(rest, |(password, _)| password);
            Some(unescape(end).into())
        })
}

/// The text before the next colon that has no backslash before it, and what follows.
fn field(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            ':' if !escaped => return Some((&text[..at], &text[at + 1..])),
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => characters.next().unwrap_or('\\'),
            other => other,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file = "# a comment\n\
                    db:5432:other:app:wrong\n\
                    db:*:state:app:se\\:sa\\\\me\n\
                    *:*:*:*:last\n";
        let find = |wanted| lookup(file, wanted).map(|p| p.expose_secret().to_owned());
        assert_eq!(
            find(["db", "5432", "state", "app"]).as_deref(),
            Some("se:sa\\me")
        );
        assert_eq!(find(["[::1]", "1", "x", "y"]).as_deref(), Some("last"));
        assert!(lookup("db:5432:state:app", ["db", "5432", "state", "app"]).is_none());
        assert!(lookup("", ["db", "5432", "state", "app"]).is_none());
    }
}
