//! Source records that are gone or have left: judged in the order of reading like any other version, and
//! carried out on the record that the link names, on no other. The plan says how; `page` and `send` call this.

use bytes::Bytes;
use serde_json::Value;

use crate::pipeline::observe::{Verdict, observe};
use crate::plan::{OnShared, Plan, RemovalPlan};
use crate::record::{Failure, Fingerprint, Removal, Verb};
use crate::state::{Change, Entry, Exception, Known, Link, Presence, Trouble};

use super::digest::Candidate;
use super::flight::{Base, Doing, Flight, FlightId, Forced, Home};
use super::outcome::{Ending, Outcome, Way};
use super::page::Batch;
use super::prepare::{Prepared, newest_known};
use super::witness::{Fate, Skip};
use super::{Event, Worker, now};

impl Worker {
    /// A record was seen that is not to be in the target.
    pub(super) fn judge_removal(
        &mut self,
        candidate: &mut Candidate,
        removal: Removal,
        batch: &mut Batch,
    ) {
        let plan = self.setup.plan.clone();
        let stored = std::mem::take(&mut candidate.known);
        let seen = &mut candidate.seen;
        let (known, open) = self.what_is_known(&seen.key, stored);
        let newest = match open {
            Some(id) => Some(self.flights.newest_version(id)),
            None => newest_known(&known),
        };
        // What is absent has no version of its own: what is older than the last one stays old.
        let last = newest.and_then(|newest| newest.moment);
        let moment = match removal {
            Removal::Absent => last.cloned(),
            Removal::Deleted | Removal::Left => seen.moment.take(),
        };
        let mut entry = Box::new(Entry {
            raw: plan.write.removals.print(removal, seen.raw),
            key: seen.key.clone(),
            mapped: Fingerprint::UNKNOWN,
            moment,
            matching: None,
            token: [0; 16],
            seen: now(),
            source: seen.bytes.clone(),
            body: Bytes::new(),
            params: Bytes::new(),
            removal: Some(removal),
            untried: false,
        });
        match observe(newest, entry.raw, entry.moment.as_ref()) {
            Verdict::Unchanged => {
                self.counts.unchanged += u64::from(removal != Removal::Absent);
                self.tell_unchanged(&entry.key, None, known.exception.as_deref());
            }
            Verdict::Superseded => {
                self.counts.superseded += 1;
                self.tell(&entry.key, Fate::Superseded);
            }
            Verdict::Fresh if open.is_none() && !may_be_there(&plan, &known) => {
                self.counts.skipped += 1;
                self.tell(&entry.key, Fate::Skipped(Skip::NotThere));
                if known.exception.is_some() {
                    batch.changes.push(Change::Resolved(entry.key.clone()));
                }
                // What a webhook or a feed tells may come late: without this it would be taken for something new.
                if removal != Removal::Left && (newest.is_some() || plan.is_told()) {
                    let link = removed_link(&away(entry), Way::Unlinked);
                    batch.changes.push(Change::Link(link));
                }
            }
            verdict => {
                let verdict = match self.holds_back(&known, open) {
                    true => Verdict::Behind,
                    false => verdict,
                };
                let places = |id| verdict == Verdict::Fresh && self.is_untried(id);
                entry.untried = open.is_some_and(places);
                match open {
                    Some(id) => self.join_flight(id, verdict, Prepared::Ready(entry), batch),
                    None => self.take_off(known, verdict, Prepared::Ready(entry), batch),
                }
            }
        }
    }

    /// Whether a write of the unlinked record may have arrived, so that its id must be learned first.
    fn holds_back(&self, known: &Known, open: Option<FlightId>) -> bool {
        match (open.map(|id| self.flights.get(id)), &known.exception) {
            (Some(flight), _) => flight.perhaps_there && flight.base.target.is_none(),
            (None, Some(exception)) => {
                let target = known.link.as_ref().and_then(|link| link.target.as_ref());
                let goes_on = matches!(exception.trouble, Trouble::Retry | Trouble::Waiting);
                goes_on && perhaps_sent(self.plan(), exception) && target.is_none()
            }
            (None, None) => false,
        }
    }

    /// Whether a newer version that takes this flight's place is all that was ever to be sent of its key, so that
    /// a crash leaves nothing in doubt.
    fn is_untried(&self, id: FlightId) -> bool {
        let flight = self.flights.get(id);
        matches!(flight.doing, Doing::Held | Doing::Ready)
            && flight.forced != Some(Forced::Resolve)
            && !flight.perhaps_there
            && flight.base.target.is_none()
            && self.flights.is_head(id)
    }

