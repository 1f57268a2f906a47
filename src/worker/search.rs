//! Looking for a match value: who of our own records has it, and what the target has under it. One
//! record at a time may look and create for a value. What is found is judged in `resolve`.

use serde_json::{Map, Value};

use crate::connector::Found;
use crate::pipeline::matching::{confirms, match_value};
use crate::record::Key;
use crate::state::{Holder, Session, Store, StoreError};
use crate::trial::{Bug, planted};

use super::flight::{Doing, FlightId, Forced};
use super::{Event, Match, Searched, Worker};

impl Worker {
    /// Looks for a record: among our own links first, then in the target.
    pub(super) fn search(&mut self, id: FlightId) {
        let plan = self.setup.plan.clone();
        let flight = self.flights.get(id);
        let parse = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let source = parse(&flight.entry.source);
        let wanted = plan.matching.as_ref().and_then(|matching| {
            let mapped = match matching.looks_at_mapped() {
                true => parse(&flight.entry.body),
                false => Value::Null,
            };
            match_value(matching, &source, &mapped)
        });
        let Some(wanted) = wanted else {
            // Nothing to be recognized by: the record counts as one without a match.
            return self.unmatched(id);
        };
        let holding = flight.holding == Some(wanted.hash);
        if !holding && !self.flights.take_matching(wanted.hash, id) {
            self.flights.get_mut(id).doing = Doing::Preparing;
            return;
        }
        let flight = self.flights.get_mut(id);
        flight.entry.matching = Some(wanted.hash);
        flight.holding = Some(wanted.hash);
        flight.doing = Doing::Preparing;
        let in_doubt = flight.forced == Some(Forced::Resolve);
        let key = flight.entry.key.clone();
        let params: Value = serde_json::from_slice(&flight.entry.params)
            .unwrap_or_else(|_| Value::Object(Map::new()));
        self.busy += 1;
        let (store, session, target) = (
            self.setup.store.clone(),
            self.session.clone(),
            self.setup.target.clone(),
        );
        self.push(async move {
            // A record that may have been created itself is looked for in the target, whoever else is linked.
            let holder = match in_doubt {
                true => None,
                false => store.by_match(&session, wanted.hash, &key).await?,
            };
            let searched = match holder {
                Some(Holder::InDoubt(other)) if !planted(Bug::MatchReleased) => {
                    Searched::InDoubt(other)
                }
                Some(Holder::Linked(link)) => Searched::Linked(link),
                _ if plan.target.object.find.is_none() => Searched::Target(Ok(Vec::new())),
                _ => match target
                    .find(&plan.target.object, &wanted.values, &params)
                    .await
                {
                    Err(failure) => Searched::Target(Err(failure)),
                    Ok(mut found) => {
                        if let Some(matching) = &plan.matching {
                            found.retain(|f| confirms(matching, &wanted, &f.record));
                        }
                        let matches = owners(store.as_ref(), &session, &key, found).await?;
                        Searched::Target(Ok(matches))
                    }
                },
            };
            Ok(Event::Searched(id, Box::new(searched)))
        });
    }
}

/// Who else is linked to the records that were found.
async fn owners(
    store: &dyn Store,
    session: &Session,
    key: &Key,
    found: Vec<Found>,
) -> Result<Vec<Match>, StoreError> {
    let mut matches = Vec::with_capacity(found.len());
    for found in found {
        let owner = store.by_target(session, &found.id, key).await?;
        matches.push(Match { found, owner });
    }
    Ok(matches)
}
