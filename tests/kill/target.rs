//! The target system: four objects, one for each guarantee that a target can give for creates.
//! Pure state with a log of every accepted write; `oracle` puts it on the network, `judge` reads it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

/// How long a created record stays invisible to the search: longer than it takes to start the engine
/// again, so that only what it has noted down keeps it from creating a second one. The manifests allow
/// for more.
const INDEX_LAG: Duration = Duration::from_millis(150);

/// What the target lets a client do about a create whose answer was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarantee {
    Repeatable,
    Keyed,
    Searchable,
    Blind,
}

impl Guarantee {
    /// The object that gives it.
    pub fn object(self) -> &'static str {
        match self {
            Self::Repeatable => "repeatable",
            Self::Keyed => "keyed",
            Self::Searchable => "searchable",
            Self::Blind => "blind",
        }
    }
}

struct Stored {
    id: u64,
    content: Map<String, Value>,
    visible: Instant,
}

pub struct Target {
    guarantee: Guarantee,
    records: Vec<Stored>,
    /// Records ever made: an id is never given again.
    made: u64,
    /// Idempotency key → the request's body and the answer that it got.
    answers: HashMap<String, (Value, Answer)>,
    /// The content of a record after each write that took effect, in order.
    pub log: Vec<Value>,
}

pub type Answer = (u16, Value);

/// A request to the target, taken apart.
pub struct Request<'a> {
    pub method: &'a str,
    /// The path's segments.
    pub path: &'a [&'a str],
    /// The field that is searched, and its value.
    pub wanted: Option<(&'a str, &'a str)>,
    pub idempotency_key: Option<&'a str>,
    pub body: &'a [u8],
}

impl Target {
    pub fn new(guarantee: Guarantee) -> Self {
        Self {
            guarantee,
            records: vec![],
            made: 0,
            answers: HashMap::new(),
            log: vec![],
        }
    }

    pub fn guarantee(&self) -> Guarantee {
        self.guarantee
    }

    /// Every record, without its id.
    pub fn contents(&self) -> impl Iterator<Item = Value> {
        self.records
            .iter()
            .map(|record| Value::Object(record.content.clone()))
    }

    /// Which record of the source the one is that a request's path names by its id here.
    pub fn external(&self, path: &[&str]) -> Option<&str> {
        let id: u64 = path.get(1)?.parse().ok()?;
        let record = self.records.iter().find(|record| record.id == id)?;
        record.content["external_ref"].as_str()
    }

    /// Carries out a request and gives its answer.
    pub fn handle(&mut self, request: &Request<'_>) -> Answer {
        if request.path.first() != Some(&self.guarantee.object()) {
            return refuse(404, "no such object");
        }
        match (request.method, &request.path[1..], self.guarantee) {
            ("GET", [], Guarantee::Searchable | Guarantee::Keyed) => self.search(request.wanted),
            ("PUT", ["by-external", external], Guarantee::Repeatable) => {
                with_object(request.body, |content| self.upsert(external, content))
            }
            ("POST", [], Guarantee::Keyed) => with_object(request.body, |content| {
                self.create_once(request.idempotency_key, content)
            }),
            ("POST", [], Guarantee::Searchable | Guarantee::Blind) => {
                with_object(request.body, |content| self.create(content))
            }
            ("DELETE", [id], _) => self.delete(id),
            ("PATCH", [id], _) => with_object(request.body, |content| self.update(id, content)),
            _ => refuse(405, "this object does not do that"),
        }
    }

    fn search(&self, wanted: Option<(&str, &str)>) -> Answer {
        let Some((field, wanted)) = wanted else {
            return refuse(400, "external_ref and email are missing");
        };
        let found = self.records.iter().filter(|record| {
            record.visible <= Instant::now() && record.content.get(field) == Some(&wanted.into())
        });
        let data: Vec<Value> = found
            .map(|record| {
                let mut content = record.content.clone();
                content.insert("id".into(), record.id.into());
                Value::Object(content)
            })
            .collect();
        (200, json!({"data": data}))
    }

    fn upsert(&mut self, external: &str, content: Map<String, Value>) -> Answer {
        let known = self
            .records
            .iter()
            .find(|record| record.content["external_ref"] == external);
        match known.map(|record| record.id) {
            Some(id) => self.update(&id.to_string(), content),
            None => self.create(content),
        }
    }

    fn create_once(&mut self, key: Option<&str>, content: Map<String, Value>) -> Answer {
        let Some(key) = key else {
            return refuse(400, "Idempotency-Key is missing");
        };
        let body = Value::Object(content.clone());
        match self.answers.get(key) {
            Some((first, answer)) if *first == body => answer.clone(),
            Some(_) => refuse(422, "this Idempotency-Key came with another body"),
            None => {
                let answer = self.create(content);
                self.answers.insert(key.to_owned(), (body, answer.clone()));
                answer
            }
        }
    }

    fn create(&mut self, content: Map<String, Value>) -> Answer {
        if !content.get("external_ref").is_some_and(Value::is_string) {
            return refuse(422, "external_ref is missing");
        }
        self.made += 1;
        let id = 999 + self.made;
        self.log.push(Value::Object(content.clone()));
        self.records.push(Stored {
            id,
            content,
            visible: Instant::now() + INDEX_LAG,
        });
        (201, json!({"id": id}))
    }

    fn delete(&mut self, id: &str) -> Answer {
        let found = self.records.iter().position(|r| r.id.to_string() == id);
        let Some(at) = found else {
            return refuse(404, "no such record");
        };
        let gone = self.records.remove(at);
        let external = &gone.content["external_ref"];
        self.log
            .push(json!({"external_ref": external, "deleted": true}));
        (204, Value::Null)
    }

    fn update(&mut self, id: &str, content: Map<String, Value>) -> Answer {
        let Some(record) = self
            .records
            .iter_mut()
            .find(|record| record.id.to_string() == id)
        else {
            return refuse(404, "no such record");
        };
        record.content.extend(content);
        self.log.push(Value::Object(record.content.clone()));
        (200, json!({"id": record.id}))
    }
}

fn with_object(body: &[u8], then: impl FnOnce(Map<String, Value>) -> Answer) -> Answer {
    match serde_json::from_slice(body) {
        Ok(Value::Object(content)) => then(content),
        _ => refuse(400, "the body is not a JSON object"),
    }
}

fn refuse(status: u16, why: &str) -> Answer {
    (status, json!({"error": why}))
}
