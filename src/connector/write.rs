//! Writes: one record, or several where the operation has a batch, and what became of each.
//! Used by `worker` through [`Connector::write`].

use bytes::Bytes;
use serde_json::Value;

use super::build::{Parts, unrenderable};
use super::classify::{Purpose, is_html, unsure};
use super::client::Reply;
use super::{Answer, Connector, Done, Item, Verb, Write, batch, batch_body};
use crate::expression::{Path, Scope, raw};
use crate::plan::ObjectPlan;
use crate::plan::connection::{BatchPlan, InjectionPlan, Operation, id_of, read_id};
use crate::record::{Class, Failure};

/// What all kinds of writes have in common.
#[derive(Clone, Copy)]
pub(super) struct Shape<'a> {
    pub purpose: Purpose,
    pub operation: &'a Operation,
    /// Where the key's fields stand in the answer or in a batch's result; none for updates and deletes.
    pub ids: &'a [Path],
    pub batch: Option<&'a BatchPlan>,
    idempotency: Option<&'a InjectionPlan>,
}

impl<'a> Shape<'a> {
    fn of(object: &'a ObjectPlan, verb: Verb) -> Option<Self> {
        Some(match verb {
            Verb::Create => {
                let plan = object.create.as_ref()?;
                Self {
                    purpose: Purpose::Create,
                    operation: &plan.request,
                    ids: &plan.ids,
                    batch: plan.batch.as_ref(),
                    idempotency: plan.idempotency.as_ref().map(|i| &i.injection),
                }
            }
            Verb::Update => {
                let plan = object.update.as_ref()?;
                let (operation, batch) = (&plan.request, plan.batch.as_ref());
                Self {
                    purpose: Purpose::Update,
                    operation,
                    ids: &[],
                    batch,
                    idempotency: None,
                }
            }
            Verb::Upsert => {
                let plan = object.upsert.as_ref()?;
                let (operation, batch) = (&plan.request, plan.batch.as_ref());
                Self {
                    purpose: Purpose::Upsert,
                    operation,
                    ids: &plan.ids,
                    batch,
                    idempotency: None,
                }
            }
            Verb::Delete => Self {
                purpose: Purpose::Delete,
                operation: object.delete.as_ref()?,
                ids: &[],
                batch: None,
                idempotency: None,
            },
        })
    }
}

impl Connector {
    /// Sends one write. Waits for the limits first; a rate-limited answer is waited out and sent again.
    /// Everything else that fails is the caller's to decide.
    pub async fn write(&self, object: &ObjectPlan, write: Write<'_>) -> Answer {
        match self.try_write(object, write).await {
            Ok(results) => Answer::Items(results),
            Err(failure) => Answer::Whole(failure),
        }
    }

    async fn try_write(
        &self,
        object: &ObjectPlan,
        write: Write<'_>,
    ) -> Result<Vec<Result<Done, Failure>>, Failure> {
        self.check_access(write.verb)?;
        let Some(shape) = Shape::of(object, write.verb) else {
            let name = match write.verb {
                Verb::Create => "create",
                Verb::Update => "update",
                Verb::Upsert => "upsert",
                Verb::Delete => "delete",
            };
            return Err(self.missing(object, name));
        };
        let key = shape.idempotency.zip(write.idempotency_key);
        let inject: Option<(&InjectionPlan, Value)> =
            key.map(|(place, key)| (place, Value::from(key)));
        match (shape.batch, write.items) {
            (_, []) => Ok(vec![]),
            (None, [item]) => Ok(vec![
                self.write_one(object, shape, item, inject.as_slice(), write)
                    .await?,
            ]),
            (None, items) => {
                let text = format!(
                    "{}: object {}: {} records in one request, but the operation has no batch",
                    self.resource(),
                    object.name,
                    items.len()
                );
                Err(Failure::new(Class::Configuration, false, text))
            }
            (Some(plan), _) => {
                self.write_batch(shape, plan, inject.as_slice(), write)
                    .await
            }
        }
    }

    fn check_access(&self, verb: Verb) -> Result<(), Failure> {
        let access = &self.inner.plan.access;
        match verb {
            Verb::Create if !access.create => Err(self.no_access("Create")),
            Verb::Update if !access.update => Err(self.no_access("Update")),
            Verb::Upsert if !access.create => Err(self.no_access("Create")),
            Verb::Upsert if !access.update => Err(self.no_access("Update")),
            Verb::Delete if !access.delete => Err(self.no_access("Delete")),
            _ => Ok(()),
        }
    }

