//! From the bytes of a page to records that can be judged: keys and versions, what the store knows of
//! them, and the Mapping of what is new. Runs beside the engine's task, which alone judges: `page`.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::connector::Page;
use crate::mapping::Links;
use crate::plan::Plan;
use crate::record::{Key, Moment, Removal};
use crate::state::{Known, Millis, Session, Store, StoreError};

use super::confirm::last_word;
use super::feed::Entries;
use super::filter::KeyFilter;
use crate::trial::same_clock;

use super::now;
use super::prepare::{Prepared, find_links, prepare};
use super::seen::{Seen, see};

/// A page on its way from reading to T1.
pub struct Digest {
    pub records: Vec<Candidate>,
    /// Records that have no key or aren't objects, with the reason.
    pub broken: Vec<(Bytes, String)>,
    pub links: Links,
    pub position: Value,
    pub max_seen: Option<Moment>,
    /// Records of a scan whose cursor field could not be read.
    pub undated: u64,
    pub origin: Origin,
    /// Of all its records.
    pub bytes: usize,
    /// When the request for it began, and when its answer had come.
    pub began: Instant,
    pub answered: Instant,
    /// What was doubtful in it was read again; `incomplete`: not all of that could be read.
    pub reread: bool,
    pub incomplete: bool,
}

/// Where a page comes from.
pub enum Origin {
    /// `ended`: the scan's last page, with the token that the next scan begins with.
    Scan { ended: Option<Option<String>> },
    /// `after`: the position in the inbox once this is judged; `broken`: events that name no record.
    Inbox {
        after: u64,
        broken: Vec<(Bytes, String)>,
    },
    /// The source's feed of changes; `ended` as of a scan.
    Feed {
        ended: Option<Option<String>>,
        entries: Entries,
    },
    /// The list does not have them, and `get` neither.
    Absent,
}

/// Whether a record that was seen takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Here,
    /// It is a tombstone.
    Deleted,
    /// The Sync's `where` says no.
    Left,
    /// The source does not have it any more.
    Absent,
    /// The Sync's `where` cannot be told: it takes no part, and nothing is removed because of that.
    Unclear,
}

impl Standing {
    /// Why the record is not to be in the target.
    pub fn removal(self) -> Option<Removal> {
        match self {
            Self::Deleted => Some(Removal::Deleted),
            Self::Left => Some(Removal::Left),
            Self::Absent => Some(Removal::Absent),
            Self::Here | Self::Unclear => None,
        }
    }
}

/// A record that may have to be written.
pub struct Candidate {
    pub seen: Seen,
    pub known: Known,
    /// Unknown until somebody needs it.
    standing: Option<Standing>,
    prepared: Option<Prepared>,
}

impl Candidate {
    fn gone(seen: Seen) -> Self {
        Self {
            seen,
            known: Known::default(),
            standing: Some(Standing::Absent),
            prepared: None,
        }
    }

    /// Whether it is not a record but word that there is none any more.
    pub fn is_gone(&self) -> bool {
        self.standing == Some(Standing::Absent)
    }

    /// Whether the record takes part. What cannot be parsed does, and becomes a dead letter.
    pub fn standing(&mut self, plan: &Plan) -> Standing {
        let (seen, deleted) = (&self.seen, plan.source.object.deleted.as_ref());
        let test = || {
            if deleted.is_none() && plan.filter.is_none() {
                return Standing::Here;
            }
            let record = [("record", seen.value())];
            if seen.problem().is_some() {
                return Standing::Here;
            }
            if deleted.is_some_and(|deleted| deleted.test(&record).unwrap_or(false)) {
                return Standing::Deleted;
            }
            match plan.filter.as_ref().map(|filter| filter.test(&record)) {
                None | Some(Ok(true)) => Standing::Here,
                Some(Ok(false)) => Standing::Left,
                Some(Err(_)) => Standing::Unclear,
            }
        };
        *self.standing.get_or_insert_with(test)
    }

    /// The record after the Mapping.
    pub fn prepared(&mut self, plan: &Plan, links: &Links) -> Prepared {
        let ready = self.prepared.take();
        ready.unwrap_or_else(|| prepare(plan, &self.seen, links, now()))
    }

    /// Whether the store has exactly this version.
    fn is_known(&self) -> bool {
        let link = self.known.link.as_ref();
        self.known.exception.is_none() && link.is_some_and(|link| link.raw == self.seen.raw)
    }

    /// `at`: when it was seen.
    fn map(&mut self, plan: &Plan, links: &Links, at: Millis) {
        if self.prepared.is_none() && self.standing(plan) == Standing::Here {
            self.prepared = Some(prepare(plan, &self.seen, links, at));
            self.seen.forget_value();
        }
    }
}

