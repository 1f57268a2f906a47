//! How records are written, compiled: create, update, upsert and delete.
//! Pure. Made by `object`, run by `connector::write`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::batch::{BatchPlan, compile_batch};
use super::check::{Checker, RequestParts};
use super::object::check_key;
use super::request::{BodyPlan, InjectionPlan, Operation, compile_request};
use crate::api::connection::{
    BatchSpec, BodySpec, CreateSpec, DeleteSpec, Encoding, Injection, Method, ObjectSpec, Sends,
    UpdateSpec, UpsertSpec,
};
use crate::expression::Path;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreatePlan {
    pub request: Operation,
    /// Where the new record's key fields stand in the answer (in a batch: in its result).
    pub ids: Vec<Path>,
    pub idempotency: Option<IdempotencyPlan>,
    /// How long the target remembers an idempotency key; `None`: it takes none.
    pub idempotency_ttl: Option<Duration>,
    pub batch: Option<BatchPlan>,
}

/// Where the idempotency key goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyPlan {
    pub injection: InjectionPlan,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpdatePlan {
    pub request: Operation,
    /// Send only fields that differ from what was sent last.
    pub changed_fields: bool,
    pub batch: Option<BatchPlan>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UpsertPlan {
    pub request: Operation,
    /// Where the record's key fields stand in the answer (in a batch: in its result).
    pub ids: Vec<Path>,
    pub batch: Option<BatchPlan>,
}

const DEFAULT_TTL: Duration = Duration::from_secs(24 * 3600);

pub(super) fn compile_create(
    spec: &CreateSpec,
    object: &ObjectSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<CreatePlan> {
    let parts = RequestParts {
        method: spec.method.unwrap_or(Method::Post),
        path: &spec.path,
        query: &spec.query,
        headers: &spec.headers,
        body: spec.body.as_ref(),
        answer: ("record", spec.record.as_deref()),
    };
    let request = compile_write(
        parts,
        &["settings", "record", "source"],
        spec.batch.as_ref(),
        field,
        checker,
    );
    let ids = compile_ids(
        &spec.id,
        spec.record.as_deref(),
        spec.batch.as_ref(),
        object,
        field,
        checker,
    );
    let idempotency = spec.idempotency_key.as_ref().and_then(|key| {
        let injection = Injection {
            place: key.place,
            name: key.name.clone(),
        };
        let injection =
            InjectionPlan::compile(&injection, &format!("{field}.idempotencyKey"), checker)?;
        Some(IdempotencyPlan { injection })
    });
    let idempotency_ttl = spec
        .idempotency_key
        .as_ref()
        .map(|key| key.ttl.as_ref().map_or(DEFAULT_TTL, |ttl| ttl.to_std()));
    if idempotency_ttl.is_some_and(|ttl| ttl.is_zero()) {
        checker.problem(
            &format!("{field}.idempotencyKey.ttl"),
            "must be more than 0",
        );
    }
    if spec.batch.is_some() && spec.idempotency_key.is_some() {
        checker.problem(
            &format!("{field}.idempotencyKey"),
            "is of no use with batch: when its answer is lost, the records of a batch are looked for one by one; take one of the two away",
        );
    }
    let batch = compile_batch(spec.batch.as_ref(), field, checker);
    Some(CreatePlan {
        request: request?,
        ids: ids?,
        idempotency,
        idempotency_ttl,
        batch,
    })
}

pub(super) fn compile_update(
    spec: &UpdateSpec,
    object: &ObjectSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<UpdatePlan> {
    let parts = RequestParts {
        method: spec.method.unwrap_or(Method::Patch),
        path: &spec.path,
        query: &spec.query,
        headers: &spec.headers,
        body: spec.body.as_ref(),
        answer: ("record", None),
    };
    let namespaces = ["settings", "key", "record", "source", "current"];
    let request = compile_write(parts, &namespaces, spec.batch.as_ref(), field, checker)?;
    check_key(&request, &object.key, field, checker);
    if request.uses_current() && object.get.is_none() {
        checker.problem(
            field,
            "${current.…} reads the record first: give the object a get",
        );
    }
    match &spec.batch {
        Some(batch) if batch.key.is_none() => {
            checker.problem(
                &format!("{field}.batch.key"),
                "say where in each item the target record's id goes, such as id",
            );
        }
        None if ["key", "record", "source", "current"]
            .iter()
            .all(|n| request.paths_of(n).is_empty()) =>
        {
            checker.problem(
                field,
                "nothing in the request says which record is meant: use ${key.…}",
            );
        }
        _ => {}
    }
    let changed_fields = spec.sends == Some(Sends::ChangedFields);
    Some(UpdatePlan {
        request,
        changed_fields,
        batch: compile_batch(spec.batch.as_ref(), field, checker),
    })
}

pub(super) fn compile_delete(
    spec: &DeleteSpec,
    object: &ObjectSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<Operation> {
    let parts = RequestParts {
        method: spec.method.unwrap_or(Method::Delete),
        path: &spec.path,
        query: &spec.query,
        headers: &spec.headers,
        body: spec.body.as_ref(),
        answer: ("record", None),
    };
    let request = compile_request(parts, &["settings", "key", "current"], field, checker)?;
    check_key(&request, &object.key, field, checker);
    if request.uses_current() && object.get.is_none() {
        checker.problem(
            field,
            "${current.…} reads the record first: give the object a get",
        );
    }
    if ["key", "current"]
        .iter()
        .all(|name| request.paths_of(name).is_empty())
    {
        checker.problem(
            field,
            "nothing in the request says which record is meant: use ${key.…}",
        );
    }
    Some(request)
}

pub(super) fn compile_upsert(
    spec: &UpsertSpec,
    object: &ObjectSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<UpsertPlan> {
    let parts = RequestParts {
        method: spec.method.unwrap_or(Method::Put),
        path: &spec.path,
        query: &spec.query,
        headers: &spec.headers,
        body: spec.body.as_ref(),
        answer: ("record", spec.record.as_deref()),
    };
    let request = compile_write(
        parts,
        &["settings", "record", "source"],
        spec.batch.as_ref(),
        field,
        checker,
    );
    let ids = compile_ids(
        &spec.id,
        spec.record.as_deref(),
        spec.batch.as_ref(),
        object,
        field,
        checker,
    );
    let batch = compile_batch(spec.batch.as_ref(), field, checker);
    Some(UpsertPlan {
        request: request?,
        ids: ids?,
        batch,
    })
}

/// A write's request: sends the mapped record as JSON unless its body says otherwise. A batch is one
/// request for many records, so nothing in it but the list may depend on one of them.
fn compile_write(
    parts: RequestParts<'_>,
    namespaces: &[&str],
    batch: Option<&BatchSpec>,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<Operation> {
    let default = BodySpec::default();
    let parts = RequestParts {
        body: Some(parts.body.unwrap_or(&default)),
        ..parts
    };
    let Some(batch) = batch else {
        return compile_request(parts, namespaces, field, checker);
    };
    let request = compile_request(parts, &["settings"], field, checker)?;
    let problem = match &request.body {
        BodyPlan::None => Some("a batch sends a list of records: encoding must be JSON"),
        body if body.encoding() != Encoding::Json => {
            Some("a batch is sent as JSON: encoding must be JSON")
        }
        BodyPlan::Record { wrap: Some(_), .. } => {
            Some("in a batch, batch.at says where the list stands: remove wrap")
        }
        BodyPlan::Template {
            record: Some(_), ..
        } => Some("in a batch, batch.at says where the list stands: remove record"),
        BodyPlan::Template { .. } if batch.at.as_deref().unwrap_or_default().is_empty() => {
            Some("the list would replace the template: say in batch.at where in it the list stands")
        }
        BodyPlan::Record { .. } | BodyPlan::Template { .. } => None,
    };
    if let Some(problem) = problem {
        checker.problem(&format!("{field}.body"), problem);
    }
    Some(request)
}

/// Where the object's key fields stand in an answer, or in a batch's result.
fn compile_ids(
    id: &BTreeMap<String, String>,
    record: Option<&str>,
    batch: Option<&BatchSpec>,
    object: &ObjectSpec,
    field: &str,
    checker: &mut Checker<'_>,
) -> Option<Vec<Path>> {
    let place = format!("{field}.id");
    if let Some(stranger) = id.keys().find(|name| !object.key.contains(name)) {
        checker.problem(
            &place,
            format!(
                "{stranger:?} is not one of the object's key fields: {}",
                object.key.join(", ")
            ),
        );
        return None;
    }
    let record = match batch {
        Some(batch) => batch.record.as_deref(),
        None => record,
    };
    let mut paths = Vec::with_capacity(object.key.len());
    for key in &object.key {
        let text = match id.get(key) {
            Some(text) => text.clone(),
            None if id.is_empty() => below(record.unwrap_or_default(), key),
            None => {
                checker.problem(&place, format!("say where {key:?} stands in the answer"));
                return None;
            }
        };
        paths.push(checker.path(&place, &text)?);
    }
    Some(paths)
}

/// The text of the path `below` under `root`.
fn below(root: &str, path: &str) -> String {
    match (root, path) {
        ("" | ".", path) => path.to_owned(),
        (root, path) if path.starts_with('[') => format!("{root}{path}"),
        (root, path) => format!("{root}.{path}"),
    }
}
