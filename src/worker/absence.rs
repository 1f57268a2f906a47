//! Source records that a complete list does not show any more. While a scan reads such a list, the keys that it
//! sees are noted; at its end the links that it has not seen are looked through, a portion at a time, and what the
//! source confirms goes the way of a tombstone. Driven by `scan`, `page` and the engine's turn.

use std::fmt;

use serde_json::Value;
use tokio::time::Instant;

use crate::connector::Page;
use crate::record::Key;
use crate::state::{Change, Presence, Present};
use crate::trial::{Bug, planted};

use super::confirm::{Confirmed, confirm, last_word};
use super::digest::{Candidate, Origin, Standing};
use super::filter::KeyFilter;
use super::inbox::Inbox;
use super::page::Batch;
use super::{Event, Worker};

/// Links that are looked at, at once.
const PORTION: usize = 1_000;

/// Records that the list does not show and `get` finds, before the rest is left alone: the list is not what the
/// manifest says it is.
const MOST_FOUND: u64 = 1_000;

/// What a worker knows of records that the list may not show any more.
#[derive(Debug, Default)]
pub struct Absence {
    sweep: Option<Sweep>,
    /// Keys that the last scan noted.
    noted: u64,
    /// Why the last scan could not tell, for the run's report.
    pub note: Option<String>,
}

impl Absence {
    /// Links are being looked through.
    pub fn is_busy(&self) -> bool {
        let sweep = self.sweep.as_ref();
        sweep.is_some_and(|sweep| sweep.stage != Stage::Reading)
    }
}

/// One scan of a whole list, and the search for what it has not seen.
#[derive(Debug)]
struct Sweep {
    stage: Stage,
    /// What was seen since the scan began, in it or by a webhook.
    seen: KeyFilter,
    noted: u64,
    /// Records that the scan has read.
    records: u64,
    gap: Option<Gap>,
    /// The last link that was looked at.
    after: Option<Key>,
    gone: u64,
    missed: u64,
    /// Records that the list does not show, and that are there or may be.
    found: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The scan is under way.
    Reading,
    /// Links are to be looked at, after what is on its way; `last`: there are no more.
    Due {
        last: bool,
    },
    Asking,
}

/// Why a scan cannot tell what is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    Resumed,
    Ignored,
    Unreadable,
    Unclear,
    NotReread,
    Empty,
    /// The list lacks too much of what is there.
    Partial,
    Refused(String),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resumed => "it went on where an interrupted one had stopped",
            Self::Ignored => {
                "something was left out: an answer that a rule ignores, a parent without a list, or a record on which \
                 list.filter fails"
            }
            Self::Unreadable => "a record has no key that can be read",
            Self::Unclear => "source.where fails on a record",
            Self::NotReread => "a record could not be read again",
            Self::Empty => "the list shows no record at all, and there is no get to ask for each",
            Self::Partial => {
                "get finds many records that the list does not show: list.absent is for a list that shows all; check \
                 its query, filter and pagination"
            }
            Self::Refused(failure) => {
                return write!(f, "the source could not be asked for a record that the list does not show: {failure}");
            }
        })
    }
}

impl Worker {
    /// A scan begins; `resumed`: its first part was read in a former life.
    pub(super) fn begin_sweep(&mut self, full: bool, first: bool, resumed: bool) {
        let plan = self.setup.plan.clone();
        let noted = self
            .absence
            .sweep
            .take()
            .map_or(self.absence.noted, |s| s.noted);
        self.absence = Absence {
            noted,
            ..Absence::default()
        };
        if first || !plan.looks_for_absent() || !plan.reads_everything(full) {
            return;
        }
        let keys = noted.max(self.links_at_start + self.counts.created);
        // What the filter hides from one scan, another one finds.
        let seed = getrandom::u64().unwrap_or_default();
        self.absence.sweep = Some(Sweep {
            stage: Stage::Reading,
            seen: KeyFilter::sized(keys, seed),
            noted: 0,
            records: 0,
            gap: resumed.then_some(Gap::Resumed),
            after: None,
            gone: 0,
            missed: 0,
            found: 0,
        });
    }

    /// The scan under way cannot tell what is absent.
    pub(super) fn note_gap(&mut self, gap: Gap) {
        if let Some(sweep) = &mut self.absence.sweep {
            sweep.gap.get_or_insert(gap);
        }
    }

    /// A record was seen, in a scan (`scanned`) or because a webhook told of it.
    pub(super) fn note_seen(
        &mut self,
        candidate: &mut Candidate,
        scanned: bool,
        batch: &mut Batch,
    ) {
        let plan = self.setup.plan.clone();
        let key = &candidate.seen.key;
        if let Some(link) = &mut candidate.known.link {
            // What was read of the link may be older than a mark that was set meanwhile; within a scan none is set.
            let marked = !scanned && plan.looks_for_absent() && plan.source.object.get.is_none();
            if link.presence == Presence::Missed || marked {
                batch.changes.push(Change::Seen(key.clone()));
            }
            if link.presence == Presence::Missed {
                link.presence = Presence::Here;
            }
        }
        if self.absence.sweep.is_none() {
            return;
        }
        let standing = candidate.standing(&plan);
        let (key, known) = (&candidate.seen.key, &candidate.known);
        let linked = known.link.is_some() || known.exception.is_some();
        let flies = standing == Standing::Here || self.flights.newest(key).is_some();
        let Some(sweep) = &mut self.absence.sweep else {
            return;
        };
        if linked || flies {
            sweep.noted += u64::from(!sweep.seen.note(key));
        }
        if scanned {
            sweep.records += 1;
            if standing == Standing::Unclear {
                sweep.gap.get_or_insert(Gap::Unclear);
            }
        }
    }