    /// Writes one record. Its failure is the failure of the whole request.
    async fn write_one(
        &self,
        object: &ObjectPlan,
        shape: Shape<'_>,
        item: &Item<'_>,
        inject: &[(&InjectionPlan, Value)],
        write: Write<'_>,
    ) -> Result<Result<Done, Failure>, Failure> {
        let operation = shape.operation;
        let key = match item.id {
            Some(id) => Some(self.key_scope(object, id)?),
            None if matches!(shape.purpose, Purpose::Update | Purpose::Delete) => {
                return Err(self.wrong(operation, "it needs the target record's id"));
            }
            None => None,
        };
        let current = match item.id {
            Some(id) if operation.uses.current => match self.get(object, id).await {
                Ok(Some(found)) => Some(found.record),
                Ok(None) => {
                    let text = format!(
                        "{}: object {}: the record is gone",
                        self.resource(),
                        object.name
                    );
                    return Err(Failure::new(Class::Gone, false, text));
                }
                // Only the read was sent, not the write.
                Err(failure) => {
                    return Err(Failure {
                        sent: false,
                        ..failure
                    });
                }
            },
            _ => None,
        };
        let record = operation.uses.record.then(|| parse(item.body)).flatten();
        let source = operation.uses.source.then(|| parse(item.source)).flatten();
        let scope = Scope {
            key: key.as_ref(),
            record: record.as_ref(),
            source: source.as_ref(),
            current: current.as_ref(),
            ..Scope::default()
        };
        let parts = Parts {
            operation,
            scope,
            record: Some(item.body),
            body: None,
            inject,
            url: None,
        };
        let mut prepared = self.inner.base.prepare(&self.inner.plan, parts)?;
        prepared.not_after = write.not_after;
        prepared.fence = write.fence.cloned();
        let name = operation.path.source();
        let told = |failure| self.with_request(failure, &prepared, 1);
        let reply = self
            .exchange(&prepared, shape.purpose, name)
            .await
            .map_err(told)?;
        if is_html(&reply.headers, &reply.body) && !reply.ignored {
            let mut failure = self.html(&prepared, name, reply.status);
            failure.class = unsure(shape.purpose);
            return Err(told(failure));
        }
        Ok(Ok(self.read_done(shape, &reply).map_err(told)?))
    }

    /// The id in an answer; an answer is read only when one is wanted.
    fn read_done(&self, shape: Shape<'_>, reply: &Reply) -> Result<Done, Failure> {
        if shape.ids.is_empty() || reply.ignored {
            return Ok(Done::default());
        }
        let paths: Vec<&Path> = shape.ids.iter().collect();
        let id = match raw::fields(&reply.body, &paths) {
            _ if reply.body.is_empty() => None,
            Some(found) => id_of(found),
            // A list, or no JSON at all.
            None => match serde_json::from_slice::<Value>(&reply.body) {
                Ok(answer) => read_id(shape.ids, &answer),
                Err(_) => return Err(self.untellable(shape, reply, "the answer is not JSON")),
            },
        };
        if id.is_none() && shape.purpose == Purpose::Create {
            return Err(self.untellable(shape, reply, &no_id(shape.ids)));
        }
        Ok(Done { id, before: None })
    }

    /// A success that does not say what came of it.
    fn untellable(&self, shape: Shape<'_>, reply: &Reply, what: &str) -> Failure {
        let mut failure = self.wrong(shape.operation, what);
        (failure.class, failure.sent) = (unsure(shape.purpose), true);
        failure.status = Some(reply.status.as_u16());
        failure
    }

    async fn write_batch(
        &self,
        shape: Shape<'_>,
        plan: &BatchPlan,
        inject: &[(&InjectionPlan, Value)],
        write: Write<'_>,
    ) -> Result<Vec<Result<Done, Failure>>, Failure> {
        let (operation, items) = (shape.operation, write.items);
        if items.len() > plan.max {
            return Err(self.wrong(operation, "more records than batch.max"));
        }
        let built = batch_body::build(&self.inner.plan, operation, plan, items, inject)
            .map_err(|what| unrenderable(&self.inner.plan, operation, &what))?;
        let body = Bytes::from(built.body);
        let parts = Parts {
            operation,
            scope: Scope::default(),
            record: None,
            body: Some(&body),
            inject,
            url: None,
        };
        let mut prepared = self.inner.base.prepare(&self.inner.plan, parts)?;
        prepared.fence = write.fence.cloned();
        let name = operation.path.source();
        let told = |failure| self.with_request(failure, &prepared, items.len());
        let reply = self
            .exchange(&prepared, shape.purpose, name)
            .await
            .map_err(told)?;
        if reply.ignored {
            return Ok(items.iter().map(|_| Ok(Done::default())).collect());
        }
        let asked = super::classify::Asked {
            method: prepared.method.as_str(),
            path: &prepared.path,
        };
        batch::results(
            &self.inner.plan,
            shape,
            plan,
            &asked,
            &built.sent,
            &reply,
            items.len(),
        )
        .map(|results| results.into_iter().map(|one| one.map_err(told)).collect())
        .map_err(|what| {
            let mut failure = self.wrong(operation, &what);
            (failure.class, failure.sent) = (unsure(shape.purpose), true);
            failure.status = Some(reply.status.as_u16());
            told(failure)
        })
    }

    fn wrong(&self, operation: &Operation, what: &str) -> Failure {
        let text = format!(
            "{}: {} {}: {what}",
            self.resource(),
            operation.method,
            operation.path.source()
        );
        Failure::new(Class::Configuration, false, text)
    }
}

/// Without its id a record that was created could only be created again.
pub(super) fn no_id(ids: &[Path]) -> String {
    let places: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!(
        "the answer has no id of the new record at {}; correct create.id, or say by a rule in spec.responses what \
         that answer means",
        places.join(", ")
    )
}

fn parse(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text).ok()
}