    /// Does what the plan says about a record that is not to be in the target.
    pub(super) fn remove(&mut self, id: FlightId, removal: Removal) {
        let plan = self.setup.plan.clone();
        let flight = self.flights.get(id);
        let base = &flight.base;
        let lost = flight.perhaps_there && base.target.is_none();
        let nameless = base.target.is_none()
            && base.exists
            && base.presence != Presence::Removed
            && base.mapped != Fingerprint::UNKNOWN;
        if lost || nameless || base.untold() {
            return self.nameless(id);
        }
        if base.target.is_none() {
            return self.conclude(Outcome::removed(id, Way::Unlinked, None));
        }
        let share = plan.matching.as_ref().map(|m| m.on_shared) == Some(OnShared::Share);
        let own = base.own || plan.matching.is_none();
        match plan.write.removals.of(removal) {
            RemovalPlan::Ignore => self.conclude(Outcome::skipped(id)),
            RemovalPlan::Delete { adopted: false } if !own => {
                self.conclude(Outcome::removed(id, Way::Unlinked, None));
            }
            _ if !self.is_let_through(id) => self.conclude(Outcome::held(id)),
            _ if share && !self.flights.get(id).alone_linked => self.ask_owner(id),
            RemovalPlan::Delete { .. } => self.send(Verb::Delete, id),
            RemovalPlan::Set(fields) => {
                let body = Value::Object(fields.clone()).to_string();
                let mapped = Fingerprint::of(body.as_bytes()).under(Fingerprint::of(b"set"));
                let is_set = base.presence == Presence::Removed && base.mapped == mapped;
                let entry = &mut self.flights.get_mut(id).entry;
                entry.body = body.into();
                entry.mapped = mapped;
                if is_set {
                    return self.conclude(Outcome::removed(id, Way::Unlinked, None));
                }
                self.send(Verb::Update, id);
            }
        }
    }

    /// The target has the record, or may have it, and nobody knows under which id.
    fn nameless(&mut self, id: FlightId) {
        let message = "the source record is gone, and the target has this record, or may have it, under an id that \
                       is not known: remove it there by hand, then discard this dead letter";
        self.conclude(Outcome::dead(id, "UnknownTarget", message.into()));
    }

    /// Asks whether another source record is linked to the same target record. Nobody else may be linked to it
    /// meanwhile.
    fn ask_owner(&mut self, id: FlightId) {
        let flight = self.flights.get(id);
        let (key, holding) = (flight.entry.key.clone(), flight.holding);
        let (Some(target), matching) = (flight.base.target.clone(), flight.base.matching) else {
            return;
        };
        self.flights.get_mut(id).doing = Doing::Preparing;
        if let Some(value) = matching.filter(|value| holding != Some(*value)) {
            if !self.flights.take_matching(value, id) {
                return;
            }
            self.flights.get_mut(id).holding = Some(value);
        }
        self.busy += 1;
        let (store, session) = (self.setup.store.clone(), self.session.clone());
        self.push(async move {
            let other = store.by_target(&session, &target, &key).await?;
            Ok(Event::Owned(id, other.is_some()))
        });
    }

    /// It is known whether another source record is linked to the target record.
    pub(super) fn owned(&mut self, id: FlightId, shared: bool) {
        self.busy -= 1;
        if shared {
            return self.conclude(Outcome::removed(id, Way::Unlinked, None));
        }
        self.flights.get_mut(id).alone_linked = true;
        self.requeue(id);
    }

    /// The target did what it was asked to do about a record that is gone.
    pub(super) fn removed(&mut self, id: FlightId, verb: Verb, before: Option<Value>) {
        let way = match verb {
            Verb::Delete => Way::Deleted,
            _ => Way::Set,
        };
        self.conclude(Outcome::removed(id, way, before));
    }

    /// The target has no such record any more: there is nothing to remove.
    pub(super) fn gone_already(&mut self, id: FlightId, verb: Verb, failure: &Failure) {
        tracing::debug!(sync = %self.session.sync, "nothing to remove: {failure}");
        let way = match verb {
            Verb::Delete => Way::Deleted,
            _ => Way::Unlinked,
        };
        self.conclude(Outcome::removed(id, way, None));
    }
}

/// Whether a write of the unlinked record that an exception keeps may have arrived: a worker that died may have
/// sent it once more. A create is noted before it is sent, an upsert is not.
pub fn perhaps_sent(plan: &Plan, exception: &Exception) -> bool {
    let resent = exception.trouble == Trouble::Retry && exception.entry.removal.is_none();
    exception.detail.perhaps_there || (resent && plan.target.object.upsert.is_some())
}

/// Whether the target may have something of this key, as far as the store knows.
fn may_be_there(plan: &Plan, known: &Known) -> bool {
    let linked = known.link.as_ref().is_some_and(|link| {
        link.target.is_some()
            || (link.presence != Presence::Removed && link.mapped != Fingerprint::UNKNOWN)
    });
    let tried = known.exception.as_ref().is_some_and(|exception| {
        perhaps_sent(plan, exception)
            || matches!(exception.trouble, Trouble::Unknown | Trouble::Ambiguous)
    });
    linked || tried
}

/// A removal of which nothing is to be done.
fn away(entry: Box<Entry>) -> Flight {
    Flight::new(entry, Home::Exception, Base::default())
}

/// What is kept of a record that was removed.
pub fn removed_link(flight: &Flight, way: Way) -> Link {
    let (entry, base) = (&flight.entry, &flight.base);
    // A second tombstone of what has these fields already changes nothing.
    let set = way == Way::Set
        || (way == Way::Unlinked
            && base.presence == Presence::Removed
            && base.target.is_some()
            && base.mapped == entry.mapped);
    Link {
        key: entry.key.clone(),
        target: base.target.clone().filter(|_| set),
        raw: entry.raw,
        mapped: if set {
            entry.mapped
        } else {
            Fingerprint::UNKNOWN
        },
        moment: entry.moment.clone(),
        matching: base.matching.filter(|_| set),
        fields: Vec::new(),
        own: base.own && set,
        presence: Presence::Removed,
    }
}

impl Outcome {
    pub fn removed(id: FlightId, way: Way, before: Option<Value>) -> Self {
        let ending = Ending::Removed { way, before };
        Self { id, ending }
    }
}
