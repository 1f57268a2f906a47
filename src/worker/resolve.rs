//! What a search means for a record, also for one whose create may have arrived, and records that go
//! through the Mapping again. The searching itself is in `search`.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::mapping::Links;
use crate::pipeline::decide::{MOST_CONFLICTS, lasted_too_long};
use crate::pipeline::diff::changes;
use crate::pipeline::route::{Step, route, route_unmatched};
use crate::plan::{OnMany, OnNone, OnShared};
use crate::record::{Class, Failure, Fingerprint, TargetId};
use crate::state::{Change, Detail, Exception, Link, Presence, Trouble};
use crate::trial::{Bug, planted};

use super::flight::{Doing, FlightId, Forced, Home};
use super::outcome::{Ending, Outcome, base_link};
use super::prepare::{Prepared, prepare};
use super::redact::Unread;
use super::seen::see;
use super::{Event, Match, Searched, Worker, backoff, now};

impl Worker {
    /// A search ended.
    pub(super) fn searched(&mut self, id: FlightId, searched: Searched) {
        self.busy -= 1;
        match searched {
            Searched::Linked(link) => self.shared(id, link),
            Searched::InDoubt(key) => self.conclude(Outcome::behind_match(id, &key)),
            Searched::Target(Err(failure)) => self.search_failed(id, &failure),
            Searched::Target(Ok(found)) => {
                self.target_is_read();
                if self.flights.get(id).forced == Some(Forced::Resolve) {
                    self.resolved(id, found);
                } else {
                    self.matched(id, found);
                }
            }
        }
    }

    /// Another source record has the target record already.
    fn shared(&mut self, id: FlightId, link: Link) {
        let share = self
            .plan()
            .matching
            .as_ref()
            .is_some_and(|m| m.on_shared == OnShared::Share);
        let told = link.target.filter(TargetId::is_told);
        if share && told.is_some() {
            let flight = self.flights.get_mut(id);
            flight.base.target = told;
            flight.base.own = false;
            flight.forced = None;
            return self.requeue(id);
        }
        let target = told.map_or("whose id is not known".into(), |t| t.to_string());
        let message = format!(
            "target record {target} belongs to source record {} already, which has the same match value; merge the \
             two in the source, or set match.onShared: Share",
            link.key
        );
        self.conclude(Outcome::dead(id, "DuplicateMatch", message));
    }

    fn matched(&mut self, id: FlightId, mut found: Vec<Match>) {
        let first_of_many = self
            .plan()
            .matching
            .as_ref()
            .is_some_and(|m| m.on_many == OnMany::First);
        if found.is_empty() && self.flights.get(id).forced == Some(Forced::Adopt) {
            return self.hidden(id);
        }
        if found.is_empty() {
            return self.unmatched(id);
        }
        if found.len() > 1 && !first_of_many {
            let message = several(&found);
            return self.conclude(Outcome::dead(id, "SeveralMatches", message));
        }
        let Match {
            found: first,
            owner,
        } = found.swap_remove(0);
        if let Some(owner) = owner {
            return self.shared(id, owner);
        }
        let flight = self.flights.get_mut(id);
        let mapped: Map<String, Value> =
            serde_json::from_slice(&flight.entry.body).unwrap_or_default();
        flight.base.target = Some(first.id);
        flight.base.own = false;
        flight.forced = None;
        if changes(Some(&first.record), &mapped).is_empty() {
            flight.base.mapped = flight.entry.mapped;
            return self.conclude(Outcome::unchanged(id));
        }
        flight.base.mapped = Fingerprint::UNKNOWN;
        self.requeue(id);
    }

    /// The target said that the record exists, and its search does not find it, or not yet.
    fn hidden(&mut self, id: FlightId) {
        let retry = self.plan().target.connection.retry;
        let lag = self.index_lag();
        let mut detail = Box::new(self.flights.get(id).detail.detail());
        self.stamp(&mut detail);
        detail.attempts += 1;
        detail.reason = "AlreadyExists".into();
        detail.message = "the target says that the record exists already, and find does not return it: check find, \
                          match, and what the target means by the same record"
            .into();
        let delay = backoff(retry.initial_delay, retry.max_delay, detail.attempts);
        let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let (trouble, next) = match detail.attempts > MOST_CONFLICTS {
            true => (Trouble::Dead, 0),
            false => (Trouble::Retry, now() + delay.max(lag)),
        };
        let ending = Ending::Trouble {
            trouble,
            next,
            detail,
            in_doubt: false,
        };
        self.conclude(Outcome { id, ending });
    }

