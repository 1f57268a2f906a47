//! The body of several records in one request. The records stay text where the manifest allows it,
//! because parsing them again costs more than sending them. Pure. Used by `write`.

use serde_json::{Map, Value};

use super::Item;
use super::body::wrapped;
use crate::expression::{Path, Scope, Step, raw};
use crate::plan::ConnectionPlan;
use crate::plan::connection::{BatchPlan, BodyPlan, Correlate, InjectionPlan, Operation, Place};
use crate::record::scalar_text;

/// A batch's body, and what its results are found by.
pub(super) struct Built {
    pub body: Vec<u8>,
    /// For each item the text that its result holds; empty when results come by index.
    pub sent: Vec<Option<String>>,
}

/// Writes the body of a batch.
pub(super) fn build(
    connection: &ConnectionPlan,
    operation: &Operation,
    plan: &BatchPlan,
    items: &[Item<'_>],
    inject: &[(&InjectionPlan, Value)],
) -> Result<Built, String> {
    let template = matches!(operation.body, BodyPlan::Template { .. });
    let injects = inject.iter().any(|(i, _)| i.place == Place::Body);
    match Frame::of(plan) {
        Some(frame) if !template && !injects => frame.build(plan, items),
        _ => build_parsed(connection, operation, plan, items, inject),
    }
}

/// What stands around the records, as text.
struct Frame<'p> {
    at: Vec<&'p str>,
    item: Vec<&'p str>,
    /// The field of an item that holds the target record's id.
    key: Option<&'p str>,
}

impl<'p> Frame<'p> {
    /// `None`: the manifest puts something inside of something that only parsing can show.
    fn of(plan: &'p BatchPlan) -> Option<Self> {
        let names = |path: &'p Path| -> Option<Vec<&'p str>> {
            let name = |step: &'p Step| match step {
                Step::Field(name) => Some(&**name),
                Step::Index(_) => None,
            };
            path.steps().iter().map(name).collect()
        };
        let item = names(&plan.item)?;
        let key = match plan.key.as_ref().map(names) {
            None => None,
            Some(key) => match key?.as_slice() {
                [name] if item.first() != Some(name) => Some(*name),
                _ => return None,
            },
        };
        Some(Self {
            at: names(&plan.at)?,
            item,
            key,
        })
    }

    fn build(&self, plan: &BatchPlan, items: &[Item<'_>]) -> Result<Built, String> {
        let around: usize = self.item.iter().map(|name| name.len() + 6).sum::<usize>() + 64;
        let length: usize = items.iter().map(|i| i.body.len() + around).sum();
        let mut body = Vec::with_capacity(length + 64);
        let mut sent = Vec::new();
        open(&mut body, &self.at);
        body.push(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            let start = body.len();
            self.item(&mut body, item);
            if let Correlate::ByKey { sent: path, .. } = &plan.correlate {
                sent.push(
                    raw::field(&body[start..], path)
                        .as_ref()
                        .and_then(scalar_text),
                );
            }
        }
        body.push(b']');
        close(&mut body, &self.at);
        Ok(Built { body, sent })
    }

    fn item(&self, body: &mut Vec<u8>, item: &Item<'_>) {
        let id = self.key.zip(item.id);
        if let (Some((name, id)), []) = (id, self.item.as_slice()) {
            raw::write_with_fields(body, item.body, &[(name, id.as_json())]);
            return;
        }
        let mut names = self.item.as_slice();
        if let (Some((name, id)), [first, rest @ ..]) = (id, names) {
            body.push(b'{');
            raw::push_field(body, name, id.as_json());
            body.push(b',');
            body.extend_from_slice(Value::from(*first).to_string().as_bytes());
            body.push(b':');
            names = rest;
        }
        open(body, names);
        body.extend_from_slice(item.body);
        close(body, &self.item);
    }
}

/// `{"a":{"b":`
fn open(body: &mut Vec<u8>, names: &[&str]) {
    for name in names {
        body.push(b'{');
        body.extend_from_slice(Value::from(*name).to_string().as_bytes());
        body.push(b':');
    }
}

fn close(body: &mut Vec<u8>, names: &[&str]) {
    body.resize(body.len() + names.len(), b'}');
}

/// The body of a batch whose records must be parsed to be put where they belong.
fn build_parsed(
    connection: &ConnectionPlan,
    operation: &Operation,
    plan: &BatchPlan,
    items: &[Item<'_>],
    inject: &[(&InjectionPlan, Value)],
) -> Result<Built, String> {
    let by_key = match &plan.correlate {
        Correlate::Index => None,
        Correlate::ByKey { sent, .. } => Some(sent),
    };
    let mut list = Vec::with_capacity(items.len());
    let mut sent = Vec::with_capacity(items.len());
    for item in items {
        let record: Value = serde_json::from_slice(item.body)
            .map_err(|_| "a mapped record is not JSON".to_owned())?;
        let mut value = wrapped(Some(&plan.item), record)?;
        if let (Some(key), Some(id)) = (&plan.key, item.id) {
            key.set(&mut value, id.to_value())
                .map_err(|e| e.to_string())?;
        }
        if let Some(path) = by_key {
            sent.push(path.get(&value).and_then(scalar_text));
        }
        list.push(value);
    }
    let mut root = match &operation.body {
        BodyPlan::Template { template, .. } => {
            let scope = Scope {
                settings: Some(&connection.settings),
                ..Scope::default()
            };
            template.render(&scope).map_err(|e| e.to_string())?
        }
        BodyPlan::None | BodyPlan::Record { .. } => Value::Object(Map::new()),
    };
    if plan.at.is_root() {
        root = Value::Array(list);
    } else {
        plan.at
            .set(&mut root, Value::Array(list))
            .map_err(|e| e.to_string())?;
    }
    for (injection, value) in inject.iter().filter(|(i, _)| i.place == Place::Body) {
        injection
            .path
            .set(&mut root, value.clone())
            .map_err(|e| e.to_string())?;
    }
    Ok(Built {
        body: serde_json::to_vec(&root).map_err(|e| e.to_string())?,
        sent,
    })
}
