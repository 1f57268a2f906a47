//! `syncline deadletters`: what could not be delivered, and what a person decides about it.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::record::Key;
use crate::runtime::local::session_of;
use crate::state::{Exception, Pick, Session, Store, Trouble, Which};

use super::Exit;
use super::output::OutputFormat;
use super::state::StateArgs;

/// Dead letters read from the store at once.
const PAGE: usize = 500;

/// Records that need a person.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List dead letters, of one Sync or of all.
    List { sync: Option<String> },
    /// Show one with its source record, mapped record, answer and what to do.
    Show { sync: String, key: String },
    /// Send again: the newest version seen, through the current Mapping, in the next run.
    Replay(Selection),
    /// Drop: the version seen counts as dealt with.
    Discard(Selection),
    /// All of them with their records, one JSON object a line.
    Export { sync: Option<String> },
}

/// Whose dead letters.
#[derive(Debug, Args)]
pub struct Place {
    /// Namespace of the Syncs
    #[arg(long, short, default_value = "default", global = true)]
    namespace: String,
    #[command(flatten)]
    state: StateArgs,
}

/// Which dead letters.
#[derive(Debug, Args)]
pub struct Selection {
    pub sync: String,
    /// Key of the source record.
    #[arg(required_unless_present_any = ["reason", "all"], conflicts_with_all = ["reason", "all"])]
    pub key: Option<String>,
    /// All with this reason.
    #[arg(long, conflicts_with = "all")]
    pub reason: Option<String>,
    /// All of the Sync.
    #[arg(long)]
    pub all: bool,
}

impl Selection {
    fn which(&self) -> Which {
        match (&self.key, &self.reason) {
            (Some(key), _) => Which::Key(Key::from_text(key.as_str())),
            (None, Some(reason)) => Which::Reason(reason.clone()),
            (None, None) => Which::All,
        }
    }
}

/// Runs a command of `deadletters` on the store in `state`.
pub async fn run(
    command: &DeadLetters,
    place: &Place,
    output: OutputFormat,
) -> anyhow::Result<Exit> {
    let namespace = place.namespace.as_str();
    let (location, store) = place.state.attach().await?;
    let Some(store) = store else {
        match (command, output) {
            (DeadLetters::List { .. }, OutputFormat::Json) => println!("[]"),
            (DeadLetters::List { .. } | DeadLetters::Export { .. }, _) => {
                eprintln!("{location}: nothing has run yet");
            }
            _ => anyhow::bail!("{location}: nothing has run yet"),
        }
        return Ok(Exit::Good);
    };
    let store = store.as_ref();
    match command {
        DeadLetters::List { sync } => list(store, namespace, sync.as_deref(), output).await,
        DeadLetters::Export { sync } => export(store, namespace, sync.as_deref()).await,
        DeadLetters::Show { sync, key } => show(store, namespace, sync, key, output).await,
        DeadLetters::Replay(selection) => {
            let session = one(store, namespace, &selection.sync).await?;
            let count = store.replay(&session, selection.which()).await?;
            told(count, "will be sent again in the next run", output)
        }
        DeadLetters::Discard(selection) => {
            let session = one(store, namespace, &selection.sync).await?;
            let count = store.discard(&session, selection.which()).await?;
            told(count, "dropped", output)
        }
    }
}

fn told(count: u64, what: &str, output: OutputFormat) -> anyhow::Result<Exit> {
    match output {
        OutputFormat::Json => println!("{}", json!({ "count": count })),
        OutputFormat::Text => println!(
            "{count} {}: {what}",
            if count == 1 {
                "dead letter"
            } else {
                "dead letters"
            }
        ),
    }
    Ok(if count == 0 {
        Exit::Problems
    } else {
        Exit::Good
    })
}

async fn one(store: &dyn Store, namespace: &str, sync: &str) -> anyhow::Result<Session> {
    let name = crate::record::SyncName {
        namespace: namespace.into(),
        name: sync.into(),
    };
    match session_of(store, &name).await? {
        Some(session) => Ok(session),
        None => {
            let known: Vec<String> = store
                .list()
                .await?
                .into_iter()
                .map(|(s, _)| s.sync.to_string())
                .collect();
            anyhow::bail!(
                "no state of Sync {name}; there is state of: {}",
                known.join(", ")
            )
        }
    }
}

