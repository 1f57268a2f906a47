//! The program: parses nothing and decides nothing, `cli` does.

use std::process::ExitCode;

fn main() -> ExitCode {
    syncline::cli::main()
}
