//! What can be asked about dead letters. Words and options only.

use clap::{Args, Subcommand};

use crate::cli::cluster::ClusterArgs;
use crate::cli::hint::{Hint, quoted};
use crate::cli::state::StateArgs;
use crate::record::Key;
use crate::state::Which;

/// Records that could not be delivered, and what a person decides about them
#[derive(Debug, Args)]
pub struct DeadLetters {
    #[command(subcommand)]
    pub(super) command: Command,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    List(List),
    Show(Show),
    Replay(Replay),
    Discard(Discard),
    Export(Export),
}

/// List dead letters, of one Sync or of all
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 also when there are some, 1 something failed, 2 wrong usage."
)]
pub(super) struct List {
    pub(super) sync: Option<String>,
    /// Only those with this reason
    #[arg(long)]
    pub(super) reason: Option<String>,
    /// How many are shown as text; all are counted, and JSON has all
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(super) limit: usize,
    /// Those that are gone instead: discarded by a person, or dropped because they were too old or too many
    #[arg(long)]
    pub(super) closed: bool,
}

/// Show one: source record, mapped record, request, the target's answer, attempts, and what to do
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 it is shown, 1 there is no such dead letter, 2 wrong usage.\nExample: syncline deadletters show customers-to-contacts cus_17"
)]
pub(super) struct Show {
    pub(super) sync: String,
    /// Key of the source record
    pub(super) key: String,
}

/// Send again in the next run: the newest version seen, through the current Mapping
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 some will be sent again, 1 none was found, 2 wrong usage.\nExample: syncline deadletters replay customers-to-contacts --reason Permanent"
)]
pub(super) struct Replay {
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// Drop: the version seen counts as dealt with; a newer one is taken as usual
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 some were dropped, 1 none was found, 2 wrong usage.\nExample: syncline deadletters discard customers-to-contacts cus_17 --note \"entered by hand\""
)]
pub(super) struct Discard {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// Why, for those who look at it later with list --closed
    #[arg(long, value_name = "TEXT")]
    pub(super) note: Option<String>,
}

/// Print all with their records, one JSON object a line
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 they are printed, 1 something failed, 2 wrong usage.\nExample: syncline deadletters export > dead-letters.jsonl"
)]
pub(super) struct Export {
    pub(super) sync: Option<String>,
    /// Only those with this reason
    #[arg(long)]
    pub(super) reason: Option<String>,
}

/// Whose dead letters.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Namespace of the Syncs; without it default, and of a cluster that of the context
    #[arg(long, short, global = true)]
    pub(super) namespace: Option<String>,
    #[command(flatten)]
    pub(super) state: StateArgs,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// Of a cluster: the namespace that the operator is installed in; without it, that of the Syncs
    #[arg(long, value_name = "NAMESPACE", global = true)]
    pub(super) operator_namespace: Option<String>,
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(super) struct Selection {
    pub(super) sync: String,
    /// Key of the source record
    #[arg(required_unless_present_any = ["reason", "all"], conflicts_with_all = ["reason", "all"])]
    pub(super) key: Option<String>,
    /// All with this reason
    #[arg(long, conflicts_with = "all")]
    pub(super) reason: Option<String>,
    /// All of the Sync
    #[arg(long)]
    pub(super) all: bool,
}

impl Selection {
    pub(super) fn which(&self) -> Which {
        match (&self.key, &self.reason) {
            (Some(key), _) => Which::Key(Key::from_text(key.as_str())),
            (None, Some(reason)) => Which::Reason(reason.clone()),
            (None, None) => Which::All,
        }
    }

    pub(super) fn nothing(&self, hint: &Hint) -> anyhow::Error {
        let sync = &self.sync;
        let list = hint.on_state("deadletters list", &quoted(sync));
        let what = match (&self.key, &self.reason) {
            (Some(key), _) => format!("no dead letter with key {key:?}"),
            (None, Some(reason)) => format!("no dead letter with reason {reason:?}"),
            (None, None) => "no dead letter".to_owned(),
        };
        anyhow::anyhow!("Sync {sync} has {what}; `{list}` shows what there is")
    }
}
