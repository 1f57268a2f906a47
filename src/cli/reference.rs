//! The reference of the command line as Markdown, from the same declaration that parses it. Written to
//! `docs/cli.md`; a test holds the file against this.

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Cli;

/// The page.
pub fn markdown() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text =
        String::from("# The command line\n\n<!-- Generated from the code: make generate. -->\n\n");
    let _ = writeln!(text, "{}\n", paragraph(root.get_about()));
    text.push_str(
        "Results go to standard output, everything else to standard error. With `--output json` results are JSON: \
         one document, or one a line where they come one by one. These options belong to every command:\n\n",
    );
    let global = |arg: &&Arg| arg.is_global_set();
    options(&mut text, root.get_arguments().filter(global));
    text.push_str("\nExit codes, unless a command says otherwise: 0 all is well, 1 problems were found or something failed, 2 wrong usage.\n");
    for command in root.get_subcommands() {
        one(&mut text, command, "syncline", 2);
    }
    text
}

fn one(text: &mut String, command: &Command, parent: &str, level: usize) {
    if command.get_name() == "help" || command.is_hide_set() {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let _ = writeln!(
        text,
        "\n{} {name}\n\n{}",
        "#".repeat(level),
        paragraph(about)
    );
    let subcommands: Vec<&Command> = command.get_subcommands().collect();
    if subcommands.is_empty() {
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        let _ = writeln!(text, "\n```\n{usage}\n```\n");
        let own = |arg: &&Arg| !arg.is_hide_set() && !everywhere(arg);
        options(text, command.get_arguments().filter(own));
    }
    if let Some(after) = command.get_after_help() {
        let _ = writeln!(text, "\n{}", examples(&after.to_string()));
    }
    for subcommand in subcommands {
        one(text, subcommand, &name, level + 1);
    }
}

/// Options that the head of the page explains.
fn everywhere(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version" | "output" | "log")
}

fn options<'a>(text: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    for arg in arguments {
        let _ = writeln!(text, "- `{}`: {}", signature(arg), meaning(arg));
    }
}

/// `-n, --namespace NAMESPACE`, or `[SYNCS]…`
fn signature(arg: &Arg) -> String {
    let values: Vec<&str> = arg
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(clap::builder::Str::as_str)
        .collect();
    let values = values.join(" ");
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let mut parts = Vec::new();
    parts.extend(arg.get_short().map(|short| format!("-{short}")));
    parts.extend(arg.get_long().map(|long| format!("--{long}")));
    match (parts.is_empty(), takes) {
        (true, _) if arg.is_required_set() => values,
        (true, _) => format!("[{values}]"),
        (false, true) => format!("{} {values}", parts.join(", ")),
        (false, false) => parts.join(", "),
    }
}

fn meaning(arg: &Arg) -> String {
    let mut text = paragraph(arg.get_long_help().or(arg.get_help()));
    let choices: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !choices.is_empty() && matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        let _ = write!(text, "; one of {}", choices.join(", "));
    }
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() && matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) {
        let _ = write!(text, "; default {}", defaults.join(", "));
    }
    if let Some(variable) = arg.get_env() {
        let _ = write!(
            text,
            "; environment variable `{}`",
            variable.to_string_lossy()
        );
    }
    text
}

fn paragraph(text: Option<&StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// Lines that begin with `Example: ` become code.
fn examples(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix("Example: ") {
        Some(command) => format!("\n```\n{command}\n```"),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}