async fn sessions(
    store: &dyn Store,
    namespace: &str,
    sync: Option<&str>,
) -> anyhow::Result<Vec<Session>> {
    match sync {
        Some(sync) => Ok(vec![one(store, namespace, sync).await?]),
        None => Ok(store
            .list()
            .await?
            .into_iter()
            .map(|(session, _)| session)
            .collect()),
    }
}

/// Calls `each` with every dead letter, page by page.
async fn walk(
    store: &dyn Store,
    session: &Session,
    mut each: impl FnMut(&Exception),
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = store
            .exceptions(
                session,
                Pick::DeadLetters {
                    after: after.clone(),
                },
                PAGE,
            )
            .await?;
        page.iter().for_each(&mut each);
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.entry.key.clone()),
            _ => return Ok(()),
        }
    }
}

fn brief(session: &Session, letter: &Exception) -> Value {
    json!({
        "sync": session.sync,
        "key": letter.entry.key,
        "reason": letter.detail.reason,
        "ambiguous": letter.trouble == Trouble::Ambiguous,
        "message": letter.detail.message,
        "attempts": letter.detail.attempts,
        "since": time(letter.detail.since),
    })
}

fn full(session: &Session, letter: &Exception) -> Value {
    let mut value = brief(session, letter);
    let record = |bytes: &[u8]| {
        serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(bytes).into_owned()))
    };
    value["source"] = record(&letter.entry.source);
    if !letter.entry.body.is_empty() {
        value["mapped"] = record(&letter.entry.body);
    }
    if let Some(failure) = &letter.detail.failure {
        value["answer"] = json!({ "status": failure.status, "excerpt": failure.excerpt });
    }
    if let Some(target) = &letter.detail.target {
        value["target"] = target.to_value();
    }
    if let Some(behind) = &letter.behind {
        value["newerVersion"] = record(&behind.source);
    }
    value["next"] = json!(advice(session, letter));
    value
}

/// What to type about a dead letter.
fn advice(session: &Session, letter: &Exception) -> String {
    let name = &session.sync.name;
    let key = &letter.entry.key;
    format!(
        "correct the source record, the Mapping or the target; then `syncline deadletters replay {name} {key}`, or \
         `syncline deadletters discard {name} {key}`"
    )
}

fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map(|t| t.to_string())
        .unwrap_or_default()
}

async fn list(
    store: &dyn Store,
    namespace: &str,
    sync: Option<&str>,
    output: OutputFormat,
) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for session in sessions(store, namespace, sync).await? {
        walk(store, &session, |letter| rows.push(brief(&session, letter))).await?;
    }
    match output {
        OutputFormat::Json => println!("{}", Value::from(rows)),
        OutputFormat::Text if rows.is_empty() => println!("no dead letters"),
        OutputFormat::Text => {
            let mut table = comfy_table::Table::new();
            table.load_preset(comfy_table::presets::UTF8_BORDERS_ONLY);
            table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
            table.set_header(["SYNC", "KEY", "REASON", "MESSAGE"]);
            for row in &rows {
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                let sync = row["sync"]["name"].as_str().unwrap_or_default().to_owned();
                table.add_row([sync, text("key"), text("reason"), text("message")]);
            }
            println!("{table}\nnext: syncline deadletters show SYNC KEY");
        }
    }
    Ok(Exit::Good)
}

async fn export(store: &dyn Store, namespace: &str, sync: Option<&str>) -> anyhow::Result<Exit> {
    for session in sessions(store, namespace, sync).await? {
        walk(store, &session, |letter| {
            println!("{}", full(&session, letter))
        })
        .await?;
    }
    Ok(Exit::Good)
}

async fn show(
    store: &dyn Store,
    namespace: &str,
    sync: &str,
    key: &str,
    output: OutputFormat,
) -> anyhow::Result<Exit> {
    let session = one(store, namespace, sync).await?;
    let known = store
        .known(&session, vec![Key::from_text(key)], true)
        .await?;
    let letter = known
        .into_iter()
        .find_map(|k| k.exception)
        .filter(|e| e.trouble.is_dead_letter());
    let Some(letter) = letter else {
        anyhow::bail!("Sync {sync} has no dead letter with key {key}")
    };
    let value = full(&session, &letter);
    match output {
        OutputFormat::Json => println!("{value}"),
        OutputFormat::Text => {
            println!("{}  {}", letter.detail.reason, letter.detail.message);
            println!("{}", serde_json::to_string_pretty(&value)?);
        }
    }
    Ok(Exit::Good)
}