    /// A create that may have arrived was looked for. A find never marks it applied: what is there is
    /// linked and gets this version as an update. What belongs to others is not it.
    fn resolved(&mut self, id: FlightId, found: Vec<Match>) {
        let mut own: Vec<_> = found.into_iter().filter(|m| m.owner.is_none()).collect();
        if !own.is_empty() {
            self.missing.forget(&self.flights.get(id).entry.key);
        }
        match own.len() {
            0 => self.not_there(id),
            1 => {
                let target = Some(own.swap_remove(0).found.id);
                let flight = self.flights.get_mut(id);
                flight.base.target.clone_from(&target);
                flight.base.own = true;
                flight.base.mapped = Fingerprint::UNKNOWN;
                flight.forced = None;
                let applied = planted(Bug::LookupMarksApplied);
                if applied || route(&self.setup.plan, true) == Step::Skip {
                    return self.conclude(Outcome {
                        id,
                        ending: Ending::Applied {
                            target,
                            created: true,
                            before: None,
                        },
                    });
                }
                self.bind(id);
            }
            _ => {
                let mut outcome = Outcome::ambiguous(id, 0);
                if let Ending::Trouble { detail, .. } = &mut outcome.ending {
                    detail.reason = "SeveralMatches".into();
                    detail.message = several(&own);
                }
                self.conclude(outcome);
            }
        }
    }

    /// The target has no such record.
    pub(super) fn unmatched(&mut self, id: FlightId) {
        if self.flights.get(id).base.untold() {
            return self.unknown_target(id);
        }
        let on_none = self
            .plan()
            .matching
            .as_ref()
            .map_or(OnNone::Create, |m| m.on_none);
        match (on_none, route_unmatched(self.plan())) {
            (OnNone::Create, Step::Create | Step::Upsert) => {
                self.flights.get_mut(id).forced = Some(Forced::Create);
                self.requeue(id);
            }
            (OnNone::DeadLetter, _) => {
                let message = "no target record has this match value; create it there, or set match.onNone: Create";
                self.conclude(Outcome::dead(id, "NoMatch", message.into()));
            }
            _ => self.conclude(Outcome::skipped(id)),
        }
    }

    fn search_failed(&mut self, id: FlightId, failure: &Failure) {
        let retry = self.plan().target.connection.retry;
        self.note_failing(id, failure, true);
        let flight = self.flights.get(id);
        let delay = backoff(retry.initial_delay, retry.max_delay, flight.detail.attempts);
        let in_doubt = flight.forced == Some(Forced::Resolve);
        self.last_failure = Some(failure.message.clone());
        match failure.class {
            Class::Authentication | Class::Configuration | Class::Forbidden => {
                let error = self.target_error(failure.clone());
                self.error.get_or_insert(error);
                self.requeue(id);
            }
            Class::Permanent | Class::Gone if !in_doubt => {
                self.conclude(Outcome::dead(id, "Permanent", format!("find: {failure}")));
            }
            _ if !failure.sent => self.hold(id, failure, delay),
            _ => {
                let mut detail = Box::new(flight.detail.detail());
                self.stamp(&mut detail);
                detail.reason = "Transient".into();
                detail.message = format!("find: {failure}");
                detail.attempts += 1;
                detail.failure = Some(failure.clone());
                detail.note(now(), failure);
                let old = lasted_too_long(self.plan(), detail.attempts, self.age(&detail));
                let trouble = match (old, in_doubt) {
                    (false, true) => Trouble::Unknown,
                    (false, false) => Trouble::Retry,
                    (true, true) => Trouble::Ambiguous,
                    (true, false) => Trouble::Dead,
                };
                if trouble == Trouble::Ambiguous {
                    detail.reason = "AmbiguousCreate".into();
                }
                let next = now() + i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                self.conclude(Outcome {
                    id,
                    ending: Ending::Trouble {
                        trouble,
                        next,
                        detail,
                        in_doubt,
                    },
                });
            }
        }
    }

