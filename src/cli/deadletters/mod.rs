//! `syncline deadletters`: what could not be delivered, and what a person decides about it.

mod letter;
mod remote;
mod text;

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::record::{Key, SyncName};
use crate::runtime::local::session_of;
use crate::state::{Exception, Pick, Session, Store, Which};

use super::Exit;
use super::cluster::ClusterArgs;
use super::hint::{Hint, quoted};
use super::output::{OutputFormat, print};
use super::state::StateArgs;

/// Dead letters read from the store at once.
const PAGE: usize = 500;

/// Records that could not be delivered, and what a person decides about them
#[derive(Debug, Args)]
pub struct DeadLetters {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Subcommand)]
enum Command {
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
struct List {
    sync: Option<String>,
    /// Only those with this reason
    #[arg(long)]
    reason: Option<String>,
    /// How many are shown as text; all are counted, and JSON has all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// Show one with its source record, mapped record, the target's answer and what to do
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 it is shown, 1 there is no such dead letter, 2 wrong usage.\nExample: syncline deadletters show customers-to-contacts cus_17"
)]
struct Show {
    sync: String,
    /// Key of the source record
    key: String,
}

/// Send again in the next run: the newest version seen, through the current Mapping
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 some will be sent again, 1 none was found, 2 wrong usage.\nExample: syncline deadletters replay customers-to-contacts --reason Permanent"
)]
struct Replay {
    #[command(flatten)]
    selection: Selection,
}

/// Drop: the version seen counts as dealt with; a newer one is taken as usual
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 some were dropped, 1 none was found, 2 wrong usage.\nExample: syncline deadletters discard customers-to-contacts cus_17"
)]
struct Discard {
    #[command(flatten)]
    selection: Selection,
}

/// Print all with their records, one JSON object a line
#[derive(Debug, Args)]
#[command(after_help = "Example: syncline deadletters export > dead-letters.jsonl")]
struct Export {
    sync: Option<String>,
}

/// Whose dead letters.
#[derive(Debug, Args)]
struct Place {
    /// Namespace of the Syncs; without it default, and of a cluster that of the context
    #[arg(long, short, global = true)]
    namespace: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Of a cluster: the namespace that the operator is installed in; without it, that of the Syncs
    #[arg(long, value_name = "NAMESPACE", global = true)]
    operator_namespace: Option<String>,
}

/// Which dead letters.
#[derive(Debug, Args)]
struct Selection {
    sync: String,
    /// Key of the source record
    #[arg(required_unless_present_any = ["reason", "all"], conflicts_with_all = ["reason", "all"])]
    key: Option<String>,
    /// All with this reason
    #[arg(long, conflicts_with = "all")]
    reason: Option<String>,
    /// All of the Sync
    #[arg(long)]
    all: bool,
}

impl Selection {
    fn which(&self) -> Which {
        match (&self.key, &self.reason) {
            (Some(key), _) => Which::Key(Key::from_text(key.as_str())),
            (None, Some(reason)) => Which::Reason(reason.clone()),
            (None, None) => Which::All,
        }
    }

