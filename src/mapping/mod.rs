//! A Mapping, compiled once, applied to every record. Pure: no I/O, no clock.
//! Compiled by `plan`; applied by `worker`.

mod compile;
mod date;
mod direct;
mod field;
mod number;
mod pick;
mod place;
mod split;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::api::mapping::{MappingSpec, MappingTest};
use crate::record::{Fingerprint, Key, LookupKey, TargetId};
use direct::Direct;
use field::{Context, Field, Stop};

/// A compiled Mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    fields: Arc<[Field]>,
    tests: Arc<[MappingTest]>,
    fingerprint: Fingerprint,
    has_lookups: bool,
    direct: Option<Arc<Direct>>,
}

/// What is wrong with a Mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// `spec.fields[3].date.parse`.
    pub field: String,
    pub message: String,
}

/// An example of the Mapping that doesn't come out as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// Its place in `spec.tests`.
    pub index: usize,
    pub test: String,
    /// What came out instead, field by field.
    pub message: String,
}

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
    /// PascalCase: `Missing`, `Unmapped`, `BadDate`, `BadNumber`, `BadText`, `Unlinked`, `Expression`.
    pub reason: &'static str,
    /// One line with the offending value shortened; for dead letters, not for logs.
    pub message: String,
}

/// The links that were found for a record's lookups; a key that is not there is not linked.
pub type Links = HashMap<LookupKey, TargetId>;

impl Mapping {
    /// Checks and compiles a Mapping.
    ///
    /// # Errors
    /// Everything that is wrong with it, with the field's place in the spec.
    pub fn compile(spec: &MappingSpec) -> Result<Self, Vec<CompileError>> {
        let fields = compile::fields(spec)?;
        let text = serde_json::to_vec(&spec.fields).unwrap_or_default();
        Ok(Self {
            has_lookups: fields.iter().any(Field::has_lookup),
            direct: Direct::compile(&fields).map(Arc::new),
            fields: fields.into(),
            tests: spec.tests.clone().into(),
            fingerprint: Fingerprint::of(&text),
        })
    }

    /// Of everything that decides what a record becomes.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The names of the lookups that fields use, each once.
    pub fn lookup_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.fields
            .iter()
            .for_each(|field| field.lookup_names(&mut names));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The links that `record` needs, appended to `wanted`.
    pub fn lookups(&self, record: &Value, wanted: &mut Vec<LookupKey>) {
        if self.has_lookups {
            self.fields
                .iter()
                .for_each(|field| field.lookups(record, wanted));
        }
    }

    /// Maps one record.
    pub fn apply(&self, record: &Value, links: &Links) -> Mapped {
        match field::apply_all(&self.fields, record, &Context { links }) {
            Ok(mapped) => Mapped::Record(mapped),
            Err(Stop::Rejected(rejection)) => Mapped::Rejected(*rejection),
            Err(Stop::Waiting(lookup)) => Mapped::Waiting(*lookup),
        }
    }

    /// Maps the JSON text of a record into JSON text, the same as [`Mapping::apply`] gives. `None`: only
    /// that one can say what becomes of it.
    pub fn apply_text(&self, record: &[u8], links: &Links) -> Option<Vec<u8>> {
        let direct = self.direct.as_ref()?;
        direct.apply(&self.fields, record, &Context { links })
    }

    /// Of each field, by the name of its target: why it cannot be turned around, if it can't.
    pub fn invertible(&self) -> Vec<(String, Result<(), &'static str>)> {
        self.fields
            .iter()
            .map(|field| (field.name.clone(), field.invertible()))
            .collect()
    }

    /// How many tests the Mapping has.
    pub fn test_count(&self) -> usize {
        self.tests.len()
    }

    /// Runs the Mapping's own tests.
    pub fn run_tests(&self) -> Vec<TestFailure> {
        self.tests
            .iter()
            .enumerate()
            .filter_map(|(index, test)| {
                self.run_test(test).map(|message| TestFailure {
                    index,
                    test: test.name.clone(),
                    message,
                })
            })
            .collect()
    }

    fn run_test(&self, test: &MappingTest) -> Option<String> {
        let links: Links = test
            .links
            .iter()
            .filter_map(|link| {
                let key = Key::from_text(link.key.as_str());
                Some((
                    LookupKey {
                        lookup: link.lookup.clone(),
                        key,
                    },
                    TargetId::from_value(&link.id)?,
                ))
            })
            .collect();
        let got = self.apply(&Value::Object(test.given.clone()), &links);
        match (got, &test.expect, &test.rejects) {
            (Mapped::Record(got), Some(expect), None) => difference(expect, &got),
            (Mapped::Rejected(rejection), None, Some(field)) if rejection.field == *field => None,
            (Mapped::Record(_), _, Some(field)) => Some(format!(
                "expected field {field} to reject it, and it was mapped"
            )),
            (Mapped::Rejected(r), _, _) => Some(format!(
                "field {} rejects it ({}): {}",
                r.field, r.reason, r.message
            )),
            (Mapped::Waiting(lookup), _, _) => Some(format!(
                "it waits for {} {}; give it in `links`",
                lookup.lookup, lookup.key
            )),
            (Mapped::Record(_), None, None) => {
                Some("a test needs either `expect` or `rejects`".into())
            }
        }
    }
}

/// What differs between two records, field by field; `None` when nothing does.
fn difference(expect: &Map<String, Value>, got: &Map<String, Value>) -> Option<String> {
    let mut lines = Vec::new();
    for (name, expected) in expect {
        match got.get(name) {
            None => lines.push(format!("{name}: expected {expected}, got nothing")),
            Some(got) if got != expected => {
                lines.push(format!("{name}: expected {expected}, got {got}"))
            }
            Some(_) => {}
        }
    }
    for (name, value) in got {
        if !expect.contains_key(name) {
            lines.push(format!("{name}: expected nothing, got {value}"));
        }
    }
    (!lines.is_empty()).then(|| lines.join("; "))
}
