//! A feed of changes, compiled: how it is read and what its entries say of the object's records.
//! Pure. Made by `object`; read by `connector::pages`, its entries by `worker`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::list::{ListPlan, compile_list};
use super::route::{RoutePlan, Words, compile_key, event_path};
use crate::api::connection::{ChangeRouteSpec, ChangeUse, ChangesSpec, ObjectSpec};
use crate::record::Fingerprint;

/// How routes of a feed are spoken of.
const WORDS: Words = Words {
    what: "entry",
    variables: &["entry"],
    listed: "entry",
    example: "entry.data",
};

/// A feed whose entries say which records changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangesPlan {
    /// The feed as a list of entries; it has a cursor.
    pub list: ListPlan,
    /// How long it keeps its entries.
    pub keeps: Option<Duration>,
    pub routes: Vec<ChangeRoutePlan>,
    /// Of what a place in the feed is about: a place in another feed is worth nothing.
    pub print: String,
}

/// What an entry says of a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChangeRoutePlan {
    pub route: RoutePlan,
    /// A record that `get` does not find was deleted.
    pub deleted: bool,
}

impl ChangesPlan {
    /// Whether an entry may tell that a record was deleted.
    pub fn tells_deleted(&self) -> bool {
        self.routes.iter().any(|route| route.deleted)
    }

    /// Whether entries may hold records.
    pub fn holds_records(&self) -> bool {
        self.routes.iter().any(|route| route.route.record.is_some())
    }
}

/// Compiles `objects[n].changes`; `field` is its path in the manifest.
pub(super) fn compile_changes(
    spec: &ChangesSpec,
    object: &ObjectSpec,
    key_names: &[String],
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<ChangesPlan> {
    let list = compile_list(&spec.as_list(), field, checker);
    if object.list.is_none() {
        let problem = format!(
            "tells what changes, and the records that are there already come from list: add list to object {}",
            object.name
        );
        checker.problem(field, problem);
    }
    if spec.keeps.as_ref().is_some_and(|k| k.to_std().is_zero()) {
        checker.problem(&format!("{field}.keeps"), "must be more than 0");
    }
    let uses = |usage: ChangeUse| {
        let mut routes = spec.routes.iter();
        routes.any(|route| route.usage.unwrap_or_default() == usage)
    };
    if uses(ChangeUse::Payload) && uses(ChangeUse::Deleted) {
        checker.problem(
            &format!("{field}.routes"),
            "a record that an entry holds may be older than its deletion, and would bring it back: with use: Deleted \
             say use: Fetch, not Payload",
        );
    }
    let before = checker.problems.len();
    let mut routes = Vec::with_capacity(spec.routes.len());
    for (i, route) in spec.routes.iter().enumerate() {
        let field = format!("{field}.routes[{i}]");
        routes.extend(compile_route(route, object, key_names, &field, checker));
    }
    let list = list.filter(|_| checker.problems.len() == before)?;
    let place = serde_json::to_vec(&(&list.request.path, &list.cursor, &list.token)).ok()?;
    Some(ChangesPlan {
        list,
        keeps: spec.keeps.as_ref().map(|keeps| keeps.to_std()),
        routes,
        print: Fingerprint::of(&place).to_string(),
    })
}

fn compile_route(
    spec: &ChangeRouteSpec,
    object: &ObjectSpec,
    key_names: &[String],
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<ChangeRoutePlan> {
    let name = &object.name;
    let usage = spec.usage.unwrap_or_default();
    let when = spec
        .when
        .as_ref()
        .map(|text| checker.expression(&format!("{field}.when"), text, WORDS.variables));
    if usage != ChangeUse::Payload && object.get.is_none() {
        let problem = format!(
            "use: {usage:?} reads the record, but object {name} has no get; add it{}",
            match usage {
                ChangeUse::Deleted => "",
                ChangeUse::Fetch | ChangeUse::Payload => ", or say use: Payload",
            }
        );
        checker.problem(&format!("{field}.use"), problem);
    }
    let record = match (usage, &spec.record) {
        (ChangeUse::Payload, record) => {
            if object.modified.is_none() {
                let problem = format!(
                    "a record that an entry holds may be old, so object {name} needs modified to tell old from new; add \
                     it, or say use: Fetch"
                );
                checker.problem(&format!("{field}.use"), problem);
            }
            let text = record.as_deref().unwrap_or_default();
            Some(event_path(
                text,
                &WORDS,
                &format!("{field}.record"),
                checker,
            )?)
        }
        (ChangeUse::Fetch | ChangeUse::Deleted, Some(_)) => {
            checker.problem(
                &format!("{field}.record"),
                "is only used with use: Payload; remove it, or say use: Payload",
            );
            None
        }
        (ChangeUse::Fetch | ChangeUse::Deleted, None) => None,
    };
    let key = compile_key(&spec.key, name, key_names, &WORDS, field, checker)?;
    Some(ChangeRoutePlan {
        route: RoutePlan {
            when: match when {
                Some(when) => Some(when?),
                None => None,
            },
            object: name.clone(),
            key,
            record,
        },
        deleted: usage == ChangeUse::Deleted,
    })
}
