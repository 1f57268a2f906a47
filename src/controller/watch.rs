//! Follows one kind in one place: lists it, watches it, lists again when the watch has lost its place.
//! Each stream has a backoff of its own, so that one that is broken never holds up the others, and shows
//! when it last heard anything. Written here and not taken from kube's `watcher`, because that shows no
//! sign of life while nothing changes. Used by `streams`.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, pin_mut};
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::health::{DEAF, Pulse};

/// Objects in one page of a list.
const PAGE: u32 = 500;
/// How long the server keeps a watch open, in seconds.
const WATCH: u32 = 290;
/// Longer than that and nothing heard: the connection is dead.
const SILENCE: Duration = Duration::from_secs(320);
/// The longest time for one page of a list.
const LIST: Duration = Duration::from_secs(60);
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// What is seen of a kind.
pub enum Seen<K> {
    /// One of those that exist at the time of a list.
    Listed(K),
    /// The list is complete: whoever was not in it is gone.
    End,
    Applied(K),
    Deleted(K),
    /// The API server has refused to show them for so long that none counts as there any more.
    Refused,
}

/// Why a stream has to begin again.
enum Broken {
    /// The place is lost: list again.
    Expired,
    /// This may not be watched, or is not there.
    Refused(String),
    Failed(String),
}

/// Follows for ever.
pub async fn follow<K>(api: Api<K>, pulse: Arc<Pulse>, sink: mpsc::Sender<Seen<K>>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut trouble = Trouble::default();
    loop {
        let mut version = match list(&api, &pulse, &sink).await {
            Ok(version) => {
                trouble.refused = None;
                trouble.told = false;
                version
            }
            Err(broken) => {
                trouble.pause(&pulse, broken, &sink).await;
                continue;
            }
        };
        loop {
            match watch(&api, &pulse, &mut version, &sink).await {
                Ok(()) => trouble = Trouble::default(),
                Err(Broken::Expired) => break,
                Err(broken) => trouble.pause(&pulse, broken, &sink).await,
            }
            if trouble.told {
                // What was taken for gone has to be listed again.
                break;
            }
        }
    }
}

/// Failures in a row.
#[derive(Default)]
struct Trouble {
    failures: u32,
    /// Since when it is refused.
    refused: Option<Instant>,
    told: bool,
}

impl Trouble {
    /// It is refused at this moment: whether it has been for so long that this is to be told; once.
    fn is_over(&mut self, now: Instant) -> bool {
        let since = *self.refused.get_or_insert(now);
        let over = now.saturating_duration_since(since) > DEAF;
        over && !std::mem::replace(&mut self.told, over)
    }

    /// Waits after a failure, with full jitter. Tells once when what is refused is so for too long.
    async fn pause<K>(&mut self, pulse: &Pulse, broken: Broken, sink: &mpsc::Sender<Seen<K>>) {
        self.failures += 1;
        match &broken {
            Broken::Refused(problem) => {
                pulse.refused(problem);
                if self.is_over(Instant::now()) {
                    put(sink, Seen::Refused).await;
                }
            }
            Broken::Failed(problem) => {
                self.refused = None;
                pulse.failed(problem);
            }
            Broken::Expired => {}
        }
        let delay = crate::worker::backoff(FIRST_DELAY, LONGEST_DELAY, self.failures);
        tokio::time::sleep(delay).await;
    }
}

/// Passes a sighting on, as quickly as it is taken.
async fn put<K>(sink: &mpsc::Sender<Seen<K>>, seen: Seen<K>) {
    // Nobody takes them any more: this task is about to be ended too.
    let _ = sink.send(seen).await;
}

/// Lists everything, page by page; returns where a watch goes on.
async fn list<K>(
    api: &Api<K>,
    pulse: &Pulse,
    sink: &mpsc::Sender<Seen<K>>,
) -> Result<String, Broken>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = match tokio::time::timeout(LIST, api.list(&params)).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => return Err(broken(&error)),
            Err(_) => {
                let problem = format!("no answer to a list within {} s", LIST.as_secs());
                return Err(Broken::Failed(problem));
            }
        };
        pulse.heard();
        for item in page.items {
            put(sink, Seen::Listed(item)).await;
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => {
                put(sink, Seen::End).await;
                let version = page.metadata.resource_version;
                let none = || Broken::Failed("a list without resourceVersion".to_owned());
                return version.ok_or_else(none);
            }
        }
    }
}

/// Watches from `version` on, until the server closes.
async fn watch<K>(
    api: &Api<K>,
    pulse: &Pulse,
    version: &mut String,
    sink: &mpsc::Sender<Seen<K>>,
) -> Result<(), Broken>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let params = WatchParams {
        timeout: Some(WATCH),
        bookmarks: true,
        ..WatchParams::default()
    };
    let stream = match tokio::time::timeout(LIST, api.watch(&params, version)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(broken(&error)),
        Err(_) => return Err(Broken::Failed("no answer to a watch".to_owned())),
    };
    pulse.heard();
    pin_mut!(stream);
    loop {
        let event = match tokio::time::timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(event))) => event,
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(None) => return Ok(()),
            Err(_) => return Err(Broken::Failed("the watch went silent".to_owned())),
        };
        pulse.heard();
        match event {
            WatchEvent::Added(item) | WatchEvent::Modified(item) => {
                *version = item.resource_version().unwrap_or_default();
                put(sink, Seen::Applied(item)).await;
            }
            WatchEvent::Deleted(item) => {
                *version = item.resource_version().unwrap_or_default();
                put(sink, Seen::Deleted(item)).await;
            }
            WatchEvent::Bookmark(mark) => *version = mark.metadata.resource_version,
            WatchEvent::Error(status) if status.code == 410 => return Err(Broken::Expired),
            WatchEvent::Error(status) => {
                return Err(Broken::Failed(format!(
                    "{} ({})",
                    status.message, status.code
                )));
            }
        }
    }
}

fn broken(error: &kube::Error) -> Broken {
    match error {
        kube::Error::Api(status) if status.code == 410 => Broken::Expired,
        kube::Error::Api(status) if matches!(status.code, 403 | 404) => {
            Broken::Refused(describe(error))
        }
        other => Broken::Failed(describe(other)),
    }
}

/// An error of the API server or of the way there, without anything that an object holds.
pub fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        kube::Error::SerdeError(_) => "an answer that cannot be read".to_owned(),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(inner) = source {
                let more = inner.to_string();
                if !text.contains(&more) {
                    text = format!("{text}: {more}");
                }
                source = inner.source();
            }
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_for_long_is_told_once() {
        let mut trouble = Trouble::default();
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let over: Vec<bool> = [0, 60, 119, 121, 130, 999]
            .map(|seconds| trouble.is_over(at(seconds)))
            .into();
        assert_eq!(over, [false, false, false, true, false, false]);
    }

    #[test]
    fn what_may_not_be_seen_or_is_not_there_is_refused_and_nothing_else_is() {
        let answer = |code: u16| {
            let status = serde_json::json!({"status": "Failure", "code": code, "message": "m", "reason": "r"});
            kube::Error::Api(serde_json::from_value(status).unwrap())
        };
        for code in [403, 404] {
            assert!(
                matches!(broken(&answer(code)), Broken::Refused(_)),
                "{code}"
            );
        }
        for code in [401, 429, 500, 503] {
            assert!(matches!(broken(&answer(code)), Broken::Failed(_)), "{code}");
        }
        assert!(matches!(broken(&answer(410)), Broken::Expired));
    }
}