    /// The store learns which target record a create in doubt has made before that is updated. It may be gone by then,
    /// and after a crash it would be looked for in vain and created under its old key once more, for which the target
    /// may only name the record that is gone.
    fn bind(&mut self, id: FlightId) {
        let flight = self.flights.get_mut(id);
        (flight.base.exists, flight.base.presence) = (true, Presence::Here);
        flight.doing = Doing::Preparing;
        let link = base_link(flight, true).map(Change::Link);
        let commit = self.commit(link.into_iter().collect());
        self.push(async move { commit.await.map(|()| Event::Bound(id)) });
    }

    /// The links for a record that goes through the Mapping again are there.
    pub(super) fn remapped(&mut self, id: FlightId, read: Result<(Bytes, Links), Unread>) {
        self.busy -= 1;
        let (source, links) = match read {
            Ok(read) => read,
            Err(unread) => return self.not_read(id, unread),
        };
        let plan = self.setup.plan.clone();
        let flight = self.flights.get_mut(id);
        flight.entry.source = source.clone();
        if flight.detail.redacted {
            flight.detail.redacted = false;
        }
        let outcome = match see(&plan, source.into(), true) {
            Err((_, problem)) => Outcome::dead(id, "InvalidRecord", problem),
            Ok((seen, _)) => {
                let prepared = prepare(&plan, &seen, &links, now());
                self.weigh_again(id, &prepared);
                match prepared {
                    Prepared::Ready(mut entry) => {
                        let flight = self.flights.get_mut(id);
                        if flight.home != Home::Exception {
                            // After a crash the store knows it under this idempotency key.
                            entry.token = flight.entry.token;
                        }
                        flight.entry = entry;
                        return self.requeue(id);
                    }
                    Prepared::Trouble(entry, trouble, detail) => {
                        self.flights.get_mut(id).entry = entry;
                        Outcome::trouble(id, trouble, detail)
                    }
                }
            }
        };
        self.conclude(outcome);
    }
}

impl Worker {
    /// The target never carried out this create, for as long as failures may last.
    pub(super) fn give_up_create(&mut self, id: FlightId, detail: Detail) {
        self.flights.get_mut(id).perhaps_there = false;
        let detail = Detail {
            reason: "Transient".into(),
            ..detail
        };
        self.conclude(Outcome::trouble(id, Trouble::Dead, Box::new(detail)));
    }

    /// A record whose values were not kept could not be read again.
    fn not_read(&mut self, id: FlightId, unread: Unread) {
        let retry = self.plan().source.connection.retry;
        let mut detail = Box::new(self.flights.get(id).detail.detail());
        let (trouble, next) = match unread {
            Unread::Never(why) => {
                detail.reason = "NotReadable".into();
                detail.message = format!(
                    "its values were not kept, because the manifest says redact, and {why}: a newer version is taken \
                     by itself"
                );
                (Trouble::Dead, 0)
            }
            Unread::Failed(failure) => {
                detail.attempts += 1;
                detail.message = format!("it has to be read again before it is sent: {failure}");
                let delay = backoff(retry.initial_delay, retry.max_delay, detail.attempts);
                let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
                (Trouble::Retry, now().saturating_add(delay))
            }
        };
        let ending = Ending::Trouble {
            trouble,
            next,
            detail,
            in_doubt: false,
        };
        self.conclude(Outcome { id, ending });
    }
}

fn several(found: &[Match]) -> String {
    let ids: Vec<String> = found
        .iter()
        .take(5)
        .map(|m| m.found.id.to_string())
        .collect();
    format!(
        "{} target records have this match value ({}); merge them in the target, then replay",
        found.len(),
        ids.join(", ")
    )
}

/// A version that waited behind another goes to work by itself; `perhaps_there`: a write of the other may have
/// made the record.
pub fn promoted(entry: crate::state::Entry, perhaps_there: bool) -> Exception {
    let detail = Detail {
        perhaps_there,
        reason: "Promoted".into(),
        remap: true,
        uncounted: entry.removal.is_some(),
        since: now(),
        ..Detail::default()
    };
    Exception {
        entry,
        trouble: Trouble::Retry,
        next: 0,
        detail,
        behind: None,
    }
}
