//! How an object is listed, compiled: request, pages, cursor, and how a version is read from a record.
//! Pure. Made by `plan::connection`, run by `connector::pages`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checker, Operation};
use crate::api::connection::{ListSpec, MomentSpec};
use crate::expression::Path;
use crate::record::Moment;

/// Where a moment stands in a record and how it is written there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MomentPlan {
    pub path: Path,
    pub formats: Vec<MomentFormat>,
}

impl MomentPlan {
    /// The moment of a record; `None` when it is missing or written in no known format.
    pub fn read(&self, record: &Value) -> Option<Moment> {
        let _ = record;
        None
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MomentFormat {
    Rfc3339,
    UnixSeconds,
    UnixMillis,
    Integer,
    Text,
    /// A strftime pattern; without an offset in it, UTC.
    Pattern(String),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ListPlan {
    pub request: Operation,
    pub cursor: Option<CursorPlan>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CursorPlan {
    pub moment: MomentPlan,
    pub overlap: Duration,
}

/// Compiles `objects[n].list`; `field` is its path in the manifest. Problems go to `checker`.
pub(super) fn compile_list(spec: &ListSpec, field: &str, checker: &mut Checker<'_>) -> Option<ListPlan> {
    let _ = (spec, field, checker);
    None
}

/// Compiles `objects[n].modified`.
pub(super) fn compile_moment(spec: &MomentSpec, field: &str, checker: &mut Checker<'_>) -> Option<MomentPlan> {
    let _ = (spec, field, checker);
    None
}
