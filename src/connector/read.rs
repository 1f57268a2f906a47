//! Single records: by id, and by search.
//! Used by `worker` and `cli` through [`Connector`].

use serde_json::{Map, Value};

use super::classify::{Purpose, body_value};
use super::client::Request;
use super::{Connector, Found};
use crate::expression::{Path, Scope};
use crate::plan::ObjectPlan;
use crate::plan::connection::Operation;
use crate::record::{Class, Failure, TargetId};

/// What a system answers to the question for one record.
#[derive(Clone, Debug)]
pub enum Look {
    Found(Found),
    /// 404, 410, or what a rule calls Gone: there is no such record.
    Gone,
    /// A rule says that the answer is to be ignored.
    Ignored,
}

impl Connector {
    /// One record by its id; `None` when the system does not show it.
    pub async fn get(&self, object: &ObjectPlan, id: &TargetId) -> Result<Option<Found>, Failure> {
        Ok(match self.look(object, id).await? {
            Look::Found(found) => Some(found),
            Look::Gone | Look::Ignored => None,
        })
    }

    /// Asks for one record by its id.
    pub async fn look(&self, object: &ObjectPlan, id: &TargetId) -> Result<Look, Failure> {
        let Some(operation) = &object.get else {
            return Err(self.missing(object, "get"));
        };
        let key = self.key_scope(object, id)?;
        let scope = Scope {
            key: Some(&key),
            ..Scope::default()
        };
        let request = Request {
            operation,
            purpose: Purpose::Get,
            scope,
            inject: &[],
            url: None,
        };
        let reply = match self.call(request).await {
            Ok(reply) if reply.ignored => return Ok(Look::Ignored),
            Ok(reply) => reply,
            Err(failure) if failure.class == Class::Gone => return Ok(Look::Gone),
            Err(failure) => return Err(failure),
        };
        let mut answer = self.json(operation, &reply.body)?;
        match take(&operation.answer, &mut answer) {
            Some(record @ Value::Object(_)) => Ok(Look::Found(Found {
                id: id.clone(),
                record,
            })),
            _ => Err(self.unreadable(operation, "the answer has no record")),
        }
    }

    /// The records that `find` returns for these match values (an object: target path → value).
    pub async fn find(
        &self,
        object: &ObjectPlan,
        matching: &Value,
        source: &Value,
    ) -> Result<Vec<Found>, Failure> {
        let Some(find) = &object.find else {
            return Err(self.missing(object, "find"));
        };
        let operation = &find.request;
        let matching = nested(matching);
        let scope = Scope {
            matching: Some(&matching),
            source: Some(source),
            ..Scope::default()
        };
        let request = Request {
            operation,
            purpose: Purpose::Find,
            scope,
            inject: &[],
            url: None,
        };
        let reply = self.call(request).await?;
        if reply.ignored || reply.body.is_empty() {
            return Ok(vec![]);
        }
        let mut answer = self.json(operation, &reply.body)?;
        let records = match take(&operation.answer, &mut answer) {
            None | Some(Value::Null) => vec![],
            Some(Value::Array(records)) => records,
            Some(record @ Value::Object(_)) => vec![record],
            Some(_) => return Err(self.unreadable(operation, "the answer has no list of records")),
        };
        let found = records
            .into_iter()
            .map(|record| match object.read_id(&record) {
                Some(id) => Ok(Found { id, record }),
                None => Err(self.unreadable(operation, "a record in the answer has no key")),
            });
        found.collect()
    }

    fn json(&self, operation: &Operation, body: &bytes::Bytes) -> Result<Value, Failure> {
        match body_value(body) {
            Value::String(_) => Err(self.unreadable(operation, "the answer is not JSON")),
            value => Ok(value),
        }
    }

    /// `${key.…}` of a record.
    pub(super) fn key_scope(&self, object: &ObjectPlan, id: &TargetId) -> Result<Value, Failure> {
        let parts = id.parts();
        if parts.len() != object.key.len() {
            let text = format!(
                "{}: object {}: a kept id has {} fields, the object's key {}",
                self.resource(),
                object.name,
                parts.len(),
                object.key.len()
            );
            return Err(Failure::new(Class::Configuration, false, text));
        }
        let mut key = Value::Object(Map::new());
        for (path, part) in object.key.iter().zip(parts) {
            // Paths of a key are fields of an object that is empty here: they fit.
            let _ = path.set(&mut key, part);
        }
        Ok(key)
    }

    pub(super) fn missing(&self, object: &ObjectPlan, operation: &str) -> Failure {
        let text = format!(
            "{}: object {} has no {operation}; add it to the Connection",
            self.resource(),
            object.name
        );
        Failure::new(Class::Configuration, false, text)
    }

    fn unreadable(&self, operation: &Operation, what: &str) -> Failure {
        let text = format!(
            "{}: {} {}: {what}; check record, records and key of the object",
            self.resource(),
            operation.method,
            operation.path.source()
        );
        Failure::new(Class::Configuration, true, text)
    }

    pub(super) fn resource(&self) -> String {
        self.inner.plan.resource()
    }
}

/// The value at a path, moved out.
fn take(path: &Path, answer: &mut Value) -> Option<Value> {
    if path.is_root() {
        return Some(answer.take());
    }
    path.get(answer).cloned()
}

/// Match values by path become an object that `${match.a.b}` finds its way in.
fn nested(matching: &Value) -> Value {
    let Value::Object(fields) = matching else {
        return matching.clone();
    };
    let mut nested = Value::Object(Map::new());
    for (name, value) in fields {
        let set = Path::parse(name)
            .ok()
            .and_then(|path| path.set(&mut nested, value.clone()).ok());
        if let (None, Value::Object(map)) = (set, &mut nested) {
            map.insert(name.clone(), value.clone());
        }
    }
    nested
}
