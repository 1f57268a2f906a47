//! One kind of record and how it is read, compiled.
//! Pure. Made by `compile`, run by `connector`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::changes::{ChangesPlan, compile_changes};
use super::check::{Checker, RequestParts};
use super::list::{ListPlan, MomentPlan, compile_list, compile_moment};
use super::request::{Operation, compile_request};
use super::write::{
    CreatePlan, UpdatePlan, UpsertPlan, compile_create, compile_delete, compile_update,
    compile_upsert,
};
use crate::api::connection::{FindSpec, GetSpec, Method, ObjectSpec};
use crate::expression::{Expression, Path};
use crate::record::{Key, KeyError, TargetId};

/// One kind of record of a system and the operations on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObjectPlan {
    pub name: String,
    /// Paths of the fields that identify a record, in order.
    pub key: Vec<Path>,
    /// The same as text, as `${key.…}` names them.
    pub key_names: Vec<String>,
    /// Fields whose values nobody is to see.
    pub redact: Vec<Path>,
    /// Orders two versions of one record.
    pub modified: Option<MomentPlan>,
    /// What a tombstone looks like.
    pub deleted: Option<Expression>,
    pub list: Option<ListPlan>,
    /// Says which records changed.
    pub changes: Option<ChangesPlan>,
    pub get: Option<Operation>,
    pub find: Option<FindPlan>,
    pub create: Option<CreatePlan>,
    pub update: Option<UpdatePlan>,
    pub upsert: Option<UpsertPlan>,
    pub delete: Option<Operation>,
}

impl ObjectPlan {
    /// The key of one of this object's records.
    pub fn read_key(&self, record: &Value) -> Result<Key, KeyError> {
        let names = self.key_names.iter().map(String::as_str);
        Key::from_values(names.zip(self.key.iter().map(|p| p.get(record))))
    }

    /// The id of one of this object's records, as a target: the value of its key field with its type,
    /// or an array of them.
    pub fn read_id(&self, record: &Value) -> Option<TargetId> {
        read_id(&self.key, record)
    }
}

/// The id whose fields stand at `paths`.
pub(crate) fn read_id(paths: &[Path], value: &Value) -> Option<TargetId> {
    if let [path] = paths {
        return TargetId::from_value(path.get(value)?);
    }
    id_of(paths.iter().map(|p| p.get(value).cloned()).collect())
}

/// The id that these fields make up.
pub(crate) fn id_of(fields: Vec<Option<Value>>) -> Option<TargetId> {
    if let [field] = fields.as_slice() {
        return TargetId::from_value(field.as_ref()?);
    }
    let parts: Option<Vec<Value>> = fields.into_iter().collect();
    TargetId::from_value(&Value::Array(parts?))
}

/// Searches for records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindPlan {
    pub request: Operation,
    /// How long a created record may stay invisible to `find`.
    pub index_lag: Duration,
}

const DEFAULT_INDEX_LAG: Duration = Duration::from_secs(10);

/// A key is shown wherever its record is spoken of: it cannot be hidden.
fn compile_redact(
    spec: &ObjectSpec,
    key: &[Path],
    field: &str,
    checker: &mut Checker<'_>,
) -> Vec<Path> {
    let mut redact = Vec::with_capacity(spec.redact.len());
    for (i, text) in spec.redact.iter().enumerate() {
        let place = format!("{field}.redact[{i}]");
        let Some(path) = checker.path(&place, text) else {
            continue;
        };
        if key.iter().any(|key| key.steps().starts_with(path.steps())) {
            let problem = "holds a key field, which is shown wherever the record is spoken of; name other fields";
            checker.problem(&place, problem);
        } else {
            redact.push(path);
        }
    }
    redact
}

