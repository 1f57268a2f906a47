//! Records of which it cannot be said whether they are newer than what is known, are read once more before
//! they are judged. Only for Syncs that are told of changes while they scan.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::Instant;

use crate::connector::Page;
use crate::pipeline::observe::Newest;
use crate::plan::connection::ChangesPlan;
use crate::record::Key;

use super::digest::{self, Candidate, Digest, Origin};
use super::prepare::newest_known;
use super::{Event, Worker, fetch};

/// Most records read at once.
const MOST_READS: usize = 8;

impl Worker {
    /// The keys of a page's records that differ from what is known, have no order, and may be older.
    pub(super) fn doubtful(&self, page: &Digest) -> Vec<Key> {
        let absent = matches!(page.origin, Origin::Absent);
        let told = self.holds_payloads(page);
        if page.reread || absent || (self.inbox.is_none() && !told) {
            return Vec::new();
        }
        let mut seen = HashSet::new();
        let doubtful = page.records.iter().filter(|candidate| {
            let key = &candidate.seen.key;
            let again = told && !seen.insert(key);
            again
                || (told || self.recency.is_doubtful(key, page.began))
                    && self.is_unordered(candidate)
        });
        let mut keys: Vec<Key> = doubtful
            .map(|candidate| candidate.seen.key.clone())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Whether a page holds records that a webhook or a feed carried: they come in any order, and only their
    /// versions say which is the newer one. Where there is no `get`, the last one told counts until the next scan.
    fn holds_payloads(&self, page: &Digest) -> bool {
        let plan = self.plan();
        let object = &plan.source.object;
        let carried = match page.origin {
            Origin::Inbox { .. } => plan
                .webhook
                .as_ref()
                .is_some_and(|webhook| webhook.routes.iter().any(|route| route.record.is_some())),
            Origin::Feed { .. } => object
                .changes
                .as_ref()
                .is_some_and(ChangesPlan::holds_records),
            Origin::Scan { .. } | Origin::Absent => false,
        };
        carried && object.get.is_some()
    }

    /// Whether a record differs from the newest version known and neither says which is the newer one.
    fn is_unordered(&self, candidate: &Candidate) -> bool {
        let seen = &candidate.seen;
        let differs = |newest: Newest<'_>| {
            let order = match (&seen.moment, newest.moment) {
                (Some(ours), Some(theirs)) => ours.order(theirs),
                _ => None,
            };
            newest.raw != seen.raw && !order.is_some_and(std::cmp::Ordering::is_ne)
        };
        let Some(id) = self.flights.newest(&seen.key) else {
            return newest_known(&candidate.known).is_some_and(differs);
        };
        match self.flights.get(id).known(self.keeps_fields()) {
            Some(known) => newest_known(&known).is_some_and(differs),
            None => differs(self.flights.newest_version(id)),
        }
    }

    /// Reads these records of a page again; the page comes back when that is done. Where a record cannot
    /// be read, the page is judged without it, and the scan or the inbox will come back to it.
    pub(super) fn reread(&mut self, page: Digest, keys: Vec<Key>) {
        self.recency.end(page.began);
        let began = self.recency.begin();
        let answered = Instant::now();
        let (plan, store) = (self.setup.plan.clone(), self.setup.store.clone());
        let (source, session) = (self.setup.source.clone(), self.session.clone());
        let exceptions = self.has_exceptions;
        self.push(async move {
            let object = &plan.source.object;
            let mut answers: HashMap<Key, Result<Option<Bytes>, ()>> =
                HashMap::with_capacity(keys.len());
            let mut failed = false;
            let reads = keys.into_iter().map(|key| {
                let source = source.clone();
                async move {
                    let found = match object.get {
                        Some(_) => fetch::read(&source, object, &key).await.map_err(|_| ()),
                        None => Err(()),
                    };
                    (key, found)
                }
            });
            let mut reads = futures::stream::iter(reads).buffered(MOST_READS);
            while let Some((key, found)) = reads.next().await {
                failed |= found.is_err();
                answers.insert(key, found);
            }
            drop(reads);
            let (mut records, mut gone) = (Vec::with_capacity(page.records.len()), Vec::new());
            for candidate in page.records {
                match answers.get_mut(&candidate.seen.key) {
                    // What stands in the page several times is there once now.
                    Some(Ok(answer)) => match answer.take() {
                        Some(record) => records.push(record.into()),
                        None if candidate.is_gone() => gone.push(candidate.seen.key),
                        None => {}
                    },
                    Some(Err(())) => {}
                    None if candidate.is_gone() => gone.push(candidate.seen.key),
                    None => records.push(candidate.seen.bytes.into()),
                }
            }
            let mut origin = page.origin;
            if let Origin::Feed { entries, .. } = &mut origin {
                entries.gone = gone;
            }
            let again = Page {
                records,
                position: page.position,
                last: false,
                token: None,
                parents: Vec::new(),
                ignored: 0,
            };
            let begun = digest::begin(plan.clone(), again, origin, began, false);
            let mut digest = digest::finish(plan, store, session, begun, exceptions, None).await?;
            digest.broken.extend(page.broken);
            digest.max_seen = page.max_seen;
            digest.answered = answered;
            digest.reread = true;
            digest.incomplete = failed;
            Ok(Event::Known(Box::new(digest)))
        });
    }
}
