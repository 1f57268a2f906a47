//! What to type next: commands that go on with the same files and the same state. Used by the commands that
//! end with such a line.

use std::path::{Path, PathBuf};

use super::state::StateArgs;

/// The files and the state that a command was given.
#[derive(Clone, Debug, Default)]
pub struct Hint {
    files: Vec<PathBuf>,
    state: Vec<String>,
}

impl Hint {
    pub fn new(files: &[PathBuf], state: &StateArgs) -> Self {
        Self {
            files: files.to_vec(),
            state: state.again(),
        }
    }

    /// A command on manifests, such as `run --watch`.
    pub fn with_files(&self, verb: &str, rest: &str) -> String {
        let files = self.files.iter().map(|file| format!(" -f {}", quote(file)));
        self.on_state(&format!("{verb}{}", files.collect::<String>()), rest)
    }

    /// A command on the state alone, such as `deadletters list`.
    pub fn on_state(&self, verb: &str, rest: &str) -> String {
        let mut text = format!("syncline {verb}");
        if !rest.is_empty() {
            text.push(' ');
            text.push_str(rest);
        }
        for word in &self.state {
            text.push(' ');
            text.push_str(&quoted(word));
        }
        text
    }
}

/// A path as a shell takes it.
fn quote(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// A word as a shell takes it.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_copied_into_a_shell() {
        let hint = Hint {
            files: vec!["my manifests".into()],
            state: vec!["--state".into(), "/var/lib/syncline".into()],
        };
        assert_eq!(
            hint.with_files("run", "--watch"),
            "syncline run -f 'my manifests' --watch --state /var/lib/syncline"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
