//! Walks through what a list is read for: values, and the records of other objects.
//! Keeps one page of parents at most. Used by `reader`.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::Ask;
use super::position::ParentPosition;
use super::scan::Scan;
use crate::connector::ScanStart;
use crate::expression::raw;
use crate::expression::{Path, Step};
use crate::plan::connection::{ForEachPlan, ListPlan};
use crate::record::Failure;

/// The parents of one scan, in order.
pub(super) struct Parents {
    list: Arc<ListPlan>,
    began: i128,
    entry: usize,
    /// Next value of an entry of values.
    index: usize,
    /// Reads the records of an entry's object.
    reader: Option<Box<Scan>>,
    /// The position that leads to the page that `queue` is from, and to the one after it.
    page: Value,
    following: Value,
    queue: VecDeque<Value>,
    /// After a restart: the parent that was at hand; those before it on its page are done.
    after: Option<Value>,
    /// Parents that lack a field that is needed.
    pub skipped: u32,
}

impl Parents {
    /// All parents, or those after a position.
    pub fn new(list: Arc<ListPlan>, began: i128, after: Option<&ParentPosition>) -> Self {
        let mut parents = Self {
            list,
            began,
            entry: 0,
            index: 0,
            reader: None,
            page: Value::Null,
            following: Value::Null,
            queue: VecDeque::new(),
            after: None,
            skipped: 0,
        };
        if let Some(position) = after {
            parents.entry = position.entry;
            parents.index = position.index + 1;
            parents.following = position.page.clone();
            parents.after = Some(position.value.clone());
        }
        parents
    }

    /// The next parent; `None` after the last.
    pub async fn next(&mut self, ask: &Arc<dyn Ask>) -> Result<Option<ParentPosition>, Failure> {
        let list = Arc::clone(&self.list);
        while let Some(entry) = list.for_each.get(self.entry) {
            let found = match entry {
                ForEachPlan::Values(values) => self.value(values),
                ForEachPlan::Object { name, list } => self.record(name, list, ask).await?,
            };
            if found.is_some() {
                return Ok(found);
            }
            self.entry += 1;
            self.index = 0;
            self.reader = None;
            self.following = Value::Null;
            self.after = None;
        }
        Ok(None)
    }

    /// Whether parents may follow without asking anybody; `None`: only a request tells.
    pub fn more(&self) -> Option<bool> {
        let here = match self.list.for_each.get(self.entry) {
            None => return Some(false),
            Some(ForEachPlan::Values(values)) => self.index < values.len(),
            Some(ForEachPlan::Object { .. }) if self.queue.is_empty() => return None,
            Some(ForEachPlan::Object { .. }) => true,
        };
        Some(here || self.entry + 1 < self.list.for_each.len())
    }

    fn value(&mut self, values: &[String]) -> Option<ParentPosition> {
        let index = self.index;
        let text = values.get(index)?;
        self.index += 1;
        let value = Value::Object(Map::from_iter([(
            "value".to_owned(),
            Value::from(text.as_str()),
        )]));
        Some(ParentPosition {
            entry: self.entry,
            index,
            page: Value::Null,
            value,
        })
    }

    async fn record(
        &mut self,
        name: &str,
        list: &Arc<ListPlan>,
        ask: &Arc<dyn Ask>,
    ) -> Result<Option<ParentPosition>, Failure> {
        loop {
            if let Some(value) = self.queue.pop_front() {
                return Ok(Some(ParentPosition {
                    entry: self.entry,
                    index: 0,
                    page: self.page.clone(),
                    value,
                }));
            }
            let (following, began) = (&self.following, self.began);
            let reader = self.reader.get_or_insert_with(|| {
                let resume = (!following.is_null()).then(|| following.clone());
                let start = ScanStart {
                    resume,
                    ..ScanStart::default()
                };
                Box::new(Scan::new(
                    Arc::clone(ask),
                    name.to_owned(),
                    Arc::clone(list),
                    start,
                    began,
                ))
            });
            let Some(page) = boxed(reader).await? else {
                return Ok(None);
            };
            self.page = std::mem::replace(&mut self.following, page.position);
            self.skipped += page.ignored;
            for record in &page.records {
                match pruned(record, &self.list.parent_paths) {
                    Some(value) => self.queue.push_back(value),
                    None => self.skipped += 1,
                }
            }
            if let Some(after) = self.after.take()
                && let Some(at) = self.queue.iter().position(|value| *value == after)
            {
                self.queue.drain(..=at);
            }
        }
    }
}

/// The future of a scan within a scan has no size of its own.
fn boxed(reader: &mut Scan) -> BoxFuture<'_, Result<Option<super::Page>, Failure>> {
    Box::pin(reader.next())
}

/// What is used of a parent; `None` when one of it is missing or null.
fn pruned(record: &[u8], paths: &[Path]) -> Option<Value> {
    let mut value = Value::Object(Map::new());
    for path in paths {
        let found = raw::field(record, path).filter(|v| !v.is_null())?;
        put(&mut value, path.steps(), found);
    }
    Some(value)
}

/// Puts a value where it stood. List items before it are null.
fn put(root: &mut Value, steps: &[Step], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *root = value;
        return;
    };
    match step {
        Step::Field(name) => {
            if !root.is_object() {
                *root = Value::Object(Map::new());
            }
            if let Value::Object(map) = root {
                put(
                    map.entry(name.to_string()).or_insert(Value::Null),
                    rest,
                    value,
                );
            }
        }
        Step::Index(index) => {
            if !root.is_array() {
                *root = Value::Array(Vec::new());
            }
            if let Value::Array(items) = root {
                if items.len() <= *index {
                    items.resize(index + 1, Value::Null);
                }
                put(&mut items[*index], rest, value);
            }
        }
    }
}
