//! The command line: one file per command, the flags that all share, and the exit codes.
//! Called by `main`. Everything a command prints for programs goes to standard output, all else to
//! standard error.

mod cluster;
mod completions;
mod controller;
mod crds;
mod deadletters;
mod get;
mod hint;
mod logging;
pub mod manifest;
mod moment;
mod output;
mod preview;
mod progress;
mod project;
pub mod reference;
mod run;
pub mod secrets;
mod signal;
mod state;
mod status;
mod table;
mod traces;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::filter::ParseError;

pub use deadletters::reasons as dead_letter_reasons;
use logging::LogFormat;
pub use output::OutputFormat;
use traces::Traces;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything is as it should be.
    Good,
    /// 1: problems were found, or something failed.
    Problems,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => Self::SUCCESS,
            Exit::Problems => Self::FAILURE,
        }
    }
}

/// Syncline connects software systems through their APIs, declared as Kubernetes resources.
#[derive(Debug, Parser)]
#[command(
    name = "syncline",
    version,
    max_term_width = 100,
    after_help = "Exit codes: 0 all is well, 1 problems were found or something failed, 2 wrong usage."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Flags of all commands.
#[derive(Debug, Args)]
struct Common {
    /// How results are printed
    #[arg(long, short, global = true, value_enum, default_value_t)]
    output: OutputFormat,
    /// What is logged to standard error: off, error, warn, info, debug, trace, or a filter such as
    /// syncline=debug; without it warn, and info for the controller
    #[arg(long, global = true, value_name = "LEVEL", env = "SYNCLINE_LOG")]
    log: Option<String>,
    /// How it is logged; without it text on a terminal, otherwise and for the controller json
    #[arg(long, global = true, value_enum, env = "SYNCLINE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    #[command(flatten)]
    again: hint::Again,
}

impl Common {
    /// Starts logging, and hands spans to `traces`; the error says what is wrong with the filter.
    fn start_logging(
        &self,
        command: &Command,
        traces: Option<traces::SpanLayer>,
    ) -> Result<(), ParseError> {
        let (level, format) = match command {
            Command::Controller(_) => ("info", LogFormat::Json),
            _ => ("warn", LogFormat::of_stderr()),
        };
        let level = self.log.as_deref().unwrap_or(level);
        logging::start(level, self.log_format.unwrap_or(format), traces)
    }
}

/// Where manifests and credentials come from.
#[derive(Debug, Default, Args)]
pub struct Manifests {
    /// A folder (with all below it), a file, or - for standard input; may be given several times
    #[arg(long = "filename", short, required = true, value_name = "DIR|FILE|-")]
    pub files: Vec<PathBuf>,
    /// The namespace of resources that name none
    #[arg(long, short, default_value = "default")]
    pub namespace: String,
    /// A folder with credentials: DIR/NAME/KEY is the key KEY of the Secret NAME. Environment
    /// variables SYNCLINE_SECRET_NAME_KEY win over it, and it wins over Secret manifests
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::Validate),
    Preview(preview::Preview),
    Run(run::Run),
    Get(get::Get),
    Status(status::Status),
    Sync(cluster::sync::SyncCommand),
    #[command(name = "deadletters")]
    DeadLetters(deadletters::DeadLetters),
    Controller(controller::Controller),
    Crds(crds::Crds),
    Completions(completions::Completions),
}

/// Runs a command that waits for systems.
fn wait(work: impl Future<Output = anyhow::Result<Exit>>) -> anyhow::Result<Exit> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // The others only look, and end at once.
    let (traces, problem) = match cli.command {
        Command::Run(_) | Command::Controller(_) => match Traces::from_env() {
            Ok(traces) => (traces, None),
            Err(problem) => (None, Some(problem)),
        },
        _ => (None, None),
    };
    let (traces, layer) = traces.unzip();
    if let Err(error) = cli.common.start_logging(&cli.command, layer) {
        eprintln!("error: --log: {error}");
        return ExitCode::from(2);
    }
    if let Some(problem) = problem {
        tracing::warn!("no traces are exported: {problem}");
    }
    let output = cli.common.output;
    cli.common.again.keep();
    let result = match cli.command {
        Command::Run(command) => wait(command.run(output)),
        Command::Preview(command) => wait(command.run(output)),
        Command::Get(command) => wait(command.run()),
        Command::Status(command) => wait(command.run(output)),
        Command::Sync(command) => wait(command.run(output)),
        Command::DeadLetters(command) => wait(command.run(output)),
        Command::Validate(command) => command.run(output),
        Command::Controller(command) => wait(command.run()),
        Command::Crds(command) => command.run(),
        Command::Completions(command) => command.run(),
    };
    if let Some(traces) = traces {
        traces.end();
    }
    match result {
        Ok(exit) => exit.into(),
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_fit_together() {
        Cli::command().debug_assert();
    }
}
