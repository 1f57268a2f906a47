//! A Mapping, compiled once, applied to every record. Pure: no I/O, no clock.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::record::{LookupKey, TargetId};

/// A compiled Mapping.
#[derive(Clone, Debug)]
pub struct Mapping;

/// What a source record became.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapped {
    Record(Map<String, Value>),
    Rejected(Rejection),
    /// A link that isn't there yet and that the field waits for.
    Waiting(LookupKey),
}

/// Why a record cannot be mapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The target field, `lines[2].sku`.
    pub field: String,
    /// PascalCase: `Missing`, `Unmapped`, `BadDate`, `BadNumber`, `Unlinked`, `Expression`, …
    pub reason: &'static str,
    /// One line with the offending value shortened.
    pub message: String,
}

/// The links that were found for a record's lookups; a key that is not there is not linked.
pub type Links = HashMap<LookupKey, TargetId>;

impl Mapping {
    pub fn compile(spec: &crate::api::mapping::MappingSpec) -> Result<Self, Vec<Rejection>> {
        let _ = spec;
        Ok(Self)
    }
    /// Runs an example; the error says what came out instead.
    pub fn run_test(&self, test: &crate::api::mapping::MappingTest) -> Result<(), String> {
        let _ = test;
        Ok(())
    }
    pub fn lookup_names(&self) -> Vec<String> {
        vec![]
    }
    /// The links that `record` needs, appended to `wanted`.
    pub fn lookups(&self, record: &Value, wanted: &mut Vec<LookupKey>) {
        let _ = (record, wanted);
    }

    /// Maps one record.
    pub fn apply(&self, record: &Value, links: &Links) -> Mapped {
        let _ = (record, links);
        Mapped::Record(Map::new())
    }
}
