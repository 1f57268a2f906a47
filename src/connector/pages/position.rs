//! Where a scan goes on after a page: what the state keeps between two lives of a worker.
//! Pure. Used by `reader`; nobody else looks into it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pager::Next;
use super::window::{Mark, Window};
use crate::plan::connection::ListPlan;
use crate::record::Fingerprint;

/// A position. One of another list (the manifest was changed) is worth nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Position {
    /// Of the list that it belongs to.
    pub list: String,
    /// When the scan began, nanoseconds since 1970.
    pub began: String,
    /// What `since` of the scan was, for windows of the parents that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermark: Option<Mark>,
    /// The token cursor's token, as long as it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The parent that the scan is at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentPosition>,
    /// Where in the list; `None`: it was read to its end, and the next parent follows, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<ListPosition>,
    /// Whether any parent's list was there.
    #[serde(default)]
    pub any: bool,
    /// The whole scan was read.
    #[serde(default)]
    pub ended: bool,
}

/// The place in one list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListPosition {
    pub next: Next,
    /// Records of the pages so far, for `stop.total`.
    #[serde(default)]
    pub read: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Mark>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Mark>,
}

/// The place among the parents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ParentPosition {
    /// Entry of `forEach`.
    pub entry: usize,
    /// Index of a value.
    #[serde(default)]
    pub index: usize,
    /// The position that led to the parents' page; null for the first one.
    #[serde(default)]
    pub page: Value,
    /// What is used of the parent.
    pub value: Value,
}

impl ParentPosition {
    /// Names the parent: another one where anything that is used of it differs.
    pub fn name(&self) -> u64 {
        let text = format!("{} {}", self.entry, self.value);
        Fingerprint::of(text.as_bytes()).0 as u64
    }
}

impl ListPosition {
    pub fn new(next: Next, read: u64, window: &Window) -> Self {
        let mark = |moment: &Option<crate::record::Moment>| moment.as_ref().map(Mark::from);
        Self {
            next,
            read,
            since: mark(&window.since),
            until: mark(&window.until),
        }
    }

    pub fn window(&self) -> Window {
        let moment = |mark: &Option<Mark>| mark.as_ref().and_then(Mark::moment);
        Window {
            since: moment(&self.since),
            until: moment(&self.until),
        }
    }
}

impl Position {
    /// Reads a position that belongs to the list with this fingerprint.
    pub fn read(value: &Value, list: &str) -> Option<Self> {
        Self::deserialize(value)
            .ok()
            .filter(|position| position.list == list)
    }
}

/// What a position belongs to: it changes with everything that changes the order or number of records.
pub(super) fn fingerprint(list: &ListPlan) -> String {
    let text = serde_json::to_vec(list).unwrap_or_default();
    Fingerprint::of(&text).to_string()
}
