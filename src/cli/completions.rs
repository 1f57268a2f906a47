//! `syncline completions`: completions for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit, output};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example: source <(syncline completions bash)")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub fn run(&self) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "syncline", &mut script);
        output::print(&String::from_utf8(script)?)?;
        Ok(Exit::Good)
    }
}
