//! A Mapping, compiled once, applied to every record. Pure: no I/O, no clock.
//! Compiled by `plan`; applied by `worker`.

mod check;
mod compile;
mod date;
mod day;
mod direct;
mod example;
mod field;
mod invert;
mod lookup;
mod notation;
mod number;
mod numeral;
mod pick;
mod place;
mod split;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::api::mapping::{MappingSpec, MappingTest};
use crate::expression::Fields;
use crate::record::{Fingerprint, LookupKey, TargetId};
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

    /// Maps the JSON text of a record, whose fields were found, into JSON text, the same as [`Mapping::apply`] gives.
    /// `None`: only that one can say what becomes of it.
    pub fn apply_text(&self, record: &Fields, links: &Links) -> Option<Vec<u8>> {
        let direct = self.direct.as_ref()?;
        direct.apply(&self.fields, record, &Context { links })
    }

    /// Of each field, by the name of its target: why it cannot be turned around, if it can't.
    pub fn invertible(&self) -> Vec<(String, Result<(), &'static str>)> {
        self.fields
            .iter()
            .map(|field| (field.name.clone(), invert::invertible(field, &self.fields)))
            .collect()
    }

    /// The Mapping that makes a source record from a target record. Fixed values have no part in it.
    ///
    /// # Errors
    /// The fields that cannot be turned around, and why.
    pub fn inverse(&self) -> Result<Self, Vec<(String, &'static str)>> {
        let fixed = |field: &&Field| !matches!(field.source, field::Source::Value(_));
        let lost: Vec<_> = self
            .fields
            .iter()
            .filter(fixed)
            .filter_map(|field| {
                let why = invert::invertible(field, &self.fields).err()?;
                Some((field.name.clone(), why))
            })
            .collect();
        if !lost.is_empty() {
            return Err(lost);
        }
        Ok(Self {
            fields: invert::inverse(&self.fields).into(),
            tests: Arc::new([]),
            fingerprint: Fingerprint::of(b"inverse").under(self.fingerprint),
            direct: None,
            has_lookups: false,
        })
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
                example::run(self, test).map(|message| TestFailure {
                    index,
                    test: test.name.clone(),
                    message,
                })
            })
            .collect()
    }
}