/// Compiles `objects[n]`; `field` is its path.
pub(super) fn compile_object(
    spec: &ObjectSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<ObjectPlan> {
    let mut key = Vec::with_capacity(spec.key.len());
    for (i, text) in spec.key.iter().enumerate() {
        let place = format!("{field}.key[{i}]");
        match checker.path(&place, text) {
            Some(path) if path.is_root() => {
                checker.problem(&place, "a key is a field of the record, such as id")
            }
            Some(path) => key.push(path),
            None => {}
        }
    }
    if spec.key.is_empty() {
        checker.problem(
            &format!("{field}.key"),
            "name the field that identifies a record, such as [id]",
        );
    }
    let redact = compile_redact(spec, &key, field, checker);
    let modified = spec
        .modified
        .as_ref()
        .and_then(|m| compile_moment(m, &format!("{field}.modified"), checker));
    let deleted = spec
        .deleted
        .as_ref()
        .and_then(|text| checker.expression(&format!("{field}.deleted"), text, &["record"]));
    let list = spec
        .list
        .as_ref()
        .and_then(|l| compile_list(l, &format!("{field}.list"), checker));
    let key_names: Vec<String> = key.iter().map(ToString::to_string).collect();
    let changes = spec.changes.as_ref().and_then(|c| {
        let field = format!("{field}.changes");
        compile_changes(c, spec, &key_names, &field, checker)
    });
    let get = spec
        .get
        .as_ref()
        .and_then(|g| compile_get(g, &spec.key, &format!("{field}.get"), checker));
    let find = spec
        .find
        .as_ref()
        .and_then(|f| compile_find(f, &format!("{field}.find"), checker));
    let create = spec
        .create
        .as_ref()
        .and_then(|c| compile_create(c, spec, &format!("{field}.create"), checker));
    let update = spec
        .update
        .as_ref()
        .and_then(|u| compile_update(u, spec, &format!("{field}.update"), checker));
    let upsert = spec
        .upsert
        .as_ref()
        .and_then(|u| compile_upsert(u, spec, &format!("{field}.upsert"), checker));
    let delete = spec
        .delete
        .as_ref()
        .and_then(|d| compile_delete(d, spec, &format!("{field}.delete"), checker));
    Some(ObjectPlan {
        name: spec.name.clone(),
        key_names,
        key,
        redact,
        modified,
        deleted,
        list,
        changes,
        get,
        find,
        create,
        update,
        upsert,
        delete,
    })
}

fn compile_get(
    spec: &GetSpec,
    key: &[String],
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<Operation> {
    let parts = RequestParts {
        method: spec.method.unwrap_or(Method::Get),
        path: &spec.path,
        query: &spec.query,
        headers: &spec.headers,
        body: spec.body.as_ref(),
        answer: ("record", spec.record.as_deref()),
    };
    let request = compile_request(parts, &["settings", "key"], field, checker)?;
    check_key(&request, key, field, checker);
    Some(request)
}

/// `${key.…}` may only name fields of the object's key.
pub(super) fn check_key(
    request: &Operation,
    key: &[String],
    field: &str,
    checker: &mut Checker<'_>,
) {
    for path in request.paths_of("key") {
        let name = path.to_string();
        if !key.iter().any(|k| Path::parse(k).is_ok_and(|k| k == path)) {
            checker.problem(
                field,
                format!(
                    "${{key.{name}}} is not one of the object's key fields: {}",
                    key.join(", ")
                ),
            );
        }
    }
}

fn compile_find(spec: &FindSpec, field: &str, checker: &mut Checker<'_>) -> Option<FindPlan> {
    let parts = RequestParts {
        method: spec.method.unwrap_or(Method::Get),
        path: &spec.path,
        query: &spec.query,
        headers: &spec.headers,
        body: spec.body.as_ref(),
        answer: ("records", spec.records.as_deref()),
    };
    Some(FindPlan {
        request: compile_request(parts, &["settings", "match", "source"], field, checker)?,
        index_lag: spec
            .index_lag
            .as_ref()
            .map_or(DEFAULT_INDEX_LAG, |d| d.to_std()),
    })
}