    /// Whether a record was seen since the scan began that did not have it.
    pub(super) fn was_seen(&self, key: &Key) -> bool {
        let sweep = self.absence.sweep.as_ref();
        sweep.is_none_or(|sweep| sweep.seen.has(key))
    }

    /// The scan has read its last page.
    pub(super) fn end_of_list(&mut self, complete: bool) {
        if !complete {
            self.note_gap(Gap::NotReread);
        }
        let asks = self.plan().source.object.get.is_some();
        if let Some(sweep) = &mut self.absence.sweep {
            sweep.stage = Stage::Due { last: false };
            if sweep.records == 0 && !asks {
                sweep.gap.get_or_insert(Gap::Empty);
            }
        }
    }

    /// Goes on with the links that the scan has not seen, once what was found before is on its way.
    pub(super) fn seek_absent(&mut self) {
        let room = self.has_room(0);
        let Some(sweep) = &mut self.absence.sweep else {
            return;
        };
        let Stage::Due { last } = sweep.stage else {
            return;
        };
        // What a webhook tells is judged first: it may have seen what the scan did not.
        let told = self.inbox.as_ref().is_some_and(Inbox::is_busy);
        if self.pages > 0 || told || !room {
            return;
        }
        if last || sweep.gap.is_some() {
            return self.end_sweep();
        }
        sweep.stage = Stage::Asking;
        let after = sweep.after.clone();
        let (store, session) = (self.setup.store.clone(), self.session.clone());
        self.push(async move {
            let present = store.present(&session, after.as_ref(), PORTION).await?;
            Ok(Event::Present(present))
        });
    }

    fn end_sweep(&mut self) {
        let Some(sweep) = self.absence.sweep.take() else {
            return;
        };
        let sync = &self.session.sync;
        self.absence.noted = sweep.noted;
        if let Some(gap) = sweep.gap {
            let note = format!(
                "which records are absent from the list cannot be told from the last scan, because {gap}"
            );
            tracing::warn!(%sync, "{note}");
            self.absence.note = Some(note);
        }
        if sweep.gone + sweep.missed + sweep.found > 0 {
            tracing::info!(
                %sync,
                gone = sweep.gone,
                missed = sweep.missed,
                found = sweep.found,
                "records are absent from a complete list: some are gone, some must be missed by the next scan as well, \
                 some were found by get",
            );
        }
    }

    /// A portion of the links is there: those that the scan has not seen are missing from the list.
    pub(super) fn look_through(&mut self, present: Vec<Present>) {
        let Some(sweep) = &mut self.absence.sweep else {
            return;
        };
        sweep.stage = Stage::Due {
            last: present.len() < PORTION,
        };
        sweep.after = present.last().map(|link| link.key.clone());
        let missing: Vec<Present> = present
            .into_iter()
            .filter(|link| !sweep.seen.has(&link.key))
            .collect();
        if missing.is_empty() {
            return;
        }
        let unconfirmed = planted(Bug::AbsentUnconfirmed);
        if self.setup.plan.source.object.get.is_some() && !unconfirmed {
            return self.ask_source(missing);
        }
        let (gone, new): (Vec<_>, Vec<_>) = missing
            .into_iter()
            .partition(|link| link.missed || unconfirmed);
        sweep.missed += new.len() as u64;
        if !new.is_empty() {
            self.pages += 1;
            let marks = new.into_iter().map(|link| Change::Missed(link.key));
            let commit = self.commit(marks.collect());
            self.push(async move { commit.await.map(|()| Event::Committed(Vec::new(), 1)) });
        }
        let began = self.recency.begin();
        self.take_absent(gone.into_iter().map(|link| link.key).collect(), began);
    }

    /// Asks the source for each record that its list does not show.
    fn ask_source(&mut self, missing: Vec<Present>) {
        let Some(sweep) = &mut self.absence.sweep else {
            return;
        };
        let most = MOST_FOUND.saturating_sub(sweep.found);
        let Stage::Due { last } = sweep.stage else {
            return;
        };
        sweep.stage = Stage::Asking;
        let began = self.recency.begin();
        let (source, object) = (self.setup.source.clone(), self.plan().source.object.clone());
        self.push(async move {
            let keys = missing.into_iter().map(|link| link.key).collect();
            let confirmed = confirm(&source, &object, keys, most).await;
            Ok(Event::Confirmed(began, last, confirmed))
        });
    }

    /// The source said which of these records are gone.
    pub(super) fn confirmed(&mut self, began: Instant, last: bool, confirmed: Confirmed) {
        self.last_progress = Instant::now();
        let Some(sweep) = &mut self.absence.sweep else {
            return self.recency.end(began);
        };
        sweep.stage = Stage::Due { last };
        sweep.found += confirmed.found;
        if let Some(failure) = confirmed.failure {
            sweep.gap = Some(Gap::Refused(failure.to_string()));
        } else if sweep.found >= MOST_FOUND {
            sweep.gap = Some(Gap::Partial);
        }
        self.take_absent(confirmed.gone, began);
    }

    /// Judges records that are gone as a page of the scan would be; `began`: when that was asked.
    fn take_absent(&mut self, keys: Vec<Key>, began: Instant) {
        let Some(sweep) = self.absence.sweep.as_mut().filter(|_| !keys.is_empty()) else {
            return self.recency.end(began);
        };
        sweep.gone += keys.len() as u64;
        let object = &self.setup.plan.source.object;
        let page = Page {
            records: keys
                .iter()
                .map(|key| last_word(object, key).into())
                .collect(),
            position: Value::Null,
            last: false,
            token: None,
            parents: Vec::new(),
            ignored: 0,
        };
        self.pages += 1;
        self.look_up(page, Origin::Absent, began);
    }
}