    fn nothing(&self, hint: &Hint) -> anyhow::Error {
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

impl DeadLetters {
    /// Runs the command on the store in the state directory.
    pub async fn run(self, output: OutputFormat) -> anyhow::Result<Exit> {
        if self.place.cluster.wanted() {
            return self.run_in_cluster(output).await;
        }
        let (namespace, state) = (self.place.namespace, self.place.state);
        let namespace = namespace.unwrap_or_else(|| "default".to_owned());
        let hint = Hint::new(&[], &state);
        let (location, store) = state.attach().await?;
        let Some(store) = store else {
            let nothing = format!("{location}: nothing has run yet");
            match (self.command, output) {
                (Command::List(_), OutputFormat::Json) => print("[]\n")?,
                (Command::List(_) | Command::Export(_), _) => eprintln!("{nothing}"),
                _ => anyhow::bail!(nothing),
            }
            return Ok(Exit::Good);
        };
        let desk = Desk {
            store,
            namespace,
            output,
            hint,
        };
        match self.command {
            Command::List(list) => desk.list(&list).await,
            Command::Export(export) => desk.export(export.sync.as_deref()).await,
            Command::Show(show) => desk.show(&show.sync, &show.key).await,
            Command::Replay(Replay { selection }) => {
                let session = desk.one(&selection.sync).await?;
                let count = desk.store.replay(&session, selection.which()).await?;
                desk.told(count, &selection, "will be sent again in the next run")
            }
            Command::Discard(Discard { selection }) => {
                let session = desk.one(&selection.sync).await?;
                let count = desk.store.discard(&session, selection.which()).await?;
                desk.told(count, &selection, "dropped")
            }
        }
    }
}

/// Where dead letters are looked at.
struct Desk {
    store: Arc<dyn Store>,
    namespace: String,
    output: OutputFormat,
    hint: Hint,
}

impl Desk {
    fn told(&self, count: u64, selection: &Selection, what: &str) -> anyhow::Result<Exit> {
        let noun = if count == 1 {
            "dead letter"
        } else {
            "dead letters"
        };
        match self.output {
            OutputFormat::Json => print(&format!("{}\n", json!({ "count": count })))?,
            OutputFormat::Text if count == 0 => return Err(selection.nothing(&self.hint)),
            OutputFormat::Text => print(&format!("{count} {noun}: {what}\n"))?,
        }
        Ok(match count {
            0 => Exit::Problems,
            _ => Exit::Good,
        })
    }

    async fn one(&self, sync: &str) -> anyhow::Result<Session> {
        let name = SyncName {
            namespace: self.namespace.clone(),
            name: sync.into(),
        };
        if let Some(session) = session_of(self.store.as_ref(), &name).await? {
            return Ok(session);
        }
        let all = self.store.list().await?;
        let known: Vec<String> = all.iter().map(|(s, _)| s.sync.to_string()).collect();
        anyhow::bail!(
            "no state of Sync {name}; there is state of: {}",
            known.join(", ")
        )
    }

    async fn sessions(&self, sync: Option<&str>) -> anyhow::Result<Vec<Session>> {
        match sync {
            Some(sync) => Ok(vec![self.one(sync).await?]),
            None => {
                let all = self.store.list().await?;
                Ok(all.into_iter().map(|(session, _)| session).collect())
            }
        }
    }

    /// Calls `each` with every dead letter, page by page.
    async fn walk(
        &self,
        session: &Session,
        mut each: impl FnMut(&Exception) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let pick = Pick::DeadLetters {
                after: after.clone(),
            };
            let page = self.store.exceptions(session, pick, PAGE).await?;
            for letter in &page {
                each(letter)?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.entry.key.clone()),
                _ => return Ok(()),
            }
        }
    }

    async fn list(&self, list: &List) -> anyhow::Result<Exit> {
        let limit = match self.output {
            OutputFormat::Json => usize::MAX,
            OutputFormat::Text => list.limit,
        };
        let mut rows: Vec<Value> = Vec::new();
        let mut count = 0;
        for session in self.sessions(list.sync.as_deref()).await? {
            self.walk(&session, |letter| {
                let reason = list.reason.as_ref();
                if reason.is_none_or(|reason| *reason == letter.detail.reason) {
                    count += 1;
                    if rows.len() < limit {
                        rows.push(letter::brief(&session, letter));
                    }
                }
                Ok(())
            })
            .await?;
        }
        match self.output {
            OutputFormat::Json => print(&format!("{}\n", Value::from(rows)))?,
            OutputFormat::Text if count == 0 => print("no dead letters\n")?,
            OutputFormat::Text => print(&text::list(&rows, count, &self.hint))?,
        }
        Ok(Exit::Good)
    }

    async fn export(&self, sync: Option<&str>) -> anyhow::Result<Exit> {
        for session in self.sessions(sync).await? {
            let line = |letter: &Exception| {
                print(&format!("{}\n", letter::full(&session, letter, &self.hint)))
            };
            self.walk(&session, line).await?;
        }
        Ok(Exit::Good)
    }

    async fn show(&self, sync: &str, key: &str) -> anyhow::Result<Exit> {
        let session = self.one(sync).await?;
        let keys = vec![Key::from_text(key)];
        let known = self.store.known(&session, keys, true).await?;
        let letter = known
            .into_iter()
            .find_map(|k| k.exception)
            .filter(|e| e.trouble.is_dead_letter());
        let Some(letter) = letter else {
            let list = self.hint.on_state("deadletters list", &quoted(sync));
            anyhow::bail!(
                "Sync {sync} has no dead letter with key {key:?}; `{list}` shows what there is"
            )
        };
        let value = letter::full(&session, &letter, &self.hint);
        match self.output {
            OutputFormat::Json => print(&format!("{value}\n"))?,
            OutputFormat::Text => print(&text::one(&value, letter.detail.since))?,
        }
        Ok(Exit::Good)
    }
}
