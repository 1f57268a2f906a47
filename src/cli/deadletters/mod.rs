//! `syncline deadletters`: what could not be delivered, and what a person decides about it.

mod args;
mod letter;
mod reason;
mod remote;
mod text;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::record::{Key, SyncName};
use crate::runtime::local::session_of;
use crate::state::{Closing, Exception, MOST_CLOSED, Pick, Session, Store};
use crate::worker::now;

use super::Exit;
use super::hint::{Hint, quoted};
use super::output::{OutputFormat, print};
pub use args::DeadLetters;
use args::{Command, Discard, Export, List, Replay, Selection};
pub use reason::reference as reasons;

/// Dead letters read from the store at once.
const PAGE: usize = 500;

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
            Command::List(list) if list.closed => desk.list_closed(&list).await,
            Command::List(list) => desk.list(&list).await,
            Command::Export(export) => desk.export(&export).await,
            Command::Show(show) => desk.show(&show.sync, &show.key).await,
            Command::Replay(Replay { selection }) => {
                let session = desk.one(&selection.sync).await?;
                let count = desk.store.replay(&session, selection.which()).await?;
                desk.told(count, &selection, "will be sent again in the next run")
            }
            Command::Discard(Discard { selection, note }) => {
                let session = desk.one(&selection.sync).await?;
                let (which, closing) = (selection.which(), Closing::discard(note, now()));
                let count = desk.store.discard(&session, which, closing).await?;
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

    /// Those that are gone, the last one first.
    async fn list_closed(&self, list: &List) -> anyhow::Result<Exit> {
        let most = usize::try_from(MOST_CLOSED).unwrap_or(usize::MAX);
        let mut rows: Vec<Value> = Vec::new();
        for session in self.sessions(list.sync.as_deref()).await? {
            let closed = self.store.closed(&session, most).await?;
            let of_reason =
                |reason: &str| list.reason.as_ref().is_none_or(|wanted| wanted == reason);
            let wanted = closed.iter().filter(|one| of_reason(&one.reason));
            rows.extend(wanted.map(|one| letter::closed(&session, one)));
        }
        let (count, limit) = (rows.len(), list.limit);
        match self.output {
            OutputFormat::Json => print(&format!("{}\n", Value::from(rows)))?,
            OutputFormat::Text if count == 0 => print("no dead letters are gone\n")?,
            OutputFormat::Text => print(&text::closed(&rows[..count.min(limit)], count))?,
        }
        Ok(Exit::Good)
    }

    async fn export(&self, export: &Export) -> anyhow::Result<Exit> {
        let reason = export.reason.as_ref();
        for session in self.sessions(export.sync.as_deref()).await? {
            let line = |letter: &Exception| match reason {
                Some(reason) if *reason != letter.detail.reason => Ok(()),
                _ => print(&format!("{}\n", letter::full(&session, letter, &self.hint))),
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