/// Begins to read the keys and versions of a page's records. `eager`: most of them will be new, so they
/// are mapped at once, unless the Mapping needs links.
pub fn begin(
    plan: Arc<Plan>,
    page: Page,
    mut origin: Origin,
    began: Instant,
    eager: bool,
) -> JoinHandle<Digest> {
    let answered = Instant::now();
    let standing = matches!(origin, Origin::Absent).then_some(Standing::Absent);
    let list = plan.source.object.list.as_ref();
    let has_cursor =
        list.is_some_and(|list| list.cursor.is_some()) && matches!(origin, Origin::Scan { .. });
    spawn_blocking(same_clock(move || {
        let broken = match &mut origin {
            Origin::Scan { .. } | Origin::Absent => Vec::new(),
            Origin::Inbox { broken, .. } => std::mem::take(broken),
            Origin::Feed { entries, .. } => std::mem::take(&mut entries.broken),
        };
        let mut digest = Digest {
            records: Vec::with_capacity(page.records.len()),
            broken,
            links: Links::new(),
            position: page.position,
            max_seen: None,
            undated: 0,
            origin,
            began,
            answered,
            reread: false,
            incomplete: false,
            bytes: page.records.iter().map(|record| record.len()).sum(),
        };
        for record in page.records {
            match see(&plan, record, eager) {
                Ok((seen, cursor)) => {
                    digest.undated += u64::from(has_cursor && cursor.is_none());
                    digest.max_seen = match (digest.max_seen.take(), cursor) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        (a, b) => a.or(b),
                    };
                    digest.records.push(Candidate {
                        seen,
                        known: Known::default(),
                        standing,
                        prepared: None,
                    });
                }
                Err(broken) => digest.broken.push(broken),
            }
        }
        if let Origin::Feed { entries, .. } = &mut digest.origin {
            // Of a feed, the cursor is about the entries.
            digest.max_seen = entries.max_seen.take();
            digest.undated = entries.undated;
            for key in std::mem::take(&mut entries.gone) {
                let last = last_word(&plan.source.object, &key);
                // A record of nothing but its key has one.
                if let Ok((seen, _)) = see(&plan, last.into(), false) {
                    digest.records.push(Candidate::gone(seen));
                }
            }
        }
        if eager && plan.lookups.is_empty() {
            let Digest { records, links, .. } = &mut digest;
            let at = now();
            records.iter_mut().for_each(|c| c.map(&plan, links, at));
        }
        digest
    }))
}

/// Asks the store what is known of the records, and maps those that it doesn't know in this version.
pub async fn finish(
    plan: Arc<Plan>,
    store: Arc<dyn Store>,
    session: Session,
    begun: JoinHandle<Digest>,
    exceptions: bool,
    fresh: Option<Arc<Mutex<KeyFilter>>>,
) -> Result<Digest, StoreError> {
    let mut digest = ended(begun).await;
    let ask = worth_asking(&digest.records, fresh.as_deref());
    let keys: Vec<Key> = ask
        .iter()
        .map(|at| digest.records[*at].seen.key.clone())
        .collect();
    if !keys.is_empty() {
        let known = store.known(&session, keys, exceptions).await?;
        for (at, known) in ask.into_iter().zip(known) {
            digest.records[at].known = known;
        }
    }
    let unmapped = |c: &Candidate| c.prepared.is_none() && !c.is_known() && !c.is_gone();
    if !plan.lookups.is_empty() {
        let mut wanted = Vec::new();
        for candidate in digest.records.iter().filter(|c| unmapped(c)) {
            plan.mapping.lookups(candidate.seen.value(), &mut wanted);
        }
        digest.links = find_links(&plan, store.as_ref(), wanted).await?;
    }
    if !digest.records.iter().any(unmapped) {
        return Ok(digest);
    }
    let mapped = spawn_blocking(same_clock(move || {
        let Digest { records, links, .. } = &mut digest;
        let at = now();
        for candidate in records.iter_mut().filter(|c| unmapped(c)) {
            candidate.map(&plan, links, at);
        }
        digest
    }));
    Ok(ended(mapped).await)
}

/// The records that the store may know something of, by their place.
fn worth_asking(records: &[Candidate], fresh: Option<&Mutex<KeyFilter>>) -> Vec<usize> {
    let Some(fresh) = fresh else {
        return (0..records.len()).collect();
    };
    let mut fresh = fresh.lock().unwrap_or_else(PoisonError::into_inner);
    let noted = |(at, c): (usize, &Candidate)| fresh.note(&c.seen.key).then_some(at);
    records.iter().enumerate().filter_map(noted).collect()
}

/// What a thread made; its panic is ours.
async fn ended<T>(work: JoinHandle<T>) -> T {
    match work.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nobody cancels it but a runtime that ends, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
