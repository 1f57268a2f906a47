//! What to type next: commands that go on with the same files and the same state. Used by the commands that
//! end with such a line.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::Args;

use super::cluster::{ClusterArgs, is_plugin};
use super::state::StateArgs;

/// How whoever reads a hint calls this program, where that is not how it was called: `kubectl syncline` on some
/// machine, which has it run in a Pod.
#[derive(Clone, Debug, Default, Args)]
pub struct Again {
    /// The words that begin a command in hints
    #[arg(long = "hint-program", hide = true, value_name = "WORDS")]
    program: Option<String>,
    /// The words that end it
    #[arg(
        long = "hint-flags",
        hide = true,
        value_name = "WORDS",
        requires = "program"
    )]
    flags: Option<String>,
    /// What to type when all went well
    #[arg(long = "hint-next", hide = true, value_name = "WORDS")]
    next: Option<String>,
}

/// Set once, by `main`.
static AGAIN: OnceLock<Again> = OnceLock::new();

impl Again {
    /// How a person calls this program for this cluster.
    pub fn new(cluster: &ClusterArgs, namespace: &str, operator: Option<&str>) -> Self {
        let mut flags = cluster.again();
        flags.extend(["--namespace".to_owned(), namespace.to_owned()]);
        flags.extend(
            operator
                .into_iter()
                .flat_map(|name| ["--operator-namespace".to_owned(), name.to_owned()]),
        );
        Self {
            program: Some(program().to_owned()),
            flags: Some(words(&flags)),
            next: None,
        }
    }

    /// The same with what to type next.
    #[must_use]
    pub fn then(mut self, next: String) -> Self {
        self.next = Some(next);
        self
    }

    /// The flags that say it to the program that is run elsewhere.
    pub fn flags(&self) -> impl Iterator<Item = String> {
        let program = self
            .program
            .iter()
            .map(|words| format!("--hint-program={words}"));
        let flags = self
            .flags
            .iter()
            .map(|words| format!("--hint-flags={words}"));
        let next = self.next.iter().map(|words| format!("--hint-next={words}"));
        program.chain(flags).chain(next)
    }

    /// A command that somebody is to type.
    pub fn command(&self, verb: &str, rest: &str) -> String {
        let parts = [
            Some(program()),
            Some(verb),
            Some(rest),
            self.flags.as_deref(),
        ];
        let parts: Vec<&str> = parts
            .into_iter()
            .flatten()
            .filter(|part| !part.is_empty())
            .collect();
        parts.join(" ")
    }

    /// From now on, all hints speak so.
    pub fn keep(self) {
        // Parsed once, kept once.
        let _ = AGAIN.set(self);
    }
}

/// What whoever called this command elsewhere types next.
pub fn next() -> Option<String> {
    AGAIN.get()?.next.clone()
}

/// How this program is called.
pub fn program() -> &'static str {
    let said = AGAIN.get().and_then(|again| again.program.as_deref());
    said.unwrap_or(match is_plugin() {
        true => "kubectl syncline",
        false => "syncline",
    })
}

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
        let kept = AGAIN.get().filter(|again| again.program.is_some());
        let again = kept.cloned().unwrap_or_else(|| Again {
            flags: Some(words(&self.state)),
            ..Again::default()
        });
        again.command(verb, rest)
    }
}

/// Words as a shell takes them.
fn words(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
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
